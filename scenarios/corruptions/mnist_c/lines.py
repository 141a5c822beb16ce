"""Dotted line and zigzag: somebody scribbled over the picture.

The end points are drawn from so few rows that every possible drawing is made once and kept; each image then gets one of them.
In pictures of other sizes the lines reach from side to side just the same, and start in any row but the last; their width, the dots, the
zigzag's pitch and its slope (at most 5 pixels) stay as they are in pixels.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from scenarios.corruptions.rule import Corruption, Floats

_HALF_WIDTH = 2.3  # pixels from the middle of a line to where it ends
_PITCH, _AMPLITUDE = 4.0, 2.0  # pixels between two corners of the zigzag, and from its axis to a corner
_DOT = 2  # columns


def dotted_line(images: Floats, _: None, generator: np.random.Generator) -> Floats:
    """Add a straight dotted line from the left edge to the right one."""
    return _scribble(images, dotted_lines(*images.shape[1:3]), generator)


def zigzag(images: Floats, _: None, generator: np.random.Generator) -> Floats:
    """Add a zigzag from column 2 to the third last one."""
    return _scribble(images, zigzags(*images.shape[1:3]), generator)


def _scribble(images: Floats, drawings: Floats, generator: np.random.Generator) -> Floats:
    return images + drawings[generator.integers(0, len(drawings), len(images)), :, :, None]


@lru_cache(maxsize=4)
def dotted_lines(height: int, width: int) -> Floats:
    """All dotted lines [(h - 1)², h, w]: every row but the last at the left, with every one at the right."""
    off = np.arange(width) // _DOT % 2 == 0
    lines = [segment(height, width, 0, start, width - 1, end) for start in range(height - 1) for end in range(height - 1)]
    drawings = np.stack(lines)
    drawings[:, :, off] = 0
    return drawings


@lru_cache(maxsize=4)
def zigzags(height: int, width: int) -> Floats:
    """All zigzags [(h - 1) * 10, h, w]: every start row but the last, with every slope from -5 to 4 pixels."""
    return np.stack([_zigzag(height, width, start, start + slope) for start in range(height - 1) for slope in range(-5, 5)])


def _zigzag(height: int, width: int, start: int, end: int) -> Floats:
    first, last = 2, width - 3
    angle = np.arctan2(end - start, last - first)
    length = (last - first) / np.cos(angle)
    # Corners along the axis: one after half a pitch, then one each pitch, on alternating sides.
    corners = np.arange(int((length - _PITCH / 2) // _PITCH) + 1)
    along = np.concatenate([[0.0], _PITCH * corners + _PITCH / 2])
    aside = np.concatenate([[0.0], np.where(corners % 2 == 0, _AMPLITUDE, -_AMPLITUDE)])
    rest = length - _PITCH * (length // _PITCH)
    if rest > 0:
        # The published generator ends the line here, beside the axis and not on it.
        along, aside = np.append(along, length), np.append(aside, aside[-1] / (2 * rest))
    columns = first + np.cos(angle) * along - np.sin(angle) * aside
    rows = start + np.sin(angle) * along + np.cos(angle) * aside
    points = list(zip(columns, rows, strict=True))
    drawing = np.zeros((height, width))
    for (left, row), (right, next_row) in pairwise(points):
        drawing += segment(height, width, left, row, right, next_row)
    return drawing


def segment(height: int, width: int, left: float, start: float, right: float, end: float) -> Floats:
    """Draw one straight piece [h, w] from (left, start) to (right, end); columns outside of it stay black, and so does an upright one."""
    if left == right:
        return np.zeros((height, width))
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    middle = start + (end - start) / (right - left) * (columns - left)
    distance = np.minimum(np.abs(rows - middle), _HALF_WIDTH - 1e-10)
    drawing = np.clip(1 + np.log(1 - distance / _HALF_WIDTH), 0, 1)
    drawing[:, : int(np.floor(left))] = 0
    drawing[:, int(np.ceil(right)) :] = 0
    return np.asarray(drawing)


DOTTED_LINE = Corruption("dotted_line", "mnist-c", dotted_line, (None,))
ZIGZAG = Corruption("zigzag", "mnist-c", zigzag, (None,))
