"""How a `RunEntry` is written to MLflow: few large requests, nothing twice, and what MLflow cannot hold made to fit."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from workflows.tracking.entries import DataSet, RunEntry

if TYPE_CHECKING:
    from workflows.tracking.door import MlflowClient
    from workflows.tracking.door import DatasetInput, Run

T = TypeVar("T")
PREFIX = "scanflow."  # of our tags, so that they do not meet other people's
KEY, WRITTEN = PREFIX + "key", PREFIX + "written"
PARAM_LENGTH, TAG_LENGTH, NAME_LENGTH, DIGEST_LENGTH = 6000, 8000, 250, 36  # MLflow's limits
METRICS_AT_ONCE, OTHERS_AT_ONCE = 900, 90
STATUS = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}


def write(client: "MlflowClient", experiment: str, entry: RunEntry, known: "Run | None", parent: str | None) -> str:
    """Write one run, without those inside it; `known` is what MLflow has of it already. Returns its id.

    A mark of all that it says is set last: a run that bears it is complete, and is passed over.
    """
    from workflows.tracking.door import Metric, Param, RunTag

    mark = fingerprint(entry)
    if known is not None and known.data.tags.get(WRITTEN) == mark:
        return str(known.info.run_id)
    if known is None:
        tags = {KEY: entry.key} | ({"mlflow.parentRunId": parent} if parent else {})
        run_id = str(client.create_run(experiment, start_time=_stamp(entry.started), tags=tags, run_name=entry.name).info.run_id)
    else:
        run_id = str(known.info.run_id)
    before = {} if known is None else known.data.params  # a parameter cannot be changed; those that differ belong to another key
    params = [Param(name, _cut(value, PARAM_LENGTH)) for name, value in names_that_fit(entry.params).items() if name not in before]
    at = _stamp(entry.ended or entry.started)
    metrics = [Metric(name, value, at, 0) for name, value in names_that_fit(entry.metrics).items()]
    tags_ = [RunTag(name, _cut(value, TAG_LENGTH)) for name, value in entry.tags.items()]
    for few_params in _parts(params, OTHERS_AT_ONCE):
        client.log_batch(run_id, params=few_params)
    for few_tags in _parts(tags_, OTHERS_AT_ONCE):
        client.log_batch(run_id, tags=few_tags)
    for few_metrics in _parts(metrics, METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=few_metrics)
    if entry.data:
        client.log_inputs(run_id, [_input(one) for one in entry.data])
    for name, text in entry.texts.items():
        client.log_text(run_id, text, name)
    for name, path in entry.files.items():
        client.log_artifacts(run_id, str(path), name) if path.is_dir() else client.log_artifact(run_id, str(path), name)
    if entry.status == "running":
        client.update_run(run_id, "RUNNING")
    else:
        client.set_terminated(run_id, STATUS[entry.status], at)
    client.set_tag(run_id, WRITTEN, mark)
    return run_id


def fingerprint(entry: RunEntry) -> str:
    """One name for all that an entry says of its own run."""
    return hashlib.sha256(repr(replace(entry, inside=())).encode(errors="surrogateescape")).hexdigest()


def names_that_fit(values: Mapping[str, T]) -> dict[str, T]:
    """The same values under names that MLflow accepts; where two would become one, the second gets a number.

    >>> names_that_fit({"sweep[1].lr": 0.1, "sweep.1.lr": 0.2, "sweep_1_.lr": 0.3})
    {'sweep_1_.lr': 0.1, 'sweep.1.lr': 0.2, 'sweep_1_.lr 2': 0.3}
    """
    found: dict[str, T] = {}
    for name, value in values.items():
        fits = re.sub(r"[^A-Za-z0-9_. -]", "_", name).strip(". ")[: NAME_LENGTH - 8] or "_"
        number, fresh = 2, fits
        while fresh in found:
            fresh, number = f"{fits} {number}", number + 1
        found[fresh] = value
    return found


def _input(data: DataSet) -> "DatasetInput":
    from workflows.tracking.door import Dataset, DatasetInput, InputTag

    digest = data.digest.rpartition(":")[2][:DIGEST_LENGTH]
    return DatasetInput(Dataset(data.name, digest, "local", data.source), [InputTag("digest", data.digest)])


def _parts(values: Sequence[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _stamp(seconds: float) -> int:
    """MLflow counts milliseconds."""
    return round(seconds * 1000)
