"""Betting intervals: where is the mean of draws from [0, 1], judged at any time, however often one looks?

For every candidate mean m a gambler bets against "the mean is m" and multiplies his capital by 1 + b * (x - m) at each draw x. While m is
the true mean his capital is a fair game, so by Ville's inequality it ever reaches 1/alpha with probability at most alpha. All m that he
has not yet beaten form the interval; it holds at all times together, so one may stop as soon as the decision is settled. The stake is
spread over several fixed fractions of the largest bet that cannot go broke; the winner among them soon carries the sum.

Waudby-Smith, I., Ramdas, A. (2024). Estimating means of bounded random variables by betting. J. Royal Statistical Society B 86(1).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EVEN_BETS: Mapping[float, float] = {0.03: 0.5, 0.1: 1, 0.2: 1, 0.35: 1, 0.5: 1, 0.7: 1, 0.9: 1}
"""Fraction of the largest possible bet -> share of the stake. Small fractions serve long runs, large ones clear cases."""

_GRID = np.linspace(0, 1, 2001)
_INNER = np.clip(_GRID, 1e-12, 1 - 1e-12)


def _log_sum(logarithms: Floats) -> Floats:
    """Logarithm of the sum over the first axis; by exp and log, which numpy has for many numbers at once, unlike logaddexp."""
    top = logarithms.max(0)
    return np.asarray(top + np.log(np.exp(logarithms - top).sum(0)))


class BettingInterval:
    """Anytime-valid confidence interval for the mean of independent draws from [0, 1].

    Parameters
    ----------
    level : probability that the interval contains the mean at every time; 0.95.
    lower_share : part of the permitted error that the lower bound may use up; more makes the lower bound faster, the upper one slower.
    bets : fraction of the largest possible bet -> share of the stake (any positive unit).

    Examples
    --------
    Twelve right answers of fifteen:

    >>> interval = BettingInterval()
    >>> for right in [1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1]:
    ...     low, high = interval.update(right)
    >>> round(low, 2), round(high, 2), interval.mean
    (0.41, 0.98, 0.8)
    """

    def __init__(self, level: float = 0.95, *, lower_share: float = 0.5, bets: Mapping[float, float] = EVEN_BETS) -> None:
        if not 0 < level < 1 or not 0 < lower_share < 1:
            raise ValueError(f"level={level}, lower_share={lower_share}; both are probabilities strictly between 0 and 1")
        if not bets or not all(0 < fraction < 1 and share > 0 for fraction, share in bets.items()):
            raise ValueError(f"bets are {dict(bets)}; expected fractions strictly between 0 and 1, each with a positive share")
        self.level, self.count, self.total = level, 0, 0.0
        self._log_odds = -np.log((1 - level) * lower_share), -np.log((1 - level) * (1 - lower_share))
        self._fractions = np.array(list(bets), np.float64)[:, None]
        shares = np.array(list(bets.values()), np.float64)[:, None]
        # Log capital per fraction and candidate mean, of the gambler who bets on a larger mean and of the one who bets on a smaller one.
        self._larger = np.log(shares / shares.sum()) + np.zeros_like(_GRID)
        self._smaller = self._larger.copy()
        self._low, self._high = 0.0, 1.0

    def update(self, value: float) -> tuple[float, float]:
        """Take one draw and return the interval (low, high) after it.

        Raises
        ------
        ValueError
            when the draw lies outside [0, 1].
        """
        if not 0 <= value <= 1:
            raise ValueError(f"the draw is {value}; expected a number in [0, 1] (scale it first)")
        self.count += 1
        self.total += value
        # With m > 0 the largest bet on a larger mean is 1/m: a draw of 0 would then cost everything. By symmetry 1/(1-m) below.
        self._larger += np.log(1 + self._fractions * (value / _INNER - 1))
        self._smaller += np.log(1 + self._fractions * ((1 - value) / (1 - _INNER) - 1))
        # Capital falls (for the first gambler) and rises (for the second) with m, so what each has beaten is one end of the grid.
        beaten_low = np.flatnonzero(_log_sum(self._larger[:, 1:]) >= self._log_odds[0]) + 1
        beaten_high = np.flatnonzero(_log_sum(self._smaller[:, :-1]) >= self._log_odds[1])
        if beaten_low.size:
            self._low = max(self._low, float(_GRID[beaten_low[-1]]))
        if beaten_high.size:
            self._high = min(self._high, float(_GRID[beaten_high[0]]))
        return self.interval

    @property
    def interval(self) -> tuple[float, float]:
        """The interval (low, high) now; (0, 1) before any draw. Once both ends have crossed, which has probability 1 - level, they meet."""
        return (self._low, self._high) if self._low <= self._high else ((self._low + self._high) / 2,) * 2

    def log_capital(self, mean: float) -> float:
        """Natural logarithm of what the gambler who bets on a larger mean has made of 1 against "the mean is `mean`".

        If the mean is not larger, its expectation is at most 1 (an e-value), so capitals over independent draws may be multiplied.
        """
        return float(np.logaddexp.reduce(self._larger[:, round(mean * (len(_GRID) - 1))]))

    @property
    def mean(self) -> float:
        """Mean of the draws so far; 0.5 before any."""
        return self.total / self.count if self.count else 0.5


def share_interval(hits: ArrayLike, misses: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Betting intervals (low, high) of shares, from how often each of two things happened; for many shares at once.

    They are those of `BettingInterval` without its memory: valid at any time, but not the intersection of all earlier ones, for which the order of
    the draws would have to be kept.

    Parameters
    ----------
    hits, misses : [n] or numbers, counts so far.
    level : probability that an interval contains its share at every time.

    Examples
    --------
    >>> low, high = share_interval([12, 0], [3, 0])
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.41, 0.0], [0.98, 1.0])
    """
    first, second = np.asarray(hits, np.float64), np.asarray(misses, np.float64)
    return _lower_end(first, second, level), 1 - _lower_end(second, first, level)


def _lower_end(hits: Floats, misses: Floats, level: float) -> Floats:
    """The largest mean that the gambler who bets on a larger one has beaten; his capital falls with it, so it is found by halving."""
    fractions = np.array(list(EVEN_BETS))
    stakes = np.log(np.array(list(EVEN_BETS.values())) / sum(EVEN_BETS.values()))
    low, high = np.zeros_like(hits), np.ones_like(hits)
    for _ in range(30):
        middle = ((low + high) / 2)[..., None]
        capital = stakes + hits[..., None] * np.log1p(fractions * (1 / middle - 1)) + misses[..., None] * np.log1p(-fractions)
        beaten = np.logaddexp.reduce(capital, -1) >= -np.log((1 - level) / 2)
        low, high = np.where(beaten, middle[..., 0], low), np.where(beaten, high, middle[..., 0])
    return low
