"""Fog: a cloud before the lens, brighter here and thinner there."""

import numpy as np
from numpy.typing import NDArray

from scenarios.corruptions.rule import Corruption, Floats

_SMALLEST_MAP = 256
_START = 100.0
_AT_ONCE = 50  # maps; more do not fit the processor's cache


def fog(images: Floats, parameter: tuple[float, float], generator: np.random.Generator) -> Floats:
    """Add the top left corner of a plasma map, then dim the picture so that its brightest value keeps its place.

    `parameter` is how much fog, and how fast its roughness decays. The channels of a pixel get the same fog. The map is 256 wide, or for
    larger pictures the next power of 2.
    """
    amount, decay = parameter
    height, width = images.shape[1:3]
    result = np.empty_like(images)
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE]
        side = max(_SMALLEST_MAP, 1 << (max(height, width) - 1).bit_length())
        cloud = plasma(len(part), side, (height, width), decay, generator).transpose(2, 0, 1)[..., None]
        brightest = part.max(axis=(1, 2, 3), keepdims=True)
        result[start : start + _AT_ONCE] = (part + amount * cloud) * brightest / (brightest + amount)
    return result


def plasma(count: int, side: int, crop: tuple[int, int], decay: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Make `count` plasma maps in [0, 1] by the diamond-square method on a torus, and give back the top left corner of each.

    From one point of height 0, each round doubles the points of both axes: it fills the middles of the squares, and then those of the
    diamonds, with the mean of four neighbours plus amplitude * U(-amplitude, amplitude). The amplitude starts at 100 and is divided by
    `decay` after each round; `side` is a power of 2.
    Fournier, A., Fussell, D. and Carpenter, L. (1982). Computer rendering of stochastic models. CACM 25(6).

    Returns
    -------
    float32 [height, width, count], for a `crop` of (height, width); 0 and 1 are the lowest and highest points of the whole map.
    """
    corners = np.zeros((1, 1, count), np.float32)
    amplitude = _START
    while True:
        spread = amplitude * amplitude
        across, down = _plus_neighbour(corners, 1, 1), _plus_neighbour(corners, 0, 1)
        middles = _settle(_plus_neighbour(across, 0, 1), spread, generator)
        tops = _settle(_plus_neighbour(middles, 0, -1) + across, spread, generator)
        sides = _settle(_plus_neighbour(middles, 1, -1) + down, spread, generator)
        parts = corners, tops, sides, middles
        if 2 * len(corners) == side:
            break
        corners = _interleave(parts, (2 * len(corners), 2 * len(corners)))
        amplitude /= decay
    # The whole map is only asked for its lowest and highest point; of the last round the rest need not be put together.
    lowest = np.min([part.min(axis=(0, 1)) for part in parts], axis=0)
    highest = np.max([part.max(axis=(0, 1)) for part in parts], axis=0)
    return (_interleave(parts, crop) - lowest) / (highest - lowest)


def _plus_neighbour(points: NDArray[np.float32], axis: int, way: int) -> NDArray[np.float32]:
    """Points [m, m, n] plus the next (`way` 1) or the previous one (-1) along an axis of the torus."""
    result = np.empty_like(points)
    ahead, behind = np.moveaxis(points, axis, 0), np.moveaxis(result, axis, 0)
    if way > 0:
        np.add(ahead[:-1], ahead[1:], out=behind[:-1])
        np.add(ahead[-1], ahead[0], out=behind[-1])
    else:
        np.add(ahead[1:], ahead[:-1], out=behind[1:])
        np.add(ahead[0], ahead[-1], out=behind[0])
    return result


def _settle(sums: NDArray[np.float32], spread: float, generator: np.random.Generator) -> NDArray[np.float32]:
    """Turn sums of four neighbours into their mean plus U(-spread, spread), in place."""
    sums *= np.float32(0.25)
    sums -= np.float32(spread)
    draw = generator.random(sums.shape, dtype=np.float32)
    draw *= np.float32(2 * spread)
    sums += draw
    return sums


def _interleave(parts: tuple[NDArray[np.float32], ...], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Put corners, tops, sides and middles, each [m, m, n], together to the top left [height, width, n] of the [2m, 2m, n] map."""
    result = np.empty((*shape, parts[0].shape[2]), np.float32)
    for part, (row, column) in zip(parts, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
        place = result[row::2, column::2]
        place[:] = part[: place.shape[0], : place.shape[1]]
    return result


FOG = Corruption("fog", "mnist-c", fog, ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)), published=5)
