"""Brakes: how often something may be done, so that what comes and goes does not make the agents go back and forth."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from agents.strategy.settings import Actuator

DAY = 86_400.0


class Hold(NamedTuple):
    """Why something may not be done now, and until when: UTC seconds and a record, 0 where that does not bind."""

    reason: str
    until: float = 0.0
    until_record: int = 0


class Brake(msgspec.Struct):
    """Remembers when one thing was done, and says whether it may be done again.

    >>> brake = Brake(Actuator(cool_down=600))
    >>> brake.note(1000.0, record=5)
    >>> brake.hold(1500.0, record=90)
    Hold(reason='it was done less than 600 s ago', until=1600.0, until_record=0)
    >>> brake.hold(1600.0, record=91) is None
    True
    """

    limits: Actuator = Actuator()
    times: list[float] = []  # of what was done within a day, and always the last
    record: int | None = None  # at the last time, in the present log
    incident: str = ""
    within: int = 0  # so many times in that incident

    def hold(self, time: float, record: int, incident: str = "") -> Hold | None:
        """Why it may not be done at `time` (UTC seconds), after record `record`; None if it may."""
        limits, holds = self.limits, list[Hold]()
        if self.times and time < self.times[-1] + limits.cool_down:
            holds.append(Hold(f"it was done less than {limits.cool_down:g} s ago", self.times[-1] + limits.cool_down))
        if self.record is not None and record < self.record + limits.cool_down_records:
            holds.append(Hold(f"it was done less than {limits.cool_down_records} records ago", 0.0, self.record + limits.cool_down_records))
        recent = [one for one in self.times if one > time - DAY]
        if limits.per_day and len(recent) >= limits.per_day:
            holds.append(Hold(f"it was done {len(recent)} times within a day", recent[-limits.per_day] + DAY))
        if limits.per_incident and incident and incident == self.incident and self.within >= limits.per_incident:
            holds.append(Hold(f"it was done {self.within} times in {incident}"))
        if not holds:
            return None
        return Hold("; ".join(one.reason for one in holds), max(one.until for one in holds), max(one.until_record for one in holds))

    def note(self, time: float, record: int, incident: str = "") -> None:
        """It was done."""
        self.times = [*(one for one in self.times if one > time - DAY), time]
        self.record = record
        self.within = self.within + 1 if incident == self.incident else 1
        self.incident = incident

    def begin_log(self) -> None:
        """Records count from 1 again, so a cool-down that is counted in them is over."""
        self.record = None


def brakes(names: Iterable[str], limits: Mapping[str, Actuator]) -> dict[str, Brake]:
    """One for each of these actuators."""
    return {name: Brake(limits.get(name, Actuator())) for name in names}
