"""Cohorts that are brought: unpacked, de-identified, checked, kept."""
