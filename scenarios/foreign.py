"""Images that belong to none of a classifier's classes: letters drawn from strokes, with no font and no network needed."""

import numpy as np
from numpy.typing import NDArray

# Strokes from (column, row) to (column, row) in a box from 0 to 1, top left first. No letter here looks like a digit.
_LETTERS: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "A": ((0, 1, 0.5, 0), (0.5, 0, 1, 1), (0.2, 0.6, 0.8, 0.6)),
    "E": ((0, 0, 0, 1), (0, 0, 1, 0), (0, 0.5, 0.8, 0.5), (0, 1, 1, 1)),
    "H": ((0, 0, 0, 1), (1, 0, 1, 1), (0, 0.5, 1, 0.5)),
    "K": ((0, 0, 0, 1), (0, 0.5, 1, 0), (0, 0.5, 1, 1)),
    "M": ((0, 1, 0, 0), (0, 0, 0.5, 0.6), (0.5, 0.6, 1, 0), (1, 0, 1, 1)),
    "N": ((0, 1, 0, 0), (0, 0, 1, 1), (1, 1, 1, 0)),
    "W": ((0, 0, 0.25, 1), (0.25, 1, 0.5, 0.4), (0.5, 0.4, 0.75, 1), (0.75, 1, 1, 0)),
    "X": ((0, 0, 1, 1), (1, 0, 0, 1)),
}


def letters(count: int, height: int, width: int, *, seed: int) -> NDArray[np.uint8]:
    """Draw `count` capital letters, white on black, each a little turned, scaled and moved: uint8 [count, height, width].

    >>> letters(3, 28, 28, seed=0).shape
    (3, 28, 28)
    """
    generator = np.random.default_rng(seed)
    names = sorted(_LETTERS)
    images = [_draw(_LETTERS[names[generator.integers(len(names))]], height, width, generator) for _ in range(count)]
    return np.stack(images) if images else np.zeros((0, height, width), np.uint8)


def _draw(
    strokes: tuple[tuple[float, float, float, float], ...], height: int, width: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    side = min(height, width)
    ends = np.array(strokes).reshape(-1, 2, 2) - 0.5
    angle = generator.normal(0, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = side * generator.uniform(0.55, 0.7) * np.array([generator.uniform(0.7, 0.9), 1])
    centre = (np.array([width, height]) - 1) / 2 + generator.normal(0, side / 40, 2)
    start, end = np.moveaxis((ends * size) @ turn.T + centre, 1, 0)
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)[:, :, None, :]
    along = end - start
    share = np.clip(((places - start) * along).sum(-1) / np.square(along).sum(-1), 0, 1)
    distance = np.linalg.norm(places - start - share[..., None] * along, axis=-1).min(axis=2)
    thickness = side / 28 * generator.uniform(0.9, 1.5)
    return np.asarray(np.clip(thickness + 0.5 - distance, 0, 1) * 255).astype(np.uint8)
