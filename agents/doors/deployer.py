"""Carries out what the planner decided: shadow, go live, and the note in the tracking store of what is live, and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from agents.doors.shelf import Shelf
from agents.messages import DeployPipeline, LiveRecorded, Message, PipelineLive, PipelineShadowed, RecordLive, ShadowPipeline
from agents.switchboard import answer_to
from models.detectors.end import clean_share
from models.pipeline import Pipeline
from models.reference import Reference
from workflows.inference import Inference
from workflows.tracking import Tracking


class Deployer:
    """Doors for `ShadowPipeline`, `DeployPipeline` and `RecordLive`.

    Parameters
    ----------
    activate : makes a pipeline folder the live one, and the target to return to after a crash.
    """

    def __init__(self, inference: Inference, shelf: Shelf, tracking: Tracking, activate: Callable[[str], object], *, model: str) -> None:
        self._inference, self._shelf, self._tracking, self._activate, self._model = inference, shelf, tracking, activate, model

    def shadow(self, request: Message) -> list[Message]:
        """Run a pipeline on the newest images, as it would answer them, before it answers anybody."""
        assert isinstance(request, ShadowPipeline)
        self._load(request.pipeline)
        last = self._inference.stats().last
        records = self._inference.records(max(0, last - request.count), request.count)
        shadow = self._inference.shadow(request.pipeline, records.seqs)
        live = records.label[np.searchsorted(records.seqs, shadow.seqs)]
        agreement = float((live == shadow.labels).mean()) if len(live) else 0.0
        return [
            answer_to(
                request, PipelineShadowed, "deployer", pipeline=request.pipeline, records=len(live), agreement=agreement,
                seconds_per_image=float(shadow.seconds_per_image),
            )
        ]

    def deploy(self, request: Message) -> list[Message]:
        """Make a pipeline live; the one before stays loaded."""
        assert isinstance(request, DeployPipeline)
        previous = self._inference.stats().active or ""
        self._load(request.pipeline)
        if previous != request.pipeline:
            self._activate(request.pipeline)
        return [answer_to(request, PipelineLive, "deployer", broadcast=True, **self.facts(request.pipeline, previous, request.reason, request.by))]

    def facts(self, pipeline: str, previous: str, reason: str, by: str = "") -> dict[str, Any]:
        """What `PipelineLive` says of a pipeline."""
        gated, reference = self._shelf.manifest(pipeline).gated, self._shelf.reference(pipeline)
        facts = {
            "pipeline": pipeline, "previous": previous, "reference": str(reference), "base": self._shelf.base(pipeline), "gated": gated,
            "since": self._inference.stats().last + 1, "version": self._shelf.version(pipeline), "reason": reason, "by": by,
        }
        return facts | (self._routed(pipeline, reference) if gated else {})

    def _routed(self, pipeline: str, reference: Path) -> dict[str, float]:
        """Which share of clean records, and of those of the drift that its newest route serves, the gates of a pipeline take."""
        network, known = Pipeline.load(self._shelf.folder(pipeline)), Reference.load(reference)
        clean = network.takes(known.calibration_early[known.held_out], known.calibration_latent[known.held_out])
        expected, most = clean_share(int(clean.sum()), len(clean))
        facts = {"routed_clean": expected, "routed_clean_most": most}
        for one in known.drifts:
            if one.name == network.manifest.routes[-1].drift:
                facts["routed_drift"] = float(network.takes(one.calibration_early, one.calibration_latent).mean())
        return facts

    def record(self, request: Message) -> list[Message]:
        """Note in the tracking store what went live."""
        assert isinstance(request, RecordLive)
        self._tracking.live_changed(
            request.deployment, request.version, request.pipeline, request.reason or "started", request.incident or None, request.time,
            request.by or None,
        )
        if request.version != request.pipeline:  # it is in the registry
            self._tracking.set_alias(self._model, "champion", request.version)
        return [answer_to(request, LiveRecorded, "deployer", pipeline=request.pipeline)]

    def _load(self, pipeline: str) -> None:
        if pipeline not in {name for name, _ in self._inference.pipelines()}:
            self._inference.load(self._shelf.folder(pipeline))
