"""Fog: a cloud before the lens, brighter here and thinner there."""

import numpy as np

from scenarios.corruptions.mnist_c.fog import plasma
from scenarios.corruptions.rule import Corruption, Floats, cut

_SMALLEST_MAP = 32


def fog(images: Floats, parameter: tuple[float, float], generator: np.random.Generator) -> Floats:
    """Add a plasma map, the same to all channels, and dim the picture so that its brightest value keeps its place.

    As MNIST-C's fog, but the whole map is 32 wide and not 256, or for larger pictures the next power of 2, so one picture sees all of a
    cloud. `parameter` is how much fog, and how fast its roughness decays.
    """
    amount, decay = parameter
    height, width = images.shape[1:3]
    side = max(_SMALLEST_MAP, 1 << (max(height, width) - 1).bit_length())
    cloud = plasma(len(images), side, (height, width), decay, generator).transpose(2, 0, 1)[..., None]
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + amount * cloud) * brightest / (brightest + amount)


FOG = Corruption("cifar10_c/fog", "cifar10-c", fog, ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)), published=5, cast=cut)
