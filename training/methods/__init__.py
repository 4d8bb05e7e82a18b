"""One method a file; the folder is the list."""
