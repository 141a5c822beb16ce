"""Brightness (a strong lamp), contrast (mist) and saturate (colours faded or overdone)."""

import numpy as np

from scenarios.corruptions.fashion_mnist_c.contrast import contrast
from scenarios.corruptions.hsv import to_hsv, to_rgb
from scenarios.corruptions.rule import Corruption, Floats, cut


def brightness(images: Floats, added: float, _: np.random.Generator) -> Floats:
    """Add to the value of each pixel's hue, saturation and value, at most up to 1; for a grey image that is x + added."""
    if images.shape[3] == 1:
        return images + added
    hsv = to_hsv(images)
    hsv[..., 2] = np.minimum(hsv[..., 2] + added, 1)
    return to_rgb(hsv)


def saturate(images: Floats, parameter: tuple[float, float], _: np.random.Generator) -> Floats:
    """Multiply each pixel's saturation by `parameter[0]` and add `parameter[1]`, at most up to 1. Grey, whose hue is 0, turns reddish.

    >>> saturate(np.array([0.8, 0.4, 0.4]).reshape(1, 1, 1, 3), (0.5, 0), np.random.default_rng()).ravel().round(3).tolist()
    [0.8, 0.6, 0.6]
    """
    factor, added = parameter
    hsv = to_hsv(images)
    hsv[..., 1] = np.clip(hsv[..., 1] * factor + added, 0, 1)
    return to_rgb(hsv)


BRIGHTNESS = Corruption("cifar10_c/brightness", "cifar10-c", brightness, (0.05, 0.1, 0.15, 0.2, 0.3), published=5, random=False, cast=cut)
CONTRAST = Corruption("cifar10_c/contrast", "cifar10-c", contrast, (0.75, 0.5, 0.4, 0.3, 0.15), published=5, random=False, cast=cut)
SATURATE = Corruption(
    "cifar10_c/saturate",
    "cifar10-c",
    saturate,
    ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    published=5,
    random=False,
    grey=False,
    cast=cut,
)
