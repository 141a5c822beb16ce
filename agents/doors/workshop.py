"""Prepares remedies as jobs beside the agents, and notes each as a run with its files."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from agents.doors.shelf import Shelf
from agents.messages import Message, PrepareRemedy, RemedyPrepared
from agents.switchboard import answer_to
from models.pipeline import PipelineError
from workflows.steps import prepare
from workflows.tracking import Tracking

Submit = Callable[..., "Future[Any]"]
LOOK_UP = 0.5  # seconds between looks at whether the system stops


class Workshop:
    """Door for `PrepareRemedy`.

    Parameters
    ----------
    submit : runs a job, as a host does.
    dataset, root : the clean data that a remedy may learn from, and its folder.
    model : name under which pipelines are registered.
    stopping : whether the system is being stopped.
    """

    def __init__(
        self, submit: Submit, shelf: Shelf, tracking: Tracking, *, dataset: str, root: Path | None, model: str,
        stopping: Callable[[], bool] = lambda: False, seed: int = 0,
    ) -> None:
        self._submit, self._shelf, self._tracking = submit, shelf, tracking
        self._dataset, self._root, self._model, self._stopping, self._seed = dataset, root, model, stopping, seed

    def __call__(self, request: Message) -> list[Message]:
        assert isinstance(request, PrepareRemedy)
        if request.remedy == "reuse":
            return [self._reuse(request)]
        taught = [label for label in request.teaching if label.label is not None and label.label >= 0]
        folder = self._shelf.folder(request.pipeline)
        job = self._submit(
            prepare.prepare, remedy=request.remedy, base=self._shelf.folder(request.base), folder=folder, name=request.pipeline,
            window=Path(request.window), reference=self._shelf.reference(request.base), teaching=[label.seq for label in taught],
            labels=[label.label for label in taught], dataset=self._dataset, root=self._root, seed=self._seed + request.seed,
            named=_named(request),
        )
        result = self._await(job, request.deadline)
        run = self._tracking.log_run(
            "remedies", request.pipeline, key=request.id, params={"remedy": request.remedy, "base": request.base, "labels": len(taught)},
            metrics={name: result[name] for name in ("accuracy_clean", "clean_loss", "latency_added", "seconds")},
            artifacts=[Path(request.window)], tags={"incident": request.incident},
        )
        version = self._tracking.register(self._model, folder, run, tags={"incident": request.incident, "remedy": request.remedy})
        self._tracking.set_alias(self._model, "challenger", version)
        self._shelf.note_version(request.pipeline, version)
        return [self._prepared(request, version, result)]

    def _await(self, job: "Future[Any]", seconds: float) -> dict[str, Any]:
        """The job's result; a system that stops does not wait for it."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                result: dict[str, Any] = job.result(timeout=LOOK_UP)
            except TimeoutError:
                if self._stopping() or time.monotonic() > deadline:
                    job.cancel()
                    raise
            else:
                return result

    def _reuse(self, request: PrepareRemedy) -> Message:
        """A pipeline that helped before is ready as it is; what it costs is known from then."""
        if self._shelf.forgets(request.pipeline, request.base):
            raise PipelineError(f"{request.pipeline} lacks the routes of {request.base}: it would forget drifts that {request.base} serves")
        base, folder = self._shelf.folder(request.base), self._shelf.folder(request.pipeline)
        known = prepare.measure(base, folder, Path(request.window), self._dataset, self._root, _named(request))
        return self._prepared(request, self._shelf.version(request.pipeline), known)

    def _prepared(self, request: PrepareRemedy, version: str, result: dict[str, Any]) -> Message:
        return answer_to(
            request, RemedyPrepared, "workshop", remedy=request.remedy, pipeline=request.pipeline, version=version,
            accuracy_clean=result["accuracy_clean"], clean_loss=result["clean_loss"], latency_added=max(0.0, result["latency_added"]),
            seconds=result["seconds"], imitated=_imitated(request, result),
        )


def _named(request: PrepareRemedy) -> tuple[str, float | None] | None:
    return (request.likeness.name, request.likeness.severity) if request.likeness and request.likeness.known else None


def _imitated(request: PrepareRemedy, result: dict[str, Any]) -> tuple[float, float] | None:
    """The gain on imitated images, as far as the stream is spoiled like them; None where the name is not sure."""
    likeness, gain = request.likeness, result["imitated"]
    return None if gain is None or likeness is None or not likeness.sure else (likeness.share * gain[0], likeness.share * gain[1])
