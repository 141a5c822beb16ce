"""Elastic transform: the picture is printed on something that was pulled and dented.

Simard, P., Steinkraus, D. and Platt, J. (2003). Best practices for convolutional neural networks. Proc. ICDAR 2003.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from scenarios.corruptions.rule import Corruption, Floats

Places = NDArray[np.float64]


def elastic_transform(images: Floats, parameter: tuple[float, float, float], generator: np.random.Generator) -> Floats:
    """Pull the picture askew by a random affine map, and then dent it by a smooth random field.

    `parameter` is the depth of the dents, the sigma of the bell that smooths them, and how far at most each of three points is pulled along
    each axis, all as shares of the shorter side. The three points lie a third of that side from the middle: right below, right above and
    left above. Both steps look things up linearly in a picture that is mirrored beyond its edge, the first one on the middle of the
    outermost pixels and the second one on their rim. The published generator rounds places to 1/32 pixel in the first step; here they are exact.
    """
    depth, smooth, pull = (share * min(images.shape[1:3]) for share in parameter)
    count, height, width, _ = images.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    maps = _affine_maps(count, height, width, pull, generator)
    askew = np.einsum("nij,jhw->nihw", maps, np.stack([columns, rows, np.ones_like(rows)]))
    pulled = look_up(images, askew[:, 1], askew[:, 0], on_rim=False)
    if depth == 0:
        return pulled
    field = gaussian_filter(generator.uniform(-1, 1, (2, count, height, width)), (0, 0, smooth, smooth), mode="reflect", truncate=3) * depth
    return look_up(pulled, rows + field[0], columns + field[1], on_rim=True)


def _affine_maps(count: int, height: int, width: int, pull: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Maps [n, 2, 3] from (column, row, 1) of the result to (column, row) of the image, which undo the pull at three points."""
    middle, third = np.array([width // 2, height // 2]), min(height, width) // 3
    points = middle + third * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = points + generator.uniform(-pull, pull, (count, 3, 2))
    homogeneous = np.concatenate([moved, np.ones((count, 3, 1))], axis=2)
    return np.linalg.solve(homogeneous, np.broadcast_to(points.astype(np.float64), (count, 3, 2))).transpose(0, 2, 1)


def look_up(images: Floats, rows: Places, columns: Places, *, on_rim: bool) -> Floats:
    """Read images [n, h, w, c] at places [n, h, w] between pixels linearly.

    Beyond its edge the picture is mirrored, on the rim of its outermost pixels or on their middle.

    >>> row = np.array([0.0, 10.0, 20.0]).reshape(1, 1, 3, 1)
    >>> [look_up(row, np.zeros((1, 1, 3)), np.array([[[-1.0, 0.5, 3.0]]]), on_rim=on_rim).ravel().tolist() for on_rim in (True, False)]
    [[0.0, 5.0, 20.0], [10.0, 5.0, 10.0]]
    """
    count, height, width, channels = images.shape
    flat = images.reshape(count * height * width, channels)
    first = np.arange(count)[:, None, None] * height
    top, left = np.floor(rows), np.floor(columns)
    low_share, right_share = (rows - top)[..., None], (columns - left)[..., None]
    row, column = top.astype(np.int64), left.astype(np.int64)

    def at(down: int, right: int) -> Floats:
        return flat[(first + _mirrored(row + down, height, on_rim=on_rim)) * width + _mirrored(column + right, width, on_rim=on_rim)]

    upper = (1 - right_share) * at(0, 0) + right_share * at(0, 1)
    lower = (1 - right_share) * at(1, 0) + right_share * at(1, 1)
    return (1 - low_share) * upper + low_share * lower


def _mirrored(places: NDArray[np.int64], length: int, *, on_rim: bool) -> NDArray[np.int64]:
    period = 2 * length if on_rim else max(2 * length - 2, 1)
    inside = places % period
    return np.where(inside < length, inside, (period - 1 if on_rim else period) - inside)


ELASTIC_TRANSFORM = Corruption(
    "cifar10_c/elastic_transform",
    "cifar10-c",
    elastic_transform,
    ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    published=5,
)
