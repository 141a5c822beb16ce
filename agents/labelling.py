"""Answering by keys, without a terminal: a key goes in, offers to the desk come out, and `state` and `note` say what to show.

    asking -- class, s, u, n --> asking ... -- the last one --> done
       |  <-- b --  (further back: what is answered then amends)  ^
       +-- e --> confirming -- y ------------------------------+
       +-- q --> left (the question stays open)                 |
       +-- closed by the desk: settled, expired, expected ------+
"""

import string
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from agents.board import NO_ANSWER, QuestionView
from agents.messages import ANSWERS

SKIP, UNSURE, NONE_OF_THESE, EXPECTED = ANSWERS
WORD_KEYS = {"s": SKIP, "u": UNSURE, "n": NONE_OF_THESE}
OTHER_KEYS = ("b", "e", "q", "?")
TAKEN = (*WORD_KEYS, *OTHER_KEYS)

ENDINGS = {
    "answered": "all answered, thank you",
    "settled": "settled early: the answers so far are enough",
    "expired": "its time ran out",
    "expected": "the change is expected",
}

State = Literal["asking", "confirming", "done", "left"]


class Offer(NamedTuple):
    """What goes to the desk: a class name, a word of `ANSWERS` or an option; `seq` is 0 for a choice. `amend`: in place of one's answer before."""

    seq: int
    answer: str
    amend: bool = False


def class_keys(classes: Sequence[str]) -> dict[str, str]:
    """One key for each class: digits themselves where all names are digits, else 0 to 9, then the letters that mean nothing else.

    Empty when there are more classes than keys (56).

    >>> class_keys(["3", "7"])
    {'3': '3', '7': '7'}
    >>> class_keys(["T-shirt", "trouser"])
    {'0': 'T-shirt', '1': 'trouser'}
    """
    if all(len(name) == 1 and name in string.digits for name in classes):
        return {name: name for name in classes}
    keys = [key for key in string.digits + string.ascii_letters if key not in TAKEN]
    return dict(zip(keys, classes, strict=False)) if len(classes) <= len(keys) else {}


def option_keys(options: Sequence[str]) -> dict[str, str]:
    """One letter for each option, from its own name where one is free. No digits: one that was meant for the last image chooses nothing.

    >>> option_keys(["approve", "adapt", "decline"])
    {'a': 'approve', 'd': 'adapt', 'e': 'decline'}
    """
    keys: dict[str, str] = {}
    for option in options:
        free = (key for key in option.lower() + string.ascii_letters if key in string.ascii_letters and key not in {*keys, "q"})
        keys[next(free)] = option
    return keys


