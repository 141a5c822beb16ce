"""Sensors at work: which of them are due, and what they read. Hosted by the tracker, which sees the heartbeat.

A sensor that was due while nobody ran looks once at the next heartbeat, however often it was due.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from agents.messages import (
    AskChoice, AskLabels, AuditMeasured, EvidenceSaved, EvidenceUpdated, IncidentClosed, IncidentOpened, LookAtRecords, Message, PipelineLive,
    QuestionClosed, SensorRead, Tick,
)
from agents.strategy.catalogue import EVENTS, OF_RECORDS, fields
from agents.strategy.cron import cron
from agents.strategy.settings import Sensor


class Moment(NamedTuple):
    """A time in UTC seconds, and the newest record that was weighed then."""

    time: float
    record: int


class Look(NamedTuple):
    """A sensor looks: what it knows at once, and what it has to be told of the newest `newest` records."""

    sensor: str
    known: dict[str, float]
    asks: tuple[str, ...]
    newest: int
    at: float
    record: int
    during: str


class Sensors:
    """Keeps what the sensors read of the agents, and when each looked last."""

    def __init__(self, chosen: Mapping[str, Sensor]) -> None:
        self.chosen = dict(chosen)
        self.schedules = {name: cron(sensor.cron) for name, sensor in self.chosen.items() if sensor.cron}
        self.last: dict[str, Moment] = {}
        self.record = 0
        self.log_evidence = 0.0
        self.open: list[str] = []  # incidents
        self.alarm: int | None = None  # record of the newest
        self.live: Moment | None = None
        self.audit: int | None = None  # record at the newest
        self.pipeline = ""
        self.questions: dict[str, float] = {}  # open ones, and when each was asked

    def take(self, message: Message, record: int) -> list[Look]:
        """Who looks now; `record` is the newest that was weighed."""
        self.record = record
        self._learn(message)
        due = [name for name, sensor in self.chosen.items() if self._is_due(name, sensor, message)]
        return [self._look(name, message) for name in due]

    def recall(self, said: SensorRead | LookAtRecords) -> None:
        """A look that is on record."""
        if said.sensor in self.chosen:
            self.last[said.sensor] = Moment(said.at, said.record)

    def begin_log(self) -> None:
        """Records count from 1 again."""
        self.last = {name: Moment(last.time, 0) for name, last in self.last.items()}
        self.record = 0
        self.live = Moment(self.live.time, 0) if self.live else None
        self.alarm, self.audit = (None if self.alarm is None else 0), (None if self.audit is None else 0)

    def _learn(self, message: Message) -> None:
        match message:
            case EvidenceUpdated() | EvidenceSaved():
                self.log_evidence = message.log_evidence
            case IncidentOpened(incident=incident):
                self.open.append(incident)
                self.alarm = message.alarm_at
            case IncidentClosed(incident=incident) if incident in self.open:
                self.open.remove(incident)
            case PipelineLive(pipeline=pipeline) if pipeline != self.pipeline:
                self.pipeline = pipeline
                self.live = Moment(message.time, message.since)
            case AuditMeasured():
                self.audit = self.record
            case AskLabels(question=question) | AskChoice(question=question):
                self.questions[question] = message.time
            case QuestionClosed(question=question):
                self.questions.pop(question, None)

    def _is_due(self, name: str, sensor: Sensor, message: Message) -> bool:
        if sensor.on:
            return isinstance(message, EVENTS[sensor.on])
        if not isinstance(message, Tick):
            return False
        last = self.last.setdefault(name, Moment(message.time, self.record))  # one that has never looked waits from now on
        if sensor.every_records:
            return self.record >= last.record + sensor.every_records
        if sensor.every_seconds:
            return message.time >= last.time + sensor.every_seconds
        return message.time >= self.schedules[name].after(last.time)

    def _look(self, name: str, message: Message) -> Look:
        sensor, last = self.chosen[name], self.last.get(name, Moment(message.time, self.record))
        known = {value: found for value in sensor.reads if (found := self._value(value, message.time, last)) is not None}
        if sensor.on:
            known |= {field: float(getattr(message, field)) for field in fields(sensor.on)}
        self.last[name] = Moment(message.time, self.record)
        asks = tuple(value for value in sensor.reads if value in OF_RECORDS)
        return Look(name, known, asks, sensor.of, message.time, self.record, self.open[-1] if self.open else "")

    def _value(self, name: str, time: float, last: Moment) -> float | None:
        """What the agents know; None of what they do not."""
        match name:
            case "records":
                return float(self.record)
            case "records_per_second":
                return (self.record - last.record) / (time - last.time) if time > last.time else None
            case "log_evidence":
                return self.log_evidence
            case "open_incidents":
                return float(len(self.open))
            case "records_since_incident":
                return float(max(0, self.record - (self.alarm or 0)))
            case "seconds_since_live":
                return max(0.0, time - self.live.time) if self.live else None
            case "records_since_live":
                return float(max(0, self.record + 1 - self.live.record)) if self.live else None
            case "records_since_audit":
                return float(max(0, self.record - (self.audit or 0)))
            case "open_questions":
                return float(len(self.questions))
            case "seconds_since_question":
                return max(0.0, time - min(self.questions.values(), default=time))
        return None


class Holds(msgspec.Struct):
    """What is held back until a time or a record, by the ids of the messages that said so."""

    held: dict[str, tuple[str, str, str, float, int]] = {}  # who said it, actuator, incident, until, until record

    def keep(self, identity: str, source: str, actuator: str, incident: str, until: float, until_record: int) -> None:
        """Remember one."""
        self.held[identity] = (source, actuator, incident, until, until_record)

    def over(self, time: float, record: int) -> dict[str, tuple[str, str, str]]:
        """Those whose time has come: id to who said it, actuator and incident. They are forgotten."""
        ended = {
            identity: (source, actuator, incident)
            for identity, (source, actuator, incident, until, until_record) in self.held.items()
            if time >= until and record >= until_record
        }
        for identity in ended:
            del self.held[identity]
        return ended

    def begin_log(self) -> None:
        """Records count from 1 again: nothing waits for one of the old numbers."""
        self.held = {identity: (*kept[:4], 0) for identity, kept in self.held.items()}
