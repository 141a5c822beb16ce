"""Motion blur: the camera moved while it looked."""

import numpy as np
from numpy.typing import NDArray

from scenarios.corruptions.rule import Corruption, Floats

_QUANTA = 65_535


def motion_blur(images: Floats, parameter: tuple[int, float], generator: np.random.Generator) -> Floats:
    """Smear each image one way, at an angle drawn from -45 to 45 degrees, as ImageMagick's motion blur does.

    `parameter` is the smear's length in pixels and the sigma of the half bell that weights it. Beyond the edge its pixels go on.
    """
    radius, sigma = parameter
    weights = kernel(radius, sigma)
    steps = offsets(generator.uniform(-45, 45, len(images)), len(weights))
    result = smear_each(images, weights, steps)
    # ImageMagick keeps 16 bits per value, and what that rounds up may reach the next of the 256 levels.
    return np.round(result * _QUANTA) / _QUANTA


def kernel(radius: int, sigma: float) -> NDArray[np.float64]:
    """Weights [2 * radius + 1] of the pixels 0, 1, ... steps away; they sum to 1."""
    bell = np.exp(-np.square(np.arange(2 * radius + 1)) / (2 * sigma * sigma))
    return np.asarray(bell / bell.sum())


def offsets(angles: NDArray[np.float64], length: int) -> NDArray[np.int64]:
    """Whole pixels (right, down) that each of `length` steps lies away, [n, length, 2], for angles [n] in degrees."""
    direction = np.stack([np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))], axis=1)
    return np.ceil(np.arange(length)[None, :, None] * direction[:, None] - 0.5).astype(np.int64)


def smear_each(images: Floats, weights: NDArray[np.float64], steps: NDArray[np.int64]) -> Floats:
    """Smear images [n, h, w, c], each by its own steps [n, length, 2]."""
    # Few sets of whole-pixel steps are possible, so images that share one are smeared together.
    kinds, kind = np.unique(steps.reshape(len(images), -1), axis=0, return_inverse=True)
    result = np.empty_like(images)
    for k, one in enumerate(kinds.reshape(len(kinds), -1, 2)):
        result[kind.ravel() == k] = smear(images[kind.ravel() == k], weights, one)
    return result


def smear(images: Floats, weights: NDArray[np.float64], steps: NDArray[np.int64]) -> Floats:
    """Sum images [n, h, w, c] looked at `steps` [length, 2] away."""
    height, width = images.shape[1:3]
    reach = len(weights)
    framed = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    result = np.zeros_like(images)
    for weight, (right, down) in zip(weights, steps, strict=True):
        result += weight * framed[:, reach + down : reach + down + height, reach + right : reach + right + width]
    return result


MOTION_BLUR = Corruption("motion_blur", "mnist-c", motion_blur, ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)), published=1)
