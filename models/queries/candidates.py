"""What every query does first: check its input and find the rows that may be chosen."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def candidates(features: ArrayLike, count: int, exclude: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Return features as float64 [n, d], the rows that may be chosen in rising order, and how many of them to choose.

    Raises
    ------
    ValueError
        when features are not a finite matrix, `count` is negative or a row in `exclude` does not exist.

    Examples
    --------
    >>> _, free, count = candidates([[0.0], [1.0], [2.0]], 5, exclude=[1])
    >>> free.tolist(), count
    ([0, 2], 2)
    """
    matrix = np.asarray(features, np.float64)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ValueError(f"features have shape {matrix.shape}; expected a finite matrix [records, features]")
    if count < 0:
        raise ValueError(f"count is {count}; expected how many rows to choose, 0 or more")
    taken = np.asarray(exclude if np.size(exclude) else [], np.int64)
    if taken.size and not 0 <= taken.min() <= taken.max() < len(matrix):
        raise ValueError(f"exclude names rows {taken.min()} to {taken.max()}, there are {len(matrix)} rows counted from 0")
    free = np.setdiff1d(np.arange(len(matrix)), taken)
    return matrix, free, min(count, len(free))
