"""One card a file; the folder is the list."""
