"""Drift: do the features of records still come from a known population? The monitor of `models.detectors.monitor`, as a check.

In the team of agents the checker runs the monitor itself, by the policy's `[detection]`; this is for who watches records without it.
"""

from typing import ClassVar

import msgspec

from models.detectors.monitor import Monitor
from models.reference import Reference
from models.weaknesses.check import Evidence, Records
from models.weaknesses.watch import Places, decoded


class Drift:
    """Alarms when records come from no population that the reference knows.

    Parameters
    ----------
    reference : what is known.
    run_length, tolerance, confidence, block : as of `models.detectors.monitor.Monitor`, and its bound.

    Examples
    --------
    >>> from models.detectors.synthetic import mixture_reference
    >>> from models.weaknesses.synthetic import labelled
    >>> check = Drift(mixture_reference(seed=0))
    >>> check.update(labelled(2000, seed=1)).alarm
    False
    >>> evidence = check.update(labelled(100, seed=2, shift=1.5, after=2000))
    >>> evidence.alarm, abs(evidence.since - 2001) < 10
    (True, True)
    """

    name: ClassVar[str] = "drift"
    kind: ClassVar[str] = "drift"
    needs: ClassVar[frozenset[str]] = frozenset()
    remedies: ClassVar[tuple[str, ...] | None] = None
    advice: ClassVar[str] = "ask somebody what the newest images show"

    def __init__(
        self, reference: Reference, *, run_length: float = 1e6, tolerance: float = 0.1, confidence: float = 0.95, block: int = 1
    ) -> None:
        self._monitor = Monitor(reference, run_length, tolerance=tolerance, confidence=confidence, block=block)
        self._places = Places()

    def update(self, records: Records) -> Evidence:
        """Take records in order; see `Check`."""
        self._places.append(records.seqs)
        self._monitor.update(records.early, records.latent)
        return self.evidence

    @property
    def evidence(self) -> Evidence:
        """How things stand now."""
        reading = self._monitor.reading
        since, at = (None if index is None else self._places[index] for index in (reading.onset, reading.alarm_at))
        sentence = f"records since {since} look different" if reading.alarm else "records look as they always did"
        return Evidence(reading.log_evidence, self._monitor.log_threshold, reading.alarm, since, at, sentence, {"records": float(self._places.count)})

    def reset(self) -> None:
        """Forget the stream and any alarm."""
        self._monitor.reset()
        self._places = Places()

    def state(self) -> bytes:
        """Return all that is remembered."""
        return msgspec.msgpack.encode(_Saved(self._monitor.state(), self._places.count, list(self._places.pieces)))

    def restore(self, state: bytes) -> None:
        """Go on from a state. Raises ValueError."""
        saved = decoded(state, _Saved)
        self._monitor.restore(saved.monitor)
        self._places = Places()
        self._places.count = saved.count
        self._places.pieces.extend(saved.pieces)


class _Saved(msgspec.Struct):
    monitor: bytes
    count: int
    pieces: list[tuple[int, int, int]]
