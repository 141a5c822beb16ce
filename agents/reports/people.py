"""What people did: who labelled how much, who decided what, how often two of them agreed, which questions were asked."""

from collections.abc import Sequence

import msgspec

from agents.messages import AskChoice, AskLabels, ChoiceMade, LabelGiven, Message, QuestionClosed, SecondOpinion, UndoAsked
from agents.reports.costs import seconds_of_people


class Person(msgspec.Struct, kw_only=True):
    """One who answered. `no_class`: images of which no class was named. `seconds` of labelling, estimated as in `seconds_of_people`."""

    name: str
    audit: int = 0
    teaching: int = 0
    no_class: int = 0
    decisions: int = 0
    compared: int = 0
    agreed: int = 0
    seconds: float = 0.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One question and what became of it. `answers` of `items`; `by` names who decided, or all who labelled. Times are UTC seconds.

    `closed` is None and `outcome` empty while it is open.
    """

    question: str
    incident: str
    purpose: str
    time: float
    deadline: float
    items: int
    answers: int
    by: tuple[str, ...]
    closed: float | None
    outcome: str
    reason: str = ""


def people(messages: Sequence[Message]) -> list[Person]:
    """Everybody who answered, who did most first. A default that held because nobody answered is nobody's."""
    purposes = {one.question: one.purpose for one in messages if isinstance(one, AskLabels)}
    found: dict[str, Person] = {}

    def who(name: str) -> Person:
        return found.setdefault(name, Person(name=name))

    for message in messages:
        match message:
            case LabelGiven(label=label):
                person = who(label.by)
                if label.label is None or label.label < 0:
                    person.no_class += 1
                if purposes.get(message.question) == "teaching":
                    person.teaching += 1
                else:
                    person.audit += 1
            case SecondOpinion() if message.first.by != message.second.by:
                for name in (message.first.by, message.second.by):
                    who(name).compared += 1
                    who(name).agreed += message.agrees
            case ChoiceMade() if message.by != "default":
                who(message.by).decisions += 1
            case UndoAsked():
                who(message.by).decisions += 1
            case _:
                pass
    for person in found.values():
        person.seconds = seconds_of_people(one for one in messages if isinstance(one, LabelGiven) and one.label.by == person.name)
    return sorted(found.values(), key=lambda person: -(person.audit + person.teaching + person.decisions))


def asked(messages: Sequence[Message]) -> list[Asked]:
    """All questions in order."""
    given: dict[str, list[LabelGiven]] = {}
    for one in messages:
        if isinstance(one, LabelGiven):
            given.setdefault(one.question, []).append(one)
    made = {one.question: one for one in messages if isinstance(one, ChoiceMade)}
    closed = {one.question: one for one in messages if isinstance(one, QuestionClosed)}
    found = []
    for message in messages:
        if not isinstance(message, AskLabels | AskChoice):
            continue
        labels, choice, end = given.get(message.question, []), made.get(message.question), closed.get(message.question)
        names = [choice.by] if choice else sorted({one.label.by for one in labels})
        found.append(
            Asked(
                question=message.question, incident=message.incident, purpose=message.purpose if isinstance(message, AskLabels) else "decision",
                time=message.time, deadline=message.time + message.deadline, items=len(message.items) if isinstance(message, AskLabels) else 1,
                answers=1 if choice else len(labels), by=tuple(names), closed=end.time if end else choice.time if choice else None,
                outcome=choice.option if choice else end.outcome if end else "", reason=choice.reason if choice else "",
            )
        )
    return found
