"""What the steps of an engine that died have left running: found by a mark in the environment, which all that they start inherits.

A process cannot lose the mark by leaving its group or its parent, and a try of a nested run bears those of all around it. Not found are
programs that wipe their own environment, and what functions start that run within the engine's own process.
"""

import contextlib
import hashlib
import os
import select
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from workflows.runners.runner import RunnerError

GRACE = 5.0  # seconds in which a killed process must be gone


def mark(folder: Path) -> dict[str, str]:
    """The environment variable that says: this belongs to the try in `folder`. Each has its own name, so that marks add up.

    >>> mark(Path("/"))
    {'SCANFLOW_TRY_8a5edab282632443': '/'}
    """
    place = str(folder.resolve())
    return {f"SCANFLOW_TRY_{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}": place}


def end_leftovers(folders: Iterable[Path]) -> None:
    """End every process that bears the mark of one of these tries, except this one and those that it descends from.

    If this process bears a mark itself, so does all that it has started, which is left alone then.

    Raises
    ------
    RunnerError
        If one does not end.

    """
    wanted = {os.fsencode(f"{name}={place}") for folder in folders for name, place in mark(folder).items()}
    while wanted and _end(wanted):
        pass  # once more: what has been ended may have started something in between


def _end(wanted: set[bytes]) -> int:
    """One round through all processes; how many have been ended."""
    me = os.getpid()
    above, mine = set(_line(me)), _environment(me)
    ended = 0
    for number in (int(name) for name in os.listdir("/proc") if name.isdigit()):  # noqa: PTH208 - only names are needed
        if number in above or not (marks := wanted & _environment(number)) or (marks <= mine and me in _line(number)):
            continue
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(number)
            try:
                if not wanted & _environment(number):  # the number may have changed hands; from here on it cannot
                    continue
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                if not select.select([descriptor], [], [], GRACE)[0]:
                    raise RunnerError(f"process {number}, which an earlier engine has left running, cannot be ended; end it, then resume")
                ended += 1
            finally:
                os.close(descriptor)
    return ended


def _environment(number: int) -> set[bytes]:
    """What a process was started with, as NAME=VALUE; nothing of one that has ended or belongs to somebody else."""
    try:
        return set(Path(f"/proc/{number}/environ").read_bytes().split(b"\0"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return set()


def _line(number: int) -> Iterator[int]:
    """A process, the one that it was started by, and so on."""
    while number:
        yield number
        try:
            text = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return
        number = int(text.rpartition(")")[2].split()[1])  # the name before it may hold anything
