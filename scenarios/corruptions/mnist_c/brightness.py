"""Brightness: the lamp is too strong."""

import numpy as np

from scenarios.corruptions.rule import Corruption, Floats


def brightness(images: Floats, added: float, _: np.random.Generator) -> Floats:
    """Add to the value of each pixel's hue, saturation and value, at most up to 1.

    The value is the largest channel, so hue and saturation stay when all channels grow by the same factor; black becomes grey. For a
    grey image that is x + added.
    """
    value = images.max(axis=3, keepdims=True)
    brighter = np.minimum(value + added, 1)
    if images.shape[3] == 1:
        return brighter
    factor = np.divide(brighter, value, out=np.zeros_like(value), where=value > 0)
    return np.where(value > 0, images * factor, brighter)


BRIGHTNESS = Corruption("brightness", "mnist-c", brightness, (0.1, 0.2, 0.3, 0.4, 0.5), published=5, random=False)
