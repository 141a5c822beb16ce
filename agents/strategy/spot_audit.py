"""An audit without an alarm: how right is the live pipeline on records drawn at random? Hosted by the checker.

    idle -- ActuatorFired (audit), or a spot check is due --> drawing -- AuditDrawn --> asking -- QuestionClosed --> idle

Accuracy is measured, whatever the monitor and the checks think of the records: it also finds the harm that nothing else has seen. A rule of the
policy wants an audit; spot checks come regularly, a few labels each, where the check for decay wants them. The labels of these are also handed
to the checks as if they had come late, and all of them since the pipeline went live make one estimate.
"""

import math
from collections.abc import Callable
from typing import Any

from agents.agreement import repeated
from agents.messages import (
    ActuatorFired, ActuatorHeld, AskLabels, AuditDrawn, AuditMeasured, DrawAudit, JoinLabels, Label, LabelAmended, LabelGiven, LogBegun, Message,
    NoteMade, PipelineLive, QuestionClosed, RequestExpired, RequestFailed,
)
from models.estimators.betting import share_interval
from models.weaknesses.decay import PER

LEVEL = 0.95
AT_ONCE = 5  # labels of a spot check: fewer would call a person for next to nothing
FEWEST = 50  # records of which some are drawn


class SpotAudit:
    """One audit at a time. It has a name of its own, so that its story can be told and its images are kept.

    Parameters
    ----------
    say : makes a message of the host.
    deadline : seconds that a person has.
    rate : of 10,000 records, for how many a person is asked regularly; 0 for none.
    repeat : share of the items that is shown a second time.
    """

    def __init__(self, deployment: str, say: Callable[..., Any], deadline: float, rate: int = 0, repeat: float = 0.0) -> None:
        self._deployment, self._say, self._deadline, self._repeat = deployment, say, deadline, repeat
        self.every = math.ceil(PER * AT_ONCE / rate) if rate else 0
        self.last = 0  # the record after which a spot check was due last, or since which the pipeline is live
        self.regular: list[bool] = []  # whether the pipeline that is live was right, by all spot checks
        self.due: int | None = None
        self.count = 0
        self.name = self.request = self.pipeline = ""
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
            case PipelineLive(pipeline=pipeline) if pipeline != self.pipeline:
                self.pipeline, self.last, self.regular = pipeline, message.since - 1, []
            case LogBegun():
                self.last = 0
            case RequestFailed(request="JoinLabels"):
                return [self._say(NoteMade, message, text=f"labels of {message.incident} were not counted by the checks: {message.reason}")]
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
        return [self._draw(fired, fired.labels, fired.newest)]

    def look(self, cause: Message, record: int) -> list[Message]:
        """A spot check, if one is due after `record`, while nothing is alarming."""
        if not self.every or self.name or record < self.last + self.every:
            return []
        return [self._draw(cause, AT_ONCE, max(FEWEST, record - self.last), due=record)]

    def recall(self, draw: DrawAudit) -> None:
        """A spot check that is on record."""
        if draw.due is not None:
            self._drawn(draw)

    def _draw(self, cause: Message, labels: int, newest: int, *, due: int | None = None) -> Message:
        number = self.count + 1
        draw: DrawAudit = self._say(
            DrawAudit, cause, labels=labels, count=newest, seed=number, due=due, incident=f"{self._deployment}-audit-{number}", deadline=60.0
        )
        self._drawn(draw)
        return draw

    def _drawn(self, draw: DrawAudit) -> None:
        self.count, self.name, self.request, self.due = draw.seed, draw.incident, draw.id, draw.due
        self.last = self.last if draw.due is None else draw.due

    def _ask(self, drawn: AuditDrawn) -> list[Message]:
        self.drawn, self.request = drawn, ""
        regular = "Nothing is alarming; this is a spot check. " if self.due is not None else ""
        text = f"{regular}These {len(drawn.items)} of the newest {drawn.records} images are drawn at random, to measure how often the model is right."
        return [
            self._say(
                AskLabels, drawn, question=self.question, items=drawn.items, purpose="audit", text=text, classes=drawn.classes,
                predicted=drawn.predicted, repeats=repeated(self.question, drawn.items, self._repeat), deadline=self._deadline,
            )
        ]

    def _measure(self, closed: QuestionClosed) -> list[Message]:
        drawn = self.drawn
        assert drawn is not None
        named = {label.seq: label.label for label in self.labels if label.label is not None}
        fresh, regular = [label == drawn.predicted[seq] for seq, label in named.items()], self.due is not None and drawn.pipeline == self.pipeline
        self._end()
        if not fresh:
            return [self._say(NoteMade, closed, text=f"{closed.incident} measured nothing: nobody has named an image")]
        self.regular += fresh if regular else []
        right = self.regular if regular else fresh
        low, high = (float(end) for end in share_interval(sum(right), len(right) - sum(right), level=LEVEL))
        measured = self._say(
            AuditMeasured, closed, pipeline=drawn.pipeline, accuracy=sum(right) / len(right), low=low, high=high, labels=len(right),
            clean_accuracy=drawn.clean_accuracy, regular=regular,
        )
        return [measured, *([self._say(JoinLabels, closed, labels=named, deadline=60.0)] if regular else [])]

    def _give_up(self, failure: RequestFailed | RequestExpired) -> list[Message]:
        name, reason = self.name, failure.reason if isinstance(failure, RequestFailed) else "it took too long"
        self._end()
        return [self._say(NoteMade, failure, text=f"{name} was not possible: {reason}")]

    def _end(self) -> None:
        self.name, self.request, self.drawn, self.labels, self.due = "", "", None, [], None
