"""Conformal p-values: how unusual is a score among those of clean records?

The p-value of a score is at most the share u with which a clean record scores as high. Counting alone, (1 + #calibration scores at
least as high) / (n + 1), is right on average over calibration sets, but any one fixed set is off by about 1/sqrt(n), and a sequential
test that runs for long learns that error as if it were drift. Growing the calibration with the stream avoids it, but then a slow drift
teaches the calibration what to overlook. So each count is replaced by an upper confidence bound of the tail probability that it
stands for, the bounds holding for all scores at once: with probability `confidence` over the draw of the calibration set, the p-values
of *all* later independent clean records are valid, whatever their number. The memory is the calibration scores, for ever.

Vovk, V., Gammerman, A., Shafer, G. (2005). Algorithmic learning in a random world. Springer.
Bates, S., Candes, E., Lei, L., Romano, Y., Sesia, M. (2023). Testing for outliers with conformal p-values. Annals of Statistics 51(1).
Gontscharuk, V., Finner, H. (2017). Asymptotics of goodness-of-fit tests based on minimum p-value statistics. Comm. Stat. 46(5).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

Floats = NDArray[np.float64]


class ConformalPValues:
    """Turns scores into p-values that stay valid for a whole stream; deterministic, never 0.

    Parameters
    ----------
    calibration : [n], scores of clean records that neither the model nor the detector learned from; larger is further. n at least 10.
    confidence : probability, over the draw of the calibration set, that all p-values are valid; 0.0 gives the plain conformal
        p-values, valid on average over calibration sets only.

    Examples
    --------
    >>> import numpy as np
    >>> calibration = np.random.default_rng(0).normal(size=1000)
    >>> ConformalPValues(calibration)([0.0, 2.0, 9.0]).round(4)
    array([0.5142, 0.0332, 0.0066])
    >>> ConformalPValues(calibration, confidence=0.0)([0.0, 2.0, 9.0]).round(4)
    array([0.4665, 0.018 , 0.001 ])
    """

    def __init__(self, calibration: ArrayLike, *, confidence: float = 0.95) -> None:
        scores = np.sort(np.asarray(calibration, np.float64))
        if scores.ndim != 1 or len(scores) < 10 or not np.isfinite(scores).all():
            raise ValueError(f"calibration scores have shape {scores.shape}; give at least 10 finite scores as a flat array")
        if not 0 <= confidence < 1:
            raise ValueError(f"confidence is {confidence}; expected a probability in [0, 1), such as 0.95")
        self._scores = scores
        self._table = _upper_tail(len(scores), confidence)

    def __call__(self, scores: ArrayLike) -> Floats:
        """Return the p-values of `scores` [n]: float64 [n] in (0, 1]. Equal scores count as higher; a NaN counts as the furthest."""
        higher = len(self._scores) - np.searchsorted(self._scores, np.asarray(scores, np.float64), side="left")
        return np.asarray(self._table[higher])


def _upper_tail(n: int, confidence: float) -> Floats:
    """Return for k = 0..n an upper bound of P(score >= s), given that k of n clean scores are >= s; all hold together."""
    ranks = np.arange(1, n + 1)
    if confidence == 0:
        return np.append(ranks / (n + 1), 1.0)
    # The (k+1)-th smallest of n uniforms is Beta(k+1, n-k). Equal local levels; their size is asymptotic (Gontscharuk, Finner), and
    # 2/3 of it makes up for n being finite: the tests simulate that `confidence` is reached for n from 20 to 5,000.
    local = -math.log(confidence) / (3 * math.log(n) * math.log(math.log(n)))
    return np.append(beta.ppf(1 - local, ranks, n + 1 - ranks), 1.0)
