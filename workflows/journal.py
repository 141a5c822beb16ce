"""What happened in a run and when, line by line in its folder: what a record in MLflow is made from, at once or later.

`journal.jsonl` holds one JSON object a line. An execution writes "begun", then "started", "retry" and "ended" for its tasks, then "over"; a
resumed run goes on in the same file. The last line of an engine that was killed may be cut off, and is passed over.
"""

import json
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Self

from workflows.events import Event

JOURNAL = "journal.jsonl"
GIT_SECONDS = 5.0


class Journal:
    """Writes the journal of one execution. May be told things by several threads."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock, self._lock = folder / JOURNAL, clock, threading.Lock()
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        cut = self._path.is_file() and not self._path.read_bytes().endswith(b"\n")
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
        if cut:
            self._file.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def note(self, kind: str, **facts: Any) -> None:
        """Write one line."""
        line = json.dumps({"at": self._clock(), "kind": kind, **facts}, default=str)
        with self._lock:
            assert self._file is not None
            self._file.write(f"{line}\n")

    def __call__(self, event: Event) -> None:
        """Note an event; lines of logs are in the logs. See `workflows.events.Listener`."""
        if event.kind == "line":
            return
        outcome = {} if event.outcome is None else {"outcome": event.outcome._asdict()}
        self.note(event.kind, task=event.task, text=event.text, **outcome)


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """All lines, oldest first; empty if there are none."""
    try:
        text = (folder / JOURNAL).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            note = json.loads(line)
        except ValueError:  # its writer was killed
            continue
        if isinstance(note, dict):
            found.append(note)
    return found


def code_version(folder: Path) -> Mapping[str, Any]:
    """The commit of the git work tree that `folder` is in, and whether tracked files differ from it; empty where there is none."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git, or a work tree so large that the run should not wait for it
        return {}
    commit, _, dirty = done.stdout.strip().partition("-")
    return {"commit": commit, "dirty": bool(dirty)} if done.returncode == 0 and commit else {}
