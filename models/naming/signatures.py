"""What each kind of corruption does to the statistics of images, and how far a window of records is from that.

A kind is a corruption at one severity. Of each, the mean and the covariance of the image statistics are kept. Beside each statistic stands
the square of how far it lies from its clean mean: a corruption that moves half of the images to the left and half to the right is seen in
the spread alone. A window is compared by the mean over its records:

    distance = |mean - expected|² / (1/n + 1/m + wobble), in units of the covariance and divided by the number of statistics,

with n records in the window and m images in the fit. It is about 1 or less for a window of that kind. `wobble` says how little the clean
pictures of a stream need be like those of the fit: their mean may be off as much as that of 100 random records is, which allows for other
shares of the classes. Where only a share of the records is corrupted, the expected mean lies on the straight line from the clean one and
the covariance is mixed alike; between two severities it lies on a parabola through the nearest three. The share and the severity that fit
best are taken.

Ledoit, O., Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance matrices. J. Multivariate Analysis 88(2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf

Floats = NDArray[np.float64]
Kind = tuple[str, int]

_WOBBLE = 1 / 100
_RIDGE = 0.01  # of a statistic's usual variance: no direction counts as more certain than that
_FURTHEST = 3.0  # clean standard deviations; beyond, a square says no more
_LEAST_SHARE = 0.1
_ROUNDS = 4  # of weighted least squares for the share; it moves by less than 0.01 after three


@dataclass(frozen=True, eq=False)
class Signatures:
    """Mean and covariance of described images for each kind, the clean one first.

    Attributes
    ----------
    kinds : name and severity of each.
    centre, spread, clean_spread : float64 [d], clean mean, usual standard deviation and clean standard deviation of the statistics.
    means : float64 [kinds, 2 d]; covariances : float32 [kinds, 2 d, 2 d].
    images : how many images of each kind there were.

    Examples
    --------
    Two kinds of which the second is clean but for the first statistic; of 100 records, 30 are of that kind:

    >>> rng = np.random.default_rng(0)
    >>> clean = rng.normal(size=(500, 3))
    >>> signatures = Signatures.of([("none", 0), ("moved", 1)], [clean, clean + [2, 0, 0]])
    >>> window = rng.normal(size=(100, 3)) + np.where(np.arange(100) < 30, 2, 0)[:, None] * [1, 0, 0]
    >>> distances, shares, _ = signatures.compare(signatures.describe(window).mean(0)[None], np.array([100]))
    >>> bool(distances[0, 0] > 4 > 1 > distances[0, 1]), bool(abs(shares[0, 1] - 0.3) < 0.1)
    (True, True)
    """

    kinds: tuple[Kind, ...]
    centre: Floats
    spread: Floats
    clean_spread: Floats
    means: Floats
    covariances: NDArray[np.float32]
    images: int

    @classmethod
    def of(cls, kinds: Sequence[Kind], rows: Sequence[ArrayLike]) -> "Signatures":
        """Build signatures from the statistics [m, d] of each kind, the clean kind first, all of the same images."""
        tables = [np.asarray(table, np.float64) for table in rows]
        spread = np.maximum(np.sqrt(np.mean([table.var(0) for table in tables], 0)), 1e-3)
        clean = tables[0]
        scales = clean.mean(0), spread, np.maximum(clean.std(0), 0.1 * spread)
        described = [_described(table, *scales) for table in tables]
        ridge = _RIDGE * np.eye(described[0].shape[1])
        covariances = np.stack([ledoit_wolf(table)[0] + ridge for table in described]).astype(np.float32)
        return cls(tuple(kinds), *scales, np.stack([table.mean(0) for table in described]), covariances, len(clean))

    @cached_property
    def names(self) -> list[str]:
        """Each name once, the clean one first."""
        return list(dict.fromkeys(name for name, _ in self.kinds))

    @cached_property
    def of_name(self) -> NDArray[np.int64]:
        """The position in `names` of each kind's name."""
        return np.array([self.names.index(name) for name, _ in self.kinds])

    def describe(self, rows: ArrayLike) -> Floats:
        """Statistics [n, d] in units of their usual spread, and squares of how many clean standard deviations off: float64 [n, 2 d]."""
        return _described(np.asarray(rows, np.float64), self.centre, self.spread, self.clean_spread)

    def compare(self, means: Floats, sizes: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        """Compare windows with all kinds, given the means [w, 2 d] over their described records and their numbers of records [w].

        Returns
        -------
        distances : of each window to each kind, at the share and severity at which it is smallest.
        shares : of corrupted records, from 0.1 to 1.
        severities : at most half a step from the kind's own.

        All float64 [w, kinds].
        """
        shape = (len(means), len(self.kinds))
        distances, shares, steps = np.empty(shape), np.ones(shape), np.zeros(shape)
        noise = 1 / sizes + 1 / self.images + _WOBBLE
        for k, (axes, clean, whole, slope, bend) in enumerate(self._lines):
            moved = (means - self.means[0]) @ axes
            low, high = self._reach(k)
            share, step, now = np.ones((len(means), 1)), np.zeros((len(means), 1)), whole
            for _ in range(_ROUNDS if k else 0):
                weights = 1 / (share + (1 - share) * clean)  # by the covariance at the share so far
                change = slope + 2 * step * bend
                a, b, c = (_sum(weights * first * second) for first, second in ((now, now), (now, change), (change, change)))
                x, y = _sum(weights * moved * now), _sum(weights * moved * change)
                # Least squares for the share and for share * (how much further the step goes); for the share alone without neighbours.
                found = (c * x - b * y) / np.maximum(a * c - b * b, 1e-12) if high > low else x / np.maximum(a, 1e-12)
                share = np.clip(found, _LEAST_SHARE, 1)
                step = np.clip(step + (y - share * b) / np.maximum(share * c, 1e-12), low, high)
                now = whole + step * slope + step**2 * bend
            rest = (moved - share * now) ** 2 / (share + (1 - share) * clean)
            distances[:, k], shares[:, k], steps[:, k] = rest.mean(1) / noise, share[:, 0], step[:, 0]
        return distances, shares, steps + [severity for _, severity in self.kinds]

    def best(self, distances: Floats) -> Floats:
        """Return the smallest distance among the kinds of each name: [w, kinds] -> [w, names]."""
        return np.stack([distances[:, self.of_name == k].min(1) for k in range(len(self.names))], 1)

    def _reach(self, k: int) -> tuple[float, float]:
        """How far a kind reaches towards the next milder and the next stronger one, in steps of severity."""
        name, level = self.kinds[k]
        return -0.5 * ((name, level - 1) in self.kinds), 0.5 * ((name, level + 1) in self.kinds)

    def _way(self, k: int) -> tuple[Floats, Floats]:
        """Slope and bend of a kind's mean as a function of severity: of the parabola through it and its nearest severities."""
        name, level = self.kinds[k]
        nearest = sorted((abs(other - level), other - level, self.means[i]) for i, (one, other) in enumerate(self.kinds) if one == name)[:3]
        offsets = np.array([offset for _, offset, _ in nearest], np.float64)
        powers = np.linalg.inv(np.vander(offsets, increasing=True)) @ np.stack([mean for _, _, mean in nearest])
        still = np.zeros_like(powers[0])
        return powers[1] if len(powers) > 1 else still, powers[2] if len(powers) > 2 else still

    @cached_property
    def _lines(self) -> list[tuple[Floats, ...]]:
        """For each kind, axes in which its covariance is the identity and the clean one diagonal, and in these axes: that diagonal, the way
        from clean images to the kind, and slope and bend of that way as severity grows.
        """
        covariances = self.covariances.astype(np.float64)
        lines = []
        for k, one in enumerate(covariances):
            clean, axes = eigh(covariances[0], one)
            lines.append((axes, clean, *((way @ axes) for way in (self.means[k] - self.means[0], *self._way(k)))))
        return lines


def _sum(values: Floats) -> Floats:
    total: Floats = values.sum(1, keepdims=True)
    return total


def _described(rows: Floats, centre: Floats, spread: Floats, clean_spread: Floats) -> Floats:
    off = rows - centre
    squares = np.minimum(np.abs(off / clean_spread), _FURTHEST) ** 2 / _FURTHEST
    described: Floats = np.concatenate([off / spread, squares], 1)
    return described
