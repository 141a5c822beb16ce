"""Looks at the newest records for sensors and audits, without an incident: what do they look like, and which would a person be shown?"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from agents.doors.evidence import Evidence
from agents.doors.shelf import Shelf
from agents.messages import AuditDrawn, DrawAudit, LookAtRecords, Message, RecordsLookedAt
from agents.switchboard import answer_to
from models.detectors.distance import Distance
from models.estimators.confidence import estimate_accuracy
from models.queries.random import random
from models.reference import Reference
from workflows.inference import Inference, Records
from workflows.steps.window import Window

ENOUGH = 20  # records; what fewer look like is chance
FAR = 0.99  # of clean records are nearer than what counts as unlike


class NothingToLookAtError(LookupError):
    """The live pipeline has not answered enough yet."""


class Looks:
    """Doors for `LookAtRecords` and `DrawAudit`."""

    def __init__(self, inference: Inference, shelf: Shelf, evidence: Evidence) -> None:
        self._inference, self._shelf, self._evidence = inference, shelf, evidence

    def look(self, request: Message) -> list[Message]:
        """What the newest records of the live pipeline look like. Raises `NothingToLookAtError`."""
        assert isinstance(request, LookAtRecords)
        records = self._newest(request.count)
        reads, values, path = set(request.reads), dict[str, float](), self._shelf.reference(str(records.version[-1]))
        if reads & {"estimated_accuracy", "estimate_error"}:
            known = Reference.load(path)
            found = estimate_accuracy(known.calibration_logits, known.calibration_labels, records.logits)
            values |= {"estimated_accuracy": found.value, "estimate_error": found.error}
        if "confidence" in reads:
            values["confidence"] = float(softmax(np.asarray(records.logits, np.float64), axis=1).max(axis=1).mean())
        if "unlike" in reads:
            values["unlike"] = float(_populations(path).unlike(records.early, records.latent).mean())
        if "routed" in reads:
            values["routed"] = float(records.routed.mean())
        told = {name: value for name, value in values.items() if name in reads}
        return [answer_to(request, RecordsLookedAt, "analysis", sensor=request.sensor, records=len(records.seqs), values=told)]

    def draw(self, request: Message) -> list[Message]:
        """Draw at random among the newest records whose images are there, and keep these. Raises `NothingToLookAtError`."""
        assert isinstance(request, DrawAudit)
        records = self._newest(request.count)
        images = self._inference.images(records.seqs)
        if len(images.seqs) < request.labels:
            raise NothingToLookAtError(f"{len(images.seqs)} images are in the ring, {request.labels} are to be drawn; enlarge the image ring")
        rows = np.searchsorted(records.seqs, images.seqs)
        drawn = random(records.latent[rows], request.labels, request.seed)
        seqs = [int(seq) for seq in images.seqs[drawn]]
        window = Window(
            seqs=images.seqs[drawn], images=images.images[drawn], early=records.early[rows][drawn], latent=records.latent[rows][drawn],
            logits=records.logits[rows][drawn], labels=records.label[rows][drawn],
        )
        self._evidence.keep(request.incident, "audit", window)
        pipeline = str(records.version[-1])
        return [
            answer_to(
                request, AuditDrawn, "analysis", items=tuple(seqs), predicted=dict(zip(seqs, window.labels.tolist(), strict=True)),
                classes=self._shelf.manifest(pipeline).classes, pipeline=pipeline, records=len(images.seqs),
                clean_accuracy=Reference.load(self._shelf.reference(pipeline)).clean_accuracy,
            )
        ]

    def _newest(self, count: int) -> Records:
        """The newest records in the log, of the pipeline that answered the last of them."""
        last = self._inference.stats().last
        records = self._inference.records(max(0, last - count), count)
        rows = np.flatnonzero(records.version == records.version[-1:]) if len(records.seqs) else np.arange(0)
        if len(rows) < ENOUGH:
            raise NothingToLookAtError(f"{len(rows)} records of the live pipeline are in the log, {ENOUGH} are needed; wait for more traffic")
        columns = {name: getattr(records, name)[rows] for name in ("seqs", "time", "version", "label", "routed", "logits", "early", "latent")}
        return Records(log=records.log, first=int(columns["seqs"][0]), last=int(columns["seqs"][-1]), lost=None, **columns)


class _Populations:
    """All that a reference knows, and how far from each is far."""

    def __init__(self, reference: Reference) -> None:
        self._distances = [(Distance(reference, one), one) for one in reference.components]
        self._far = [
            float(np.quantile(distance.score(one.calibration_early, one.calibration_latent), FAR)) for distance, one in self._distances
        ]

    def unlike(self, early: ArrayLike, latent: ArrayLike) -> NDArray[np.bool_]:
        """Which of the records [n] are far from all of them."""
        scores = zip(self._distances, self._far, strict=True)
        found: NDArray[np.bool_] = np.all([distance.score(early, latent) > far for (distance, _), far in scores], axis=0)
        return found


@lru_cache(maxsize=4)
def _populations(path: Path) -> _Populations:
    """References are never changed once written."""
    return _Populations(Reference.load(path))
