"""Artefacts on disk: what they are (a digest of their content) and the store of what steps have made.

The store is what makes a second run quick: `key` (inputs, code, parameters, environment) leads to the outputs that were made for it. An
entry appears whole or not at all, by one rename, and is used only while its files still have the digests that were noted.
"""

import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

BLOCK = 1 << 20
NOTE, OUTPUTS = "entry.json", "outputs"


class Entry(NamedTuple):
    """What a step has made: the folder with its artefacts, a digest of each by port, its metrics, and the seconds that it took."""

    outputs: Path
    digests: dict[str, str]
    metrics: dict[str, float]
    seconds: float


def digest(path: Path) -> str:
    """A digest of a file's content, or of a folder's names and contents. A link inside a folder counts by where it points.

    Raises FileNotFoundError, OSError.
    """
    found = hashlib.sha256()
    if path.is_dir():
        for child in sorted(path.iterdir(), key=lambda one: one.name):
            if child.name == "__pycache__":
                continue
            content = f"link {child.readlink()}" if child.is_symlink() else digest(child)
            found.update(f"{child.name}\0{content}\0".encode(errors="surrogateescape"))
        return f"folder:{found.hexdigest()}"
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return f"file:{found.hexdigest()}"


def fault_of(path: Path) -> str:
    """Why a file or folder cannot be an artefact; empty if it can. Raises OSError.

    Links are looked at and never followed: who made them may not be trusted, and what they lead to may be the machine's own.
    """
    root = os.path.realpath(path.parent) + f"/{path.name}"
    for one in (path, *path.rglob("*")):
        mode = one.lstat().st_mode
        name = f"{path.name}/{one.relative_to(path)}" if one != path else path.name
        if stat.S_ISLNK(mode):
            inside = one != path and not one.readlink().is_absolute() and Path(os.path.realpath(one)).is_relative_to(root)
            if not inside:
                return f"{name} is a link to {str(one.readlink())!r}, which leads out of it; write a copy of what it leads to"
        elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return f"{name} is neither a file nor a folder, but a pipe, a socket or a device; write its content to a file"
    return ""


def key_of(parts: Mapping[str, Any]) -> str:
    """One name for all that decides what a step makes."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def write_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that the file is there whole or not at all, also when the writer dies."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(path)


def read_note(path: Path) -> dict[str, Any] | None:
    """What `write_whole` wrote; None if there is nothing that can be read."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


class Store:
    """The outputs of steps by key, under one folder that any number of runs share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Entry | None:
        """What was made for this key; None if nothing was, or if it is not any more what it was."""
        folder = self._folder / key
        return None if (note := read_note(folder / NOTE)) is None else entry_from(note, folder / OUTPUTS)

    def put(self, key: str, made: Path, entry: Entry) -> Entry:
        """Move `made`, a folder that holds `outputs`, into the store; what is there already for this key, if it is sound, stays."""
        if (known := self.get(key)) is not None:
            shutil.rmtree(made)
            return known
        target = self._folder / key
        write_whole(made / NOTE, note_of(entry))
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            made.rename(target)
        except OSError:  # there is a damaged entry in the way, or another run was quicker
            if (known := self.get(key)) is None:
                target.rename(aside := target.with_name(f".{key}.{uuid.uuid4().hex}"))
                made.rename(target)
                shutil.rmtree(aside)
            else:
                shutil.rmtree(made)
                return known
        return entry._replace(outputs=target / OUTPUTS)


def note_of(entry: Entry) -> dict[str, Any]:
    """An entry as JSON, without the place where it lies."""
    return {"digests": entry.digests, "metrics": entry.metrics, "seconds": entry.seconds}


def entry_from(note: Mapping[str, Any], outputs: Path) -> Entry | None:
    """The entry of a note, if the artefacts are still those that it was written for."""
    try:
        sound = all(digest(outputs / port) == known for port, known in note["digests"].items())
        return Entry(outputs, dict(note["digests"]), dict(note["metrics"]), float(note["seconds"])) if sound else None
    except (OSError, KeyError, AttributeError, TypeError):
        return None
