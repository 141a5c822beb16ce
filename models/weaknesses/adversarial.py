"""Adversarial inputs: does what a record looks like go with the answer that it got?

Two things are asked of each record, given its answer. How far are its features, early and latent together, from those of clean records with
that answer (Mahalanobis distance, one covariance for all classes)? And how much nearer are other classes, among the latents of the reference
(k nearest neighbours of the answered class against those of all others)? The first sees that the picture was touched at all; who knows it can
avoid it, and pays with what the second sees. Both are logarithms, standardised on the fit part and added: one score, one conformal
p-value against clean records, one bet for each record. Records that fit a known drift are not odd.

It cannot tell an attack from a drift that spoils answers alike: on its own it says "contradicted", and what the pictures resemble, or a person,
says why. What it is worth against FGSM and PGD, and against an attacker who knows it, is measured by `benchmarks.adversarial`.

The bound: on clean records, the mean number until an alarm is at least `run_length`, with probability `confidence` over the draw of the
calibration part.

Lee, K. et al. (2018). A simple unified framework for detecting out-of-distribution samples and adversarial attacks. NeurIPS.
Jiang, H., Kim, B., Guan, M., Gupta, M. (2018). To trust or not to trust a classifier. NeurIPS. Papernot, N., McDaniel, P. (2018). Deep
k-nearest neighbors. arXiv 1803.04765. Carlini, N., Wagner, D. (2017). Adversarial examples are not easily detected. AISec.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.detectors.bets import KINDS, place_bets
from models.detectors.conformal import ConformalPValues
from models.detectors.distance import Distance
from models.detectors.knn import NearestNeighbours
from models.detectors.mahalanobis import Mahalanobis
from models.detectors.scale import LogScale
from models.reference import Reference
from models.weaknesses.check import Evidence, Records
from models.weaknesses.watch import Watch, decoded

Floats = NDArray[np.float64]

NEIGHBOURS = 3
FEWEST = NEIGHBOURS + 1
"""Fit records of a class, below which it is not told from the others."""

ODD = 0.05
"""p-value from which on a record is counted as odd in what is told."""


class Contradiction:
    """Scores records by how badly their features go with their answer; larger is worse.

    Parameters
    ----------
    reference : its fit part, with true labels, is what clean records of a class look like.

    Examples
    --------
    >>> from models.weaknesses.synthetic import labelled
    >>> from models.weaknesses.synthetic import labelled_reference
    >>> score, records = Contradiction(labelled_reference()), labelled(100, seed=1)
    >>> bool(score(records.early, records.latent, (records.truth + 1) % 10).min() > score(records.early, records.latent, records.truth).max())
    True
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        features, latents = reference.features(reference.fit_early, reference.fit_latent), reference.standard_latent(reference.fit_latent)
        labels = reference.fit_labels
        self.classes = np.array([one for one in np.unique(labels) if (labels == one).sum() >= FEWEST])
        if len(self.classes) < 2:
            raise ValueError(f"the reference has {len(self.classes)} classes of {FEWEST} fit records or more; it takes two to tell one from another")
        kept = np.isin(labels, self.classes)
        features, latents, labels = features[kept], latents[kept], labels[kept]
        place = np.searchsorted(self.classes, labels)
        self.means = np.stack([features[labels == one].mean(0) for one in self.classes])
        self.spread = Mahalanobis(features - self.means[place])
        self.near = [NearestNeighbours(latents[labels == one], k=NEIGHBOURS) for one in self.classes]
        # Of its own class a fit record must not be its own neighbour.
        distances = np.stack([near.score(latents) for near in self.near], 1)
        for number, near in enumerate(self.near):
            distances[place == number, number] = near.left_out()
        self.far_scale = LogScale(self._far(features, place))
        self.foreign_scale = LogScale(_foreign(distances, place))

    def __call__(self, early: ArrayLike, latent: ArrayLike, answers: ArrayLike) -> Floats:
        """Return the scores of n records, early [n, e], latent [n, d] and answers [n]: float64 [n], about 0 for clean ones that are right."""
        said = np.asarray(answers, np.int64)
        place = np.minimum(np.searchsorted(self.classes, said), len(self.classes) - 1)
        features, latents = self._reference.features(early, latent), self._reference.standard_latent(latent)
        distances = np.stack([near.score(latents) for near in self.near], 1)
        score = self.far_scale(self._far(features, place)) + self.foreign_scale(_foreign(distances, place))
        # Nothing is known of a class that the reference lacks, so nothing contradicts it.
        return np.asarray(np.round(np.where(self.classes[place] == said, score, 0.0), 6), np.float64)

    def _far(self, features: Floats, place: NDArray[np.int64]) -> Floats:
        return self.spread.score(features - self.means[place])


