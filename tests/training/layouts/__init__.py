"""Small copies of the publishers' file layouts, one function a cohort, named as its file."""
