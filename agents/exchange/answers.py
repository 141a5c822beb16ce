"""Answers from a file: what is wrong with each, and which of them the desk is still to hear."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from agents.board import NO_ANSWER, QuestionView
from agents.labelling import EXPECTED, NONE_OF_THESE, SKIP, UNSURE

WORDS = (SKIP, UNSURE, NONE_OF_THESE)


class ExchangeError(ValueError):
    """A file or folder cannot be used; the text says which, where, what was expected, and what to do."""


class Answer(NamedTuple):
    """One answer as a file has it. `place` says where: file, line and column. `seconds` it took; 0 where nobody knows."""

    place: str
    question: str
    seq: int
    answer: str
    by: str
    seconds: float = 0.0


class Filled(NamedTuple):
    """What was read from a file: answers, and a sentence for each that cannot be one."""

    answers: list[Answer]
    problems: list[str]


class Desk(Protocol):
    """Where answers go; `agents.visitor.Visitor` is one."""

    def questions(self) -> list[QuestionView]:
        """Open questions."""
        ...

    def answer(
        self, question: str, answer: str, by: str, seq: int = 0, *, amend: bool = False, channel: str = "", seconds: float | None = None,
    ) -> str:
        """Offer an answer; returns why it was refused, or nothing."""
        ...


class Outcome(NamedTuple):
    """What became of a file's answers: how many of each kind (`TOLD`), and a sentence for each that was not taken."""

    counts: dict[str, int]
    problems: list[str]

    def lines(self) -> list[str]:
        """The counts in words.

        >>> Outcome({"taken": 3, "known": 1}, []).lines()
        ['3 answers taken', '1 answer known already']
        """
        return [f"{self.counts[kind]} answer{'' if self.counts[kind] == 1 else 's'} {told}" for kind, told in TOLD.items() if self.counts.get(kind)]


TOLD = {
    "taken": "taken", "amended": "amended", "known": "known already",
    "late": "left aside: their question is not open (any more), so they are not needed",
    "waiting": "left waiting for the images before them: these labels measure, so none may be left out; skip and unsure are answers",
}  # fmt: skip


def said(text: str, classes: Sequence[str]) -> str | None:
    """Which answer is meant by what somebody has typed, or None. Spaces around it and capitals do not matter where it stays clear.

    >>> said(" Trouser", ["trouser", "bag"]), said("UNSURE", ["trouser"]), said("sock", ["trouser"]), said("a", ["a", "A"])
    ('trouser', 'unsure', None, 'a')
    """
    text = text.strip()
    allowed = [*classes, *(word for word in WORDS if word not in classes)]
    if text in allowed:
        return text
    alike = [one for one in allowed if one.casefold() == text.casefold()]
    return alike[0] if len(alike) == 1 else None


def take(desk: Desk, answers: Iterable[Answer], channel: str) -> Outcome:
    """Hand in answers, one by one, so that one that is wrong holds up no other. Handing in the same ones again changes nothing.

    Who says something else of a record than before amends it; what somebody else has named already is compared with that. Labels that measure
    are handed in in the order in which they are asked for, whatever the order of the file, and only up to the first image without one: the
    order was drawn at random, and whoever leaves out the hard ones would make the model look better than it is.
    """
    views = {view.question: view for view in desk.questions() if view.kind == "labels"}
    counts: Counter[str] = Counter()
    problems = []
    ready, counts["waiting"] = _in_turn(list(answers), views)
    for one in ready:
        view = views.get(one.question)
        if view is None:
            counts["late"] += 1
            continue
        answer = said(one.answer, view.classes)
        if wrong := _wrong(one, answer, view):
            problems.append(f"{one.place}: {wrong}")
            continue
        assert answer is not None
        before = view.said.get(one.seq, {})
        if (own := before.get(one.by)) is not None and own == (NO_ANSWER if answer in (SKIP, UNSURE) else answer):
            counts["known"] += 1
            continue
        amend = own is not None and next(iter(before)) == one.by
        refused = desk.answer(one.question, answer, one.by, one.seq, amend=amend, channel=channel, seconds=one.seconds)
        if not refused:
            counts["amended" if amend else "taken"] += 1
            view.said.setdefault(one.seq, {})[one.by] = NO_ANSWER if answer in (SKIP, UNSURE) else answer
        elif all(view.question != still.question for still in desk.questions()):
            del views[one.question]  # settled by what came before
            counts["late"] += 1
        else:
            problems.append(f"{one.place}: not taken: {refused}")
    return Outcome(dict(+counts), problems)


def _in_turn(answers: list[Answer], views: Mapping[str, QuestionView]) -> tuple[list[Answer], int]:
    """The answers that may be handed in now, in their order, and how many wait. An answer that will be refused leaves no gap."""
    turns: dict[tuple[str, int], int] = {}
    too_early: set[tuple[str, int]] = set()
    for view in views.values():
        if view.purpose != "audit":
            continue
        there = {one.seq for one in answers if one.question == view.question} | set(view.answers)
        gap = next((place for place, seq in enumerate(view.items) if seq not in there), len(view.items))
        turns |= {(view.question, seq): place for place, seq in enumerate(view.items)}
        too_early |= {(view.question, seq) for seq in view.items[gap:] if seq not in view.answers}
    ready = [one for one in answers if (one.question, one.seq) not in too_early]
    return sorted(ready, key=lambda one: turns.get((one.question, one.seq), -1)), len(answers) - len(ready)


def _wrong(one: Answer, answer: str | None, view: QuestionView) -> str:
    if one.seq not in view.items:
        return f"record {one.seq} is not part of question {view.question}; it is about {', '.join(str(seq) for seq in view.items)}"
    if answer is not None:
        return ""
    if one.answer.strip().casefold() == EXPECTED:
        return f"{EXPECTED!r} is said of the whole question, not of one image: say it at the console or on the page"
    return f"{one.answer.strip()!r} is neither a class ({', '.join(view.classes)}) nor {SKIP}, {UNSURE} or {NONE_OF_THESE}"
