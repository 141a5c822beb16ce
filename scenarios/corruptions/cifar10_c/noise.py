"""Gaussian noise (a warm sensor), shot noise (too little light), impulse noise (dead and stuck pixels) and speckle noise (grain).

All are drawn for every value by itself, so that a colour image gets coloured noise.
"""

import numpy as np

from scenarios.corruptions.mnist_c.noise import impulse_noise, shot_noise
from scenarios.corruptions.rule import Corruption, Floats, cut


def gaussian_noise(images: Floats, spread: float, generator: np.random.Generator) -> Floats:
    """Add normal noise of standard deviation `spread`."""
    return images + generator.normal(0, spread, images.shape)


def speckle_noise(images: Floats, spread: float, generator: np.random.Generator) -> Floats:
    """Add normal noise whose standard deviation is `spread` times the value, so that black stays black.

    >>> speckle_noise(np.zeros((1, 1, 2, 1)), 0.2, np.random.default_rng(0)).tolist()
    [[[[0.0], [0.0]]]]
    """
    return images + images * generator.normal(0, spread, images.shape)


GAUSSIAN_NOISE = Corruption("cifar10_c/gaussian_noise", "cifar10-c", gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10), published=5, cast=cut)
SHOT_NOISE = Corruption("cifar10_c/shot_noise", "cifar10-c", shot_noise, (500, 250, 100, 75, 50), published=5, cast=cut)
IMPULSE_NOISE = Corruption("cifar10_c/impulse_noise", "cifar10-c", impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07), published=5, cast=cut)
SPECKLE_NOISE = Corruption("cifar10_c/speckle_noise", "cifar10-c", speckle_noise, (0.06, 0.1, 0.12, 0.16, 0.2), published=5, cast=cut)
