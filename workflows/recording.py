"""A run in the record: what of its folder goes to MLflow, and how nothing is lost when MLflow cannot be reached.

All that is recorded is made from the run's folder, so it can be done at any time after, by any process. `tracked.json` in it says whether it
was, or why not; what was not is tried again whenever another run of the same state folder is recorded, or by `python -m workflows track`.

One experiment holds the runs of one workflow, named after its graph. A run holds one nested run for each task that was begun or taken from
before. Artefacts up to `COPIED` bytes are copied; of larger ones, and of all others too, `artefacts.json` tells type, digest, size and
place, and which are gone. Folders of the type "pipeline" become versions of a model.
"""

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from workflows.artefacts import read_note, write_whole
from workflows.drawing.mermaid import mermaid
from workflows.drawing.svg import svg
from workflows.events import DONE
from workflows.graph import Graph, GraphError, Step
from workflows.graph_files import write as write_graph
from workflows.journal import read_journal
from workflows.plan import Plan, plan
from workflows.runs import LOG, RUN, Run, RunError
from workflows.tracking import LIVE, DataSet, ModelEntry, RunEntry, Tracking, TrackingError

TRACKED, LOCK = "tracked.json", "tracking.lock"
COPIED = 10 * 2**20  # bytes of one artefact
LOG_COPIED = 2**20  # bytes of one log, from its end
PIPELINE = "pipeline"  # the type of artefacts that are registered as models


class Recorded(msgspec.Struct, frozen=True):
    """What has become of a run's record. `run_id` is MLflow's, empty while it has none; `why`: what stood in the way."""

    run_id: str = ""
    store: str = ""
    why: str = ""


def record(run: Run, tracking: Tracking, store: str) -> Recorded:
    """Record a run, and note in its folder that it was, or why not. Raises `RunError` if the folder cannot be read."""
    entry = entry_of(run)
    try:
        found = Recorded(tracking.record(entry), store)
    except TrackingError as error:
        found = Recorded("", store, str(error))
    _note(run, found)
    return found


def expect(run: Run, store: str, why: str = "") -> None:
    """Note that a run is still to be recorded, and why it is not, if that is known."""
    _note(run, Recorded("", store, why))


def recorded(run: Run) -> Recorded | None:
    """What has become of a run's record; None if nobody asked for one."""
    note = read_note(run.folder / TRACKED)
    return None if note is None else msgspec.convert(note, Recorded)


def unrecorded(runs: Path) -> list[Run]:
    """The runs that were to be recorded and are not, oldest first."""
    marks = sorted(runs.glob(f"*/{TRACKED}"), key=lambda mark: mark.stat().st_mtime)
    found = [(Run(mark.parent), recorded(Run(mark.parent))) for mark in marks]
    return [run for run, state in found if state is not None and not state.run_id]


