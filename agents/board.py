"""What people see: open questions, what is live, incidents and the newest events, as a fold over all messages."""

import threading
from collections import deque
from collections.abc import Callable

import msgspec

from agents.messages import (
    AnswerRefused, AskChoice, AskLabels, ChoiceMade, DeployPipeline, EvidenceUpdated, IncidentClosed, IncidentOpened, LabelGiven, Message,
    PipelineLive, QuestionClosed, Tick, WindowObserved,
)
from agents.story import line

EVENTS = 2000


class QuestionView(msgspec.Struct):
    """An open question as a console shows it. `kind` is "labels" or "choice"; `deadline` is UTC seconds."""

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


class IncidentView(msgspec.Struct):
    """An incident: open until it has an outcome."""

    incident: str
    opened: float
    onset: int
    pipeline: str
    outcome: str = ""
    reason: str = ""


class Status(msgspec.Struct):
    """The state of a deployment at a glance."""

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


class Board:
    """Listens to a switchboard; safe to read from other threads."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._changed = threading.Condition(threading.RLock())
        self._questions: dict[str, QuestionView] = {}
        self._closed: dict[str, str] = {}
        self._incidents: dict[str, IncidentView] = {}
        self._live: PipelineLive | None = None
        self._cursor, self._evidence = 0, 0.0
        self._events: deque[tuple[int, str]] = deque(maxlen=EVENTS)
        self._number = 0
        self._outcomes: dict[str, str] = {}  # id of an offered answer -> why it was refused, or nothing
        self._counts: dict[str, int] = {}

    def listen(self, message: Message) -> None:
        """To be told every message."""
        with self._changed:
            kind = type(message).__name__
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._fold(message)
            if not message.transient and (text := line(message)):
                self._number += 1
                self._events.append((self._number, text))
            if not isinstance(message, Tick | WindowObserved):
                self._changed.notify_all()

    def _fold(self, message: Message) -> None:
        match message:
            case AskLabels():
                self._questions[message.question] = QuestionView(
                    question=message.question, kind="labels", incident=message.incident, text=message.text, purpose=message.purpose,
                    items=message.items, predicted=message.predicted, classes=message.classes, deadline=message.time + message.deadline,
                )
            case AskChoice():
                self._questions[message.question] = QuestionView(
                    question=message.question, kind="choice", incident=message.incident, text=message.text, options=message.options,
                    default=message.default, deadline=message.time + message.deadline,
                )
            case AnswerRefused():
                self._settle(message.cause, message.reason)
            case LabelGiven():
                self._settle(message.cause)
                view = self._questions.get(message.question)
                if view is not None:
                    view.answers[message.label.seq] = _word(message.label.label, view.classes)
            case ChoiceMade():
                self._settle(message.cause)
            case QuestionClosed():
                if message.cause not in self._outcomes:
                    self._settle(message.cause)
                self._questions.pop(message.question, None)
                self._closed[message.question] = message.outcome
            case IncidentOpened():
                self._incidents[message.incident] = IncidentView(message.incident, message.time, message.onset, message.pipeline)
            case IncidentClosed() if message.incident in self._incidents:
                view_of = self._incidents[message.incident]
                view_of.outcome, view_of.reason = message.outcome, message.reason
            case DeployPipeline():  # the planner has taken up what caused it
                self._settle(message.cause)
            case PipelineLive():
                self._live = message
            case EvidenceUpdated():
                self._cursor, self._evidence = message.cursor, message.log_evidence

    def _settle(self, cause: str, refused: str = "") -> None:
        self._outcomes[cause] = refused
        if len(self._outcomes) > EVENTS:  # who offered the oldest has long stopped waiting
            self._outcomes.pop(next(iter(self._outcomes)))

    def questions(self) -> list[QuestionView]:
        """Open questions, oldest first."""
        with self._changed:
            return [msgspec.structs.replace(view, answers=dict(view.answers)) for view in self._questions.values()]

    def closed(self, question: str) -> str | None:
        """How a question was closed, or None while it is open or unknown."""
        with self._changed:
            return self._closed.get(question)

    def incident(self, name: str) -> IncidentView | None:
        """An incident by name."""
        with self._changed:
            return self._incidents.get(name)

    def open_incidents(self) -> list[str]:
        """Names of incidents that have not come to rest."""
        with self._changed:
            return [name for name, view in self._incidents.items() if not view.outcome]

    def status(self) -> Status:
        """Everything at a glance."""
        with self._changed:
            live = self._live
            return Status(
                deployment=self._deployment, pipeline=live.pipeline if live else "", base=live.base if live else "", since=live.time if live else 0.0,
                reason=live.reason if live else "", cursor=self._cursor, log_evidence=self._evidence,
                incidents=[msgspec.structs.replace(view) for view in self._incidents.values()], questions=list(self._questions),
                counts=dict(self._counts),
            )

    def events(self, after: int) -> list[tuple[int, str]]:
        """Numbered lines of what happened after event `after`."""
        with self._changed:
            return [event for event in self._events if event[0] > after]

    def outcome_of(self, answer: str, timeout: float) -> str | None:
        """Why an offered answer was refused, "" if it was taken, None if nobody has dealt with it within `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: answer in self._outcomes, timeout)
            return self._outcomes.get(answer)

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `condition()` holds; it is asked again after each event and may read the board."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)


def _word(label: int | None, classes: tuple[str, ...]) -> str:
    if label is None:
        return "no answer"
    return classes[label] if 0 <= label < len(classes) else "none of these"
