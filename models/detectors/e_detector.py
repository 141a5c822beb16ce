"""Shiryaev-Roberts e-detector: has the stream changed, with a false-alarm rate that is bounded by construction?

Each record brings e-values: bets against the stream being clean, worth at most 1 on average while it is. For every possible moment of
change the bets since then are multiplied; the evidence M is the sum of these products over all moments, averaged over the kinds of bet:
M <- (1 + M) * e. On clean data M grows by at most 1 per record on average, so the mean number of records until M reaches `run_length`
is at least `run_length`: the bound needs no simulation and no distribution. After a change M grows exponentially, whenever it comes.

Records that follow one another closely (video frames) are not independent. With `block` > 1 the e-values of so many consecutive records
are averaged into one bet: an average of e-values is an e-value under any dependence, so only blocks have to be independent, not records.

Shin, J., Ramdas, A., Rinaldo, A. (2024). E-detectors: a nonparametric framework for sequential change detection. NEJSDS 2(2).
Shiryaev, A. N. (1963); Roberts, S. W. (1966). Vovk, V., Wang, R. (2021). E-values: calibration, combination and applications.
"""

import math
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CEILING = 1e200  # evidence far above any run length; keeps the product from overflowing while an alarm stands


class EDetectorState(TypedDict):
    """All that an e-detector remembers, as plain numbers."""

    count: int
    evidence: list[float]
    peaks: list[float]
    starts: list[int]
    pending: list[float]
    alarm_at: int | None
    onset: int | None


class EDetector:
    """Alarms when bets against "nothing has changed" have won `run_length` to one.

    Parameters
    ----------
    run_length : mean number of records until a false alarm, at least.
    bets : number of kinds of bet, columns of the e-values; they share the stake equally. `place_bets` makes `KINDS` of them.
    block : consecutive records that count as one observation.

    Examples
    --------
    >>> from models.detectors.bets import KINDS, place_bets
    >>> rng = np.random.default_rng(0)
    >>> p_values = np.concatenate([rng.uniform(size=1000), 0.1 * rng.uniform(size=100)])
    >>> detector = EDetector(run_length=1e6, bets=KINDS)
    >>> detector.update(place_bets(p_values))
    True
    >>> detector.alarm_at, detector.onset
    (1010, 1000)
    """

    def __init__(self, *, run_length: float, bets: int, block: int = 1) -> None:
        if run_length <= 1 or block < 1 or bets < 1:
            given = f"run_length={run_length}, bets={bets}, block={block}"
            raise ValueError(f"{given}; expected a run length above 1, at least 1 bet, blocks of at least 1 record")
        self.run_length, self.bets, self.block = run_length, bets, block
        self.reset()

    def reset(self) -> None:
        """Forget the stream, its count and any alarm; parameters stay."""
        self.count = 0
        self.alarm_at: int | None = None
        """Index of the record that raised the alarm, counted from 0 since the start."""
        self.onset: int | None = None
        """Index of the record with which the change most likely began, fixed at the alarm."""
        self._evidence: Floats = np.zeros(self.bets)
        self._peaks: Floats = np.zeros(self.bets)  # product of the bets since the best start
        self._starts = np.zeros(self.bets, np.int64)
        self._pending: list[Floats] = []

    @property
    def log_evidence(self) -> float:
        """log(1 + M): 0 at the start, an alarm when M reaches `run_length` (per record, so divided by `block` in blocks)."""
        return math.log1p(float(self._evidence.mean()))

    @property
    def log_threshold(self) -> float:
        """The `log_evidence` at which the alarm is raised."""
        return math.log1p(self.run_length / self.block)

    def update(self, e_values: Floats) -> bool:
        """Take the e-values of n records, [n, bets], and say whether an alarm stands. A batch equals its records one by one."""
        if e_values.ndim != 2 or e_values.shape[1] != self.bets:
            raise ValueError(f"e-values have shape {e_values.shape}, expected [n, {self.bets}]; make them with place_bets(p_values)")
        for row in e_values:
            self.count += 1
            if self.block == 1:
                self._step(row)
                continue
            self._pending.append(row)
            if len(self._pending) == self.block:
                self._step(np.mean(self._pending, axis=0))
                self._pending.clear()
        return self.alarm_at is not None

    def _step(self, bets: Floats) -> None:
        self._evidence += 1
        self._evidence *= bets
        fresh = self._peaks <= 1
        np.copyto(self._starts, self.count - self.block, where=fresh)
        np.copyto(self._peaks, 1.0, where=fresh)
        self._peaks *= bets
        total = float(self._evidence.sum()) / self.bets
        if self.alarm_at is None and total >= self.run_length / self.block:
            self.alarm_at = self.count - 1
            self.onset = int(self._starts[np.argmax(self._peaks)])
        if total > _CEILING:
            np.minimum(self._evidence, _CEILING, out=self._evidence)
            np.minimum(self._peaks, _CEILING, out=self._peaks)

    def state(self) -> EDetectorState:
        """Return all that is remembered, as plain numbers that survive msgpack and JSON exactly."""
        return EDetectorState(
            count=self.count,
            evidence=self._evidence.tolist(),
            peaks=self._peaks.tolist(),
            starts=self._starts.tolist(),
            pending=np.ravel(self._pending).tolist(),
            alarm_at=self.alarm_at,
            onset=self.onset,
        )

    def restore(self, state: EDetectorState) -> None:
        """Go on from a state that `state` returned; parameters must be those of the detector that returned it."""
        self.count, self.alarm_at, self.onset = state["count"], state["alarm_at"], state["onset"]
        self._evidence, self._peaks = np.array(state["evidence"], np.float64), np.array(state["peaks"], np.float64)
        self._starts = np.array(state["starts"], np.int64)
        self._pending = list(np.reshape(np.array(state["pending"], np.float64), (-1, self.bets)))
