"""A `Tracking` in MLflow."""

import fcntl
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlparse
from urllib.request import getproxies

from workflows.tracking.contract import CHALLENGER, CHAMPION, LIVE, LiveChange, TrackingError, check, no_run, no_version, without_password
from workflows.tracking.entries import ModelEntry, RunEntry
from workflows.tracking.writing import KEY, PREFIX, write

if TYPE_CHECKING:
    from workflows.tracking.door import MlflowClient
    from workflows.tracking.door import Run
    from workflows.tracking.door import ModelVersion
    from workflows.tracking.door import PagedList

T = TypeVar("T")
DIGEST = PREFIX + "digest"
REACH = 3.0  # seconds for a server to accept a connection


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
        self.database = self._state / "mlflow.db"  # where `own`: no other store is named
        self.own = not (uri or os.environ.get("MLFLOW_TRACKING_URI"))
        self.uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.database}"
        self.where = without_password(self.uri)
        self._opening = threading.Lock()
        self._client: MlflowClient | None = None

    @property
    def _mlflow(self) -> "MlflowClient":
        with self._opening:  # two first calls at once must not both create the tables
            if self._client is None:
                from workflows.tracking.door import MlflowClient

                with _teaching(f"the tracking store {self.where} cannot be opened"), self._alone():
                    self.reach()
                    client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                    client.search_experiments(max_results=1)
                self._client = client
            return self._client

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of processes that open the state folder's database, one at a time: the first makes its tables."""
        if not self.own:
            yield
            return
        self._state.mkdir(parents=True, exist_ok=True)
        with (self._state / "mlflow.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def reach(self) -> None:
        """Find out at once whether a server can be reached at all, without MLflow, which would try for minutes. Raises `TrackingError`."""
        url = urlparse(self.uri)
        if url.scheme not in {"http", "https"} or getproxies():
            return
        try:
            socket.create_connection((url.hostname or "", url.port or (443 if url.scheme == "https" else 80)), timeout=REACH).close()
        except (OSError, ValueError) as error:
            raise TrackingError(f"the tracking server {self.where} does not answer ({error}); start it, or correct MLFLOW_TRACKING_URI") from error

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
        check(experiment, metrics or {}, artifacts, key)
        keyed = dict(tags or {}) | ({} if key is None else {KEY: key})
        return self._log(experiment, name, time.time(), params or {}, metrics or {}, artifacts, keyed)

    def _log(
        self, experiment: str, name: str, at: float, params: Mapping[str, object], metrics: Mapping[str, float], artifacts: Sequence[Path],
        tags: Mapping[str, str],
    ) -> str:
        from workflows.tracking.door import Metric, Param, RunTag

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
        from workflows.tracking.door import MlflowException

        client = self._mlflow
        if (found := client.get_experiment_by_name(name)) is not None:
            return str(found.experiment_id)
        location = (self._state / "mlartifacts" / name.replace(" ", "-")).as_uri() if self.own else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            if (found := client.get_experiment_by_name(name)) is None:  # not made by another process in the meantime
                raise
            return str(found.experiment_id)

    def _runs(self, experiment_id: str, condition: str = "", status: str = "attributes.status = 'FINISHED'") -> "Iterator[Run]":
        where = " and ".join(filter(None, [status, condition]))
        return _all_pages(lambda page: self._mlflow.search_runs([experiment_id], where, page_token=page))

    def _finished(self, experiment_id: str, key: str) -> str | None:
        return next((str(run.info.run_id) for run in self._runs(experiment_id, f"tags.`{KEY}` = '{key}'")), None)

    def register(self, model: str, folder: Path, run_id: str, tags: Mapping[str, str] | None = None) -> str:
        from workflows.tracking.door import MlflowException

        check(model, {}, (folder,))
        client = self._mlflow
        with _teaching(f"{folder} could not be registered as a version of {model!r}"):
            try:
                run = client.get_run(run_id)
            except MlflowException as error:
                raise no_run(run_id) from error
            if (known := next((found for found in self._versions(model) if found.run_id == run_id), None)) is not None:
                return str(known.version)
            self._named(model)
            made = self._new_version(model, folder, run_id, str(run.info.artifact_uri), tags or {})
        return str(made.version)

    def _new_version(self, model: str, folder: Path, run_id: str, artifacts: str, tags: Mapping[str, str]) -> "ModelVersion":
        """Copy a folder and make it the next version. A pipeline gets its signature beside it, and says what its reference is."""
        from workflows.tracking.signature import MLMODEL, manifest_of, mlmodel, tags_of

        client, place = self._mlflow, f"models/{model}"
        client.log_artifacts(run_id, str(folder), place)
        if (manifest := manifest_of(folder)) is not None:
            client.log_text(run_id, mlmodel(manifest, run_id), f"{place}/{MLMODEL}")
            tags = tags_of(manifest) | dict(tags)
        return client.create_model_version(model, f"{artifacts}/{place}", run_id, tags={label: str(value) for label, value in tags.items()})

    def record(self, entry: RunEntry) -> str:
        check(entry.experiment, entry.metrics, tuple(entry.files.values()), entry.key)
        with _teaching(f"the run {entry.name!r} of experiment {entry.experiment!r} could not be recorded"):
            experiment = self._experiment(entry.experiment)
            found = {run.data.tags.get(KEY): run for run in self._runs(experiment, f"tags.`{KEY}` = '{entry.key}'", status="")}
            run_id = write(self._mlflow, experiment, entry, found.get(entry.key), None)
            self._register_made(entry, run_id)
            inside = {run.data.tags.get(KEY): run for run in self._runs(experiment, f"tags.`mlflow.parentRunId` = '{run_id}'", status="")}
            for one in entry.inside:
                check(one.experiment, one.metrics, tuple(one.files.values()), one.key)
                self._register_made(one, write(self._mlflow, experiment, one, inside.get(one.key), run_id))
        return run_id

    def _register_made(self, entry: RunEntry, run_id: str) -> None:
        for model in entry.models:
            check(model.name, {}, (model.folder,))
            if not any(version.tags.get(DIGEST) == model.digest for version in self._versions(model.name)):
                self._register_new(model, run_id)

    def _register_new(self, model: ModelEntry, run_id: str) -> None:
        """Register a folder as the challenger; as the champion too, where there is none to challenge."""
        self._named(model.name)
        artifacts = str(self._mlflow.get_run(run_id).info.artifact_uri)
        made = self._new_version(model.name, model.folder, run_id, artifacts, {DIGEST: model.digest, **model.tags})
        self.set_alias(model.name, CHALLENGER, str(made.version))
        if self.version_of(model.name, CHAMPION) is None:
            self.set_alias(model.name, CHAMPION, str(made.version))

    def _named(self, model: str) -> None:
        """Make sure that the registry knows a model of this name."""
        from workflows.tracking.door import MlflowException

        try:
            self._mlflow.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _versions(self, model: str) -> "list[ModelVersion]":
        found = _all_pages(lambda page: self._mlflow.search_model_versions(f"name = '{model}'", page_token=page))
        return sorted(found, key=lambda version: int(version.version))

    def set_alias(self, model: str, alias: str, version: str) -> None:
        self._version(model, version)
        with _teaching(f"alias {alias!r} of {model!r} could not be set"):
            self._mlflow.set_registered_model_alias(model, alias, version)

    def version_of(self, model: str, alias: str) -> str | None:
        from workflows.tracking.door import MlflowException

        with _teaching(f"alias {alias!r} of {model!r} could not be read"):
            try:
                return str(self._mlflow.get_model_version_by_alias(model, alias).version)
            except MlflowException as error:
                # MLflow answers the first for an unknown model and the second for an unknown alias.
                if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    raise
                return None

    def _version(self, model: str, version: str) -> "ModelVersion":
        from workflows.tracking.door import MlflowException

        with _teaching(f"version {version} of {model!r} could not be read"):
            try:
                return self._mlflow.get_model_version(model, version)
            except MlflowException as error:
                if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    raise
                raise no_version(model, version, [str(found.version) for found in self._versions(model)]) from error

    def folder(self, model: str, version: str) -> Path:
        source = urlparse(str(self._version(model, version).source))
        if source.scheme == "file":
            return Path(unquote(source.path))
        with _teaching(f"the files of version {version} of {model!r} could not be fetched"):
            # From a tracking server: fetched once, since a version never changes.
            target = self._state / "fetched" / model / version
            if not target.is_dir():
                from workflows.tracking.door import download_artifacts

                target.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=target.parent) as partial:
                    got = download_artifacts(artifact_uri=source.geturl(), dst_path=partial, tracking_uri=self.uri)
                    shutil.move(got, target)  # whole or not at all
            return target

    def live_changed(
        self, deployment: str, version: str, pipeline: str, reason: str, incident: str | None, at: float, by: str | None = None,
    ) -> None:
        change = LiveChange(deployment, version, pipeline, reason, incident, at, by)
        if change in self.live_history(deployment):
            return
        fields = {PREFIX + label: str(value) for label, value in asdict(change).items() if value is not None}
        self._log(_live(deployment), pipeline, at, {}, {}, (), fields)

    def live_history(self, deployment: str) -> tuple[LiveChange, ...]:
        with _teaching(f"the history of {deployment!r} could not be read"):
            if (found := self._mlflow.get_experiment_by_name(_live(deployment))) is None:
                return ()
            tags = [run.data.tags for run in self._runs(found.experiment_id)]
            changes = [_change(one) for one in tags if PREFIX + "deployment" in one]  # other runs may stand in it, too
        return tuple(sorted(changes, key=lambda change: change.at))

    def deployments(self) -> tuple[str, ...]:
        with _teaching("the deployments could not be read"):
            found = _all_pages(lambda page: self._mlflow.search_experiments(filter_string=f"name LIKE '{LIVE}%'", page_token=page))
            names = sorted(str(experiment.name).removeprefix(LIVE) for experiment in found)
            return tuple(name for name in names if self.live_history(name))


def _all_pages(search: "Callable[[str | None], PagedList[T]]") -> Iterator[T]:
    page = search(None)
    yield from page
    while page.token:
        yield from (page := search(page.token))


def _live(deployment: str) -> str:
    return f"{LIVE}{deployment}"


def _change(tags: Mapping[str, str]) -> LiveChange:
    own = {label.removeprefix(PREFIX): value for label, value in tags.items() if label.startswith(PREFIX)}
    return LiveChange(own["deployment"], own["version"], own["pipeline"], own["reason"], own.get("incident"), float(own["at"]), own.get("by"))


@contextmanager
def _teaching(what: str) -> Iterator[None]:
    """Turn the errors of MLflow and the disk into one that says what was being done."""
    from workflows.tracking.door import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise TrackingError(f"{what}: {error}") from error
