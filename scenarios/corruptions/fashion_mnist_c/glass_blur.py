"""Glass blur: seen through frosted glass, with ribs that smear it up and down."""

from dataclasses import replace

import numpy as np

from scenarios.corruptions.mnist_c.glass_blur import GLASS_BLUR as OF_MNIST_C
from scenarios.corruptions.mnist_c.glass_blur import shuffled_between_blurs
from scenarios.corruptions.rule import Floats


def glass_blur(images: Floats, parameter: tuple[float, int, int], generator: np.random.Generator) -> Floats:
    """Do as MNIST-C's glass blur with the same `parameter`, but blur down the columns only.

    The authors' generator hands a grey image to scikit-image's `gaussian` as if its last axis, that of the columns, were one of colours;
    so nothing is blurred along the rows. The published images show it.
    """
    sigma, shift, rounds = parameter
    return shuffled_between_blurs(images, (sigma, 0.0), shift, rounds, generator)


GLASS_BLUR = replace(OF_MNIST_C, name="fashion_mnist_c/glass_blur", family="fashion-mnist-c", rule=glass_blur)
