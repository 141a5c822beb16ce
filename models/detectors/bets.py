"""Bets on p-values: what to stake against "this record is as clean as all others".

Two families, each worth at most 1 on average on clean data, both larger for smaller p-values. *Power* bets pay exponent * p^(exponent - 1):
they win when most records are odd, strongly (small exponents) or slightly (large ones). *Rare* bets keep most of the stake back and put the
rest on p-values below a threshold: they win when few records are odd, as at the start of a gradual drift.

Shafer, G., Shen, A., Vereshchagin, N., Vovk, V. (2011). Test martingales, Bayes factors and p-values. Statistical Science 26(1).
Vovk, V., Wang, R. (2021). E-values: calibration, combination and applications. Annals of Statistics 49(3).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EXPONENTS = (0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9)
RARE = ((0.1, 0.01), (0.1, 0.03), (0.2, 0.08))
"""(part of the stake, threshold that it is put on)"""

KINDS = len(EXPONENTS) + len(RARE)
"""Number of kinds of bet: columns of `place_bets`."""

FEW_EXPONENTS, FEW_RARE = (0.15, 0.45, 0.75), ((0.1, 0.01),)
FEW = len(FEW_EXPONENTS) + len(FEW_RARE)
"""Number of kinds that `place_few_bets` makes: enough where many p-values of a record are bet on at once."""


def place_bets(p_values: ArrayLike, *, tolerance: float = 0.0) -> Floats:
    """Return what each kind of bet pays on each p-value.

    Parameters
    ----------
    p_values : [n], in (0, 1].
    tolerance : dead zone. Bets stay fair as long as P(p <= u) <= (1 + tolerance) * u for all u, so a stream in which every tail is up
        to that much fatter than in the calibration is never learned as drift.

    Returns
    -------
    float64 [n, KINDS], e-values: above 0, and at most 1 on average while p-values are valid.

    Examples
    --------
    >>> place_bets([1.0, 0.005]).round(2)[:, [0, 3, 6, 7]].tolist()
    [[0.1, 0.45, 0.9, 0.9], [11.77, 8.29, 1.53, 10.9]]
    """
    return _bets(np.asarray(p_values, np.float64) * (1 + tolerance), EXPONENTS, RARE)


def place_few_bets(p_values: ArrayLike, *, tolerance: float = 0.0) -> Floats:
    """Return what fewer kinds of bet pay on each of several p-values of each record: [n, scores] -> float64 [n, scores * FEW].

    >>> place_few_bets([[1.0, 0.005]]).round(2).tolist()
    [[0.15, 0.45, 0.75, 0.9, 13.55, 8.29, 2.82, 10.9]]
    """
    columns = np.asarray(p_values, np.float64) * (1 + tolerance)
    return _bets(columns, FEW_EXPONENTS, FEW_RARE).reshape(len(columns), columns.shape[1] * FEW)


def _bets(p_values: Floats, exponents: tuple[float, ...], rare: tuple[tuple[float, float], ...]) -> Floats:
    logs = np.log(p_values)
    power = [exponent * np.exp((exponent - 1) * logs) for exponent in exponents]
    return np.stack([*power, *(1 - stake + stake / threshold * (p_values <= threshold) for stake, threshold in rare)], -1)
