"""One group of routes a file; the folder is the list."""
