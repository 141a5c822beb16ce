"""The folder of a run: what was asked for, each try of each step, and which steps have finished. A run can be resumed from it.

    run.json              the graph, its parameters, what it was given, the runner
    lock                  held by the engine that works on the run
    done/TASK.json        written, whole or not at all, when a task has finished
    tasks/TASK/N/         the N-th try: inputs/, params.json, log.txt, made/outputs/ (unless they have moved to the store), finished
                          (empty; there if it ended well, and so whatever it has left running was meant to stay)
    journal.jsonl         what happened when; see `workflows.journal`
    tracked.json          what has become of its record in MLflow; see `workflows.recording`
    result.json           how the last execution ended, with the value of the return function
"""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from workflows.artefacts import Entry, entry_from, note_of, read_note, write_whole
from workflows.graph import Graph
from workflows.words import nearest

RUN, LOCK, RESULT, LOG, FINISHED = "run.json", "lock", "result.json", "log.txt", "finished"


class RunError(Exception):
    """A run cannot be found, read or taken up; the text says what to do."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was asked to do. `base`: the folder that commands and modules are relative to; `given`: paths of outside artefacts."""

    graph: Graph | None
    base: str
    params: dict[str, Any] = {}
    given: dict[str, str] = {}
    runner: str = "process"


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.name = folder.name

    @classmethod
    def begin(cls, runs: Path, request: Request, clock: Callable[[], float]) -> "Run":
        """Make the folder of a new run."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(clock()))
        name = "" if request.graph is None else request.graph.name
        short = re.sub(r"[^A-Za-z0-9_]+", "-", name)[:40].strip("-") or "run"
        run = cls(runs / f"{short}-{stamp}-{secrets.token_hex(3)}")
        (run.folder / "done").mkdir(parents=True)
        (run.folder / "tasks").mkdir()
        run.ask(request)
        return run

    def ask(self, request: Request) -> None:
        """Note what it is asked to do, from now on."""
        write_whole(self.folder / RUN, msgspec.to_builtins(request))

    @classmethod
    def find(cls, runs: Path, name: str) -> "Run":
        """The run of this name in `runs`, or in the folder `name`. Raises `RunError`."""
        for folder in (runs / name, Path(name)):
            if (folder / RUN).is_file():
                return cls(folder)
        known = [run.parent.name for run in sorted(runs.glob(f"*/{RUN}"), key=lambda one: one.stat().st_mtime, reverse=True)]
        raise RunError(f"there is no run {name!r} under {runs}{nearest(name, known)}")

    def request(self) -> Request:
        """What it was asked to do. Raises `RunError`."""
        try:
            return msgspec.json.decode((self.folder / RUN).read_bytes(), type=Request)
        except (OSError, msgspec.MsgspecError) as error:
            raise RunError(f"{self.folder / RUN} cannot be read ({error}); start a new run") from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from working on the same run. Raises `RunError` if somebody does."""
        with (self.folder / LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"another process works on the run {self.name}; wait for it to end, or stop it with Ctrl-C there") from None
            yield

    def done(self, task: str) -> tuple[str, Entry] | None:
        """The key under which a task has finished, and what it made; None if it has not, or if its artefacts are not there any more."""
        note = read_note(self.folder / "done" / f"{task}.json")
        if note is None or not isinstance(note.get("outputs"), str):
            return None
        entry = entry_from(note, Path(note["outputs"]))
        return None if entry is None else (str(note.get("key")), entry)

    def finish(self, task: str, key: str, entry: Entry) -> None:
        """Note that a task has finished: from here on, no crash makes it run again."""
        write_whole(self.folder / "done" / f"{task}.json", note_of(entry) | {"key": key, "outputs": str(entry.outputs)})

    def next_try(self, task: str) -> Path:
        """A fresh folder for another try: one that died may have left something half done in its own."""
        above = self.folder / "tasks" / task
        number = 1
        if above.is_dir():
            number += max((int(one) for one in os.listdir(above) if one.isdigit()), default=0)  # noqa: PTH208 - only names are needed
        folder = above / str(number)
        (folder / "made" / "outputs").mkdir(parents=True)
        (folder / "inputs").mkdir()
        return folder

    def close_try(self, folder: Path) -> None:
        """Note that a try ended well; done before anything relies on it, since what it has left running must stay then."""
        (folder / FINISHED).touch()

    def unfinished(self) -> list[Path]:
        """The folders of tries that did not end well, or were not seen to end: nothing of them should be running."""
        return [folder for folder in self.folder.glob("tasks/*/*") if not (folder / FINISHED).exists()]

    def log(self, task: str, lines: int = 20) -> list[str]:
        """The last lines of the last try's log."""
        logs = sorted(self.folder.glob(f"tasks/{_quoted(task)}/*/{LOG}"), key=lambda one: int(one.parent.name))
        return logs[-1].read_text(encoding="utf-8", errors="replace").splitlines()[-lines:] if logs else []

    def note_result(self, result: Mapping[str, Any]) -> None:
        """Note how this execution ended."""
        write_whole(self.folder / RESULT, result)


def _quoted(task: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", task)
