"""Embeddings, predictions, audits and gated retraining over REST."""
