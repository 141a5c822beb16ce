"""The record of runs, model versions and what was live when, kept in MLflow: the only module that imports it.

The ledger is the truth about decisions; this is the place where a person looks up the numbers and files behind them, with
MLflow's own tools. `Tracking` is what the rest of the project knows; `MlflowTracking` and its twin `MemoryTracking` pass the same
contract tests. MLflow is imported, and its database opened, at the first call and not before: that takes seconds, so one process (the
cluster's) tracks for all, and the tasks that prepare remedies hand back their numbers and folders instead of logging them.

MLflow keeps which version carries an alias *now*, but no history of it. So each change of what is live is a run of its own in the
experiment `live NAME`, and `live_history` reads them back.
"""

import math
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import unquote, urlparse
from uuid import uuid4

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.store.entities import PagedList

# MLflow reads these when it is imported, which any method below may do first. A user's own setting is left as it is.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

T = TypeVar("T")
NAME = re.compile(r"[A-Za-z0-9_. -]{1,200}")
RUN_KEY = re.compile(r"[A-Za-z0-9_.:/#@+ -]{1,200}")  # what the ids of our messages are made of, and nothing that a filter has to quote
PREFIX = "scanflow."  # of our tags, so that they do not meet other people's
KEY = PREFIX + "key"


class TrackingError(Exception):
    """Something could not be recorded or was never recorded; the message says what, and what is there instead."""


@dataclass(frozen=True)
class LiveChange:
    """From `at` (UTC seconds) on, `deployment` answered with `pipeline`, a model's `version`; `reason` is a sentence.

    `incident` names the incident that led to it; None where there was none, as for the first model.
    """

    deployment: str
    version: str
    pipeline: str
    reason: str
    incident: str | None
    at: float


