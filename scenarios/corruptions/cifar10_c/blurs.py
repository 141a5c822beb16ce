"""Gaussian blur (a smeared lens), defocus blur (a lens at the wrong distance) and motion blur (the camera moved while it looked)."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate, gaussian_filter

from scenarios.corruptions.mnist_c.motion_blur import motion_blur
from scenarios.corruptions.rule import Corruption, Floats, cut


def gaussian_blur(images: Floats, sigma: float, _: np.random.Generator) -> Floats:
    """Blur with a bell of `sigma` pixels; beyond the edge its pixels go on."""
    return np.asarray(gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest"))


def defocus_blur(images: Floats, parameter: tuple[float, float], _: np.random.Generator) -> Floats:
    """Spread every pixel over a disk; `parameter` is its radius and the sigma of its soft rim, in pixels. The picture is mirrored beyond the edge."""
    return np.asarray(correlate(images, disk(*parameter)[None, :, :, None], mode="mirror"))


def disk(radius: float, rim: float) -> NDArray[np.float64]:
    """Weights [2 r + 3, 2 r + 3], with r the whole part of `radius`, of a filled circle smoothed by a bell on 3x3 pixels; they sum to 1.

    >>> disk(1, 0.2).round(3)[2].tolist()
    [0.0, 0.2, 0.2, 0.2, 0.0]
    """
    reach = int(radius) + 1
    squares = np.square(np.arange(-reach, reach + 1))
    filled = (squares[:, None] + squares <= radius * radius).astype(np.float64)
    bell = np.exp(-np.square([-1.0, 0.0, 1.0]) / (2 * rim * rim))
    smooth = np.asarray(correlate(filled, np.outer(bell, bell), mode="constant"))
    return smooth / smooth.sum()


GAUSSIAN_BLUR = Corruption("cifar10_c/gaussian_blur", "cifar10-c", gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1), published=5, random=False, cast=cut)
DEFOCUS_BLUR = Corruption(
    "cifar10_c/defocus_blur",
    "cifar10-c",
    defocus_blur,
    ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    published=5,
    random=False,  # not cast by `cut`: the published weights are float32, whose nine ninths do not fall short of 1 as those of float64 do
)
# ImageMagick's, for which MNIST-C's rule stands: length and sigma, at an angle from -45 to 45 degrees.
MOTION_BLUR = Corruption("cifar10_c/motion_blur", "cifar10-c", motion_blur, ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)), published=5)
