"""The tracker: reads the log by cursor, has each record handed to the checker exactly once, and knows what was live when, and why.

    idle -- Tick --> reading -- RecordsRead --> checking -- EvidenceUpdated --> idle

It deals in numbers of records only: their features go from the log to the checker, once. When more come in a heartbeat than may be looked
at, every k-th is: under a sequential test of exchangeable records that only changes which ones, so the bound on false alarms holds.
"""

import math
from typing import ClassVar

from agents.agent import Agent
from agents.messages import (
    HEARTBEAT, AgentFailed, EvidenceSaved, EvidenceUpdated, HandOverRecords, LiveRecorded, LogBegun, Message, PipelineLive, ReadRecords, RecordLive,
    RecordsLost, RecordsRead, RequestExpired, RequestFailed, Tick,
)

READ_LIMIT = 1024  # records at a time, however many may be looked at; bounds a message
READING = ("ReadRecords", "HandOverRecords")  # what failed is read again at the next tick


class Tracker(Agent):
    """Keeps the cursor. A window that the checker has not weighed is read again, so a crash loses no record that is still logged."""

    name = "tracker"
    handles: ClassVar[tuple[type[Message], ...]] = (
        Tick, RecordsRead, EvidenceUpdated, EvidenceSaved, PipelineLive, LiveRecorded, AgentFailed, RequestFailed, RequestExpired,
    )

    def __init__(self, deployment: str, records_per_second: float = math.inf) -> None:
        super().__init__(deployment)
        self.limit = max(1, int(min(READ_LIMIT, records_per_second * HEARTBEAT)))
        self.state = "idle"
        self.log = ""
        self.cursor = 0
        self.end_of_window = 0

    def handle(self, message: Message) -> list[Message]:
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
            case PipelineLive():
                return [
                    self.say(
                        RecordLive, message, pipeline=message.pipeline, version=message.version, reason=message.reason, by=message.by, deadline=120.0,
                    )
                ]
        return []

    def recall(self, message: Message) -> None:
        if isinstance(message, LogBegun):
            self.log, self.cursor = message.log, 0

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
