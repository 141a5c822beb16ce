"""The monitor: watches the features of a stream of records and alarms when they come from no known population.

    features -> scores against each known population -> p-values for each -> largest p-value -> bets -> evidence -> alarm

The scores are the distance and, where the reference holds them, the directions of known corruptions, each to both sides. Half of the stake is
on the distance, half on all directions: what they cost where the distance alone sees a change is a factor of two, once.

A record counts as odd by a score only if it is so for *every* component of the reference, so adopted changes raise no alarm, in any mixture
with clean data. The bound: on a stream of independent records of known populations, the mean number of records until the first alarm is at
least `run_length`, with probability `confidence` over the draw of each component's calibration set. Correlated records (video) break
that; give `block` so many records that blocks are independent of one another.

Shin, J., Ramdas, A., Rinaldo, A. (2024). E-detectors: a nonparametric framework for sequential change detection. NEJSDS 2(2).
Bates, S. et al. (2023). Testing for outliers with conformal p-values. Annals of Statistics 51(1).
"""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.detectors.bets import FEW, KINDS, place_bets, place_few_bets
from models.detectors.conformal import ConformalPValues
from models.detectors.directions import Directions
from models.detectors.distance import Distance
from models.detectors.e_detector import EDetector, EDetectorState
from models.reference import Reference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """What the monitor says after some records. Indices count records from 0 since the monitor started or was reset."""

    alarm: bool
    """Whether an alarm stands; it latches until `Monitor.reset`."""
    alarm_at: int | None
    """Index of the record that raised it."""
    onset: int | None
    """Index of the record with which the change most likely began."""
    log_evidence: float
    """log(1 + evidence): 0 without any, an alarm at `Monitor.log_threshold`; after an alarm it shows whether the change still lasts."""


