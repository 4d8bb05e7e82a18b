"""Audits on request: of files, of models on cohorts, and of two beside each other."""
