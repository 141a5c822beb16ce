"""Inverse: a photographic negative."""

import numpy as np

from scenarios.corruptions.rule import Corruption, Floats


def inverse(images: Floats, _: None, __: np.random.Generator) -> Floats:
    """Turn black to white and white to black: 255 - v."""
    return 1 - images


INVERSE = Corruption("fashion_mnist_c/inverse", "fashion-mnist-c", inverse, (None,), random=False)
