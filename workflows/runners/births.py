"""Telling a process from a later one that got the same number."""

from pathlib import Path


def born(number: int) -> str | None:
    """When process `number` started, in clock ticks since boot; None if there is none, or only its remains."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in "ZX" else fields[19]
