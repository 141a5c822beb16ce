"""Glass blur: seen through frosted glass."""

import numpy as np
from scipy.ndimage import gaussian_filter

from scenarios.corruptions.rule import Corruption, Floats, cut


def glass_blur(images: Floats, parameter: tuple[float, int], generator: np.random.Generator) -> Floats:
    """Blur, let every pixel take the colour of a neighbour drawn at random, and blur again.

    `parameter` is the blur's sigma and the number of rounds. In a round the pixels of rows and columns 2 to the last take the place of the
    one that is 0 or 1 rows up and 0 or 1 columns to the left; all largest shifts of this benchmark are 1, and its shift is drawn from -1 and 0.
    The generator means to swap the two pixels, but on colour images its assignment only copies, since both sides are views of one array. It
    goes from the last pixel to the first, so that what a pixel takes was not yet replaced in this round. Grey images are treated alike.
    """
    sigma, rounds = parameter
    count, height, width, channels = images.shape
    pixels = (_blur(images, sigma) * 255).astype(np.uint8).reshape(count * height * width, channels)
    here = np.arange(count * height * width).reshape(count, height, width)
    for _ in range(rounds):
        up, left = generator.integers(0, 2, (2, count, height, width))
        up[:, :2] = left[:, :2] = up[:, :, :2] = left[:, :, :2] = 0
        pixels = pixels[here - up * width - left].reshape(-1, channels)
    return _blur(pixels.reshape(images.shape) / 255.0, sigma)


def _blur(images: Floats, sigma: float) -> Floats:
    return np.asarray(gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest"))


GLASS_BLUR = Corruption(
    "cifar10_c/glass_blur", "cifar10-c", glass_blur, ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)), published=5, cast=cut
)
