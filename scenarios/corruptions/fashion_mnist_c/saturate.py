"""Saturate: a grey picture taken for a colour one and overdone. At the published severity all but black turns nearly white."""

import numpy as np

from scenarios.corruptions.hsv import to_rgb
from scenarios.corruptions.rule import Corruption, Floats

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])  # of red, green and blue, as in Rec. 709


def saturate(images: Floats, parameter: tuple[float, float], _: np.random.Generator) -> Floats:
    """Multiply hue, saturation and value by `parameter[0]`, add `parameter[1]`, and look at the luminance of the colour that results.

    Grey has hue and saturation 0, so these become `parameter[1]`: at severities 4 and 5 a yellowish tint, a little darker than its value.

    >>> saturate(np.array([0.0, 0.01, 1.0]).reshape(1, 1, 3, 1), (20, 0.2), np.random.default_rng()).ravel().round(3).tolist()
    [0.195, 0.391, 0.977]
    """
    factor, added = parameter
    tint = np.full_like(images, min(added, 1.0))
    return to_rgb(np.concatenate([tint, tint, np.clip(images * factor + added, 0, 1)], axis=3)) @ _LUMINANCE[:, None]


SATURATE = Corruption(
    "fashion_mnist_c/saturate",
    "fashion-mnist-c",
    saturate,
    ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    published=5,
    random=False,
    colour=False,
)
