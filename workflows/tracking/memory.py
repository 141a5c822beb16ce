"""A `Tracking` that forgets everything when it goes: for tests, and for runs without MLflow."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from workflows.tracking.contract import CHALLENGER, CHAMPION, LiveChange, check, no_run, no_version
from workflows.tracking.entries import RunEntry


class MemoryTracking:
    """A `Tracking` that forgets everything when it goes: for tests, and for runs without MLflow.

    Examples
    --------
    >>> tracking = MemoryTracking()
    >>> run = tracking.log_run("remedies", "filter", metrics={"accuracy_drift": 0.97})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     version = tracking.register("digits", Path(folder), run)
    >>> tracking.set_alias("digits", "champion", version)
    >>> tracking.version_of("digits", "champion"), tracking.version_of("digits", "challenger")
    ('1', None)
    """

    def __init__(self) -> None:
        self.runs: dict[str, Mapping[str, object]] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._versions: dict[str, list[str]] = {}  # model -> run id of versions 1, 2, ...
        self._aliases: dict[tuple[str, str], str] = {}
        self._digests: dict[str, dict[str, str]] = {}  # model -> digest -> version
        self._live: list[LiveChange] = []
        self._files = tempfile.TemporaryDirectory(prefix="scanflow-tracking-")

    def log_run(
        self, experiment: str, name: str, *, params: Mapping[str, object] | None = None, metrics: Mapping[str, float] | None = None,
        artifacts: Sequence[Path] = (), tags: Mapping[str, str] | None = None, key: str | None = None,
    ) -> str:
        check(experiment, metrics or {}, artifacts, key)
        run_id = uuid4().hex
        if key is not None and (known := self._keys.setdefault((experiment, key), run_id)) != run_id:
            return known
        self.runs[run_id] = {
            "experiment": experiment, "name": name, "params": dict(params or {}), "metrics": dict(metrics or {}), "tags": dict(tags or {}),
            "artifacts": tuple(path.name for path in artifacts),
        }
        return run_id

    def register(self, model: str, folder: Path, run_id: str, tags: Mapping[str, str] | None = None) -> str:
        del tags  # nothing reads them back
        check(model, {}, (folder,))
        if run_id not in self.runs:
            raise no_run(run_id)
        return self._register(model, folder, run_id)

    def _register(self, model: str, folder: Path, run_id: str) -> str:
        runs = self._versions.setdefault(model, [])
        if run_id not in runs:
            shutil.copytree(folder, Path(self._files.name, model, str(len(runs) + 1)))
            runs.append(run_id)
        return str(runs.index(run_id) + 1)

    def set_alias(self, model: str, alias: str, version: str) -> None:
        self.folder(model, version)
        self._aliases[model, alias] = version

    def version_of(self, model: str, alias: str) -> str | None:
        return self._aliases.get((model, alias))

    def folder(self, model: str, version: str) -> Path:
        versions = [str(number) for number, _ in enumerate(self._versions.get(model, []), 1)]
        if version not in versions:
            raise no_version(model, version, versions)
        return Path(self._files.name, model, version)

    def record(self, entry: RunEntry) -> str:
        check(entry.experiment, entry.metrics, tuple(entry.files.values()), entry.key)
        run_id = self._keys.setdefault((entry.experiment, entry.key), uuid4().hex)
        self.runs[run_id] = {
            "experiment": entry.experiment, "name": entry.name, "params": dict(entry.params), "metrics": dict(entry.metrics),
            "tags": dict(entry.tags), "artifacts": (*entry.texts, *entry.files), "status": entry.status,
            "inside": [self.record(one) for one in entry.inside],
        }  # fmt: skip
        for model in entry.models:
            known = self._digests.setdefault(model.name, {})
            if model.digest not in known:
                known[model.digest] = self._register(model.name, model.folder, uuid4().hex)
                self.set_alias(model.name, CHALLENGER, known[model.digest])
                self._aliases.setdefault((model.name, CHAMPION), known[model.digest])
        return run_id

    def live_changed(
        self, deployment: str, version: str, pipeline: str, reason: str, incident: str | None, at: float, by: str | None = None,
    ) -> None:
        change = LiveChange(deployment, version, pipeline, reason, incident, at, by)
        if change not in self._live:
            self._live.append(change)

    def live_history(self, deployment: str) -> tuple[LiveChange, ...]:
        return tuple(sorted((change for change in self._live if change.deployment == deployment), key=lambda change: change.at))

    def deployments(self) -> tuple[str, ...]:
        return tuple(sorted({change.deployment for change in self._live}))
