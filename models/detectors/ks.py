"""Kolmogorov-Smirnov tests, one per feature: which features changed their distribution, and by how much?

The effect size is the largest gap between the two distribution functions of a feature, from 0 (same) to 1 (apart). p-values are adjusted
for the number of features by Holm's method, which needs no independence between features. The reference is sorted once, so a batch of n
records costs n log m per feature.

Kolmogorov, A. N. (1933); Smirnov, N. V. (1939). Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Stat.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kstwobign

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KolmogorovSmirnovResult:
    """What the tests say about one batch."""

    p_value: float
    """Smallest adjusted p-value: the whole batch against "no feature has changed". Never 0."""
    effect: float
    """Largest gap over all features, in [0, 1]."""
    gaps: Floats
    """float64 [d], gap of each feature."""
    p_values: Floats
    """float64 [d], Holm-adjusted p-value of each feature."""


class KolmogorovSmirnov:
    """Compares batches with a reference, feature by feature.

    Parameters
    ----------
    reference : [m, d], features of clean records.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> test = KolmogorovSmirnov(rng.normal(size=(1000, 3)))
    >>> test.compare(rng.normal(size=(200, 3))).p_value > 0.05
    True
    >>> result = test.compare(rng.normal(size=(200, 3)) + [0, 0, 1])
    >>> result.p_value < 1e-6, int(result.gaps.argmax()), round(result.effect, 1)
    (True, 2, 0.4)
    """

    def __init__(self, reference: ArrayLike) -> None:
        self._sorted = np.sort(np.asarray(reference, np.float64), axis=0)
        if self._sorted.ndim != 2 or not len(self._sorted):
            raise ValueError(f"the reference has shape {self._sorted.shape}; expected [records, features] with at least one record")

    def compare(self, features: ArrayLike) -> KolmogorovSmirnovResult:
        """Test a batch [n, d], n at least 1. p-values are asymptotic: good from about 25 records on, conservative below and with ties."""
        batch = np.sort(np.asarray(features, np.float64), axis=0)
        if batch.ndim != 2 or batch.shape[1] != self._sorted.shape[1] or not len(batch):
            raise ValueError(f"the batch has shape {batch.shape}; expected [n, {self._sorted.shape[1]}] with n at least 1")
        gaps = np.array([_gap(self._sorted[:, j], batch[:, j]) for j in range(batch.shape[1])])
        m, n = len(self._sorted), len(batch)
        root = np.sqrt(m * n / (m + n))
        raw = np.clip(kstwobign.sf((root + 0.12 + 0.11 / root) * gaps), np.finfo(float).tiny, 1)  # Stephens' correction for small n
        adjusted = holm(raw)
        return KolmogorovSmirnovResult(float(adjusted.min()), float(gaps.max()), gaps, adjusted)


def holm(p_values: ArrayLike) -> Floats:
    """Adjust p-values [d] so that the probability of any false rejection among them is bounded, under any dependence.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p_values, np.float64)
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)), 1)
    return adjusted


def _gap(reference: Floats, batch: Floats) -> float:
    """Return the largest distance between the distribution functions of two sorted samples."""
    points = np.concatenate([reference, batch])
    below = np.searchsorted(reference, points, side="right") / len(reference) - np.searchsorted(batch, points, side="right") / len(batch)
    return float(np.abs(below).max())
