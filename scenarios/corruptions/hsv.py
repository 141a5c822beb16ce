"""Hue, saturation and value: the colour circle as a number in [0, 1), how far a colour is from grey, and its largest channel.

Smith, A. R. (1978). Color gamut transform pairs. Proc. SIGGRAPH 1978. The sums are in scikit-image's order, so that what is cut to whole
levels afterwards comes out alike.
"""

import numpy as np

from scenarios.corruptions.rule import Floats


def to_hsv(images: Floats) -> Floats:
    """Turn red, green and blue [..., 3] in [0, 1] into hue, saturation and value [..., 3]; grey has hue and saturation 0.

    >>> to_hsv(np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.25, 0.25, 0.25]])).round(3).tolist()
    [[0.0, 1.0, 1.0], [0.333, 1.0, 0.5], [0.0, 0.0, 0.25]]
    """
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    value = images.max(axis=-1)
    range_ = value - images.min(axis=-1)
    saturation = np.divide(range_, value, out=np.zeros_like(value), where=range_ > 0)
    # Where two channels are the largest, blue goes before green and green before red.
    nearest_red, nearest_green, nearest_blue = (_share(one, range_) for one in (green - blue, blue - red, red - green))
    sixth = np.select([blue == value, green == value], [4 + nearest_blue, 2 + nearest_green], nearest_red)
    hue = np.where(range_ > 0, (sixth / 6) % 1, 0)
    return np.stack([hue, saturation, value], axis=-1)


def to_rgb(images: Floats) -> Floats:
    """Turn hue, saturation and value [..., 3] in [0, 1] into red, green and blue [..., 3].

    >>> to_rgb(np.array([[0.0, 1.0, 1.0], [1 / 3, 1.0, 0.5], [0.7, 0.0, 0.25]])).round(3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.25, 0.25, 0.25]]
    """
    hue, saturation, value = images[..., 0], images[..., 1], images[..., 2]
    sixth = np.floor(hue * 6)
    rest = hue * 6 - sixth
    low = value * (1 - saturation)
    falling = value * (1 - rest * saturation)
    rising = value * (1 - (1 - rest) * saturation)
    part = sixth.astype(np.int64) % 6
    return np.stack(
        [
            np.choose(part, [value, falling, low, low, rising, value]),
            np.choose(part, [rising, value, value, falling, low, low]),
            np.choose(part, [low, low, rising, value, value, falling]),
        ],
        axis=-1,
    )


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
