"""Stripe: the outer quarters of the picture turn negative."""

import numpy as np

from scenarios.corruptions.rule import Corruption, Floats


def stripe(images: Floats, _: None, __: np.random.Generator) -> Floats:
    """Invert the columns of the left and the right quarter: 0 to 6 and 21 to 27 of 28, and `width // 4` on each side in general."""
    quarter = images.shape[2] // 4
    result = images.copy()
    for side in (slice(None, quarter), slice(images.shape[2] - quarter, None)):
        result[:, :, side] = 1 - result[:, :, side]
    return result


STRIPE = Corruption("stripe", "mnist-c", stripe, (None,), random=False)
