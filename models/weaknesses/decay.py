"""Model decay: is the model right less often than when it was released?

Looks at true labels that came later: a diagnosis that was confirmed, a parcel that came back, or a sample that somebody names regularly. Each
is a draw, right or wrong. A gambler bets against "the accuracy is still that of the release, less the tolerance", anew from every
record on (an e-detector), so a decay that begins late is seen as soon as one at the start. What the accuracy was at the release is known
from the reference's calibration part only; of its interval the lower end is taken.

The bound: while the accuracy stays above that, the mean number of labels until an alarm is at least `run_length`, with probability
`confidence` over the draw of the calibration part. It takes labels of a fair sample of the records: where people report only what
went wrong, every model decays. A gain in accuracy is never an alarm.

Waudby-Smith, I., Ramdas, A. (2024). Estimating means of bounded random variables by betting. J. Royal Statistical Society B 86(1).
Shin, J., Ramdas, A., Rinaldo, A. (2024). E-detectors: a nonparametric framework for sequential change detection. NEJSDS 2(2).
"""

from collections import deque
from typing import ClassVar

import msgspec
import numpy as np
from scipy.stats import beta

from models.estimators.betting import EVEN_BETS, share_interval
from models.reference import Reference
from models.weaknesses.check import Evidence, Harm, Records
from models.weaknesses.watch import Watch

RECENT = 500
"""Labels of which the accuracy is told."""

PER = 10_000
"""Records of which `spot_checks` are."""

_FRACTIONS = np.array(list(EVEN_BETS))
_SMALLEST = 0.01  # share of errors; a release that made none in its calibration part is not taken to be perfect


class Decay:
    """Alarms when the accuracy has fallen below that at the release by more than the tolerance.

    Parameters
    ----------
    reference : gives the accuracy at the release, and on how many records it was found.
    tolerance : loss of accuracy that is put up with.
    run_length : mean number of labels until a false alarm, at least.
    confidence : probability that the bound holds, over the draw of the calibration part.
    block : consecutive labels that count as one observation, for labels that hang together (a batch of one supplier).
    spot_checks : of 10,000 records, for how many a person is asked although nothing is alarming; 0 for none. It is the checker that asks.

    Examples
    --------
    >>> from models.weaknesses.synthetic import labelled
    >>> from models.detectors.synthetic import mixture_reference
    >>> check = Decay(mixture_reference(seed=0))
    >>> check.update(labelled(2000, seed=1, accuracy=0.99)).alarm
    False
    >>> evidence = check.update(labelled(400, seed=2, accuracy=0.8, after=2000))
    >>> evidence.alarm, 1990 <= evidence.since <= 2050, evidence.at < 2100
    (True, True, True)
    """

    name: ClassVar[str] = "decay"
    kind: ClassVar[str] = "decay"
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})
    remedies: ClassVar[tuple[str, ...] | None] = None
    advice: ClassVar[str] = "label some new records and retrain"

    def __init__(
        self, reference: Reference, *, tolerance: float = 0.02, run_length: float = 1e5, confidence: float = 0.95, block: int = 1,
        spot_checks: int = 0,
    ) -> None:  # fmt: skip
        if not 0 <= tolerance < 1 or not 0 < confidence < 1:
            raise ValueError(f"tolerance={tolerance}, confidence={confidence}; expected a share such as 0.02 and a probability such as 0.95")
        if not 0 <= spot_checks <= PER:
            raise ValueError(f"spot_checks={spot_checks}; expected how many of {PER:,} records a person is asked about, such as 20")
        n = len(reference.calibration_labels)
        right = round(reference.clean_accuracy * n)
        at_release = float(beta.ppf(1 - confidence, right, n - right + 1)) if right else 0.0
        self.at_release, self.needed = reference.clean_accuracy, min(1 - _SMALLEST, at_release - tolerance)
        if self.needed <= 0:
            raise ValueError(f"a model that was right on {reference.clean_accuracy:.3f} of {n} records cannot fall by {tolerance}; give less")
        weights = list(EVEN_BETS.values())
        self._watch = Watch(f"decay needed={self.needed:.12g}", run_length=run_length, bets=len(weights), weights=weights, block=block)
        self._recent: deque[bool] = deque(maxlen=RECENT)

    def update(self, records: Records) -> Evidence:
        """Take records whose true labels have come; see `Check`."""
        wrong = records.labels != records.known("truth")
        # Worth at most 1 on average as long as at most 1 - needed of the answers are wrong.
        self._watch.update(records.seqs, 1 + _FRACTIONS * (wrong[:, None] / (1 - self.needed) - 1))
        self._recent.extend((~wrong).tolist())
        return self.evidence

    @property
    def evidence(self) -> Evidence:
        """How things stand now; `harm` is the accuracy on the last labels, after an alarm on those since the decay began.

        That moment was chosen by the same labels, so this interval is then a little too sure; whether there is a decay does not rest on it.
        """
        watch = self._watch
        last = list(self._recent)[-watch.behind :] if watch.behind else []
        recent, right = len(last), sum(last)
        low, high = (float(end) for end in share_interval(right, recent - right))
        accuracy = right / recent if recent else self.at_release
        sentence = (
            f"{right} of the {recent} newest labels agree with the model: accuracy {low:.3f} to {high:.3f}; at the release it was "
            f"{self.at_release:.3f}, and down to {self.needed:.3f} is put up with"
        )
        return Evidence(
            watch.value, watch.line, watch.alarm, watch.since, watch.at, sentence,
            {"accuracy": accuracy, "low": low, "high": high, "labels": float(watch.count), "needed": self.needed},
            Harm(accuracy, (low, high)) if recent else None,
        )

    def reset(self) -> None:
        """Forget the labels and any alarm."""
        self._watch.reset()
        self._recent.clear()

    def state(self) -> bytes:
        """Return all that is remembered."""
        return self._watch.state(list(self._recent))

    def restore(self, state: bytes) -> None:
        """Go on from a state. Raises ValueError."""
        recent = msgspec.msgpack.decode(self._watch.restore(state), type=list[bool])
        self._recent = deque(recent, maxlen=RECENT)
