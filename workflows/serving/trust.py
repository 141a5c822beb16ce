"""How far an answer can be trusted, from where its latent lies among the reference latents.

Source: Jiang, Kim, Guan, Gupta (2018). To trust or not to trust a classifier. NeurIPS 31. Theirs is the ratio
d_other / d_predicted, unbounded; here it is d_other / (d_other + d_predicted), the same order in [0, 1].
"""

import numpy as np
from numpy.typing import NDArray

CAP = 512  # reference latents kept in all: one image costs a [1, d] x [d, 512] product, about 20 microseconds


class Trust:
    """Trust of predictions, from the nearest reference latents per class.

    Examples
    --------
    >>> trust = Trust(np.array([[0.0], [1.0]], np.float32), np.array([0, 1]), classes=2)
    >>> print(trust(np.array([[0.0], [0.5], [0.9]], np.float32), np.array([0, 0, 0])).round(2))
    [1.  0.5 0.1]
    """

    def __init__(self, latents: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
        """Keep an even choice of at most `CAP` of `latents` [m, d] with `labels` [m] in 0..classes-1, alike for every class."""
        share = max(1, CAP // classes)
        kept = []
        for label in range(classes):
            rows = np.flatnonzero(labels == label)
            kept.append(rows[np.linspace(0, len(rows) - 1, min(share, len(rows))).astype(int)])
        self._present = np.array([label for label in range(classes) if len(kept[label])])
        self._starts = np.cumsum([0] + [len(kept[label]) for label in self._present])[:-1]
        points = latents[np.concatenate(kept)]
        # Distances from a common centre keep the squares small, so that their difference loses little in float32.
        self._centre = points.mean(0)
        points = points - self._centre
        self._minus_twice = np.ascontiguousarray(-2 * points.T)
        self._squares = (points * points).sum(1)
        self._classes = classes

    def __call__(self, latents: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Trust float32 [n] in [0, 1] of predictions `labels` [n] with `latents` [n, d]."""
        x = latents - self._centre
        squared = x @ self._minus_twice
        squared += self._squares
        nearest = np.full((len(x), self._classes), np.inf, np.float32)
        nearest[:, self._present] = np.minimum.reduceat(squared, self._starts, axis=1)
        nearest += (x * x).sum(1, keepdims=True)
        np.sqrt(np.maximum(nearest, 0, out=nearest), out=nearest)
        rows = np.arange(len(x))
        predicted = nearest[rows, labels]
        nearest[rows, labels] = np.inf
        other = nearest.min(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            # other / (other + predicted), written so that an absent class (infinite distance) needs no case of its own
            trust: NDArray[np.float32] = 1 / (1 + predicted / other)
        return np.nan_to_num(trust, copy=False, nan=0.5)
