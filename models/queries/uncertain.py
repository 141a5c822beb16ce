"""Uncertain images: those for which the classifier's two best answers are closest. Good once many labels are there; poor with few.

Scheffer, T., Decomain, C., Wrobel, S. (2001). Active hidden Markov models for information extraction. IDA. (Margin sampling.)
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.queries.candidates import candidates

Indices = NDArray[np.int64]


def uncertain(logits: ArrayLike, count: int, seed: int, exclude: ArrayLike = ()) -> Indices:
    """Choose the `count` rows with the smallest margin between the two largest logits.

    The margin of logits is the log of the ratio of the two largest probabilities, so no temperature changes the order.

    Parameters
    ----------
    logits : [n, k], k at least 2.
    count : how many; fewer are returned when fewer are left.
    seed : decides between equal margins.
    exclude : int, rows that may not be chosen.

    Returns
    -------
    int64 [count], row numbers, most uncertain first.

    Examples
    --------
    >>> uncertain([[9.0, 0.0], [1.0, 0.9], [5.0, 3.0]], 2, seed=0).tolist()
    [1, 2]
    """
    matrix, free, count = candidates(logits, count, exclude)
    if matrix.shape[1] < 2:
        raise ValueError(f"logits have shape {matrix.shape}; a margin needs at least two classes")
    second, first = np.partition(matrix[free], -2, axis=1)[:, -2:].T
    tie_break = np.random.default_rng(seed).permutation(len(free))
    return free[np.lexsort((tie_break, first - second))[:count]]
