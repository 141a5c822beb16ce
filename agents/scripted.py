"""A scripted person at the desk: answers one item after the other, as a person would, so that asking can stop early."""

import threading
from collections.abc import Callable
from typing import Protocol

from agents.messages import AnswerOffered, AskChoice, AskLabels, LabelGiven, LogBegun, Message, QuestionClosed, derived_id


class Person(Protocol):
    """Who knows the answers; `scenarios.people.ScriptedPerson` is one."""

    delay: float
    expected: bool

    def label(self, seq: int) -> int | str:
        """Class index, or one of the words that the desk takes."""

    def approve(self, options: "tuple[str, ...]", default: str) -> str:
        """One of the options."""


class ScriptedDesk:
    """Listens for questions and posts the person's answers.

    Parameters
    ----------
    person : who answers.
    post : hands an answer in, as a console does.
    """

    def __init__(self, person: Person, post: Callable[[Message], None], name: str = "scripted person") -> None:
        self._person, self._post, self._name = person, post, name
        self._open: dict[str, AskLabels] = {}

    def listen(self, message: Message) -> None:
        """To be told every message."""
        match message:
            case AskLabels() if self._person.expected:
                self._answer(message.question, "expected", message.items[0] if message.items else 0)
            case AskLabels() if message.items:
                self._open[message.question] = message
                self._label(message, 0)
            case AskChoice():
                self._answer(message.question, self._person.approve(message.options, message.default))
            case LabelGiven() if message.question in self._open:
                asked = self._open[message.question]
                following = asked.items.index(message.label.seq) + 1
                if following < len(asked.items):
                    self._label(asked, following)
            case QuestionClosed():
                self._open.pop(message.question, None)
            case LogBegun():  # the records that are asked about have lost their numbers: this person no longer knows which they were
                for asked in list(self._open.values()):
                    self.skip(asked)

    def skip(self, asked: AskLabels) -> None:
        """Answer nothing more about a question whose images this person has never seen."""
        self._open.pop(asked.question, None)
        for seq in asked.items:
            self._answer(asked.question, "skip", seq)

    def _label(self, asked: AskLabels, index: int) -> None:
        seq = asked.items[index]
        said = self._person.label(seq)
        self._answer(asked.question, asked.classes[said] if isinstance(said, int) else said, seq)

    def _answer(self, question: str, answer: str, seq: int = 0) -> None:
        identity = derived_id(self._name, question, "AnswerOffered", str(seq))
        offered = AnswerOffered(id=identity, source=self._name, question=question, seq=seq, answer=answer, by=self._name)
        if self._person.delay:
            timer = threading.Timer(self._person.delay, self._post, [offered])
            timer.daemon = True
            timer.start()
        else:
            self._post(offered)
