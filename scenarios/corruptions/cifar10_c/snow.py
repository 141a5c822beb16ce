"""Snow: flakes driven across the picture, and a paler world behind them."""

import numpy as np

from scenarios.corruptions.cifar10_c.zoom_blur import zoomed
from scenarios.corruptions.mnist_c.motion_blur import kernel, offsets, smear_each
from scenarios.corruptions.rule import Corruption, Floats, cut

Parameter = tuple[float, float, float, float, int, float, float]
LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue, as in Rec. 601


def snow(images: Floats, parameter: Parameter, generator: np.random.Generator) -> Floats:
    """Pale the picture and add one layer of flakes twice, the second time turned upside down.

    `parameter` is mean and spread of the noise that the flakes are made of, its enlargement, the level below which there is no flake, length
    and sigma of the flakes' fall (ImageMagick's motion blur at an angle from -135 to -45 degrees), and the share that is kept of the
    picture; the rest becomes the brighter one of the picture and of 1.5 times its luminance plus 0.5.
    """
    mean, spread, size, level, length, sigma, kept = parameter
    flakes = zoomed(generator.normal(mean, spread, (*images.shape[:3], 1)), size)
    flakes[flakes < level] = 0
    flakes = np.floor(np.clip(flakes, 0, 1) * 255) / 255
    weights = kernel(length, sigma)
    fallen = smear_each(flakes, weights, offsets(generator.uniform(-135, -45, len(images)), len(weights)))
    fallen = np.floor(np.round(fallen * 65_535) / 257) / 255  # from ImageMagick's 16 bits to whole levels, as motion blur is cut
    grey = images @ LUMINANCE[:, None] if images.shape[3] == 3 else images
    paler = kept * images + (1 - kept) * np.maximum(images, 1.5 * grey + 0.5)
    return paler + fallen + fallen[:, ::-1, ::-1]


SNOW = Corruption(
    "cifar10_c/snow",
    "cifar10-c",
    snow,
    (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    published=5,
    cast=cut,
)
