"""What the project asks of an experiment tracker and model registry, and what both twins refuse alike."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workflows.tracking.entries import RunEntry

NAME = re.compile(r"[A-Za-z0-9_. -]{1,200}")
RUN_KEY = re.compile(r"[A-Za-z0-9_.:/#@+ -]{1,200}")  # what the ids of our messages are made of, and nothing that a filter has to quote
LIVE = "live "  # begins the names of experiments that tell what was live
CHAMPION, CHALLENGER = "champion", "challenger"


def without_password(text: str) -> str:
    """A text for people and logs, with the users and passwords of the addresses in it left out.

    >>> without_password("http://me:se@cret@host/path does not answer")
    'http://host/path does not answer'
    """
    return re.sub(r"//[^\s/]*@", "//", text)


class TrackingError(Exception):
    """Something could not be recorded or was never recorded; the message says what, and what is there instead, but no password."""

    def __init__(self, text: str) -> None:
        super().__init__(without_password(text))


@dataclass(frozen=True)
class LiveChange:
    """From `at` (UTC seconds) on, `deployment` answered with `pipeline`, a model's `version`; `reason` is a sentence.

    `incident` names the incident that led to it; None where there was none, as for the first model. `by`: who approved it or asked for it;
    None where nobody was asked, or where that is not known.
    """

    deployment: str
    version: str
    pipeline: str
    reason: str
    incident: str | None
    at: float
    by: str | None = None


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

    def record(self, entry: RunEntry) -> str:
        """Record a run with those inside it and return its id; recorded again, what is new is added. `entry.key` tells it from others.

        Its models become versions of the registry, each content once; the newest is the challenger, and the first of all the champion.
        """

    def live_changed(
        self, deployment: str, version: str, pipeline: str, reason: str, incident: str | None, at: float, by: str | None = None,
    ) -> None:
        """Record that from `at` (UTC seconds) on `deployment` answers with `pipeline`."""

    def live_history(self, deployment: str) -> tuple[LiveChange, ...]:
        """Return what was live when and why, oldest first; empty for an unknown deployment."""

    def deployments(self) -> tuple[str, ...]:
        """Return the names of all deployments of which it is known what was live, in order."""


def check(name: str, metrics: Mapping[str, float], paths: Sequence[Path], key: str | None = None) -> None:
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


def no_run(run_id: str) -> TrackingError:
    return TrackingError(f"there is no run {run_id!r}: a version is registered with the run that made it; call log_run first")


def no_version(model: str, version: str, known: Sequence[str]) -> TrackingError:
    there = f"its versions are {', '.join(known)}" if known else "it has none; register a pipeline folder first"
    return TrackingError(f"{model!r} has no version {version!r}: {there}")
