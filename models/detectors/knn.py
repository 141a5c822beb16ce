"""k nearest neighbours: how far is a record from the closest clean records?

The score is the mean Euclidean distance to the `k` nearest fit points. It makes no assumption about the shape of the clean data, so it
follows classes that lie in clumps. Features should be standardised (`Reference.features`), else the widest one decides alone.

Every record is scored, so this is what supervision costs most. The neighbours are looked for in single precision, by one matrix product
for many records; the distances to those found are then taken in double precision.

Ramaswamy, S., Rastogi, R., Shim, K. (2000). Efficient algorithms for mining outliers from large data sets. SIGMOD.
Sun, Y., Ming, Y., Zhu, X., Li, Y. (2022). Out-of-distribution detection with deep nearest neighbors. ICML.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_ROWS = 256  # queries per matrix of closeness: 2 MB against 2,000 fit points, which a processor's cache holds
_SPARE = 3  # points beyond k whose distance is taken exactly: single precision may confuse the order of points that lie almost equally near


class NearestNeighbours:
    """Scores records by their mean distance to the nearest fit points.

    Parameters
    ----------
    fit : [m, d], standardised features of clean records; m larger than `k`.
    k : neighbours that count. Small values follow the clean data closely, large ones forgive a stray fit point.

    Raises
    ------
    ValueError
        when `fit` has no more than `k` rows.

    Examples
    --------
    >>> detector = NearestNeighbours([[0.0], [1.0], [2.0], [3.0]], k=2)
    >>> detector.score([[1.5], [5.0]])
    array([0.5, 2.5])
    """

    def __init__(self, fit: ArrayLike, *, k: int = 3) -> None:
        self.fit, self.k = np.asarray(fit, np.float64), k
        if self.fit.ndim != 2 or not 0 < k < len(self.fit):
            raise ValueError(f"k={k} neighbours of fit points with shape {self.fit.shape}; give [m, d] with m > k > 0")
        self._middle: Floats = self.fit.mean(0)
        centred = self.fit - self._middle  # small numbers lose least in single precision
        self._table = np.vstack([centred.T, -0.5 * np.einsum("ij,ij->i", centred, centred)]).astype(np.float32)

    def score(self, features: ArrayLike) -> Floats:
        """Return the mean distance of each row of `features` [n, d] to its `k` nearest fit points: float64 [n]."""
        queries = np.asarray(features, np.float64)
        parts = [self._mean_distance(part, self._closeness(part)) for part in _parts(queries)]
        return np.concatenate([np.empty(0), *parts])

    def left_out(self) -> Floats:
        """Return the score of every fit point against all others: float64 [m]."""
        parts = []
        for i, part in enumerate(_parts(self.fit)):
            closeness, rows = self._closeness(part), np.arange(len(part))
            closeness[rows, i * _ROWS + rows] = -np.inf
            parts.append(self._mean_distance(part, closeness))
        return np.concatenate(parts)

    def _closeness(self, queries: Floats) -> NDArray[np.float32]:
        """Return x.y - |y|^2 / 2 of every query x and fit point y, as one matrix product [n, m]: the larger, the nearer is y to x."""
        extended = np.ones((len(queries), len(self._table)), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # what is too far for single precision is far from all points alike
            extended[:, :-1] = queries - self._middle
            return extended @ self._table

    def _mean_distance(self, queries: Floats, closeness: NDArray[np.float32]) -> Floats:
        """Return the mean distance to the nearest points [n], exact in double precision; overwrites `closeness` [n, m]."""
        rows, kept = np.arange(len(queries)), min(self.k + _SPARE, len(self.fit) - 1)
        nearest = np.empty((len(queries), kept), np.intp)
        for place in range(kept):  # a few passes cost a third of one partial sort
            nearest[:, place] = closeness.argmax(1)
            closeness[rows, nearest[:, place]] = -np.inf
        apart = self.fit[nearest] - queries[:, None]
        squared = np.einsum("nkd,nkd->nk", apart, apart)
        return np.asarray(np.sqrt(np.partition(squared, self.k - 1, axis=1)[:, : self.k]).mean(1), np.float64)


def _parts(queries: Floats) -> list[Floats]:
    return [queries[i : i + _ROWS] for i in range(0, len(queries), _ROWS)]