class LabellingSession:
    """One person's way through a label question.

    The newest answer is *held*: it goes to the desk only when the next image is answered, or when nothing follows, so that `b` (back) takes
    it back without a trace. Further back, `b` shows what was handed in before, and another answer to it *amends* it, which is on record. What is
    held when somebody else answers the same image still goes out, to be compared; what is held when the desk closes the question is not needed
    any more.

    Some images are to be named twice (`QuestionView.repeats`): those that somebody else has named come first, own ones come again before the last.
    Without a name, `by`, none are.

    Attributes
    ----------
    state : asking, confirming (that the change is expected), done or left.
    note : one sentence about the last key, or nothing.
    help : whether the keys are to be explained.
    leaving : whether the person leaves the console, not only this question; `dropped`: whether all questions, for the prompt.
    sent : offers that went out and were not refused.
    taken_away : whether the question was closed while an image was shown, so that a key may still be on its way to it.
    """

    def __init__(self, question: QuestionView, by: str = "") -> None:
        self.question, self.by = question, by
        self.keys = class_keys(question.classes)
        self.state: State = "asking"
        self.note = ""
        self.help = self.leaving = self.dropped = self.taken_away = False
        self.sent = 0
        self.held: Offer | None = None
        self._gone = set(question.answers)  # has an answer, here or on another console
        self._own: dict[int, str] = {}  # what this person has handed in, in order
        self._amended: int | None = None  # the image that is shown again, to be amended
        self._earlier: dict[int, str] = {}  # what was handed in before it was amended, should the desk refuse that
        self._said, self._compared = question.said, set[int]()  # by others and by this person; named here a second time
        self._twice: int | None = None  # the image that is shown to be named a second time
        self._advance()

    @property
    def item(self) -> int | None:
        """Sequence number of the image to show, if one is left."""
        if self._amended is not None:
            return self._amended
        return self._twice if self._twice is not None else next(iter(self._open), None)

    @property
    def can_go_back(self) -> bool:
        """Whether `b` leads anywhere."""
        return self.held is not None or bool(self._before())

    @property
    def _open(self) -> list[int]:
        behind = {*self._gone, self.held.seq} if self.held else self._gone
        return [seq for seq in self.question.items if seq not in behind]

    @property
    def place(self) -> tuple[int, int]:
        """Number of the shown image, from 1, and of how many."""
        items = self.question.items
        return (items.index(self.item) + 1 if self.item is not None else len(items), len(items))

    def prefer(self, seqs: Sequence[int]) -> None:
        """Show these images first. Labels that measure keep their order: it was drawn at random, and asking may stop before its end."""
        if self.question.purpose == "audit":
            self.note = "these labels measure: their order was drawn at random and stays as it is"
            return
        items = self.question.items
        first = [seq for seq in seqs if seq in items]
        self.question = msgspec.structs.replace(self.question, items=(*first, *(seq for seq in items if seq not in first)))

    def press(self, key: str) -> list[Offer]:
        """Take one key; what is to be sent to the desk now, in this order."""
        self.note = ""
        item = self.item
        if item is None:
            return []
        if self.state == "confirming":
            return self._confirm(item, key)
        if self.state != "asking":
            return []
        if key not in self.keys:
            key = key.lower()
        answer = self.keys.get(key) or WORD_KEYS.get(key)
        if answer is not None:
            return self._answer(Offer(item, answer))
        match key:
            case "b":
                self._back()
            case "e":
                self.state = "confirming"
            case "q":
                return self.leave()
            case "?":
                self.help = not self.help
            case _:
                self.note = f"{key!r} is no key here; ? explains them"
        return []

    def leave(self) -> list[Offer]:
        """Stop here; the question stays open. What is held was meant, so it is handed in."""
        self.state = "left"
        return self._release()

    def drop(self) -> None:
        """Stop here and hand nothing in: what is held was perhaps not meant. The question stays open."""
        self.note = f"{self.held.answer} for the last one was not handed in" if self.held else ""
        self.state, self.held = "left", None

    def hand_in(self) -> list[Offer]:
        """What is held goes out now, without an answer to the next image; `b` does not bring it back any more."""
        return self._release()

    def refused(self, offer: Offer, reason: str) -> None:
        """The desk did not take an offer."""
        self.sent -= 1
        if offer.amend:
            self._own[offer.seq] = self._earlier[offer.seq]
        elif offer.seq not in self._compared:
            self._own.pop(offer.seq, None)
        self.note = f"refused: {reason}"
        if self.state == "done" and offer.answer == EXPECTED:
            self.state = "asking"

    def update(self, question: QuestionView) -> None:
        """The question as the desk sees it now: others may have answered some of it."""
        before, overtaken = self.item, set(question.answers) - self._gone
        self._gone |= overtaken
        self._said = question.said
        if self._twice is not None and len(self._said.get(self._twice, {})) > 1:
            self._twice = None  # somebody else has named it, too
        if self.held and self.held.seq in overtaken:
            said = self.held.answer
            if said in (SKIP, UNSURE):
                self.held = None
            self.note = f"somebody else was quicker with the last one; your {said} {'is compared with that' if self.held else 'was not needed'}"
        if self.item is None and self.held is None and self.state == "asking":
            self.state, self.note = "done", ENDINGS["answered"]
        elif self.item != before and self.state == "asking":
            self.note = "somebody else has answered that one"

    def close(self, outcome: str) -> None:
        """The desk takes no more answers."""
        self.held = self._amended = None
        if self.state != "left":
            self.taken_away = self.state in ("asking", "confirming")
            self.state, self.note = "done", ENDINGS.get(outcome, f"closed: {outcome}")

    def _answer(self, offer: Offer) -> list[Offer]:
        if self._amended is not None:
            return self._amend(offer)
        before = self._release()
        if self._twice is not None:
            return [*before, *self._compare(offer)]
        self.held = offer
        self._advance()
        if self.item is None:
            self.state, self.note = "done", ENDINGS["answered"]
            return [*before, *self._release()]
        return before

    def _release(self) -> list[Offer]:
        """The held answer, which now goes out."""
        if self.held is None:
            return []
        offer, self.held = self.held, None
        self._gone.add(offer.seq)
        self._own[offer.seq] = offer.answer
        self.sent += 1
        return [offer]

    def _amend(self, offer: Offer) -> list[Offer]:
        self._amended = None
        if self._own[offer.seq] == offer.answer:
            self.note = f"{offer.answer} stays"
            return []
        self._earlier[offer.seq], self._own[offer.seq] = self._own[offer.seq], offer.answer
        self.sent += 1
        return [offer._replace(amend=True)]

    def _compare(self, offer: Offer) -> list[Offer]:
        """Name an image a second time; who cannot tell what it is says nothing that could be compared."""
        self._compared.add(offer.seq)
        self._advance()
        if offer.answer in (SKIP, UNSURE):
            return []
        self.sent += 1
        return [offer]

    def _advance(self) -> None:
        """Choose an image that is to be named a second time next, if one is due: others' at once, own ones before the last image."""
        due = (seq for seq in self.question.repeats if seq not in self._compared and self._is_due(seq, self._said.get(seq, {})))
        self._twice = next(due, None) if self.by and self._open else None

    def _is_due(self, seq: int, said: Mapping[str, str]) -> bool:
        if len(said) != 1:
            return False
        [(who, answer)] = said.items()
        named = answer not in (SKIP, UNSURE, NO_ANSWER) and (self.held is None or self.held.seq != seq)
        return named and (who != self.by or len(self._open) == 1)

    def _before(self) -> list[int]:
        """What can be amended further back, the newest last."""
        own = list(self._own)
        return own[: own.index(self._amended)] if self._amended in self._own else own

    def _back(self) -> None:
        if self.held is not None:
            self.note, self.held = f"taken back: {self.held.answer}", None
        elif before := self._before():
            self._amended = before[-1]
            self.note = f"you said {self._own[self._amended]} of this one; another answer amends it, the same one leaves it"
        elif self._amended is not None:
            self.note = f"that was your first one: you said {self._own[self._amended]}"
        else:
            self.note = "nothing to take back: you have handed in no answer yet"

    def _confirm(self, item: int, key: str) -> list[Offer]:
        if key.lower() != "y":
            self.state, self.note = "asking", "not marked as expected"
            return []
        # What is held stays behind: an expected change needs no measuring, and the held label might close the question first.
        self.state, self.held = "done", None
        self.sent += 1
        return [Offer(item, EXPECTED)]


