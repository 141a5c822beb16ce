"""Detectors: scores of single records, sequential tests over them, and batch tests for the effect size. One file each."""
