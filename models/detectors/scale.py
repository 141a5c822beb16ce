"""A common scale for distances of different kinds: standard deviations of the logarithm, so that they may be added."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_TINY = 1e-9  # a distance of exactly 0 is merely very near


class LogScale:
    """Standardises positive scores by the median and spread of the logarithms of clean ones.

    Parameters
    ----------
    scores : [m], scores of clean records, 0 or more.

    Examples
    --------
    >>> scale = LogScale(np.exp([-1.0, 0.0, 1.0]))
    >>> scale(np.exp([0.0, 2.0])).round(2).tolist()
    [0.0, 2.45]
    """

    def __init__(self, scores: ArrayLike) -> None:
        logs = np.log(np.asarray(scores, np.float64) + _TINY)
        self.middle, self.spread = float(np.median(logs)), max(float(logs.std()), _TINY)

    def __call__(self, scores: ArrayLike) -> Floats:
        """Return the standardised logarithms: [n] -> float64 [n]."""
        return np.asarray((np.log(np.asarray(scores, np.float64) + _TINY) - self.middle) / self.spread, np.float64)
