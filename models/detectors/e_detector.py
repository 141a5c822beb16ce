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
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_CEILING = 1e200  # evidence far above any run length; keeps the product from overflowing while an alarm stands
_ROWS = 4096  # records at once; bounds memory


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
    bets : number of kinds of bet, columns of the e-values. `place_bets` makes `KINDS` of them.
    weights : [bets], how they share the stake, in any unit; equally if left out.
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

    def __init__(self, *, run_length: float, bets: int, weights: ArrayLike | None = None, block: int = 1) -> None:
        if run_length <= 1 or block < 1 or bets < 1:
            given = f"run_length={run_length}, bets={bets}, block={block}"
            raise ValueError(f"{given}; expected a run length above 1, at least 1 bet, blocks of at least 1 record")
        shares = np.ones(bets) if weights is None else np.asarray(weights, np.float64)
        if shares.shape != (bets,) or not (shares > 0).all():
            raise ValueError(f"weights have shape {shares.shape} and a smallest one of {shares.min(initial=1)}; expected {bets} above 0")
        self.run_length, self.bets, self.block = run_length, bets, block
        self._weights = (shares / shares.sum()).tolist()
        self.reset()

    def reset(self) -> None:
        """Forget the stream, its count and any alarm; parameters stay."""
        self.count = 0
        self.alarm_at: int | None = None
        """Index of the record that raised the alarm, counted from 0 since the start."""
        self.onset: int | None = None
        """Index of the record with which the change most likely began, fixed at the alarm."""
        self._evidence = [0.0] * self.bets
        self._peaks = [0.0] * self.bets  # product of the bets since the best start
        self._starts = [0] * self.bets
        self._pending: Floats = np.zeros((0, self.bets))

    @property
    def log_evidence(self) -> float:
        """log(1 + M): 0 at the start, an alarm when M reaches `run_length` (per record, so divided by `block` in blocks)."""
        return math.log1p(sum(weight * evidence for weight, evidence in zip(self._weights, self._evidence, strict=True)))

    @property
    def log_threshold(self) -> float:
        """The `log_evidence` at which the alarm is raised."""
        return math.log1p(self.run_length / self.block)

    def update(self, e_values: Floats) -> bool:
        """Take the e-values of n records, [n, bets], and say whether an alarm stands. A batch equals its records one by one."""
        if e_values.ndim != 2 or e_values.shape[1] != self.bets:
            raise ValueError(f"e-values have shape {e_values.shape}, expected [n, {self.bets}]; make them with place_bets(p_values)")
        for at in range(0, len(e_values), _ROWS):
            begin, rows = self.count - len(self._pending), np.concatenate([self._pending, e_values[at : at + _ROWS]])
            self.count, whole = begin + len(rows), len(rows) // self.block
            self._pending = rows[whole * self.block :]
            self._observe(begin, rows[: whole * self.block].reshape(whole, self.block, self.bets).mean(1))
        return self.alarm_at is not None

    def _observe(self, begin: int, bets: Floats) -> None:
        """Take n observations [n, bets] from record `begin` on. A step needs the one before, for all kinds at once."""
        evidence, peaks = np.empty((len(bets) + 1, self.bets)), np.empty((len(bets) + 1, self.bets))
        evidence[0], peaks[0] = self._evidence, self._peaks
        for step, bet in enumerate(bets):
            np.minimum((evidence[step] + 1.0) * bet, _CEILING, out=evidence[step + 1])  # the sum of the products over all starts
            # A product of at most 1 since the best start is worth less than to begin here.
            np.minimum(np.maximum(peaks[step], 1.0) * bet, _CEILING, out=peaks[step + 1])
        evidence, peaks = evidence.T, peaks.T
        # In one order for any n, so that a batch equals its records.
        totals = np.add.accumulate(evidence[:, 1:] * np.array(self._weights)[:, None])[-1]
        above = np.flatnonzero(totals >= self.run_length / self.block)
        if self.alarm_at is None and len(above):
            alarm = int(above[0])
            self.alarm_at = begin + (alarm + 1) * self.block - 1
            self.onset = self._starts_after(begin, peaks[:, : alarm + 1])[int(np.argmax(peaks[:, alarm + 1]))]
        self._starts = self._starts_after(begin, peaks[:, :-1])
        self._evidence, self._peaks = evidence[:, -1].tolist(), peaks[:, -1].tolist()

    def _starts_after(self, begin: int, peaks: Floats) -> list[int]:
        """Where the best product of each kind began; `peaks` [bets, n] are the products before each of n observations."""
        fresh = peaks <= 1
        latest = peaks.shape[1] - 1 - fresh[:, ::-1].argmax(1) if fresh.size else np.zeros(self.bets, np.int64)
        return np.where(fresh.any(1), begin + latest * self.block, self._starts).tolist()

    def state(self) -> EDetectorState:
        """Return all that is remembered, as plain numbers that survive msgpack and JSON exactly."""
        return EDetectorState(
            count=self.count,
            evidence=list(self._evidence),
            peaks=list(self._peaks),
            starts=list(self._starts),
            pending=np.ravel(self._pending).tolist(),
            alarm_at=self.alarm_at,
            onset=self.onset,
        )

    def restore(self, state: EDetectorState) -> None:
        """Go on from a state that `state` returned; parameters must be those of the detector that returned it."""
        self.count, self.alarm_at, self.onset = state["count"], state["alarm_at"], state["onset"]
        self._evidence, self._peaks, self._starts = list(state["evidence"]), list(state["peaks"]), list(state["starts"])
        self._pending = np.reshape(np.array(state["pending"], np.float64), (-1, self.bets))
