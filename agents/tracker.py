"""The tracker: reads the log by cursor, has each record handed to the checker exactly once, and knows what was live when, and why.

    idle -- Tick --> reading -- RecordsRead --> checking -- EvidenceUpdated --> idle

It deals in numbers of records only: their features go from the log to the checker, once. When more come in a heartbeat than may be looked
at, every k-th is: under a sequential test of exchangeable records that only changes which ones, so the bound on false alarms holds.

It has the sensors of the policy look when they are due, and says when the time of what is held back is over.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from agents.agent import Agent
from agents.messages import (
    HEARTBEAT, ActuatorHeld, AgentFailed, AskChoice, AskLabels, AuditMeasured, DriftEnded, EvidenceSaved, EvidenceUpdated, HandOverRecords,
    HarmAssessed, HoldEnded, IncidentClosed, IncidentOpened, LiveRecorded, LogBegun, LookAtRecords, Message, PipelineLive, QuestionClosed,
    ReadRecords, RecordLive, RecordsLookedAt, RecordsLost, RecordsRead, RemediesMeasured, RemedyVerified, RequestExpired, RequestFailed,
    SensorRead, Tick, WorkflowRan, derived_id,
)
from agents.strategy.sensors import Holds, Look, Sensors
from agents.strategy.settings import Sensor

READ_LIMIT = 1024  # records at a time, however many may be looked at; bounds a message
READING = ("ReadRecords", "HandOverRecords")  # what failed is read again at the next tick


class Tracker(Agent):
    """Keeps the cursor. A window that the checker has not weighed is read again, so a crash loses no record that is still logged."""

    name = "tracker"
    handles: ClassVar[tuple[type[Message], ...]] = (
        Tick, RecordsRead, EvidenceUpdated, EvidenceSaved, PipelineLive, LiveRecorded, AgentFailed, RequestFailed, RequestExpired,
        RecordsLookedAt, ActuatorHeld, AuditMeasured, DriftEnded, HarmAssessed, IncidentClosed, IncidentOpened, RemediesMeasured, RemedyVerified,
        AskLabels, AskChoice, QuestionClosed, WorkflowRan,
    )

    def __init__(
        self, deployment: str, records_per_second: float = math.inf, sensors: Mapping[str, Sensor] = MappingProxyType({})
    ) -> None:
        super().__init__(deployment)
        self.limit = max(1, int(min(READ_LIMIT, records_per_second * HEARTBEAT)))
        self.state = "idle"
        self.log = ""
        self.cursor = 0
        self.end_of_window = 0
        self.sensors, self.holds = Sensors(sensors), Holds()
        self.looks: dict[str, LookAtRecords] = {}  # asked for and not answered yet

    def handle(self, message: Message) -> list[Message]:
        said = self._handle(message)
        if isinstance(message, ActuatorHeld) and message.waits:
            self.holds.keep(message.id, message.source, message.actuator, message.incident, message.until, message.until_record)
        looks = self.sensors.take(message, self.cursor)
        return [*said, *(self._look(message, look) for look in looks), *(self._ended(message) if isinstance(message, Tick) else ())]

    def _handle(self, message: Message) -> list[Message]:
        match message:
            case Tick() if self.state == "idle":
                return [self._read(message)]
            case RecordsRead() if self.state == "reading":
                return self._pass_on(message)
            case EvidenceUpdated(cursor=cursor) if self.state == "checking":
                self.cursor, self.state = cursor, "idle"  # further back when a checker was restored
            case EvidenceSaved(cursor=cursor):
                self.cursor = max(self.cursor, cursor)
            case AgentFailed(agent="checker") if self.state == "checking":
                # One window that cannot be weighed must not stop the reading of all that follow.
                self.cursor, self.state = self.end_of_window, "idle"
            case RequestFailed(request=request) | RequestExpired(request=request) if request in READING:
                self.state = "idle"
            case RecordsLookedAt() if message.cause in self.looks:
                asked = self.looks.pop(message.cause)
                return [self._read_off(message, asked.sensor, asked.known | message.values, asked.at, asked.record, asked.during)]
            case RequestFailed() | RequestExpired() if message.cause in self.looks:
                del self.looks[message.cause]
            case PipelineLive():
                return [
                    self.say(
                        RecordLive, message, pipeline=message.pipeline, version=message.version, reason=message.reason, by=message.by, deadline=120.0,
                    )
                ]
        return []

    def recall(self, message: Message) -> None:
        match message:
            case LogBegun():
                self.log, self.cursor = message.log, 0
                self.sensors.begin_log()
                self.holds.begin_log()
            case LookAtRecords():
                self.looks[message.id] = message
                self.sensors.recall(message)
            case SensorRead():
                self.looks.pop(message.cause, None)
                self.sensors.recall(message)
            case HoldEnded():
                self.holds.held.pop(message.cause, None)

    # --- the strategy of the policy ---

    def _look(self, cause: Message, look: Look) -> Message:
        if not look.asks:
            return self._read_off(cause, look.sensor, look.known, look.at, look.record, look.during)
        asked = self.say(
            LookAtRecords, cause, key=look.sensor, sensor=look.sensor, reads=look.asks, count=look.newest, at=look.at, record=look.record,
            known=look.known, during=look.during, incident="", deadline=60.0,
        )
        self.looks[asked.id] = asked
        return asked

    def _read_off(self, cause: Message, sensor: str, values: dict[str, float], at: float, record: int, during: str) -> Message:
        return self.say(SensorRead, cause, key=sensor, sensor=sensor, values=values, at=at, record=record, during=during, incident="")

    def _ended(self, tick: Tick) -> list[Message]:
        """Tell those whose hold is over; the hold is the cause, so that it is told once."""
        ended = self.holds.over(tick.time, self.cursor)
        return [
            HoldEnded(
                id=derived_id(self.name, held, "HoldEnded"), source=self.name, deployment=self.deployment, incident=incident, cause=held, to=source,
                actuator=actuator, record=self.cursor,
            )
            for held, (source, actuator, incident) in ended.items()
        ]

    # --- reading ---

    def _read(self, cause: Message) -> Message:
        self.state = "reading"
        return self.say(ReadRecords, cause, after=self.cursor, limit=self.limit, deadline=15.0, incident="")

    def _pass_on(self, read: RecordsRead) -> list[Message]:
        if read.log != self.log:
            begun = self.say(LogBegun, read, key=read.log, log=read.log)
            self.recall(begun)
            return [begun, self._read(read)]
        if read.last <= self.cursor:
            self.state = "idle"
            return []
        self.state, self.end_of_window = "checking", read.last
        hand_over = self.say(
            HandOverRecords, read, log=read.log, first=read.first, last=read.last, pipeline=read.pipeline, lost=read.lost, every=read.every,
            deadline=15.0,
        )
        lost = [self.say(RecordsLost, read, first=read.first, count=read.lost)] if read.lost else []
        return [*lost, hand_over]
