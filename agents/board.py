"""What people see: open questions, what is live, incidents and the newest events, as a fold over all messages."""

import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from agents.agreement import Agreement, AgreementView
from agents.messages import (
    DRIFT, AnswerRefused, AskChoice, AskLabels, ChoiceMade, DeployPipeline, EvidenceSaved, EvidenceUpdated, Finding, HandOverRecords, IncidentClosed,
    IncidentOpened, Label, LabelAmended, LabelGiven, LogBegun, Message, Paused, PipelineLive, PolicySet, QuestionClosed, QuestionEscalated,
    QuestionReminded, ReadRecords, RecordsRead, RemedyPrepared, Resumed, SecondOpinion, Tick, WindowObserved,
)
from agents.pace import Paces, PaceView
from agents.story import QUIET, News
from agents.traffic import Traffic

EVENTS = 2000
NO_ANSWER = "no answer"  # of an item: the person skipped it, or was unsure
NEWS = 50
UNSEEN = (Tick, ReadRecords, RecordsRead, HandOverRecords, WindowObserved)  # every heartbeat brings them, and nothing that people see changes
TRACE = 600  # points of evidence that are kept; beyond, every second one of them goes


class QuestionView(msgspec.Struct):
    """An open question as a console shows it. `kind` is "labels" or "choice"; `deadline` is UTC seconds.

    `said`: what each person has said of each item, the first one's answer first. `repeats`: items to be named a second time. `waits_for`: people
    who were reminded, or asked besides; `reminded`: when, in UTC seconds, 0 while nobody was.
    """

    question: str
    kind: str
    incident: str
    text: str
    deadline: float
    purpose: str = ""
    items: tuple[int, ...] = ()
    predicted: dict[int, int] = {}
    classes: tuple[str, ...] = ()
    answers: dict[int, str] = {}
    options: tuple[str, ...] = ()
    default: str = ""
    said: dict[int, dict[str, str]] = {}
    repeats: tuple[int, ...] = ()
    waits_for: tuple[str, ...] = ()
    reminded: float = 0.0
    deployment: str = ""


class IncidentView(msgspec.Struct):
    """An incident: open until it has an outcome. `kind` is the weakness of which it speaks; `finding` what a check found, where one did."""

    incident: str
    opened: float
    onset: int
    pipeline: str
    outcome: str = ""
    reason: str = ""
    kind: str = DRIFT
    finding: Finding | None = None


class Mark(msgspec.Struct, frozen=True):
    """Something to mark beside the evidence: an "alarm", or a pipeline that went "live", at a record."""

    record: int
    kind: str
    text: str


class Trace(msgspec.Struct, frozen=True):
    """Log evidence of drift over the records of the present log: `points` are (record, log evidence), oldest first."""

    points: tuple[tuple[int, float], ...]
    marks: tuple[Mark, ...]


class Status(msgspec.Struct):
    """The state of a deployment at a glance.

    `alarm_line`: the log evidence at which an incident opens; 0 before a policy is known. `every`: of so many records one is looked at.
    `compared`: images that two people have named; on `agreed` of them they agree, `kappa` is Cohen's; `again`: the same of one person who was
    asked twice. `per_second`: records that came, in the minute up to the `newest` (UTC seconds; 0 before any). `paces`: how long people take for
    a label. `paused_by`: who has paused remedies, for `paused_reason`, since `paused_at` (UTC seconds); empty while they go on.
    """

    deployment: str
    pipeline: str
    base: str
    since: float
    reason: str
    cursor: int
    log_evidence: float
    incidents: list[IncidentView]
    questions: list[str]
    counts: dict[str, int]
    per_second: float = 0.0
    newest: float = 0.0
    previous: str = ""
    gated: bool = False
    alarm_line: float = 0.0
    every: int = 1
    compared: int = 0
    agreed: int = 0
    kappa: float | None = None
    again: AgreementView = AgreementView()
    paces: list[PaceView] = []
    paused_by: str = ""
    paused_reason: str = ""
    paused_at: float = 0.0


def alarm_line(policy: Mapping[str, Any]) -> float:
    """The log evidence at which an incident opens under a policy as `PolicySet` has it; 0 where it says nothing. As `EDetector.log_threshold`.

    >>> round(alarm_line({"detection": {"run_length": 1e6}}), 2)
    13.82
    >>> round(alarm_line({"detection": {"run_length": 1e6, "block": 100}}), 2)
    9.21
    """
    rules = policy.get("detection", {})
    return math.log1p(rules.get("run_length", 0.0) / rules.get("block", 1))


