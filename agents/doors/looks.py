"""Looks at the newest records for sensors and audits, without an incident: what do they look like, and which would a person be shown?"""

import numpy as np
from scipy.special import softmax

from agents.doors.evidence import Evidence
from agents.doors.populations import populations
from agents.doors.shelf import Shelf
from agents.messages import AuditDrawn, DrawAudit, LookAtRecords, Message, RecordsLookedAt
from agents.switchboard import answer_to
from models.estimators.confidence import estimate_accuracy
from models.queries.random import random
from models.reference import Reference
from workflows.inference import Inference, Records
from workflows.steps.window import Window

ENOUGH = 20  # records; what fewer look like is chance


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
            values["unlike"] = float(populations(path).unlike(records.early, records.latent).mean())
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
