"""Queries: which images to ask a person about. Plain functions, one file each."""