class Monitor:
    """Watches records against a reference; bounded memory, deterministic, may be stopped and restored at any record.

    Parameters
    ----------
    reference : what the live model version knows.
    run_length : mean number of records until a false alarm, at least.
    tolerance : how much fatter than the calibration's a tail may be without ever counting as drift; 0.1 is a tenth.
    confidence : probability that the bound holds, over the draw of a calibration set.
    block : consecutive records that count as one observation; for correlated frames, longer than their correlation lasts.

    Examples
    --------
    >>> from models.detectors.synthetic import mixture, mixture_reference
    >>> monitor = Monitor(mixture_reference(seed=0))
    >>> monitor.update(*mixture(5000, seed=1)).alarm
    False
    >>> reading = monitor.update(*mixture(100, seed=2, shift=1.5))
    >>> reading.alarm, 5000 <= reading.alarm_at < 5100, abs(reading.onset - 5000) < 10
    (True, True, True)
    """

    def __init__(
        self, reference: Reference, run_length: float = 1e6, *, tolerance: float = 0.1, confidence: float = 0.95, block: int = 1
    ) -> None:
        if tolerance < 0:
            raise ValueError(f"tolerance is {tolerance}; expected 0 or a small share such as 0.1")
        self.tolerance = tolerance
        self._reference = reference
        self._distances = [Distance(reference, component) for component in reference.components]
        self._directions = _directions(reference)
        sides = 2 * len(self._directions) if self._directions else 0
        # That all bounds hold together, half of the permitted error is the distance's, half is shared by the directions, as the stake is.
        share = [(1 - confidence) / 2] + [(1 - confidence) / 2 / sides] * sides if sides else [1 - confidence]
        self._p_values = [
            [
                ConformalPValues(column, confidence=1 - error)
                for column, error in zip(self._scores(distance, known.calibration_early, known.calibration_latent), share, strict=True)
            ]
            for distance, known in zip(self._distances, reference.components, strict=True)
        ]
        weights = [1 / KINDS] * KINDS + [1 / (sides * FEW)] * (sides * FEW) if sides else [1.0] * KINDS
        self._detector = EDetector(run_length=run_length, bets=len(weights), weights=weights, block=block)
        sizes = "/".join(str(len(component.calibration_early)) for component in reference.components)
        self._design = (
            f"run_length={run_length:g} tolerance={tolerance:g} confidence={confidence:g} block={block} calibration={sizes} sides={sides}"
        )

    def p_values(self, early: ArrayLike, latent: ArrayLike) -> Floats:
        """Return how usual each record is for the population that it fits best, by each score: float64 [n, scores] in (0, 1].

        The first column is by the distance; the others, of which there may be none, by the directions. Leaves the monitor as it is.

        Parameters
        ----------
        early : [n, e]; latent : [n, d], of raw images through the model version of the reference.

        Raises
        ------
        BadReferenceError
            when the features are not those of that model version.
        """
        found = [
            [known(column) for known, column in zip(p_values, self._scores(distance, early, latent), strict=True)]
            for p_values, distance in zip(self._p_values, self._distances, strict=True)
        ]
        return np.asarray(np.max(found, axis=0).T, np.float64)

    def _scores(self, distance: Distance, early: ArrayLike, latent: ArrayLike) -> list[Floats]:
        """The distance from one population, and the position along each direction, to the one side and to the other."""
        scores = [distance.score(early, latent)]
        if self._directions:
            along = self._directions.score(self._reference.features(early, latent)).T
            scores += [*along, *-along]
        return scores

    def update(self, early: ArrayLike, latent: ArrayLike) -> Reading:
        """Take n records in order, early [n, e] and latent [n, d], and say how things stand after them."""
        return self.follow(self.p_values(early, latent))

    def follow(self, p_values: ArrayLike) -> Reading:
        """Take the p-values of n records in order, [n, scores], as `p_values` returned them, and say how things stand after them."""
        columns = np.asarray(p_values, np.float64)
        bets = place_bets(columns[:, 0], tolerance=self.tolerance)
        if self._directions:
            bets = np.hstack([bets, place_few_bets(columns[:, 1:], tolerance=self.tolerance)])
        self._detector.update(bets)
        return self.reading

    @property
    def reading(self) -> Reading:
        """How things stand now."""
        detector = self._detector
        return Reading(detector.alarm_at is not None, detector.alarm_at, detector.onset, detector.log_evidence)

    @property
    def log_threshold(self) -> float:
        """The `log_evidence` at which the alarm is raised."""
        return self._detector.log_threshold

    def reset(self) -> None:
        """Forget the stream and any alarm; what the reference says stays."""
        self._detector.reset()

    def state(self) -> bytes:
        """Return all that the monitor remembers of the stream, as msgpack; `restore` goes on exactly from it."""
        return msgspec.msgpack.encode({"design": self._design, "detector": self._detector.state()})

    def restore(self, state: bytes) -> None:
        """Go on from bytes that `state` of a monitor with the same reference and parameters returned.

        Raises
        ------
        ValueError
            when the bytes are damaged or come from a monitor of another design.
        """
        try:
            saved = msgspec.msgpack.decode(state, type=_Saved)
        except msgspec.DecodeError as error:
            raise ValueError(f"not the state of a monitor ({error}); expected bytes that Monitor.state() returned") from error
        if saved.design != self._design:
            raise ValueError(
                f"the state belongs to another monitor: its design is {saved.design!r}, this one's {self._design!r}; "
                "make the monitor with the same reference and parameters, or start afresh without restore"
            )
        self._detector.restore(saved.detector)


def _directions(reference: Reference) -> Directions | None:
    """Towards the corruptions that the reference knows; None where it knows none."""
    if not len(reference.towards_early):
        return None
    middle = reference.fit_early.mean(0), reference.fit_latent.mean(0)  # moves are changes: of the features of an average record
    moves = reference.features(middle[0] + reference.towards_early, middle[1] + reference.towards_latent)
    return Directions(reference.features(reference.fit_early, reference.fit_latent), moves)


class _Saved(msgspec.Struct):
    design: str
    detector: EDetectorState
