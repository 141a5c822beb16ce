"""Principal components: the plane in which clean latents differ most, to draw records in.

The plane is fitted once, on the reference, so that a map stays the same while records come and go: what moves is the data, not the map.
`models.neighbourhoods` keeps neighbourhoods better, but is drawn anew for each set of points.

Pearson, K. (1901). On lines and planes of closest fit to systems of points in space. Philosophical Magazine 2(11).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """`centre` [d] and two `axes` [2, d] of length 1; `explained` is the share of the variance that lies in the plane."""

    centre: Floats
    axes: Floats
    explained: float

    def place(self, latents: ArrayLike) -> Floats:
        """Where latents [n, d] lie in the plane: [n, 2]."""
        return (np.asarray(latents, np.float64) - self.centre) @ self.axes.T


def fit_plane(latents: ArrayLike) -> Plane:
    """The plane of the two first principal components of latents [n, d], n at least 3; where d is 1, the second axis is empty.

    The sign of an axis is free; its largest entry is made positive, so that equal latents make equal maps.

    >>> plane = fit_plane([[0, 0, 1], [4, 0, 1], [0, 2, 1], [4, 2, 1]])
    >>> plane.place([[4, 2, 1]]).round(1).tolist(), round(plane.explained, 3)
    ([[2.0, 1.0]], 1.0)
    """
    rows = np.asarray(latents, np.float64)
    centre = rows.mean(0)
    _, sizes, axes = np.linalg.svd(rows - centre, full_matrices=False)
    first = np.zeros((2, rows.shape[1]))
    first[: len(axes[:2])] = axes[:2]
    largest = np.take_along_axis(first, np.abs(first).argmax(1)[:, None], 1)
    total = float(np.square(sizes).sum())
    return Plane(centre, first * np.where(largest < 0, -1, 1), float(np.square(sizes[:2]).sum()) / total if total else 1.0)
