"""An audit without an alarm: how right is the live pipeline on records drawn at random? Hosted by the checker.

    idle -- ActuatorFired (audit) --> drawing -- AuditDrawn --> asking -- QuestionClosed --> idle

Accuracy is measured, whatever the monitor and the checks think of the records: it also finds the harm that nothing else has seen.
"""

from collections.abc import Callable
from typing import Any

from agents.agreement import repeated
from agents.messages import (
    ActuatorFired, ActuatorHeld, AskLabels, AuditDrawn, AuditMeasured, DrawAudit, Label, LabelAmended, LabelGiven, Message, NoteMade, QuestionClosed,
    RequestExpired, RequestFailed,
)
from models.estimators.betting import BettingInterval

LEVEL = 0.95


class SpotAudit:
    """One audit at a time. It has a name of its own, so that its story can be told and its images are kept.

    Parameters
    ----------
    say : makes a message of the host.
    deadline : seconds that a person has.
    repeat : share of the items that is shown a second time.
    """

    def __init__(self, deployment: str, say: Callable[..., Any], deadline: float, repeat: float = 0.0) -> None:
        self._deployment, self._say, self._deadline, self._repeat = deployment, say, deadline, repeat
        self.count = 0
        self.name = self.request = ""
        self.drawn: AuditDrawn | None = None
        self.labels: list[Label] = []

    @property
    def question(self) -> str:
        """The name of its question; none while nothing is asked."""
        return f"{self.name}/audit" if self.drawn is not None else ""

    def handle(self, message: Message) -> list[Message]:
        """What to say to a message; nothing to those that do not belong to an audit."""
        match message:
            case ActuatorFired(actuator="audit"):
                return self._begin(message)
            case AuditDrawn() if message.cause == self.request:
                return self._ask(message)
            case LabelGiven(question=question) if question and question == self.question:
                self.labels.append(message.label)
            case LabelAmended(question=question) if question and question == self.question:
                self.labels = [message.label if label.seq == message.label.seq else label for label in self.labels]
            case QuestionClosed(question=question) if question and question == self.question:
                return self._measure(message)
            case RequestFailed() | RequestExpired() if self.request and message.cause == self.request:
                return self._give_up(message)
        return []

    def _begin(self, fired: ActuatorFired) -> list[Message]:
        if self.name:
            return [self._say(ActuatorHeld, fired, actuator="audit", reason=f"{fired.rule}: {self.name} is under way")]
        self.count += 1
        self.name = f"{self._deployment}-audit-{self.count}"
        draw: Message = self._say(DrawAudit, fired, labels=fired.labels, count=fired.newest, seed=self.count, incident=self.name, deadline=60.0)
        self.request = draw.id
        return [draw]

    def _ask(self, drawn: AuditDrawn) -> list[Message]:
        self.drawn, self.request = drawn, ""
        text = f"These {len(drawn.items)} of the newest {drawn.records} images are drawn at random, to measure how often the model is right."
        return [
            self._say(
                AskLabels, drawn, question=self.question, items=drawn.items, purpose="audit", text=text, classes=drawn.classes,
                predicted=drawn.predicted, repeats=repeated(self.question, drawn.items, self._repeat), deadline=self._deadline,
            )
        ]

    def _measure(self, closed: QuestionClosed) -> list[Message]:
        drawn = self.drawn
        assert drawn is not None
        right = [label.label == drawn.predicted[label.seq] for label in self.labels if label.label is not None]
        interval, (low, high) = BettingInterval(level=LEVEL), (0.0, 1.0)
        for one in right:
            low, high = interval.update(float(one))
        self._end()
        if not right:
            return [self._say(NoteMade, closed, text=f"{closed.incident} measured nothing: nobody has named an image")]
        return [
            self._say(
                AuditMeasured, closed, pipeline=drawn.pipeline, accuracy=sum(right) / len(right), low=low, high=high, labels=len(right),
                clean_accuracy=drawn.clean_accuracy,
            )
        ]

    def _give_up(self, failure: RequestFailed | RequestExpired) -> list[Message]:
        name, reason = self.name, failure.reason if isinstance(failure, RequestFailed) else "it took too long"
        self._end()
        return [self._say(NoteMade, failure, text=f"{name} was not possible: {reason}")]

    def _end(self) -> None:
        self.name, self.request, self.drawn, self.labels = "", "", None, []