class Board:
    """Listens to a switchboard; safe to read from other threads.

    Examples
    --------
    Who waits can be woken, here by somebody who has ended:

    >>> board, ended = Board("digits"), threading.Event()
    >>> waiting = threading.Thread(target=board.wait_for, args=(ended.is_set,))
    >>> waiting.start()
    >>> ended.set()
    >>> board.wake()
    >>> waiting.join()
    """

    def __init__(self, deployment: str) -> None:
        self.deployment = deployment
        self._changed = threading.Condition(threading.RLock())
        self._questions: dict[str, QuestionView] = {}
        self._closed: dict[str, str] = {}
        self._past: dict[str, QuestionView] = {}
        self._incidents: dict[str, IncidentView] = {}
        self._live: PipelineLive | None = None
        self._prepared: dict[str, dict[str, str]] = {}  # incident -> pipeline -> the remedy that made it
        self._cursor, self._evidence, self._alarm_line = 0, 0.0, 0.0
        self._traffic = Traffic()
        self._every = 1
        self._agreement, self._again, self._paces = Agreement(), Agreement(), Paces()
        self._paused: Paused | None = None
        self.policy: dict[str, Any] = {}  # the rules in force, as `PolicySet` has them; replaced as a whole
        self._points: list[tuple[int, float]] = []
        self._marks: deque[Mark] = deque(maxlen=TRACE)
        self.changes = 0  # grows with every message that may change what people see
        self._events: deque[tuple[int, float, str]] = deque(maxlen=EVENTS)
        self._news: deque[tuple[float, str]] = deque(maxlen=NEWS)
        self._number, self._lines = 0, News()
        self._outcomes: dict[str, str] = {}  # id of an offered answer -> why it was refused, or nothing
        self._counts: dict[str, int] = {}

    def listen(self, message: Message) -> None:
        """To be told every message."""
        with self._changed:
            kind = type(message).__name__
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._fold(message)
            if text := self._lines.line(message):
                self._number += 1
                self._events.append((self._number, message.time, text))
                if not isinstance(message, QUIET):
                    self._news.append((message.time, text))
            if not isinstance(message, UNSEEN):
                self.changes += 1
                self._changed.notify_all()

    def _fold(self, message: Message) -> None:  # noqa: C901, PLR0915 - one case a type, nothing else
        match message:
            case AskLabels():
                self._questions[message.question] = QuestionView(
                    question=message.question, kind="labels", incident=message.incident, text=message.text, purpose=message.purpose,
                    items=message.items, predicted=message.predicted, classes=message.classes, deadline=message.time + message.deadline,
                    repeats=message.repeats,
                    deployment=self.deployment,
                )
            case AskChoice():
                self._questions[message.question] = QuestionView(
                    question=message.question, kind="choice", incident=message.incident, text=message.text, options=message.options,
                    default=message.default, deadline=message.time + message.deadline, deployment=self.deployment,
                )
            case AnswerRefused():
                self._settle(message.cause, message.reason)
            case LabelGiven():
                self._settle(message.cause)
                self._paces.add(message.channel, message.label.by, message.seconds)
                self._answered(message.question, message.label)
            case LabelAmended():
                self._settle(message.cause)
                self._answered(message.question, message.label)
            case SecondOpinion(first=first, second=second):
                self._settle(message.cause)
                (self._again if first.by == second.by else self._agreement).add(first.label or 0, second.label or 0)
                if (asked_of := self._questions.get(message.question)) is not None:
                    asked_of.said.setdefault(second.seq, {}).setdefault(second.by, _word(second.label, asked_of.classes))
            case QuestionReminded() | QuestionEscalated():
                if (waiting := self._questions.get(message.question)) is not None:
                    waiting.waits_for = (*waiting.waits_for, *(one for one in message.people if one not in waiting.waits_for))
                    waiting.reminded = message.time
            case ChoiceMade():
                self._settle(message.cause)
            case QuestionClosed():
                if message.cause not in self._outcomes:
                    self._settle(message.cause)
                if asked := self._questions.pop(message.question, None):
                    self._past[message.question] = asked
                    _forget_oldest(self._past)
                self._closed[message.question] = message.outcome
            case IncidentOpened():
                self._incidents[message.incident] = IncidentView(
                    message.incident, message.time, message.onset, message.pipeline, kind=message.kind, finding=message.finding,
                )
                self._marks.append(Mark(message.alarm_at, "alarm", message.incident))
            case IncidentClosed() if message.incident in self._incidents:
                view_of = self._incidents[message.incident]
                view_of.outcome, view_of.reason = message.outcome, message.reason
            case DeployPipeline():  # the planner has taken up what caused it
                self._settle(message.cause)
            case RemedyPrepared():
                self._prepared.setdefault(message.incident, {})[message.pipeline] = message.remedy
            case Paused() | Resumed():
                self._paused = message if isinstance(message, Paused) else None
                self._settle(message.id)
            case PipelineLive():
                self._live = message
                self._marks.append(Mark(message.since, "live", message.pipeline))
            case EvidenceUpdated() | EvidenceSaved():
                self._every = message.every if isinstance(message, EvidenceUpdated) else self._every
                self._cursor, self._evidence = message.cursor, message.log_evidence
                self._traffic.note(message.time, message.cursor)
                self._points.append((message.cursor, message.log_evidence))
                if len(self._points) > TRACE:
                    self._points = self._points[::2]
            case LogBegun():  # records count from 1 again
                self._points.clear()
                self._marks.clear()
                self._traffic.begin()
            case PolicySet():
                self.policy = message.policy
                self._alarm_line = alarm_line(message.policy)

    def _answered(self, question: str, label: Label) -> None:
        if (view := self._questions.get(question)) is not None:
            view.answers[label.seq] = _word(label.label, view.classes)
            view.said.setdefault(label.seq, {})[label.by] = view.answers[label.seq]

    def _settle(self, cause: str, refused: str = "") -> None:
        self._outcomes[cause] = refused
        _forget_oldest(self._outcomes)  # who offered it has long stopped waiting

    def questions(self) -> list[QuestionView]:
        """Open questions, oldest first."""
        with self._changed:
            return [_copy(view) for view in self._questions.values()]

    def question(self, name: str) -> QuestionView | None:
        """An open question, or one that was closed not long ago (`closed` tells which)."""
        with self._changed:
            view = self._questions.get(name) or self._past.get(name)
            return _copy(view) if view else None

    def closed(self, question: str) -> str | None:
        """How a question was closed, or None while it is open or unknown."""
        with self._changed:
            return self._closed.get(question)

    def incident(self, name: str) -> IncidentView | None:
        """An incident by name."""
        with self._changed:
            return self._incidents.get(name)

    def live(self) -> str:
        """Name of the pipeline that answers; empty before there is one."""
        with self._changed:
            return self._live.pipeline if self._live else ""

    def prepared(self, incident: str) -> dict[str, str]:
        """The pipelines that were prepared for an incident, each with the remedy that made it."""
        with self._changed:
            return dict(self._prepared.get(incident, {}))

    def newest_incident(self) -> str:
        """Name of the incident that was opened last; empty where there was none."""
        with self._changed:
            return next(reversed(self._incidents), "")

    def open_incidents(self) -> list[str]:
        """Names of incidents that have not come to rest."""
        with self._changed:
            return [name for name, view in self._incidents.items() if not view.outcome]

    def status(self) -> Status:
        """Everything at a glance."""
        with self._changed:
            live = self._live
            ended = self._incidents.get(live.incident) if live else None
            reason = live.reason if live else ""
            if ended and ended.outcome:  # what went live on trial has been judged since
                reason = reason.replace("provisional", ended.outcome)
            return Status(
                deployment=self.deployment, pipeline=live.pipeline if live else "", base=live.base if live else "", since=live.time if live else 0.0,
                reason=reason, cursor=self._cursor, log_evidence=self._evidence, per_second=self._traffic.per_second, newest=self._traffic.newest,
                incidents=[msgspec.structs.replace(view) for view in self._incidents.values()], questions=list(self._questions),
                counts=dict(self._counts), previous=live.previous if live else "", gated=live.gated if live else False, alarm_line=self._alarm_line,
                every=self._every, compared=self._agreement.compared, agreed=self._agreement.agreed, kappa=self._agreement.kappa,
                again=AgreementView(self._again.compared, self._again.agreed, self._again.kappa), paces=self._paces.views(),
                paused_by=self._paused.by if self._paused else "",
                paused_reason=self._paused.reason if self._paused else "", paused_at=self._paused.time if self._paused else 0.0,
            )

    def trace(self) -> Trace:
        """How the evidence has gone, with alarms and what went live."""
        with self._changed:
            return Trace(tuple(self._points), tuple(self._marks))

    def events(self, after: int) -> list[tuple[int, float, str]]:
        """What happened after event `after`: number, time (UTC seconds) and line of each."""
        with self._changed:
            return [event for event in self._events if event[0] > after]

    def news(self, count: int) -> list[tuple[float, str]]:
        """The newest `count` lines of what happened, with their times, newest first; answers to single images are not among them."""
        with self._changed:
            return list(self._news)[: -count - 1 : -1]

    def outcome_of(self, answer: str, timeout: float) -> str | None:
        """Why an offered answer was refused, "" if it was taken, None if nobody has dealt with it within `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: answer in self._outcomes, timeout)
            return self._outcomes.get(answer)

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `condition()` holds; it is asked again after each event and each `wake`, and may read the board."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def wake(self) -> None:
        """Let those who wait ask their conditions again, where more than the board matters to them."""
        with self._changed:
            self._changed.notify_all()


def _forget_oldest(kept: dict[str, Any]) -> None:
    if len(kept) > EVENTS:
        kept.pop(next(iter(kept)))


def _copy(view: QuestionView) -> QuestionView:
    return msgspec.structs.replace(view, answers=dict(view.answers), said={seq: dict(said) for seq, said in view.said.items()})


def _word(label: int | None, classes: tuple[str, ...]) -> str:
    if label is None:
        return NO_ANSWER
    return classes[label] if 0 <= label < len(classes) else "none of these"
