"""The desk: where questions wait for people. It keeps the rules of asking, wherever an answer comes from.

A question has an id, a deadline and a default, and of each of its items one answer holds: the first one that is valid. What somebody
else says of the same item while the question is open changes nothing, but is kept beside it, so that disagreement is noticed. What a question
asks about is kept as evidence, so it outlives a restart, also of the inference service, whose log then counts from 1 again.
"""

from typing import ClassVar

import msgspec

from agents.agent import Agent
from agents.messages import (
    ANSWERS, AnswerOffered, AnswerRefused, AskChoice, AskLabels, ChoiceMade, CloseQuestion, IncidentClosed, Label, LabelGiven, Message,
    QuestionClosed, RequestExpired, SecondOpinion,
)

Question = AskLabels | AskChoice


class OpenQuestion(msgspec.Struct):
    """A question and the answers accepted so far."""

    asked: Question
    answers: dict[int, str] = {}
    people: dict[int, tuple[str, ...]] = {}  # who has spoken of an item; the answer of the first one holds

    @property
    def open_items(self) -> tuple[int, ...]:
        """Items without an answer; empty for a choice."""
        return tuple(seq for seq in self.asked.items if seq not in self.answers) if isinstance(self.asked, AskLabels) else ()


class Desk(Agent):
    """All open questions of a deployment."""

    name = "desk"
    handles: ClassVar[tuple[type[Message], ...]] = (AskLabels, AskChoice, AnswerOffered, CloseQuestion, RequestExpired, IncidentClosed)

    def __init__(self, deployment: str) -> None:
        super().__init__(deployment)
        self.state = "open"
        self.questions: dict[str, OpenQuestion] = {}
        self.closed: dict[str, str] = {}  # question -> outcome

    def handle(self, message: Message) -> list[Message]:
        match message:
            case AskLabels() | AskChoice():
                return self._open(message)
            case AnswerOffered():
                return self._answer(message)
            case CloseQuestion(question=question) if question in self.questions:
                return [self._close(message, question, "settled")]
            case RequestExpired():
                return self._expire(message)
            case IncidentClosed(incident=incident):
                left = [name for name, one in self.questions.items() if one.asked.incident == incident]
                return [self._close(message, name, "settled") for name in left]
        return []

    def _open(self, asked: Question) -> list[Message]:
        if asked.question in self.closed:
            return []
        self.questions[asked.question] = OpenQuestion(asked)
        if isinstance(asked, AskLabels) and not asked.items:
            return [self._close(asked, asked.question, "answered")]
        return []

    def _answer(self, offered: AnswerOffered) -> list[Message]:
        question = self.questions.get(offered.question)
        if question is None:
            outcome = self.closed.get(offered.question)
            reason = f"this question is closed ({outcome})" if outcome else f"there is no question {offered.question!r}"
            return [self._refuse(offered, reason)]
        asked = question.asked
        if isinstance(asked, AskChoice):
            if offered.answer not in asked.options:
                return [self._refuse(offered, f"{offered.answer!r} is not one of {', '.join(asked.options)}")]
            made = self._about(ChoiceMade, asked, offered, question=asked.question, option=offered.answer, by=offered.by, reason=offered.reason)
            return [made, self._close(offered, asked.question, "answered", offered.by)]
        if offered.answer == "expected":
            return [self._close(offered, asked.question, "expected", offered.by)]
        if offered.seq not in asked.items:
            return [self._refuse(offered, f"record {offered.seq} is not part of this question")]
        if offered.answer not in (*asked.classes, *ANSWERS):
            return [self._refuse(offered, f"{offered.answer!r} is neither a class ({', '.join(asked.classes)}) nor one of {', '.join(ANSWERS)}")]
        label = Label(offered.seq, _class_index(offered.answer, asked.classes), offered.by)
        if offered.seq in question.answers:
            return [self._compare(offered, asked, question, label)]
        question.answers[offered.seq], question.people[offered.seq] = offered.answer, (offered.by,)
        given = self._about(LabelGiven, asked, offered, question=asked.question, label=label)
        return [given] if question.open_items else [given, self._close(offered, asked.question, "answered", offered.by)]

    def _compare(self, offered: AnswerOffered, asked: AskLabels, question: OpenQuestion, second: Label) -> Message:
        """Somebody else's view of an item that has an answer, if both say what they see; else there is nothing to compare."""
        answer, people = question.answers[second.seq], question.people[second.seq]
        first = Label(second.seq, _class_index(answer, asked.classes), people[0])
        if second.by in people or first.label is None or second.label is None:
            return self._refuse(offered, f"record {second.seq} has an answer already: {answer}")
        question.people[second.seq] = (*people, second.by)
        return self._about(SecondOpinion, asked, offered, question=asked.question, first=first, second=second)

    def _expire(self, expired: RequestExpired) -> list[Message]:
        question = next((one for one in self.questions.values() if one.asked.id == expired.cause), None)
        if question is None:
            return []
        asked = question.asked
        closed = self._close(expired, asked.question, "expired")
        if isinstance(asked, AskChoice):
            return [self._about(ChoiceMade, asked, expired, question=asked.question, option=asked.default, by="default"), closed]
        return [closed]

    def _close(self, cause: Message, name: str, outcome: str, by: str = "") -> Message:
        asked = self.questions.pop(name).asked
        self.closed[name] = outcome
        return self._about(QuestionClosed, asked, cause, question=name, outcome=outcome, by=by)

    def _about(self, kind: type[Message], asked: Question, cause: Message, **fields: object) -> Message:
        return self.say(kind, cause, key=asked.question, to=asked.source, incident=asked.incident, **fields)

    def _refuse(self, offered: AnswerOffered, reason: str) -> Message:
        return self.say(AnswerRefused, offered, question=offered.question, by=offered.by, reason=reason)


def _class_index(answer: str, classes: tuple[str, ...]) -> int | None:
    if answer in classes:
        return classes.index(answer)
    return -1 if answer == "none of these" else None
