"""One shift rule a file; the folder is the list."""
