"""Models: what is known. Networks, detectors, estimators, queries, remedies, export. Imports only scenarios."""
