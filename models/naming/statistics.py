"""What a picture shows without any network: its greys, edges, specks, spectrum, and where its light lies.

Each statistic is one that some kind of corruption moves: greys by fog and lamps, specks by noise, edges by direction and distance by blur
and lines, moments and the frame by geometry. None of them was made for one corruption, so what nobody thought of moves some of them too.
Statistics are comparable between images of the same height and width.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

_AT_ONCE = 500  # images: their copies stay within the processor's cache and a few MB
_GREYS = 5
_SPECK = 0.15  # of the range from black to white, above or below all four neighbours
_LAGS = (1, 2, 3, 4)  # pixels
_BLOCKS = 4  # along each axis
_RINGS, _SECTORS = 5, 4


def image_statistics(images: NDArray[np.uint8]) -> Singles:
    """Return the statistics of each image: float32 [n, d].

    Parameters
    ----------
    images : uint8 [n, h, w], or [n, h, w, c] with 1 or 3 channels; at least 8 pixels high and wide. Colour images are described by the
        mean of their channels, and by how much the channels differ.

    Raises
    ------
    ValueError
        when dtype or shape are others.

    Examples
    --------
    A row of statistics for each image, the same whatever stands beside it in the batch:

    >>> images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    >>> rows = image_statistics(images)
    >>> rows.dtype, len(rows), bool(np.allclose(image_statistics(images[1:2]), rows[1:2], rtol=1e-4, atol=1e-6))
    (dtype('float32'), 3, True)
    """
    channels = images[..., None] if images.ndim == 3 else images
    if images.dtype != np.uint8 or channels.ndim != 4 or channels.shape[3] not in {1, 3} or min(channels.shape[1:3]) < 8:
        raise ValueError(
            f"images are {images.dtype} {list(images.shape)}; expected uint8 [n, h, w] or [n, h, w, 1 or 3], h and w at least 8"
        )
    if not len(images):
        return image_statistics(np.zeros((1, *images.shape[1:]), np.uint8))[:0]
    parts = (channels[start : start + _AT_ONCE] for start in range(0, len(channels), _AT_ONCE))
    return np.concatenate([np.concatenate([column.reshape(len(part), -1) for column in _columns(part)], 1) for part in parts])


def _columns(images: NDArray[np.uint8]) -> Iterator[Singles]:
    """Yield statistics of images [n, h, w, c], each [n] or [n, k]."""
    scaled = images.astype(np.float32) / np.float32(255)
    if images.shape[3] == 3:
        spread = scaled.max(3) - scaled.min(3)
        yield spread.mean((1, 2))
        yield spread.std((1, 2))
    grey = scaled.mean(3) if images.shape[3] == 3 else scaled[..., 0]
    yield from _greys(grey)
    yield from _texture(grey)
    yield _spectrum(grey)
    yield from _place(grey)


def _greys(grey: Singles) -> Iterator[Singles]:
    """How often each grey occurs, wholly black and white apart, and mean, spread and range.

    A pixel counts for the two nearest of a few greys, by how near it is: so a level that moves a little changes the counts a little.
    """
    flat = grey.reshape(len(grey), -1)
    yield (flat == 0).mean(1, dtype=np.float32)
    yield (flat == 1).mean(1, dtype=np.float32)
    for level in range(_GREYS):
        yield np.maximum(1 - np.abs(flat * (_GREYS - 1) - level), 0).mean(1)
    yield flat.mean(1)
    yield flat.std(1)
    yield flat.min(1)
    yield flat.max(1)


def _texture(grey: Singles) -> Iterator[Singles]:
    """How much neighbours differ, by direction and distance; specks, which differ from all of theirs; how flat the neighbourhoods are."""
    for lag in _LAGS:
        for first, second in (
            (grey[:, :, lag:], grey[:, :, :-lag]), (grey[:, lag:], grey[:, :-lag]),
            (grey[:, lag:, lag:], grey[:, :-lag, :-lag]), (grey[:, lag:, :-lag], grey[:, :-lag, lag:]),
        ):  # fmt: skip
            step = np.abs(first - second)
            yield np.sqrt((step**2).mean((1, 2)))
            if lag == 1:
                yield step.mean((1, 2))
                yield (step == 0).mean((1, 2), dtype=np.float32)
    inner = grey[:, 1:-1, 1:-1]
    around = np.stack([grey[:, :-2, 1:-1], grey[:, 2:, 1:-1], grey[:, 1:-1, :-2], grey[:, 1:-1, 2:]])
    yield ((inner - around.max(0)) > _SPECK).mean((1, 2), dtype=np.float32)
    yield ((around.min(0) - inner) > _SPECK).mean((1, 2), dtype=np.float32)
    rest = np.abs(inner - around.mean(0))
    yield rest.mean((1, 2))
    yield np.sqrt((rest**2).mean((1, 2)))
    # Noise shows where the picture is otherwise flat: what differs from its neighbours where those agree with each other.
    calm = np.ptp(around, axis=0) < 0.1
    lit = calm & (around.mean(0) > 0.05)
    yield (rest * calm).sum((1, 2)) / (calm.sum((1, 2)) + 1).astype(np.float32)
    yield (rest * lit).sum((1, 2)) / (lit.sum((1, 2)) + 1).astype(np.float32)
    yield lit.mean((1, 2), dtype=np.float32)


def _spectrum(grey: Singles) -> Singles:
    """Logarithm of the power in rings and sectors of the spectrum: [n, rings * sectors]."""
    count, height, width = grey.shape
    power = np.abs(np.fft.rfft2(grey - grey.mean((1, 2), keepdims=True))).astype(np.float32) ** 2
    down, across = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    ring = np.minimum((np.hypot(down, across) / 0.5 * _RINGS).astype(int), _RINGS - 1)
    # Sectors are centred on level, rising, upright and falling.
    sector = np.round(np.arctan2(down, across) / (np.pi / _SECTORS)).astype(int) % _SECTORS
    kind = np.eye(_RINGS * _SECTORS, dtype=np.float32)[(ring * _SECTORS + sector).ravel()]
    kind /= np.maximum(kind.sum(0), 1)
    result: Singles = np.log(power.reshape(count, -1) @ kind + np.float32(1e-3))
    return result


def _place(grey: Singles) -> Iterator[Singles]:
    """Where the light lies: by block, its centre, extent and slant, its frame, and the edges of the picture."""
    count, height, width = grey.shape
    rows, columns = (np.arange(_BLOCKS + 1) * side // _BLOCKS for side in (height, width))
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield grey[:, top:bottom, left:right].mean((1, 2))
    for edge in (grey[:, :2], grey[:, -2:], grey[:, :, :2], grey[:, :, -2:]):
        yield edge.mean((1, 2))
    # The middle grey is the ground that a figure stands on, be it black or white.
    light = np.abs(grey - np.median(grey.reshape(count, -1), axis=1)[:, None, None]) + np.float32(1e-6)
    light /= light.sum((1, 2), keepdims=True)
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    down, across = light.sum(2), light.sum(1)
    middle_y, middle_x = down @ y, across @ x
    yield middle_y
    yield middle_x
    off_y, off_x = y - middle_y[:, None], x - middle_x[:, None]
    spread_y, spread_x = (down * off_y**2).sum(1), (across * off_x**2).sum(1)
    slant = np.einsum("nhw,nh,nw->n", light, off_y, off_x, optimize=True)
    yield np.sqrt(spread_y)
    yield np.sqrt(spread_x)
    yield slant
    yield slant / (spread_y + np.float32(1e-6))
    yield (down * off_y**3).sum(1) / (spread_y ** np.float32(1.5) + np.float32(1e-6))
    yield (across * off_x**3).sum(1) / (spread_x ** np.float32(1.5) + np.float32(1e-6))
    for profile in (down, across):
        size, running = profile.shape[1], profile.cumsum(1)
        for share in (0.02, 0.1, 0.9, 0.98):
            yield ((running < share).sum(1) / size).astype(np.float32)
