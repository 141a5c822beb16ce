"""What was live at a time, and why: read from the tracking store, so no cluster need run for it."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from workflows.tracking import LiveChange, Tracking
from workflows.words import nearest

FORMATS = "2026-03-31, 2026-03-31T14:05, 2026-03-31T14:05:30+02:00 (without a zone: UTC), 14:05 (today), or seconds since 1970"


class LiveError(Exception):
    """It cannot be told what was live; the text says why, and what can be asked."""


def read_time(text: str, now: float) -> float:
    """UTC seconds of a time as people write it; `now` tells which day is today. Raises `LiveError`.

    >>> read_time("1970-01-02", 0), read_time("1970-01-01T01:00+01:00", 0), read_time("00:05", 86400), read_time("12.5", 0)
    (86400.0, 0.0, 86700.0, 12.5)
    """
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text) and not re.fullmatch(r"\d{8}", text):  # 20260331 is a day
        return _told(float(text), text)
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text):
        text = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}T{text.zfill(5) if text.count(':') == 1 else text.zfill(8)}"
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise LiveError(f"{text!r} is no time; write {FORMATS}") from None
    return _told((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp(), text)


def _told(seconds: float, text: str) -> float:
    """The same seconds, if they are a time that can be told."""
    try:
        _time(seconds)
    except (ValueError, OverflowError, OSError):
        raise LiveError(f"{text!r} is beyond the years 1 to 9999: seconds since 1970, not milliseconds? Write {FORMATS}") from None
    return seconds


def live_lines(tracking: Tracking, deployment: str, at: float | None, *, as_json: bool = False) -> list[str]:
    """What was live at `at` (UTC seconds), or all that ever was; as lines for a person, or as one line of JSON.

    Raises `LiveError`, and `workflows.tracking.TrackingError` when the store cannot be read.
    """
    history = tracking.live_history(deployment)
    if not history:
        known = tracking.deployments()
        raise LiveError(f"it is not on record that a deployment {deployment!r} was ever live{nearest(deployment, known)}")
    if at is None:
        return _json([_fields(history, number) for number in range(len(history))]) if as_json else _table(history)
    past = [number for number, change in enumerate(history) if change.at <= at]
    if not past:
        raise LiveError(f"{deployment} was not live yet at {_time(at)}: on record since {_time(history[0].at)}")
    return _json(_fields(history, past[-1])) if as_json else _one(history, past[-1], at)


def live(words: Sequence[str], at: str, tracking: Callable[[], Tracking], now: float, *, as_json: bool) -> list[str]:
    """The command `live DEPLOYMENT [--at TIME]`; the store is opened when the words are in order. Raises as `live_lines`."""
    if len(words) != 1:
        raise LiveError("usage: live DEPLOYMENT [--at TIME] [--json] - what was live then, and why; without --at: all that ever was")
    moment = read_time(at, now) if at else None
    return live_lines(tracking(), words[0], moment, as_json=as_json)


def _one(history: Sequence[LiveChange], number: int, at: float) -> list[str]:
    change = history[number]
    until = _time(history[number + 1].at) if number + 1 < len(history) else "now, as far as is on record"
    rows = [
        ("pipeline", change.pipeline), ("version", change.version), ("since", _time(change.at)), ("until", until), ("why", change.reason),
        ("incident", f"{change.incident} (`story {change.incident}` tells it)" if change.incident else "none"), ("approved by", _by(change)),
        ("before", history[number - 1].pipeline if number else "nothing: the first on record"),
    ]  # fmt: skip
    return [f"{change.deployment} at {_time(at)}", *(f"  {name:<12}{value}" for name, value in rows)]


def _table(history: Sequence[LiveChange]) -> list[str]:
    lines = []
    for change in history:
        lines.append(f"{_time(change.at)}  {change.pipeline} (version {change.version})")
        incident, by = f"; incident {change.incident}" if change.incident else "", f"; by {_by(change)}" if change.by else ""
        lines.append(f"    {change.reason}{incident}{by}")
    return lines


def _by(change: LiveChange) -> str:
    return "nobody answered in time: the policy's default" if change.by == "default" else change.by or "not on record: nobody was asked"


def _fields(history: Sequence[LiveChange], number: int) -> dict[str, Any]:
    change = history[number]
    return {
        "deployment": change.deployment, "pipeline": change.pipeline, "version": change.version, "reason": change.reason,
        "incident": change.incident, "by": change.by, "since": change.at, "until": history[number + 1].at if number + 1 < len(history) else None,
    }  # fmt: skip


def _json(value: Any) -> list[str]:
    return [json.dumps(value)]


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
