"""Canny edges: only the outline is left.

Canny, J. (1986). A computational approach to edge detection. IEEE Trans. Pattern Analysis and Machine Intelligence 8(6). The variant is
scikit-image's with its defaults, for a whole batch at once: gradients compared between pixels along their direction, thresholds on their
length, and the outermost pixels left out.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label, sobel

from scenarios.corruptions.rule import Corruption, Floats

_SIGMA = 1.0
_LOW, _HIGH = 0.1, 0.2


def canny_edges(images: Floats, _: None, __: np.random.Generator) -> Floats:
    """Mark edges with 1 and all else with 0."""
    grey = images[..., 0]
    # Beside the border part of the bell looks at nothing; dividing by how much it does see evens that out.
    seen = gaussian_filter(np.ones(grey.shape[1:]), _SIGMA, mode="constant") + np.finfo(np.float64).eps
    smooth = gaussian_filter(grey, (0, _SIGMA, _SIGMA), mode="constant") / seen
    down, right = sobel_along(smooth, 1), sobel_along(smooth, 2)
    steepness = np.sqrt(down * down + right * right)
    thin = _highest_across(steepness, down, right) & (steepness >= _LOW)
    thin[:, [0, -1]] = thin[:, :, [0, -1]] = False
    return linked(thin, steepness >= _HIGH).astype(np.float64)[..., None]


def sobel_along(images: Floats, axis: int) -> Floats:
    """Gradient of images [n, h, w] along axis 1 or 2, smoothed along the other one and not across images.

    >>> sobel_along(np.arange(9.0).reshape(1, 3, 3), 2)[0, 1].tolist()
    [4.0, 8.0, 4.0]
    """
    return np.stack([np.asarray(sobel(one, axis - 1)) for one in images]) if len(images) else np.zeros_like(images)


def _highest_across(steepness: Floats, down: Floats, right: Floats) -> NDArray[np.bool_]:
    """Where steepness is at least what it is one step away on both sides along the gradient, between pixels linearly."""
    framed = np.pad(steepness, ((0, 0), (1, 1), (1, 1)))
    height, width = steepness.shape[1:]

    def beside(rows: int, columns: int) -> Floats:
        return framed[:, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    steep, flat = np.maximum(np.abs(down), np.abs(right)), np.minimum(np.abs(down), np.abs(right))
    share = np.divide(flat, steep, out=np.zeros_like(flat), where=steep > 0)
    mostly_down = np.abs(down) > np.abs(right)
    falling = ((down >= 0) & (right >= 0)) | ((down <= 0) & (right <= 0))
    highest = np.ones(steepness.shape, bool)
    for way in (1, -1):
        straight = np.where(mostly_down, beside(way, 0), beside(0, way))
        # On a rising diagonal the corner beside "below" is below left, and the one beside "right" is above right.
        corner = np.where(falling, beside(way, way), np.where(mostly_down, beside(way, -way), beside(-way, way)))
        highest &= corner * share + straight * (1 - share) <= steepness
    return highest


def linked(thin: NDArray[np.bool_], strong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the connected pieces of thin [n, h, w], within one image and diagonals included, that have a strong pixel."""
    around = np.zeros((3, 3, 3), bool)
    around[1] = True
    pieces, count = label(thin, around)
    kept = np.zeros(count + 1, bool)
    kept[pieces[thin & strong]] = True
    return np.asarray(kept[pieces])


CANNY_EDGES = Corruption("canny_edges", "mnist-c", canny_edges, (None,), random=False, colour=False)
