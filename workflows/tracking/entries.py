"""What a tracker is given of a run of a workflow, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Status = Literal["running", "finished", "failed", "killed"]


@dataclass(frozen=True)
class DataSet:
    """Data that a run was given: its name, a digest of its content, and the place where it lay."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class ModelEntry:
    """A pipeline folder that a run made, to be registered under `name`; one with the same `digest` is registered once."""

    name: str
    folder: Path
    digest: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunEntry:
    """A run, perhaps with others inside it.

    Parameters
    ----------
    key : tells it from all other runs of its experiment, and makes recording it twice the same as recording it once.
    started, ended : UTC seconds; `ended` is None while it runs.
    metrics : finite.
    texts, files : what is kept with it, by name: texts, and files or folders to be copied.
    data : the data sets that it was given.
    inside : runs nested in this one; their `experiment` is the same.
    """

    experiment: str
    key: str
    name: str
    status: Status
    started: float
    ended: float | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    data: tuple[DataSet, ...] = ()
    models: tuple[ModelEntry, ...] = ()
    inside: "tuple[RunEntry, ...]" = ()
