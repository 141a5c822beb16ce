"""Times and amounts as a report writes them, and periods as people type them."""

import re
from datetime import UTC, datetime

UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def day(seconds: float) -> str:
    """A time, in UTC, to the second.

    >>> day(0.0)
    '1970-01-01 00:00:00 UTC'
    """
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "the end of time" if seconds > 0 else "the beginning of time"


def duration(seconds: float) -> str:
    """A span in its two largest units.

    >>> duration(0.4), duration(34), duration(3700), duration(200_000)
    ('0.4 s', '34 s', '1 h 2 min', '2 d 7 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 2880:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def span(text: str) -> float:
    """Seconds of a period such as `7d`. Raises `ValueError`.

    >>> span("7d"), span("90m")
    (604800.0, 5400.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no period; write a number and m, h, d or w, such as 90m, 24h, 7d or 2w")
    return float(found[1]) * UNITS[found[2]]
