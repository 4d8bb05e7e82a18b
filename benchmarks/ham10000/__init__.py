"""ERM and CLEAR-VAE on HAM10000 under unseen combinations of label and source collection."""
