"""One metric a file; the folder is the list."""
