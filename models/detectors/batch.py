"""A batch check: do these records come from the reference's distribution, with one p-value from two kinds of evidence?

The maximum mean discrepancy sees how records lie among one another, but in many dimensions ten records are few for it. How far each record
lies from its nearest neighbours in the reference is a single number, and a handful of large ones stand out at once; yet a change that keeps
records near the reference, such as another mix of classes, does not move it. So both are taken: each statistic is measured in standard
deviations of its own permutations, they are added (a batch that lies nearer than usual takes nothing off), and the p-value is that of the sum
among the same permutations, so that nothing has to be corrected for having looked twice. (The larger of the two, and other sums, were
measured on self-made corruptions of training images; none had more power.)

The reference is cut in two halves. The *fit* half gives the scale of features, the width of the kernel and the neighbours; only the *calibration*
half changes places with the batch. Given the fit half, calibration and clean batch are exchangeable, so the level is exact; with one
reference for everything, each record of it would be its own neighbour in small ways, and a test at level 0.05 rejects 0.07. The MMD is still
measured from both halves.

All that only the reference decides is worked out once: its kernel, its distances, and for every size of batch the part of each permutation
that lies within the reference. A check then costs one product of [n, m] with the permutations.

Gretton, A., Borgwardt, K., Rasch, M., Schoelkopf, B., Smola, A. (2012). A kernel two-sample test. JMLR 13.
Pesarin, F., Salmaso, L. (2010). Permutation tests for complex data. Wiley. (Combines dependent statistics by common permutations.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.detectors.knn import NearestNeighbours

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class BatchResult:
    """What the check says about a batch."""

    p_value: float
    """(1 + permutations at least as far) / (1 + permutations), over both statistics; never 0."""
    effect: float
    """Unbiased squared MMD, about 0 for equal distributions (may be below) and at most 2."""
    distance: float
    """Mean log distance to the nearest neighbours, batch minus calibration half, in standard deviations of one record of the latter."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """Permutations for one size of batch: who of the reference [m, b] and of the batch [n, b] is drawn; column 0 draws the batch itself."""

    reference: Singles
    batch: Singles
    within: Floats
    """Kernel sums among those drawn from the reference, [b]."""
    rows: Floats
    """Kernel sums between those drawn from the reference and all of the reference, [b]."""


class BatchTest:
    """Compares batches with a reference.

    The p-value is exact for every batch by itself, on average over references. Batches that are compared with the same reference share what
    is peculiar to it, and those of one size their permutations too; so for many batches in a row use the monitor.

    Parameters
    ----------
    reference : [m, d], features of clean records in any order, m at least 20; they are standardised here. Memory is 4 m^2 bytes.
    permutations : bounds the smallest p-value.
    k : neighbours that count.
    seed : of the halves and the permutations.

    Raises
    ------
    ValueError
        when there are too few records or permutations.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> test = BatchTest(rng.normal(size=(300, 5)))
    >>> test.compare(rng.normal(size=(50, 5))).p_value > 0.05
    True
    >>> result = test.compare(rng.normal(size=(20, 5)) * 1.8)
    >>> result.p_value, result.distance > 1
    (0.005, True)
    """

    def __init__(self, reference: ArrayLike, *, permutations: int = 199, k: int = 3, seed: int = 0) -> None:
        known = np.asarray(reference, np.float64)
        if known.ndim != 2 or len(known) < 20:
            raise ValueError(f"the reference has shape {known.shape}; expected [records, features] with at least 20 records")
        if permutations < 1:
            raise ValueError(f"permutations is {permutations}; expected at least 1, such as 199")
        self.permutations, self.seed = permutations, seed
        known = np.random.default_rng(seed).permutation(known)
        fit = self._fit = len(known) // 2
        self._middle, spread = known[:fit].mean(0), known[:fit].std(0)
        self._scale = np.where(spread > 1e-9 * max(float(spread.max()), 1e-300), spread, np.inf)  # a constant feature says nothing
        self._known = self._standard(known)
        self._squares = np.einsum("ij,ij->i", self._known, self._known)
        squared = _squared_distances(self._known, self._squares, self._known, self._squares)
        self._width = max(float(np.median(squared[np.triu_indices(fit, 1)])), 1e-12)
        kernel = np.exp(squared * np.float32(-1 / self._width))
        np.fill_diagonal(kernel, 0)
        self._kernel, self._kernel_rows = kernel, kernel.sum(1, dtype=np.float64)
        self._neighbours = NearestNeighbours(self._known[:fit], k=k)
        self._own = _log(self._neighbours.score(self._known[fit:]))
        self._own_spread = max(float(self._own.std()), 1e-12)
        self._plans: dict[int, _Plan] = {}

    def compare(self, features: ArrayLike) -> BatchResult:
        """Test a batch [n, d], n at least 2, not standardised. Raises ValueError when its shape does not fit."""
        given = np.asarray(features, np.float64)
        if given.ndim != 2 or given.shape[1] != self._known.shape[1] or len(given) < 2:
            raise ValueError(f"the batch has shape {given.shape}; expected [n, {self._known.shape[1]}] with n at least 2")
        batch = self._standard(given)
        plan = self._plan(len(batch))
        far = _log(self._neighbours.score(batch))
        outward = self._own @ plan.reference[self._fit :] + far @ plan.batch  # distances of those drawn; the number drawn never changes
        spread = self._discrepancy(batch, plan)
        together = _in_deviations(spread) + np.maximum(_in_deviations(outward), 0)
        # Equal draws may differ in the last bits of single precision; they count as equal, so as far.
        further = int((together[1:] >= together[0] - 1e-6).sum())
        distance = float(far.mean() - self._own.mean()) / self._own_spread
        return BatchResult((1 + further) / (1 + self.permutations), float(spread[0]), distance)

    def _standard(self, features: Floats) -> Singles:
        return np.asarray((features - self._middle) / self._scale, np.float32)

    def _discrepancy(self, batch: Singles, plan: _Plan) -> Floats:
        """Return the squared MMD of every draw [b] from the sums of the kernel over those drawn, over all, and across."""
        squares = np.einsum("ij,ij->i", batch, batch)
        scale = np.float32(-1 / self._width)
        across = np.exp(_squared_distances(batch, squares, self._known, self._squares) * scale)  # [n, m]
        own = np.exp(_squared_distances(batch, squares, batch, squares) * scale)
        np.fill_diagonal(own, 0)
        n, m = across.shape
        mixed = across @ plan.reference  # [n, b]
        within = plan.within + np.einsum("ij,ij->j", plan.batch, 2 * mixed + own @ plan.batch, dtype=np.float64)
        rows = plan.rows + across.sum(0) @ plan.reference + (across.sum(1) + own.sum(1)) @ plan.batch
        total = self._kernel_rows.sum() + 2 * across.sum(dtype=np.float64) + own.sum(dtype=np.float64)
        other, between = total - 2 * rows + within, rows - within
        return np.asarray(within / (n * (n - 1)) + other / (m * (m - 1)) - 2 * between / (m * n))

    def _plan(self, n: int) -> _Plan:
        if n not in self._plans:
            m, movable = len(self._known), slice(self._fit, None)
            drawn = np.zeros((m + n, self.permutations + 1), np.float32)
            drawn[m:, 0] = 1
            drawn[movable, 1:] = np.random.default_rng([self.seed, n]).permuted(np.tile(drawn[movable, :1], self.permutations), axis=0)
            known = np.ascontiguousarray(drawn[:m])
            within = np.einsum("ij,ij->j", known, self._kernel @ known, dtype=np.float64)
            self._plans[n] = _Plan(known, np.ascontiguousarray(drawn[m:]), within, self._kernel_rows @ known)
        return self._plans[n]


def _squared_distances(first: Singles, first_squares: Singles, second: Singles, second_squares: Singles) -> Singles:
    """Return the squared Euclidean distances of all pairs, [n, m], at least 0."""
    return np.maximum(first_squares[:, None] + second_squares - 2 * first @ second.T, np.float32(0))


def _log(distances: Floats) -> Floats:
    """Return the logarithm, which keeps one distant record from deciding alone; equal records have distance 0."""
    return np.log(np.maximum(distances, 1e-9))


def _in_deviations(statistic: Floats) -> Floats:
    """Return a statistic [b] in standard deviations from its mean, over all draws; 0 when all draws are equal."""
    return (statistic - statistic.mean()) / max(float(statistic.std()), 1e-12)