@contextmanager
def one_at_a_time(state: Path) -> Iterator[None]:
    """Hold what only one process of a state folder should do at once: several that record cost each other more than they gain."""
    with (state / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def entry_of(run: Run) -> RunEntry:
    """What of a run is recorded, from its folder. Raises `RunError`."""
    request, notes = run.request(), read_journal(run.folder)
    begun = [note for note in notes if note["kind"] == "begun"]
    if request.graph is None or not begun:
        raise RunError(f"the run {run.name} has no journal, so there is nothing to record; it was made by an older version, or never began")
    graph, last = request.graph, begun[-1]
    try:
        laid = plan(graph, request.params)
    except GraphError as error:
        raise RunError(f"{run.folder / RUN}: {error}") from error
    over = next((note for note in reversed(notes) if note["kind"] == "over" and note["at"] >= last["at"]), None)
    experiment = _name(graph.name)
    # A resumed run with other parameters is another run to MLflow, which cannot change a parameter.
    params = {name: _text(value) for name, value in (laid.params | request.params).items()}
    key = f"{run.name}+{_digest(params)[:8]}"
    tasks = _tasks(notes)
    inside = tuple(_task(run, laid, experiment, key, name, task) for name, task in tasks.items())
    left = [f"{name}: {task['outcome']['state']} ({task['outcome']['why']})" for name, task in tasks.items() if not _ran(task)]
    metrics = {f"{name}.{metric}": value for name, task in tasks.items() for metric, value in task["outcome"]["metrics"].items()}
    returns = (over or {}).get("returns", {})
    if returns.get("value") is not None:
        metrics[returns["name"]] = returns["value"]
    failed = any(task["outcome"]["state"] == "failed" for task in tasks.values())
    return RunEntry(
        experiment, key, run.name, "running" if over is None else "finished" if over["ok"] else "failed" if failed else "killed",
        begun[0]["at"], None if over is None else over["at"], params, metrics,
        tags={
            **_code_tags(graph, last, tasks), "scanflow.run": run.name, "scanflow.folder": str(run.folder), "scanflow.runner": last["runner"],
            **({"scanflow.returns": graph.returns.name} if graph.returns else {}), **({"scanflow.left out": "; ".join(left)} if left else {}),
            **({"mlflow.note.content": graph.description} if graph.description else {}),
        },
        texts={"graph.toml": write_graph(graph), "graph.svg": svg(graph), "graph.mmd": mermaid(graph)},
        data=tuple(DataSet(name, given["digest"], given["path"]) for name, given in last["given"].items()),
        inside=tuple(one for one, task in zip(inside, tasks.values(), strict=True) if _ran(task)),
    )  # fmt: skip


def _tasks(notes: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last that became of each task: its outcome, and when it was first started and last ended."""
    found: dict[str, dict[str, Any]] = {}
    started: dict[str, float] = {}
    for note in notes:
        if note["kind"] == "started":
            started.setdefault(note["task"], note["at"])
        elif note["kind"] == "ended":
            found[note["task"]] = {"outcome": note["outcome"], "started": started.get(note["task"], note["at"]), "ended": note["at"]}
    return found


def _ran(task: Mapping[str, Any]) -> bool:
    return task["outcome"]["state"] in {*DONE, "failed"} or bool(task["outcome"]["tries"])


def _task(run: Run, laid: Plan, experiment: str, key: str, name: str, task: Mapping[str, Any]) -> RunEntry:
    outcome = task["outcome"]
    planned = laid.tasks.get(name)
    step = planned.step if planned is not None else Step(command=("true",))
    outputs = Path(outcome["outputs"]) if outcome["outputs"] else None
    ports = {port: outputs / port for port in outcome["digests"]} if outputs is not None else {}
    sizes = {port: _size(place) for port, place in ports.items()}
    about = {
        port: {"type": step.outputs.get(port, "any"), "digest": outcome["digests"][port], "bytes": sizes[port], "place": str(place)}
        | ({"gone": True} if sizes[port] is None else {})
        for port, place in ports.items()
    }
    log = _log(run, name)
    plain = re.sub(r"\[\d+\]", "", name)  # all members of a fan-out make versions of one model
    status = {"failed": "failed", "interrupted": "killed"}.get(outcome["state"], "finished")
    made_by = outcome.get("made_by", {})
    return RunEntry(
        experiment, f"{key}/{hashlib.sha256(name.encode()).hexdigest()[:16]}", name, status, task["started"], task["ended"],  # type: ignore[arg-type]
        {} if planned is None else {param: _text(value) for param, value in planned.params.items()}, outcome["metrics"],
        tags={
            "scanflow.state": outcome["state"], "scanflow.why": outcome["why"], "scanflow.tries": str(outcome["tries"]),
            "scanflow.exit code": str(outcome["code"]), "scanflow.step": " ".join(step.command) or step.call,
            **{f"scanflow.{part}": made_by[part] for part in ("code", "environment", "key") if made_by.get(part)},
        },
        texts={"artefacts.json": json.dumps(about, indent=1), **({"log.txt": log} if log else {})},
        files={port: ports[port] for port, size in sizes.items() if size is not None and size <= COPIED and step.outputs.get(port) != PIPELINE},
        data=tuple(_read(made_by.get("inputs", {}), laid, name)),
        models=tuple(
            ModelEntry(_name(f"{laid.graph.name}.{plain}.{port}"), place, outcome["digests"][port], {"run": run.name, "task": name})
            for port, place in ports.items() if step.outputs.get(port) == PIPELINE and place.is_dir()
        ),
    )  # fmt: skip


def _read(inputs: Mapping[str, Any], laid: Plan, name: str) -> Iterable[DataSet]:
    """What a task read, each artefact of a gathered input by itself."""
    sources = laid.tasks[name].inputs if name in laid.tasks else {}
    for port, digest in inputs.items():
        for number, one in enumerate(digest) if isinstance(digest, list) else [("", digest)]:
            if isinstance(one, str):
                yield DataSet(f"{port}{number}", one, str(sources.get(port, port)))


def _code_tags(graph: Graph, begun: Mapping[str, Any], tasks: Mapping[str, Any]) -> dict[str, str]:
    """Of which code and in which environments a run is: one digest over those of its steps, and the commit of its folder."""
    made_by = [task["outcome"].get("made_by", {}) for task in tasks.values()]
    code = sorted({one["code"] for one in made_by if one.get("code")})
    environment = sorted({one["environment"] for one in made_by if one.get("environment")})
    tags = {"mlflow.source.name": graph.name, "mlflow.source.type": "LOCAL", "scanflow.base": begun["base"],
            "scanflow.code": _digest(code), "scanflow.environment": _digest(environment)}  # fmt: skip
    if begun.get("commit"):
        tags |= {"mlflow.source.git.commit": begun["commit"], "scanflow.git.dirty": str(begun["dirty"]).lower()}
    return tags


def _log(run: Run, task: str) -> str:
    logs = sorted((run.folder / "tasks" / task).glob(f"*/{LOG}"), key=lambda one: int(one.parent.name))
    if not logs:
        return ""
    with logs[-1].open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_COPIED))
        return file.read().decode("utf-8", errors="replace")


def _size(place: Path) -> int | None:
    """Bytes of a file or of all in a folder; None if it is gone."""
    if not place.exists():
        return None
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) if place.is_dir() else place.stat().st_size


def _name(text: str) -> str:
    """A name that MLflow accepts, and that is not among those of what was live; where it is another one, with a digest, so that none meet.

    >>> _name("digits"), _name("a/b"), _name("live digits")
    ('digits', 'a-b c14cddc0', 'live-digits 6f8b7b17')
    """
    fits = re.sub(r"[^A-Za-z0-9_. -]", "-", re.sub(f"^{LIVE}", "live-", text))[:190]
    return text if fits == text else f"{fits} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _note(run: Run, found: Recorded) -> None:
    write_whole(run.folder / TRACKED, msgspec.to_builtins(found) | {"at": time.time()})