class Tracking(Protocol):
    """What the project asks of an experiment tracker and model registry. All raise `TrackingError`; all may be called again.

    Effects are keyed, because a recovered agent may repeat them: a `key` given to `log_run`, the run for `register`, all fields
    for `live_changed`. The second call with the same key changes nothing and returns what the first one returned.
    """

    def log_run(
        self, experiment: str, name: str, *, params: Mapping[str, object] | None = None, metrics: Mapping[str, float] | None = None,
        artifacts: Sequence[Path] = (), tags: Mapping[str, str] | None = None, key: str | None = None,
    ) -> str:
        """Record one finished run and return its id. `artifacts` are files or folders, copied; metrics must be finite."""

    def register(self, model: str, folder: Path, run_id: str, tags: Mapping[str, str] | None = None) -> str:
        """Copy `folder` (a pipeline) into the registry as the next version of `model`, made by run `run_id`; return the version."""

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Let `alias` (champion, challenger) name this version, and no longer the one before."""

    def version_of(self, model: str, alias: str) -> str | None:
        """Return the version that `alias` names; None if there is no such model or alias."""

    def folder(self, model: str, version: str) -> Path:
        """Return a local folder with the files of this version, as they were when it was registered. To be read, not changed."""

    def live_changed(self, deployment: str, version: str, pipeline: str, reason: str, incident: str | None, at: float) -> None:
        """Record that from `at` (UTC seconds) on `deployment` answers with `pipeline`."""

    def live_history(self, deployment: str) -> tuple[LiveChange, ...]:
        """Return what was live when and why, oldest first; empty for an unknown deployment."""


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
        self._live: list[LiveChange] = []
        self._files = tempfile.TemporaryDirectory(prefix="scanflow-tracking-")

    def log_run(
        self, experiment: str, name: str, *, params: Mapping[str, object] | None = None, metrics: Mapping[str, float] | None = None,
        artifacts: Sequence[Path] = (), tags: Mapping[str, str] | None = None, key: str | None = None,
    ) -> str:
        _check(experiment, metrics or {}, artifacts, key)
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
        _check(model, {}, (folder,))
        if run_id not in self.runs:
            raise _no_run(run_id)
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
            raise _no_version(model, version, versions)
        return Path(self._files.name, model, version)

    def live_changed(self, deployment: str, version: str, pipeline: str, reason: str, incident: str | None, at: float) -> None:
        change = LiveChange(deployment, version, pipeline, reason, incident, at)
        if change not in self._live:
            self._live.append(change)

    def live_history(self, deployment: str) -> tuple[LiveChange, ...]:
        return tuple(sorted((change for change in self._live if change.deployment == deployment), key=lambda change: change.at))


class MlflowTracking:
    """A `Tracking` in MLflow: by default a SQLite file and an artefact folder under `state`.

    Parameters
    ----------
    state : the state folder; holds `mlflow.db` and `mlartifacts/`.
    uri : a tracking server or database to use instead; default is the environment's MLFLOW_TRACKING_URI, if set. The artefacts then
        lie where that server keeps them.
    """

    def __init__(self, state: Path, uri: str | None = None) -> None:
        self._state = state.absolute()
        self._own = not (uri or os.environ.get("MLFLOW_TRACKING_URI"))
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self._state / 'mlflow.db'}"
        self._opening = threading.Lock()
        self._client: MlflowClient | None = None

    @property
    def _mlflow(self) -> "MlflowClient":
        with self._opening:  # two first calls at once must not both create the tables
            if self._client is None:
                from mlflow import MlflowClient

                with _teaching(f"the tracking store {self.uri} cannot be opened"):
                    if self._own:
                        self._state.mkdir(parents=True, exist_ok=True)
                    self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                    self._client.search_experiments(max_results=1)
            return self._client

    def warm(self) -> threading.Thread:
        """Import MLflow and open its database in another thread, so that the first call need not wait for it.

        A failure there is not lost: the first call tries again and raises it.
        """

        def open_store() -> None:
            with suppress(TrackingError):
                _ = self._mlflow

        thread = threading.Thread(target=open_store, name="tracking-warm-up", daemon=True)
        thread.start()
        return thread

    def log_run(
        self, experiment: str, name: str, *, params: Mapping[str, object] | None = None, metrics: Mapping[str, float] | None = None,
        artifacts: Sequence[Path] = (), tags: Mapping[str, str] | None = None, key: str | None = None,
    ) -> str:
        _check(experiment, metrics or {}, artifacts, key)
        keyed = dict(tags or {}) | ({} if key is None else {KEY: key})
        return self._log(experiment, name, time.time(), params or {}, metrics or {}, artifacts, keyed)

    def _log(
        self, experiment: str, name: str, at: float, params: Mapping[str, object], metrics: Mapping[str, float], artifacts: Sequence[Path],
        tags: Mapping[str, str],
    ) -> str:
        from mlflow.entities import Metric, Param, RunTag

        client, stamp = self._mlflow, round(at * 1000)  # MLflow counts milliseconds
        with _teaching(f"the run {name!r} of experiment {experiment!r} could not be recorded"):
            experiment_id = self._experiment(experiment)
            if (key := tags.get(KEY)) is not None and (known := self._finished(experiment_id, key)):
                return known
            run_id = client.create_run(experiment_id, start_time=stamp, run_name=name).info.run_id
            status = "FAILED"
            try:
                client.log_batch(
                    run_id,
                    metrics=[Metric(label, float(value), stamp, 0) for label, value in metrics.items()],
                    params=[Param(label, str(value)) for label, value in params.items()],
                    tags=[RunTag(label, str(value)) for label, value in tags.items()],
                )
                for path in artifacts:
                    client.log_artifacts(run_id, str(path), path.name) if path.is_dir() else client.log_artifact(run_id, str(path))
                status = "FINISHED"
            finally:
                client.set_terminated(run_id, status, stamp)
        return str(run_id)

    def _experiment(self, name: str) -> str:
        from mlflow import MlflowException

        client = self._mlflow
        if (found := client.get_experiment_by_name(name)) is not None:
            return str(found.experiment_id)
        location = (self._state / "mlartifacts" / name.replace(" ", "-")).as_uri() if self._own else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            if (found := client.get_experiment_by_name(name)) is None:  # not made by another process in the meantime
                raise
            return str(found.experiment_id)

    def _runs(self, experiment_id: str, condition: str = "") -> "Iterator[Run]":
        where = " and ".join(filter(None, ["attributes.status = 'FINISHED'", condition]))
        return _all_pages(lambda page: self._mlflow.search_runs([experiment_id], where, page_token=page))

    def _finished(self, experiment_id: str, key: str) -> str | None:
        return next((str(run.info.run_id) for run in self._runs(experiment_id, f"tags.`{KEY}` = '{key}'")), None)

    def register(self, model: str, folder: Path, run_id: str, tags: Mapping[str, str] | None = None) -> str:
        from mlflow import MlflowException

        _check(model, {}, (folder,))
        client = self._mlflow
        with _teaching(f"{folder} could not be registered as a version of {model!r}"):
            try:
                run = client.get_run(run_id)
            except MlflowException as error:
                raise _no_run(run_id) from error
            if (known := next((found for found in self._versions(model) if found.run_id == run_id), None)) is not None:
                return str(known.version)
            try:
                client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            client.log_artifacts(run_id, str(folder), f"models/{model}")
            made = client.create_model_version(
                model, f"{run.info.artifact_uri}/models/{model}", run_id, tags={label: str(value) for label, value in (tags or {}).items()},
            )
        return str(made.version)

    def _versions(self, model: str) -> "list[ModelVersion]":
        found = _all_pages(lambda page: self._mlflow.search_model_versions(f"name = '{model}'", page_token=page))
        return sorted(found, key=lambda version: int(version.version))

    def set_alias(self, model: str, alias: str, version: str) -> None:
        self._version(model, version)
        with _teaching(f"alias {alias!r} of {model!r} could not be set"):
            self._mlflow.set_registered_model_alias(model, alias, version)

    def version_of(self, model: str, alias: str) -> str | None:
        from mlflow import MlflowException

        with _teaching(f"alias {alias!r} of {model!r} could not be read"):
            try:
                return str(self._mlflow.get_model_version_by_alias(model, alias).version)
            except MlflowException as error:
                # MLflow answers the first for an unknown model and the second for an unknown alias.
                if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    raise
                return None

    def _version(self, model: str, version: str) -> "ModelVersion":
        from mlflow import MlflowException

        with _teaching(f"version {version} of {model!r} could not be read"):
            try:
                return self._mlflow.get_model_version(model, version)
            except MlflowException as error:
                if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    raise
                raise _no_version(model, version, [str(found.version) for found in self._versions(model)]) from error

    def folder(self, model: str, version: str) -> Path:
        source = urlparse(str(self._version(model, version).source))
        if source.scheme == "file":
            return Path(unquote(source.path))
        with _teaching(f"the files of version {version} of {model!r} could not be fetched"):
            # From a tracking server: fetched once, since a version never changes.
            target = self._state / "fetched" / model / version
            if not target.is_dir():
                from mlflow.artifacts import download_artifacts

                target.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=target.parent) as partial:
                    got = download_artifacts(artifact_uri=source.geturl(), dst_path=partial, tracking_uri=self.uri)
                    shutil.move(got, target)  # whole or not at all
            return target

    def live_changed(self, deployment: str, version: str, pipeline: str, reason: str, incident: str | None, at: float) -> None:
        change = LiveChange(deployment, version, pipeline, reason, incident, at)
        if change in self.live_history(deployment):
            return
        fields = {PREFIX + label: str(value) for label, value in asdict(change).items() if value is not None}
        self._log(_live(deployment), pipeline, at, {}, {}, (), fields)

    def live_history(self, deployment: str) -> tuple[LiveChange, ...]:
        with _teaching(f"the history of {deployment!r} could not be read"):
            if (found := self._mlflow.get_experiment_by_name(_live(deployment))) is None:
                return ()
            changes = [_change(run.data.tags) for run in self._runs(found.experiment_id)]
        return tuple(sorted(changes, key=lambda change: change.at))


def _all_pages(search: "Callable[[str | None], PagedList[T]]") -> Iterator[T]:
    page = search(None)
    yield from page
    while page.token:
        yield from (page := search(page.token))


def _live(deployment: str) -> str:
    return f"live {deployment}"


def _change(tags: Mapping[str, str]) -> LiveChange:
    own = {label.removeprefix(PREFIX): value for label, value in tags.items() if label.startswith(PREFIX)}
    return LiveChange(own["deployment"], own["version"], own["pipeline"], own["reason"], own.get("incident"), float(own["at"]))


def _check(name: str, metrics: Mapping[str, float], paths: Sequence[Path], key: str | None = None) -> None:
    """Refuse in both twins what only one of them would refuse by itself."""
    if not NAME.fullmatch(name):
        raise TrackingError(f"{name!r} cannot name an experiment or a model: use 1 to 200 letters, digits, spaces and . _ -")
    if key is not None and not RUN_KEY.fullmatch(key):
        raise TrackingError(f"{key!r} cannot be a run's key: use the id of a message, of letters, digits, spaces and . _ : / # @ + -")
    for label, value in metrics.items():
        if not math.isfinite(value):
            raise TrackingError(f"metric {label!r} is {value}: a run records what was measured; leave out what was not")
    for path in paths:
        if not path.exists():
            raise TrackingError(f"{path} is not there, so it cannot be recorded; write it before you log the run")


def _no_run(run_id: str) -> TrackingError:
    return TrackingError(f"there is no run {run_id!r}: a version is registered with the run that made it; call log_run first")


def _no_version(model: str, version: str, known: Sequence[str]) -> TrackingError:
    there = f"its versions are {', '.join(known)}" if known else "it has none; register a pipeline folder first"
    return TrackingError(f"{model!r} has no version {version!r}: {there}")


@contextmanager
def _teaching(what: str) -> Iterator[None]:
    """Turn the errors of MLflow and the disk into one that says what was being done."""
    from mlflow import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise TrackingError(f"{what}: {error}") from error
