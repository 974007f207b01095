"""Runs notebooks: a profile, checked parameters, papermill, the record."""
