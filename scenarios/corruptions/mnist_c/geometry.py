"""Shear, scale, rotate and translate: the page lies askew, or the camera moved.

Each is an affine map about the centre of the picture ((w - 1) / 2, (h - 1) / 2), which says for every pixel of the result where in the
image to look; read by linear interpolation, black outside. Shear and rotate turn left or right, translate moves along either diagonal,
at random per image.
"""

import numpy as np
from numpy.typing import NDArray

from scenarios.corruptions.rule import Corruption, Floats


def shear(images: Floats, amount: float, generator: np.random.Generator) -> Floats:
    """Slant by [[1, -sin], [0, cos]] of plus or minus `amount`, as scikit-image did when the data was published."""
    maps = [np.array([[1, -np.sin(c)], [0, np.cos(c)]]) for c in (amount, -amount)]
    return _apply(images, maps, generator)


def rotate(images: Floats, angle: float, generator: np.random.Generator) -> Floats:
    """Turn by plus or minus `angle` (radians)."""
    maps = [np.array([[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]]) for c in (angle, -angle)]
    return _apply(images, maps, generator)


def scale(images: Floats, factor: float, generator: np.random.Generator) -> Floats:
    """Shrink to 1 / `factor` of the size."""
    return _apply(images, [np.diag([factor, factor])], generator)


def translate(images: Floats, pixels: int, generator: np.random.Generator) -> Floats:
    """Move by `pixels` along both axes, each way at random."""
    height, width = images.shape[1:3]
    framed = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    right, down = generator.integers(0, 2, (2, len(images))).astype(bool)
    result = np.empty_like(images)
    for to_right in (False, True):
        for to_down in (False, True):
            chosen = (right == to_right) & (down == to_down)
            top, left = (0 if to_down else 2 * pixels), (0 if to_right else 2 * pixels)
            result[chosen] = framed[chosen, top : top + height, left : left + width]
    return result


def _apply(images: Floats, maps: list[NDArray[np.float64]], generator: np.random.Generator) -> Floats:
    """Send each image through one of the maps, drawn at random if there are several."""
    if len(maps) == 1:
        return warp(images, maps[0])
    which = generator.integers(0, len(maps), len(images))
    result = np.empty_like(images)
    for k, matrix in enumerate(maps):
        result[which == k] = warp(images[which == k], matrix)
    return result


def warp(images: Floats, matrix: NDArray[np.float64]) -> Floats:
    """Look up images [n, h, w, c] at `matrix` @ (column, row) about the centre, linearly, with black outside."""
    count, height, width, channels = images.shape
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre - matrix @ centre
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    at_column = matrix[0, 0] * columns + matrix[0, 1] * rows + offset[0]
    at_row = matrix[1, 0] * columns + matrix[1, 1] * rows + offset[1]
    left, top = np.floor(at_column), np.floor(at_row)
    right_share, low_share = (at_column - left).reshape(-1, 1), (at_row - top).reshape(-1, 1)

    framed = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(count, (height + 2) * (width + 2), channels)

    def look(row: NDArray[np.float64], column: NDArray[np.float64]) -> Floats:
        # Everything outside falls on the black frame, which is one pixel wide.
        inside_row = np.clip(row, -1, height).astype(np.int64) + 1
        inside_column = np.clip(column, -1, width).astype(np.int64) + 1
        return framed[:, (inside_row * (width + 2) + inside_column).ravel()]

    upper = (1 - right_share) * look(top, left) + right_share * look(top, left + 1)
    lower = (1 - right_share) * look(top + 1, left) + right_share * look(top + 1, left + 1)
    return ((1 - low_share) * upper + low_share * lower).reshape(images.shape)


SHEAR = Corruption("shear", "mnist-c", shear, (0.2, 0.4, 0.6, 0.8, 1.0), published=2)
SCALE = Corruption("scale", "mnist-c", scale, (1 / 0.9, 1 / 0.8, 1 / 0.7, 1 / 0.6, 1 / 0.5), published=3, random=False)
ROTATE = Corruption("rotate", "mnist-c", rotate, (0.2, 0.4, 0.6, 0.8, 1.0), published=2)
TRANSLATE = Corruption("translate", "mnist-c", translate, (1, 2, 3, 4, 5), published=3)
