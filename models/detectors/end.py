"""The end of a drift: has the share of routed records fallen below a rate, with a bounded rate of false ends?

The gate of a remedy marks each record as drifted (routed) or not. While drifted records are at least as frequent as `rate`, a bet on "not
routed" that pays 1 + stake * rate and loses stake * (1 - rate) cannot win on average. The Shiryaev-Roberts sum of the products of such
bets over all possible moments of the end is compared with `run_length`: while the drift lasts, the mean number of records until a false
end is at least that. Several stakes share the money, small ones for an end after which some clean records are still routed by mistake.

Shin, J., Ramdas, A., Rinaldo, A. (2024). E-detectors: a nonparametric framework for sequential change detection. NEJSDS 2(2).
Waudby-Smith, I., Ramdas, A. (2024). Estimating means of bounded random variables by betting. J. Royal Statistical Society B 86(1).
"""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta

from models.detectors.e_detector import EDetector, EDetectorState

_STAKES = (0.2, 0.45, 0.7, 0.98)
"""Parts of the largest stake that cannot go broke."""


CONFIDENCE = 0.95
SLACK = 0.2  # at most so much of the way from no drift to `ended_below` is added for not knowing the share of clean records well


class Share(NamedTuple):
    """The share of clean records that a gate routes: what is expected, and at most."""

    expected: float
    most: float


def clean_share(routed: int, records: int) -> Share:
    """Tell the share of clean records that a gate routes, from how many of so many it did (upper bound by Clopper and Pearson).

    The records must be none that the gate's weights were fitted on. Its threshold is chosen as one of their scores: of the k-th largest of n
    scores a fresh record exceeds a share that is distributed just as this takes it to be for k - 1 routed ones.

    >>> [round(number, 3) for number in (*clean_share(0, 150), *clean_share(10, 1000))]
    [0.007, 0.02, 0.011, 0.017]
    """
    if routed >= records:
        return Share(1.0, 1.0)
    return Share((routed + 1) / (records + 1), float(beta.ppf(CONFIDENCE, routed + 1, records - routed)))


def rate_of_the_end(clean: Share, drift: float, ended_below: float) -> float:
    """The share of routed records when just the share `ended_below` of them is drifted: gates take some clean ones, too.

    Taken too low, an end is seen late or never; so the upper bound of the clean share counts, as far as drifts that go on are not ended by it
    (`benchmarks.drift_end` tried how far that is).

    Parameters
    ----------
    drift : share of drifted records that the gate routes.
    ended_below : share of drifted records below which a drift is over.

    >>> round(rate_of_the_end(Share(0.01, 0.02), 0.91, 0.1), 3), round(rate_of_the_end(Share(0.01, 0.2), 0.91, 0.1), 3)
    (0.11, 0.118)
    """
    over = ended_below * max(drift - clean.expected, ended_below)
    return min(0.99, clean.expected + over + min(max(0.0, clean.most - clean.expected), SLACK * over))


class DriftEnd:
    """Says when drifted records have become rarer than a rate.

    Parameters
    ----------
    rate : share of routed records, in (0, 1), below which the drift counts as over; well above the share of clean records that the gate
        routes by mistake.
    run_length : mean number of records until a false end while at least `rate` of the records are routed, at least.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> end = DriftEnd(rate=0.1)
    >>> end.update(rng.random(2000) < 0.5)
    False
    >>> end.update(rng.random(400) < 0.01), end.ended_at
    (True, 2078)
    """

    def __init__(self, rate: float = 0.1, run_length: float = 1e4) -> None:
        if not 0 < rate < 1:
            raise ValueError(f"rate is {rate}; expected a share strictly between 0 and 1, such as 0.1")
        self.rate = rate
        self._stakes = np.array(_STAKES) / (1 - rate)
        self._detector = EDetector(run_length=run_length, bets=len(_STAKES))

    @property
    def ended_at(self) -> int | None:
        """Index of the record at which the end was certain enough, counted from 0; None while it is not."""
        return self._detector.alarm_at

    @property
    def onset(self) -> int | None:
        """Index of the record with which the clean data most likely began again."""
        return self._detector.onset

    def update(self, routed: ArrayLike) -> bool:
        """Take the flags of n records in order, bool or 0/1 [n], and say whether the drift has ended; latches until `reset`."""
        flags = np.asarray(routed, np.float64)
        if flags.ndim != 1 or not np.isin(flags, (0, 1)).all():
            raise ValueError(f"routed flags have shape {flags.shape}; expected a flat array of true and false")
        return self._detector.update(1 + self._stakes * (self.rate - flags)[:, None])

    def reset(self) -> None:
        """Forget the stream; parameters stay."""
        self._detector.reset()

    def state(self) -> bytes:
        """Return all that is remembered, as msgpack; `restore` goes on exactly from it."""
        return msgspec.msgpack.encode(self._detector.state())

    def restore(self, state: bytes) -> None:
        """Go on from bytes that `state` of an object with the same parameters returned; raises ValueError when they are damaged."""
        try:
            saved = msgspec.msgpack.decode(state, type=EDetectorState)
        except msgspec.DecodeError as error:
            raise ValueError(f"not the state of a drift's end ({error}); expected bytes that DriftEnd.state() returned") from error
        self._detector.restore(saved)
