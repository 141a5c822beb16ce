"""Remedies: ways to mend a classifier that meets drifted data, each prepared from the same context, each in one file."""
