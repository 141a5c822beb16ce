"""Contrast: mist, or a washed-out print; all is nearly as bright as all else."""

import numpy as np

from scenarios.corruptions.rule import Corruption, Floats


def contrast(images: Floats, kept: float, _: np.random.Generator) -> Floats:
    """Leave of every pixel's distance to its channel's mean over the picture the share `kept`.

    >>> contrast(np.array([0.0, 1.0]).reshape(1, 1, 2, 1), 0.5, np.random.default_rng()).ravel().tolist()
    [0.25, 0.75]
    """
    mean = images.mean(axis=(1, 2), keepdims=True)
    return (images - mean) * kept + mean


CONTRAST = Corruption("fashion_mnist_c/contrast", "fashion-mnist-c", contrast, (0.4, 0.3, 0.2, 0.1, 0.05), published=4, random=False)
