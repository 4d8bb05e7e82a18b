"""Cohorts, methods and the one loop that fits them. Importing it does not import torch."""
