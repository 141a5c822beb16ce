"""Gain of one pipeline over another, from few labels: compare on the same images, and only where the answers differ.

Where two pipelines agree they are right or wrong together, so labels there say nothing about the gain. The labels are drawn at random
among the other images, in strata whose shares are known without labels. Each drawn image carries the weight

    share of its stratum / probability of drawing from that stratum,

so weight * (win - loss) has the gain as its mean (importance weighting, as in active testing). The draws get a betting interval: one may
look after every label and stop when it is settled. The stakes are those of someone who expects between three and thirty wins for a
loss, as remedies show them: five wins without a loss, or nine with one, exclude "no gain" at 90 %.

Kossen, J. et al. (2021). Active testing: sample-efficient model evaluation. ICML.
Waudby-Smith, I., Ramdas, A. (2024). Estimating means of bounded random variables by betting. J. Royal Statistical Society B 86(1).
"""

import math
from collections.abc import Mapping

from models.estimators.betting import BettingInterval

BOLD_BETS: Mapping[float, float] = {0.95: 25, 0.8: 40, 0.6: 35}
"""Stakes for few labels. Of those tried by simulation with 10 and 14 labels they settle most gains at every ratio of wins to losses
from 3 to 50; a larger share on almost everything loses too much to a single loss."""

_LOWER = 0.9  # of the error is spent on the lower bound: "does it help at all" is the question that costs labels


def enough_evidence(level: float) -> float:
    """Log evidence at which the interval of a gain at `level` leaves 0 behind.

    >>> round(math.exp(enough_evidence(0.8)), 2)
    5.56
    """
    return -math.log(_LOWER * (1 - level))


class PairedGain:
    """Gain in accuracy of B over A (0.05 is five points) on the images that were compared.

    Parameters
    ----------
    share : share of the compared images on which the answers differ, in [0, 1]: no gain or loss can exceed it.
    largest_weight : of any draw; the closer the weights are to each other, the sooner a gain is settled.
    level : probability that the interval contains the gain at every time.

    Examples
    --------
    Answers differ on 40 % of the images, one stratum, so every draw has the weight 0.4:

    >>> gain = PairedGain(share=0.4, largest_weight=0.4)
    >>> for _ in range(6):
    ...     low, high = gain.update(0.4, a_right=False, b_right=True)
    >>> low > 0, round(high, 1)
    (True, 0.4)
    """

    def __init__(self, share: float, largest_weight: float, level: float = 0.95) -> None:
        if not 0 <= share <= 1 or largest_weight <= 0:
            raise ValueError(f"share={share}, largest_weight={largest_weight}; expected a share in [0, 1] and a weight above 0")
        self.share, self.largest_weight = share, largest_weight
        self._mean = BettingInterval(level, lower_share=_LOWER, bets=BOLD_BETS)

    def update(self, weight: float, *, a_right: bool, b_right: bool) -> tuple[float, float]:
        """Take one drawn image: was A right, was B? Returns the interval after it.

        Raises
        ------
        ValueError
            when the weight exceeds the largest one.
        """
        if not 0 < weight <= self.largest_weight:
            raise ValueError(f"the weight is {weight}; expected one above 0 and at most the largest weight, {self.largest_weight}")
        self._mean.update((1 + (b_right - a_right) * weight / self.largest_weight) / 2)
        return self.interval

    @property
    def log_evidence(self) -> float:
        """Natural logarithm of the e-value against "B gains nothing": e-values of the same two pipelines on other draws multiply."""
        return self._mean.log_capital(0.5)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval (low, high) now; before any draw, what the share of differing answers allows."""
        low, high = (self.largest_weight * (2 * bound - 1) for bound in self._mean.interval)
        return max(-self.share, low), min(self.share, high)