class Adversarial:
    """Alarms when records' features contradict their answers more often than on clean data.

    Parameters
    ----------
    reference : what is known; labels of its fit part are used.
    run_length : mean number of records until a false alarm, at least.
    tolerance : how much fatter than the calibration's a tail may be without ever counting as odd.
    confidence : probability that the bound holds, over the draw of the calibration part.
    block : consecutive records that count as one observation.

    Examples
    --------
    >>> from models.weaknesses.synthetic import labelled, labelled_reference
    >>> check = Adversarial(labelled_reference())
    >>> check.update(labelled(2000, seed=1)).alarm
    False
    >>> evidence = check.update(labelled(200, seed=2, accuracy=0.8, after=2000))
    >>> evidence.alarm, 2000 < evidence.at < 2100
    (True, True)
    """

    name: ClassVar[str] = "adversarial"
    kind: ClassVar[str] = "adversarial"
    needs: ClassVar[frozenset[str]] = frozenset()
    remedies: ClassVar[tuple[str, ...] | None] = ("harden", "filter")
    advice: ClassVar[str] = "find out who sends these images"

    def __init__(
        self, reference: Reference, *, run_length: float = 1e6, tolerance: float = 0.1, confidence: float = 0.95, block: int = 1
    ) -> None:
        if tolerance < 0:
            raise ValueError(f"tolerance is {tolerance}; expected 0 or a small share such as 0.1")
        self._tolerance = tolerance
        self._score = Contradiction(reference)
        answers = reference.calibration_logits.argmax(1)
        clean = self._score(reference.calibration_early, reference.calibration_latent, answers)
        self._p_values = ConformalPValues(clean, confidence=confidence)
        self._drifts = [Distance(reference, one) for one in reference.drifts]
        self._drift_p_values = [
            ConformalPValues(far.score(one.calibration_early, one.calibration_latent), confidence=confidence)
            for far, one in zip(self._drifts, reference.drifts, strict=True)
        ]
        design = f"adversarial tolerance={tolerance:g} confidence={confidence:g} calibration={len(clean)} drifts={len(self._drifts)}"
        self._watch = Watch(design, run_length=run_length, bets=KINDS, block=block)
        self._odd = 0

    def p_values(self, records: Records) -> Floats:
        """Return how usual it is for clean records, or those of a known drift, to contradict their answer as much: float64 [n] in (0, 1]."""
        found = [self._p_values(self._score(records.early, records.latent, records.labels))]
        for far, p_values in zip(self._drifts, self._drift_p_values, strict=True):
            found.append(p_values(far.score(records.early, records.latent)))
        return np.asarray(np.max(found, 0))

    def update(self, records: Records) -> Evidence:
        """Take records in order; see `Check`. Those that a route answered are passed over: their answer is not the classifier's."""
        own = slice(None) if records.routed is None else np.flatnonzero(~records.routed)
        usual = self.p_values(records)[own]
        self._watch.update(records.seqs[own], place_bets(usual, tolerance=self._tolerance))
        self._odd += int((usual <= ODD).sum())
        return self.evidence

    @property
    def evidence(self) -> Evidence:
        """How things stand now."""
        watch = self._watch
        share = self._odd / max(1, watch.count)
        sentence = (
            f"since record {watch.since} the features of records contradict their answers more often than on clean data" if watch.alarm
            else "what records look like goes with their answers"
        )
        details = {"odd": share, "records": float(watch.count)}
        return Evidence(watch.value, watch.line, watch.alarm, watch.since, watch.at, sentence, details)

    def reset(self) -> None:
        """Forget the stream and any alarm."""
        self._watch.reset()
        self._odd = 0

    def state(self) -> bytes:
        """Return all that is remembered."""
        return self._watch.state(self._odd)

    def restore(self, state: bytes) -> None:
        """Go on from a state. Raises ValueError."""
        self._odd = decoded(self._watch.restore(state), int)


def _foreign(distances: Floats, place: NDArray[np.int64]) -> Floats:
    """Distance to the answered class over that to the nearest other one; `distances` [n, classes]."""
    rows = np.arange(len(place))
    own = distances[rows, place]
    others = distances.copy()
    others[rows, place] = np.inf
    return own / np.maximum(others.min(1), 1e-9)
