"""Random choice: every image is as likely as any other. The only query whose labels may *measure*, and the control for all others.

Settles, B. (2009). Active learning literature survey. University of Wisconsin-Madison. (Random sampling as the baseline to beat.)
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.queries.candidates import candidates

Indices = NDArray[np.int64]


def random(features: ArrayLike, count: int, seed: int, exclude: ArrayLike = ()) -> Indices:
    """Choose `count` rows at random, without replacement.

    Parameters
    ----------
    features : [n, d]; only n matters.
    count : how many; fewer are returned when fewer are left.
    seed : equal input gives equal output.
    exclude : int, rows that may not be chosen, such as those already labelled.

    Returns
    -------
    int64 [count], row numbers in random order.

    Examples
    --------
    >>> random(np.zeros((100, 2)), 3, seed=0, exclude=range(97)).tolist()
    [99, 97, 98]
    """
    _, free, count = candidates(features, count, exclude)
    return np.random.default_rng(seed).permutation(free)[:count]
