"""Weaknesses that a model may show in production, one check a file: drift, decay, bias, adversarial inputs, an unknown class, bad data."""
