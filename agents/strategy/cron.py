"""Five fields that say when: minute, hour, day of the month, month, day of the week; in UTC. Pure: the time is handed in.

As in crontab(5), where both days are given, either is enough.
"""

from typing import NamedTuple

import numpy as np

MINUTE, DAY = 60, 86_400
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
FARTHEST = 8 * 366  # days that are looked ahead: the 29th of February may be eight years away
EXAMPLE = '"0 6 * * 1-5" is 06:00 UTC from Monday to Friday'


class CronError(ValueError):
    """It says no time; the text tells which field, and what may stand there."""


class Cron(NamedTuple):
    """The minutes, hours and days at which something is due."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool  # one of the two days is enough

    def after(self, time: float) -> float:
        """The first moment later than `time` (UTC seconds) at which it is due."""
        minute = (int(time) // MINUTE + 1) * MINUTE
        for day in range(minute // DAY, minute // DAY + FARTHEST):
            if self._is_due_on(day):
                least = minute if day == minute // DAY else day * DAY
                due = (day * DAY + 3600 * hour + MINUTE * at for hour in sorted(self.hours) for at in sorted(self.minutes))
                if (found := next((moment for moment in due if moment >= least), None)) is not None:
                    return float(found)
        raise CronError(f"there is no such day within eight years; {EXAMPLE}")

    def _is_due_on(self, day: int) -> bool:
        """Whether it is due on a day, counted from 1970-01-01, which was a Thursday."""
        date = np.datetime64(day, "D")
        month = date.astype("datetime64[M]")
        if int(month.astype(int)) % 12 + 1 not in self.months:
            return False
        by_month, by_week = int((date - month.astype("datetime64[D]")).astype(int)) + 1 in self.days, (day + 4) % 7 in self.weekdays
        return by_month or by_week if self.either else by_month and by_week


def cron(text: str) -> Cron:
    """Read five fields: `*`, numbers, names of months and days, ranges, lists, and steps. Raises `CronError`.

    >>> monday = cron("0 6 * * 1")
    >>> str(np.datetime64(int(monday.after(0)), "s")), str(np.datetime64(int(monday.after(monday.after(0))), "s"))
    ('1970-01-05T06:00:00', '1970-01-12T06:00:00')
    """
    words = text.split()
    if len(words) != len(FIELDS):
        raise CronError(f"{text!r} has {len(words)} fields; expected five, {', '.join(name for name, _, _ in FIELDS)}: {EXAMPLE}")
    sets = [_field(word.lower(), *field) for word, field in zip(words, FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in sets[4])  # Sunday is 0 and 7
    found = Cron(sets[0], sets[1], sets[2], sets[3], weekdays, either=words[2][0] != "*" and words[4][0] != "*")
    found.after(0.0)
    return found


def _field(word: str, name: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isascii() and step.isdigit() and int(step)):
            raise CronError(f"{part!r} is no step of the {name}; write such as */15")
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = least, most
        else:
            low = _number(first, name, least, most)
            high = _number(last, name, least, most) if dash else (most if slash else low)
        if high < low:
            raise CronError(f"{span!r} of the {name} runs backwards; write the lower one first, or two ranges with a comma")
        found |= set(range(low, high + 1, int(step) if slash else 1))
    return frozenset(found)


def _number(word: str, name: str, least: int, most: int) -> int:
    names = {"month": (1, MONTHS), "day of the week": (0, WEEKDAYS)}.get(name, (0, ()))
    if word in names[1]:
        return names[0] + names[1].index(word)
    if word.isascii() and word.isdigit() and least <= int(word) <= most:
        return int(word)
    raise CronError(f"{word!r} is no {name}; expected {least} to {most}: {EXAMPLE}")
