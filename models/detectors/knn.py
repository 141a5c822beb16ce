"""k nearest neighbours: how far is a record from the closest clean records?

The score is the mean Euclidean distance to the `k` nearest fit points. It makes no assumption about the shape of the clean data, so it
follows classes that lie in clumps. Features should be standardised (`Reference.features`), else the widest one decides alone.

Ramaswamy, S., Rastogi, R., Shim, K. (2000). Efficient algorithms for mining outliers from large data sets. SIGMOD.
Sun, Y., Ming, Y., Zhu, X., Li, Y. (2022). Out-of-distribution detection with deep nearest neighbors. ICML.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_ROWS = 1024  # queries per distance matrix: 16 MB against 2,000 fit points


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
        self._squares = np.einsum("ij,ij->i", self.fit, self.fit)

    def score(self, features: ArrayLike) -> Floats:
        """Return the mean distance of each row of `features` [n, d] to its `k` nearest fit points: float64 [n]."""
        queries = np.asarray(features, np.float64)
        parts = [self._nearest(self._distances(queries[i : i + _ROWS])) for i in range(0, len(queries), _ROWS)]
        return np.concatenate([np.empty(0), *parts])

    def left_out(self) -> Floats:
        """Return the score of every fit point against all others: float64 [m]."""
        squared = self._distances(self.fit)
        np.fill_diagonal(squared, np.inf)
        return self._nearest(squared)

    def _distances(self, queries: Floats) -> Floats:
        """Return squared distances [n, m], as one matrix product."""
        squares = np.einsum("ij,ij->i", queries, queries)
        return np.maximum(squares[:, None] + self._squares - 2 * queries @ self.fit.T, 0)

    def _nearest(self, squared: Floats) -> Floats:
        return np.asarray(np.sqrt(np.partition(squared, self.k - 1, axis=1)[:, : self.k]).mean(1), np.float64)
