"""What checks that bet have in common: an e-detector whose alarm is told in numbers of records, and its state as bytes."""

from collections import deque
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.detectors.e_detector import EDetector, EDetectorState

MOST_PIECES = 1000
T = TypeVar("T")


class Places:
    """Which number the i-th record had. Runs of evenly spaced numbers take one piece; of very many pieces the oldest are forgotten.

    >>> places = Places()
    >>> places.append([5, 6, 7, 20, 30, 40])
    >>> [places[i] for i in range(6)]
    [5, 6, 7, 20, 30, 40]
    """

    def __init__(self) -> None:
        self.count = 0
        self.pieces: deque[tuple[int, int, int]] = deque(maxlen=MOST_PIECES)  # (first index, its number, step; 0 as long as it has one)

    def append(self, seqs: ArrayLike) -> None:
        """Note the numbers of the next records."""
        for seq in np.asarray(seqs, np.int64).tolist():
            if self.pieces:
                index, first, step = self.pieces[-1]
                if step == 0:
                    self.pieces[-1] = (index, first, seq - first)
                elif seq != first + step * (self.count - index):
                    self.pieces.append((self.count, seq, 0))
            else:
                self.pieces.append((self.count, seq, 0))
            self.count += 1

    def __getitem__(self, index: int) -> int:
        """The number of a record; that of the oldest one still known, if it has been forgotten."""
        first, seq, step = next((piece for piece in reversed(self.pieces) if piece[0] <= index), self.pieces[0])
        return seq + step * max(0, index - first)


class _Saved(msgspec.Struct):
    design: str
    detector: EDetectorState
    count: int
    pieces: list[tuple[int, int, int]]
    extra: msgspec.Raw = msgspec.Raw(b"\xc0")


class Watch:
    """Bets on records in order, and knows by their numbers when the alarm came and since when.

    Parameters
    ----------
    design : all that the meaning of the state depends on; a state of another design is refused.
    run_length, bets, weights, block : as of `EDetector`.

    >>> watch = Watch("coin", run_length=100, bets=1)
    >>> watch.update([7, 8, 9], np.array([[1.0], [20.0], [20.0]]))
    >>> watch.alarm, watch.since, watch.at
    (True, 8, 9)
    """

    def __init__(self, design: str, *, run_length: float, bets: int, weights: ArrayLike | None = None, block: int = 1) -> None:
        self._design = f"{design} run_length={run_length:g} bets={bets} block={block}"
        self._detector = EDetector(run_length=run_length, bets=bets, weights=weights, block=block)
        self._places = Places()

    def update(self, seqs: ArrayLike, e_values: NDArray[np.float64]) -> None:
        """Take the e-values [n, bets] of records with these numbers [n]."""
        self._places.append(seqs)
        self._detector.update(e_values)

    @property
    def alarm(self) -> bool:
        """Whether an alarm stands."""
        return self._detector.alarm_at is not None

    @property
    def since(self) -> int | None:
        """Number of the record with which the change most likely began."""
        return None if self._detector.onset is None else self._places[self._detector.onset]

    @property
    def at(self) -> int | None:
        """Number of the record that raised the alarm."""
        return None if self._detector.alarm_at is None else self._places[self._detector.alarm_at]

    @property
    def behind(self) -> int:
        """Records since the change most likely began; all, as long as there is no alarm."""
        return self._places.count - (self._detector.onset or 0)

    @property
    def count(self) -> int:
        """Records taken so far."""
        return self._places.count

    @property
    def value(self) -> float:
        """Log evidence."""
        return self._detector.log_evidence

    @property
    def line(self) -> float:
        """The log evidence at which the alarm is raised."""
        return self._detector.log_threshold

    def reset(self) -> None:
        """Forget all records."""
        self._detector.reset()
        self._places = Places()

    def state(self, extra: object = None) -> bytes:
        """Return what is remembered and, beside it, what the check itself remembers, as msgpack."""
        own = msgspec.Raw(msgspec.msgpack.encode(extra))
        saved = _Saved(self._design, self._detector.state(), self._places.count, list(self._places.pieces), own)
        return msgspec.msgpack.encode(saved)

    def restore(self, state: bytes) -> bytes:
        """Go on from a state; returns the check's own part of it, as msgpack. Raises ValueError."""
        saved = decoded(state, _Saved)
        if saved.design != self._design:
            raise ValueError(f"the state belongs to another check ({saved.design!r}, this one is {self._design!r}); start afresh without restore")
        self._detector.restore(saved.detector)
        self._places = Places()
        self._places.count = saved.count
        self._places.pieces.extend(saved.pieces)
        return bytes(saved.extra)


def decoded(state: bytes, kind: type[T]) -> T:
    """Return what the bytes of a state hold. Raises ValueError when they are damaged."""
    try:
        return msgspec.msgpack.decode(state, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"not the state of a check ({error}); expected bytes that its state() returned") from error
