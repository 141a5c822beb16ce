"""Spatter: rain or mud on the lens."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate, distance_transform_edt, gaussian_filter, sobel

from scenarios.corruptions.cifar10_c.snow import LUMINANCE
from scenarios.corruptions.mnist_c.canny_edges import linked
from scenarios.corruptions.rule import Corruption, Floats

Parameter = tuple[float, float, float, float, float, bool]
Levels = NDArray[np.float64]  # whole numbers from 0 to 255

_TURQUOISE, _MUD = np.array([175, 238, 238]) / 255, np.array([63, 42, 20]) / 255
_FAINTEST = 0.8  # mud thinner than this is none
_LOW, _HIGH = 50, 150  # of Canny's thresholds
_FURTHEST = 20  # pixels from the edge of a drop, beyond which all is equally far
_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])  # light from the upper left
_LIGHTER = 22.5, 67.5


def spatter(images: Floats, parameter: Parameter, generator: np.random.Generator) -> Floats:
    """Add bright drops of water, or cover with mud, where blurred noise is high.

    `parameter` is the noise's mean and spread, the blur that makes drops of it, the level above which a drop is, how bright water is or how
    wide the rim of mud is blurred, and whether it is mud. On grey images the colour of water and mud is its luminance.
    """
    mean, spread, blur, level, strength, mud = parameter
    layer = gaussian_filter(generator.normal(mean, spread, images.shape[:3]), (0, blur, blur), mode="nearest")
    if mud:
        cover = gaussian_filter((layer > level).astype(np.float64), (0, strength, strength), mode="nearest")[..., None]
        cover[cover < _FAINTEST] = 0
        return images * (1 - cover) + cover * _colour(_MUD, images)
    layer[layer < level] = 0
    return images + strength * water(layer)[..., None] * _colour(_TURQUOISE, images)


def _colour(colour: NDArray[np.float64], images: Floats) -> NDArray[np.float64]:
    return colour if images.shape[3] == 3 else np.array([colour @ LUMINANCE])


def water(layer: Floats) -> Floats:
    """Light and shade [n, h, w], 0 to 1, of drops whose thickness [n, h, w] is 0 to 1 and 0 where there is none.

    The distance to the nearest edge of a drop, spread over all levels, is lit from a side and multiplied by the thickness. The steps and
    their rounding to whole levels are OpenCV's in the published generator.
    """
    # The rare drop that is thicker than 1 stays the thickest; in the published generator it starts again at 0.
    thickness = np.floor(np.clip(layer, 0, 1) * 255)
    spread = _equalised(np.floor(_mean(distances(_edges(thickness)))))
    lit = np.clip(correlate(spread, _RELIEF[None], mode="mirror"), 0, 255)
    light = thickness * np.rint(_mean(lit))
    brightest = light.max(axis=(1, 2), keepdims=True)
    return np.divide(light, brightest, out=np.zeros_like(light), where=brightest > 0)


def _mean(images: Floats) -> Floats:
    """Of 3x3 pixels; by way of float32, as OpenCV has it, so that the mean of whole numbers does not fall short of a whole number."""
    return (correlate(images, np.ones((1, 3, 3)), mode="mirror") / 9).astype(np.float32).astype(np.float64)


def _edges(levels: Levels) -> NDArray[np.bool_]:
    """Canny's edges [n, h, w] of images that are not smoothed first: gradients measured by |down| + |right| and compared in four directions."""
    down, right = (np.stack([sobel(one, axis, mode="nearest") for one in levels]) if len(levels) else np.zeros_like(levels) for axis in (0, 1))
    steepness = np.abs(down) + np.abs(right)
    height, width = levels.shape[1:]
    framed = np.pad(steepness, ((0, 0), (1, 1), (1, 1)))
    angle = np.rad2deg(np.arctan2(np.abs(down), np.abs(right)))
    flat, upright, falling = angle < _LIGHTER[0], angle > _LIGHTER[1], down * right >= 0

    def highest(rows: int, columns: int, *, straight: bool) -> NDArray[np.bool_]:
        before, after = (framed[:, 1 + k * rows : 1 + k * rows + height, 1 + k * columns : 1 + k * columns + width] for k in (-1, 1))
        # Of two equal neighbours in a row or a column the first one counts.
        return (steepness > before) & ((steepness >= after) if straight else (steepness > after))

    diagonal = np.where(falling, highest(1, 1, straight=False), highest(1, -1, straight=False))
    across = np.where(flat, highest(0, 1, straight=True), np.where(upright, highest(1, 0, straight=True), diagonal))
    thin = across & (steepness > _LOW)
    return linked(thin, steepness > _HIGH)


def distances(edges: NDArray[np.bool_]) -> Floats:
    """Of every pixel [n, h, w] to the nearest edge of its image, in pixels as OpenCV counts them, and at most 20.

    It goes by steps to the eight neighbours, which measure 1 and 1.4, and by knight's moves of 2.1969.

    >>> distances(np.array([[[True, False, False], [False, False, False]], [[False] * 3] * 2])).tolist()
    [[[0.0, 1.0, 2.0], [1.0, 1.4, 2.1969]], [[20.0, 20.0, 20.0], [20.0, 20.0, 20.0]]]
    """
    if not edges.any():
        return np.full(edges.shape, float(_FURTHEST))
    # One image lies so far from the next that no pixel is nearer to an edge there.
    nearest = distance_transform_edt(~edges, sampling=(1e6, 1, 1), return_distances=False, return_indices=True)
    image, *way = np.abs(np.indices(edges.shape) - nearest)
    long, short = np.maximum(*way), np.minimum(*way)
    steps = np.where(long >= 2 * short, long - 2 * short + 2.1969 * short, 2.1969 * (long - short) + 1.4 * (2 * short - long))
    return np.where(image > 0, _FURTHEST, np.minimum(steps, _FURTHEST))


def _equalised(levels: Levels) -> Levels:
    """Spread the levels [n, h, w] of each image, which are at most 20, so that each range of grey is about as frequent; the lowest becomes 0.

    >>> _equalised(np.array([[[3.0, 5.0], [5.0, 7.0]], [[4.0, 4.0], [4.0, 4.0]]])).tolist()
    [[[0.0, 170.0], [170.0, 255.0]], [[4.0, 4.0], [4.0, 4.0]]]
    """
    size = levels[0].size if len(levels) else 1
    up_to = np.stack([(levels <= level).sum(axis=(1, 2)) for level in range(_FURTHEST + 1)], axis=1)
    lowest = (levels == levels.min(axis=(1, 2), keepdims=True)).sum(axis=(1, 2))[:, None]
    table = np.rint(255 * np.divide(up_to - lowest, size - lowest, out=np.zeros(up_to.shape), where=size > lowest))
    spread = np.take_along_axis(table, levels.reshape(len(levels), -1).astype(np.int64), axis=1).reshape(levels.shape)
    return np.where((lowest == size)[..., None], levels, spread)


SPATTER = Corruption(
    "cifar10_c/spatter",
    "cifar10-c",
    spatter,
    (
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    ),
    published=5,
)