class ChoiceSession:
    """One person's way through a choice: one key, and it is made."""

    def __init__(self, question: QuestionView) -> None:
        self.question = question
        self.keys = option_keys(question.options)
        self.state: State = "asking"
        self.note = ""
        self.leaving = self.dropped = self.taken_away = False

    def press(self, key: str) -> list[Offer]:
        """Take one key; what is to be sent to the desk now."""
        self.note = ""
        key = key if key in self.keys else key.lower()
        if self.state != "asking":
            return []
        if key == "q":
            return self.leave()
        if key in self.keys:
            self.state, self.note = "done", self.keys[key]
            return [Offer(0, self.keys[key])]
        self.note = f"{key!r} is no key here; press {', '.join(self.keys)}, or q to decide later"
        return []

    def leave(self) -> list[Offer]:
        """Decide later."""
        self.state = "left"
        return []

    def drop(self) -> None:
        """Decide later: nothing is ever held here."""
        self.state, self.note = "left", ""

    def refused(self, offer: Offer, reason: str) -> None:  # noqa: ARG002 - as LabellingSession has it
        """The desk did not take the choice."""
        self.state, self.note = "asking", f"refused: {reason}"

    def update(self, question: QuestionView) -> None:
        """Nothing about an open choice changes."""

    def close(self, outcome: str) -> None:
        """The desk takes no more answers."""
        if self.state == "asking":
            self.state, self.taken_away = "done", True
            self.note = "somebody else has chosen" if outcome == "answered" else ENDINGS.get(outcome, f"closed: {outcome}")


KeySession = LabellingSession | ChoiceSession
