"""One cohort format a file; the folder is the list."""
