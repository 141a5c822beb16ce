"""Estimators: accuracy without labels, and accuracy and gains from few labels, always with an honest interval."""
