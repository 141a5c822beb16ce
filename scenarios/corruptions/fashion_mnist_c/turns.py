"""Mirrored and turned: the picture was fed in the wrong way round."""

import numpy as np

from scenarios.corruptions.rule import Corruption, Floats


def flip_sides(images: Floats, _: None, __: np.random.Generator) -> Floats:
    """Mirror left and right."""
    return images[:, :, ::-1]


def flip_up_down(images: Floats, _: None, __: np.random.Generator) -> Floats:
    """Mirror top and bottom."""
    return images[:, ::-1]


def turn_left(images: Floats, _: None, __: np.random.Generator) -> Floats:
    """Turn by 90 degrees anticlockwise. Raises ValueError where the picture is not square, since it would come out in another shape.

    >>> turn_left(np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1), None, np.random.default_rng())[0, :, :, 0].tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    return np.rot90(_square(images), 1, axes=(1, 2))


def turn_right(images: Floats, _: None, __: np.random.Generator) -> Floats:
    """Turn by 90 degrees clockwise. Raises ValueError where the picture is not square."""
    return np.rot90(_square(images), -1, axes=(1, 2))


def _square(images: Floats) -> Floats:
    height, width = images.shape[1:3]
    if height != width:
        msg = f"A quarter turn needs square images; got {height}x{width}. Cut or frame them to a square first, or use flip_sides or flip_up_down."
        raise ValueError(msg)
    return images


FLIP_SIDES = Corruption("fashion_mnist_c/flip_sides", "fashion-mnist-c", flip_sides, (None,), random=False)
FLIP_UP_DOWN = Corruption("fashion_mnist_c/flip_up_down", "fashion-mnist-c", flip_up_down, (None,), random=False)
TURN_LEFT = Corruption("fashion_mnist_c/turn_left", "fashion-mnist-c", turn_left, (None,), random=False)
TURN_RIGHT = Corruption("fashion_mnist_c/turn_right", "fashion-mnist-c", turn_right, (None,), random=False)
