"""An unknown class: do the pictures show something that the model has no class for?

The monitor's p-values say whether a record is one of those that the model knows; the looks of `models.estimators.novelty` say whether its
picture is spoiled. Odd records whose pictures are clean are new content. So the stake is on records being odd, as in the check for
drift, and when that is settled the last `window` records decide of which kind the change is: new content, with a confidence of at least
`sure`, is an alarm; spoiled pictures are drift, and not this check's business. They are asked again at every record from there on.

The bound: on clean records the mean number until an alarm is at least `run_length`, with probability `confidence` over the draw of the
calibration part, since the first half of the rule alone keeps to it. Which kind it is, is a hint (see there for what it misses); a person's "none of
these" decides. It needs the pictures themselves.

Storey, J. (2002). A direct approach to false discovery rates. J. Royal Statistical Society B 64(3), for the share of changed records.
"""

from collections import deque
from collections.abc import Callable
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.detectors.monitor import Monitor
from models.estimators.novelty import SMALLEST_WINDOW, Change, Looks
from models.naming.statistics import image_statistics
from models.reference import Reference
from models.weaknesses.check import Evidence, Records
from models.weaknesses.watch import Places, decoded


class UnknownClass:
    """Alarms when most odd records of late are clean pictures of something new.

    Parameters
    ----------
    reference : what is known.
    looks : tells spoiled pictures from clean ones, or makes it when it is first needed (some seconds; see `Looks.fit`).
    run_length, confidence : as of `models.detectors.monitor.Monitor`.
    window : newest records that are judged.
    sure : confidence in new content that makes an alarm.

    Examples
    --------
    See `tests/weaknesses/test_unknown_class.py`: it takes a trained model to not know a class.
    """

    name: ClassVar[str] = "unknown_class"
    kind: ClassVar[str] = "unknown class"
    needs: ClassVar[frozenset[str]] = frozenset({"images"})
    remedies: ClassVar[tuple[str, ...] | None] = ()
    advice: ClassVar[str] = "collect and label a new class"

    def __init__(
        self, reference: Reference, looks: Looks | Callable[[], Looks] | None = None, *, run_length: float = 1e6, confidence: float = 0.95,
        window: int = 100, sure: float = 0.95,
    ) -> None:  # fmt: skip
        if window < SMALLEST_WINDOW or not 0 < sure < 1:
            raise ValueError(f"window={window}, sure={sure}; expected at least {SMALLEST_WINDOW} records and a probability such as 0.95")
        self._monitor = Monitor(reference, run_length, confidence=confidence)
        self._looks, self._window, self._sure = looks, window, sure
        self.reset()

    def reset(self) -> None:
        """Forget the stream and any alarm."""
        self._monitor.reset()
        self._places = Places()
        self._rows: deque[tuple[float, NDArray[np.float64]]] = deque(maxlen=self._window)  # p-value and statistics of the picture
        self._alarm: tuple[int, int] | None = None
        self._change: Change | None = None

    def update(self, records: Records) -> Evidence:
        """Take records in order; see `Check`."""
        # Rounded, so that a record says the same alone and in a batch: sums differ in the last bits.
        statistics = np.round(image_statistics(records.known("images")).astype(np.float64), 4)
        p_values = self._monitor.p_values(records.early, records.latent)
        for row in range(len(records)):
            self._places.append(records.seqs[row : row + 1])
            self._monitor.follow(p_values[row : row + 1])
            self._rows.append((float(p_values[row, 0]), statistics[row]))
            if self._monitor.reading.alarm and self._alarm is None and len(self._rows) >= SMALLEST_WINDOW:
                self._judge(int(records.seqs[row]))
        return self.evidence

    def _judge(self, seq: int) -> None:
        onset = self._monitor.reading.onset
        assert onset is not None
        since = min(len(self._rows), max(SMALLEST_WINDOW, self._places.count - onset))
        rows = list(self._rows)[-since:]
        if not isinstance(self._looks, Looks):
            if self._looks is None:
                raise ValueError("there are no clean images to tell spoiled pictures from clean ones: give `looks`, Looks.fit(clean_images)")
            self._looks = self._looks()
        self._change = self._looks.judge_statistics(np.stack([row for _, row in rows]), np.array([p for p, _ in rows]))
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
        rows = [(p, row.tolist()) for p, row in self._rows]
        change = None if self._change is None else (self._change.changed, self._change.spoiled, self._change.new_content)
        return msgspec.msgpack.encode(_Saved(self._monitor.state(), self._places.count, list(self._places.pieces), rows, self._alarm, change))

    def restore(self, state: bytes) -> None:
        """Go on from a state. Raises ValueError."""
        saved = decoded(state, _Saved)
        self.reset()
        self._monitor.restore(saved.monitor)
        self._places.count = saved.count
        self._places.pieces.extend(saved.pieces)
        self._rows.extend((p, np.array(row)) for p, row in saved.rows)
        self._alarm, self._change = saved.alarm, None if saved.change is None else Change(*saved.change)


class _Saved(msgspec.Struct):
    monitor: bytes
    count: int
    pieces: list[tuple[int, int, int]]
    rows: list[tuple[float, list[float]]]
    alarm: tuple[int, int] | None
    change: tuple[float, float, float] | None
