"""Zoom blur: the camera moved towards what it looked at."""

import numpy as np
from numpy.typing import NDArray

from scenarios.corruptions.rule import Corruption, Floats


def zoom_blur(images: Floats, stop: float, _: np.random.Generator) -> Floats:
    """Average the picture with its enlargements by 1, 1.01, 1.02 and so on, below `stop`; the picture itself thus counts twice.

    For the published stops 1.06 and 1.11 the last step, by the way floats are rounded, is the stop itself.
    """
    factors = np.arange(1, stop, 0.01)
    total = images.copy()
    for factor in factors:
        total += zoomed(images, float(factor))
    return total / (len(factors) + 1)


def zoomed(images: Floats, factor: float) -> Floats:
    """Enlarge the middle of images [n, h, w, c] to their full size, linearly; `factor` is at least 1.

    >>> zoomed(np.array([0.0, 1.0, 2.0, 3.0]).reshape(1, 1, 4, 1), 2).ravel().round(3).tolist()
    [1.0, 1.333, 1.667, 2.0]
    """
    count, height, width, channels = images.shape
    # Images last, so that each axis is one large matrix product.
    flat = images.transpose(1, 2, 0, 3).reshape(height, width * count * channels)
    rows = (enlargement(height, factor) @ flat).reshape(height, width, count * channels)
    both = enlargement(width, factor) @ rows
    return both.reshape(height, width, count, channels).transpose(2, 0, 1, 3)


def enlargement(length: int, factor: float) -> NDArray[np.float64]:
    """Weights [length, length] by which the enlarged middle of a row of pixels is made of the row.

    The middle is `ceil(length / factor)` pixels, which become `round` of that times `factor`, the first and the last staying where they
    are; what is then more than `length` is cut off at both ends.
    """
    middle = int(np.ceil(length / factor))
    enlarged = round(middle * factor)
    first = (length - middle) // 2
    at = (np.arange(length) + (enlarged - length) // 2) * ((middle - 1) / max(enlarged - 1, 1))
    low = np.minimum(at.astype(np.int64), max(middle - 2, 0))
    weights = np.zeros((length, length))
    places = np.arange(length)
    weights[places, first + low] = 1 - (at - low)
    weights[places, first + np.minimum(low + 1, middle - 1)] += at - low
    return weights


ZOOM_BLUR = Corruption("cifar10_c/zoom_blur", "cifar10-c", zoom_blur, (1.06, 1.11, 1.16, 1.21, 1.26), published=5, random=False)
