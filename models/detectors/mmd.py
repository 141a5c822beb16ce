"""Maximum mean discrepancy: are two batches of features drawn from the same distribution, and how far apart are they?

The squared distance between the kernel means of the two batches, with a Gaussian kernel whose width is the median distance. Sees changes
of any kind, also of how features go together. The p-value comes from permutations of who belongs to which batch; all of them are one
matrix product with the kernel matrix, so a thousand cost little more than one.

Gretton, A., Borgwardt, K., Rasch, M., Schoelkopf, B., Smola, A. (2012). A kernel two-sample test. JMLR 13.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MMDResult:
    """What the test says about two batches."""

    p_value: float
    """(1 + permutations at least as far) / (1 + permutations); never 0."""
    effect: float
    """Unbiased squared MMD, about 0 for equal distributions (may be below) and at most 2."""


def mmd(reference: ArrayLike, features: ArrayLike, *, permutations: int = 500, seed: int = 0) -> MMDResult:
    """Test whether two batches come from the same distribution.

    Parameters
    ----------
    reference : [m, d] and features : [n, d], standardised; m and n at least 2. Memory grows with (m + n)^2: a few hundred each suffice.
    permutations : of the labels "reference" and "batch"; bounds the smallest p-value.
    seed : of the permutations.

    Raises
    ------
    ValueError
        when the shapes do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> clean, same, other = rng.normal(size=(200, 5)), rng.normal(size=(100, 5)), rng.normal(size=(100, 5)) * 1.5
    >>> mmd(clean, same).p_value > 0.05, round(mmd(clean, other).p_value, 3)
    (True, 0.002)
    """
    first, second = np.asarray(reference, np.float64), np.asarray(features, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(f"batches have shapes {first.shape} and {second.shape}; expected [m, d] and [n, d], at least 2 records each")
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; expected at least 1, such as 500")
    kernel = _kernel(np.concatenate([first, second]))
    m, n = len(first), len(second)
    rng = np.random.default_rng(seed)
    member = np.zeros((m + n, permutations + 1))
    member[:m, 0] = 1  # column 0: the true division; the others: random ones
    member[:, 1:] = rng.permuted(np.tile(member[:, :1], permutations), axis=0)
    product = kernel @ member
    within = np.einsum("ij,ij->j", member, product)
    rows = product.sum(0)  # kernel sums between the first batch and everyone
    across, other = rows - within, kernel.sum() - 2 * rows + within
    statistic = within / (m * (m - 1)) + other / (n * (n - 1)) - 2 * across / (m * n)
    # Equal divisions may differ in the last bits of the product; they count as equal, so as far.
    further = int((statistic[1:] >= statistic[0] - 1e-12).sum())
    return MMDResult((1 + further) / (1 + permutations), float(statistic[0]))


def _kernel(points: Floats) -> Floats:
    """Return the Gaussian kernel of all pairs [n, n], median width, with a zero diagonal: no point is compared with itself."""
    squares = np.einsum("ij,ij->i", points, points)
    squared = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    width = float(np.median(squared[np.triu_indices(len(points), 1)]))
    kernel: Floats = np.exp(-squared / max(width, 1e-12))
    np.fill_diagonal(kernel, 0)
    return kernel
