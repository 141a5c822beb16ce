"""An unknown class: do the pictures show something that the model has no class for?

The monitor's p-values say whether a record is one of those that the model knows; the looks of `models.estimators.novelty` say whether its
picture is spoiled. Odd records whose pictures are clean are new content. So the stake is on records being odd, as in the check for
drift, and when that is settled the records since the onset, the newest `window` at most, decide of which kind the change is: new content,
with a confidence of at least `sure`, is an alarm; spoiled pictures are drift, and not this check's business. They are asked again at
every record from there on, and the checker waits `window` records with an alarm of drift for what they say (`patience`).

The bound: on clean records the mean number until an alarm is at least `run_length`, with probability `confidence` over the draw of the
calibration part, since the first half of the rule alone keeps to it. Which kind it is, is a hint (see there for what it misses); a person's "none of
these" decides. Of each picture it is told one number, so pictures stay where they are.

Storey, J. (2002). A direct approach to false discovery rates. J. Royal Statistical Society B 64(3), for the share of changed records.
"""

from collections import deque
from typing import ClassVar

import msgspec
import numpy as np

from models.detectors.monitor import Monitor
from models.estimators.novelty import SMALLEST_WINDOW, Change, weigh
from models.reference import Reference
from models.weaknesses.check import Evidence, Records
from models.weaknesses.watch import Places, decoded

UNKNOWN_CLASS = "unknown class"


class UnknownClass:
    """Alarms when most odd records of late are clean pictures of something new.

    Parameters
    ----------
    reference : what is known.
    run_length, confidence : as of `models.detectors.monitor.Monitor`.
    least, window : since the onset of a change, so many records are judged at least and at most.
    sure : confidence in new content that makes an alarm.

    Examples
    --------
    Odd features, pictures that look clean:

    >>> from dataclasses import replace
    >>> from models.weaknesses.synthetic import labelled, labelled_reference
    >>> check = UnknownClass(labelled_reference())
    >>> check.update(labelled(1000, seed=1)).alarm
    False
    >>> odd = labelled(100, seed=2, after=1000, shift=1.5)
    >>> check.update(odd).alarm
    True

    Had they looked spoiled, it would have been drift:

    >>> check.reset()
    >>> check.update(replace(odd, spoiled=np.ones(100))).alarm
    False
    """

    name: ClassVar[str] = "unknown_class"
    kind: ClassVar[str] = UNKNOWN_CLASS
    needs: ClassVar[frozenset[str]] = frozenset({"spoiled"})
    remedies: ClassVar[tuple[str, ...] | None] = ()
    advice: ClassVar[str] = "collect and label a new class"

    def __init__(
        self, reference: Reference, *, run_length: float = 1e6, confidence: float = 0.95, least: int = 50, window: int = 200, sure: float = 0.95,
    ) -> None:  # fmt: skip
        if not SMALLEST_WINDOW <= least <= window or not 0 < sure < 1:
            given = f"least={least}, window={window}, sure={sure}"
            raise ValueError(f"{given}; expected {SMALLEST_WINDOW} records or more, `least` at most `window`, and a probability such as 0.95")
        self._monitor = Monitor(reference, run_length, confidence=confidence)
        self._least, self._window, self._sure = least, window, sure
        self.patience = window
        self.reset()

    def reset(self) -> None:
        """Forget the stream and any alarm."""
        self._monitor.reset()
        self._places = Places()
        self._rows: deque[tuple[float, float]] = deque(maxlen=self._window)  # p-value, and how spoiled the picture looks
        self._alarm: tuple[int, int] | None = None
        self._change: Change | None = None

    def update(self, records: Records) -> Evidence:
        """Take records in order; see `Check`."""
        # Rounded, so that a record says the same alone and in a batch: sums differ in the last bits.
        spoiled = np.round(records.known("spoiled"), 4)
        p_values = self._monitor.p_values(records.early, records.latent)
        for row in range(len(records)):
            self._places.append(records.seqs[row : row + 1])
            self._monitor.follow(p_values[row : row + 1])
            self._rows.append((float(p_values[row, 0]), float(spoiled[row])))
            if self._monitor.reading.alarm and self._alarm is None:
                self._judge(int(records.seqs[row]))
        return self.evidence

    def _judge(self, seq: int) -> None:
        onset = self._monitor.reading.onset
        assert onset is not None
        rows = np.array(list(self._rows)[-min(self._window, self._places.count - onset) :])
        seen = rows[np.isfinite(rows[:, 1])]  # of pictures that had left the ring nothing is known
        if len(seen) < self._least:
            return
        self._change = weigh(seen[:, 1], seen[:, 0])
        if self._change.new_content >= self._sure:
            self._alarm = self._places[onset], seq

    @property
    def evidence(self) -> Evidence:
        """How things stand now."""
        change, (since, at) = self._change, self._alarm or (None, None)
        details = {} if change is None else {"changed": change.changed, "spoiled": change.spoiled, "new_content": change.new_content}
        sentence = (
            "the model knows what the pictures show" if change is None else
            f"{change.changed:.0%} of the newest records are odd, {change.spoiled:.0%} look spoiled: "
            f"new content with confidence {change.new_content:.2f}"
        )  # fmt: skip
        return Evidence(0.0 if change is None else change.new_content, self._sure, self._alarm is not None, since, at, sentence, details)

    def state(self) -> bytes:
        """Return all that is remembered."""
        change = None if self._change is None else (self._change.changed, self._change.spoiled, self._change.new_content)
        saved = _Saved(self._monitor.state(), self._places.count, list(self._places.pieces), list(self._rows), self._alarm, change)
        return msgspec.msgpack.encode(saved)

    def restore(self, state: bytes) -> None:
        """Go on from a state. Raises ValueError."""
        saved = decoded(state, _Saved)
        self.reset()
        self._monitor.restore(saved.monitor)
        self._places.count = saved.count
        self._places.pieces.extend(saved.pieces)
        self._rows.extend(saved.rows)
        self._alarm, self._change = saved.alarm, None if saved.change is None else Change(*saved.change)


class _Saved(msgspec.Struct):
    monitor: bytes
    count: int
    pieces: list[tuple[int, int, int]]
    rows: list[tuple[float, float]]
    alarm: tuple[int, int] | None
    change: tuple[float, float, float] | None
