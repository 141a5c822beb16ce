"""Spatter: drops of mud on the lens."""

import numpy as np
from scipy.ndimage import gaussian_filter

from scenarios.corruptions.rule import Corruption, Floats

_MUD = 63 / 255
_FAINTEST = 0.8  # mud thinner than this is none


def spatter(images: Floats, parameter: tuple[float, float, float, float, float], generator: np.random.Generator) -> Floats:
    """Cover the picture with grey where blurred noise is high.

    `parameter` is the noise's mean and spread, the blur that makes drops of it, the level above which a drop is, and the blur of its rim.
    """
    mean, spread, blur, level, rim = parameter
    noise = generator.normal(mean, spread, images.shape[:3])
    drops = gaussian_filter(noise, (0, blur, blur), mode="nearest") > level
    mud = gaussian_filter(drops.astype(np.float64), (0, rim, rim), mode="nearest")[..., None]
    mud[mud < _FAINTEST] = 0
    return np.asarray(images * (1 - mud) + _MUD * mud)


SPATTER = Corruption(
    "spatter",
    "mnist-c",
    spatter,
    ((0.65, 0.3, 4, 0.69, 0.6), (0.65, 0.3, 3, 0.68, 0.6), (0.65, 0.3, 2, 0.68, 0.5), (0.65, 0.3, 1, 0.65, 1.5), (0.67, 0.4, 1, 0.65, 1.5)),
    published=4,
)
