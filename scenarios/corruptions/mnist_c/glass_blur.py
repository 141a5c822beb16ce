"""Glass blur: seen through frosted glass."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from scenarios.corruptions.rule import Corruption, Floats


def glass_blur(images: Floats, parameter: tuple[float, int, int], generator: np.random.Generator) -> Floats:
    """Blur, let neighbouring pixels change places at random, and blur again.

    `parameter` is the blur's sigma, the largest shift d and the number of rounds. In a round every pixel of rows and columns d+1 to
    side-d, from the last to the first, changes places with probability 1/2 with the one that is -d to d-1 rows and columns away.
    """
    sigma, shift, rounds = parameter
    return shuffled_between_blurs(images, (sigma, sigma), shift, rounds, generator)


def shuffled_between_blurs(images: Floats, sigmas: tuple[float, float], shift: int, rounds: int, generator: np.random.Generator) -> Floats:
    """Do the same with a blur that may be of another sigma down the columns than along the rows."""
    count, height, width, channels = images.shape
    blurred = (_blur(images, sigmas) * 255).astype(np.uint8)
    pixels = np.ascontiguousarray(blurred.transpose(1, 2, 3, 0)).reshape(height * width, channels, count)
    for _ in range(rounds):
        _shuffle(pixels, height, width, shift, generator)
    shuffled = pixels.reshape(height, width, channels, count).transpose(3, 0, 1, 2)
    return _blur(shuffled / 255.0, sigmas)


def _shuffle(pixels: NDArray[np.uint8], height: int, width: int, shift: int, generator: np.random.Generator) -> None:
    """Swap pixels [h * w, c, n] in place; one place after the other as later swaps see earlier ones, all images at once."""
    everyone = np.arange(pixels.shape[2])
    for row in range(height - shift, shift, -1):
        columns = range(width - shift, shift, -1)
        down, right = generator.integers(-shift, shift, (2, len(columns), len(everyone)))
        moved = generator.random((len(columns), len(everyone))) < 0.5
        here = row * width + np.array(columns)[:, None]
        there = np.where(moved, here + down * width + right, here)
        for place, other in zip(here[:, 0], there, strict=True):
            kept = pixels[place].copy()
            pixels[place] = pixels[other, :, everyone].T
            pixels[other, :, everyone] = kept.T


def _blur(images: Floats, sigmas: tuple[float, float]) -> Floats:
    return np.asarray(gaussian_filter(images, (0, *sigmas, 0), mode="nearest"))


GLASS_BLUR = Corruption("glass_blur", "mnist-c", glass_blur, ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)), published=1)
