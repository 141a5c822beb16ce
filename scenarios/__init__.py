"""The world outside the system: data sets, corruptions of them, traffic, and the people who answer."""
