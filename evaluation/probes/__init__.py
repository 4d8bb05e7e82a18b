"""One probe a file; the folder is the list."""
