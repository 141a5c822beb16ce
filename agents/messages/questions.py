"""Questions to people, and their answers."""

from agents.messages.core import Message, Request
from agents.messages.incidents import Label


class AskLabels(Request, frozen=True, kw_only=True):
    """Asks a person to name the class of each of `items` (sequence numbers), in this order."""

    question: str
    items: tuple[int, ...]
    purpose: str  # "audit" or "teaching"
    text: str
    classes: tuple[str, ...]
    predicted: dict[int, int] = {}
    repeats: tuple[int, ...] = ()
    """Items that are shown to a second person, or to the same one again, to measure how well people agree."""


class AskChoice(Request, frozen=True, kw_only=True):
    """Asks a person to choose one of `options`; `default` holds when nobody answers in time."""

    question: str
    options: tuple[str, ...]
    default: str
    text: str


class KeepTime(Request, frozen=True, kw_only=True):
    """The desk asks to be told by `TimeCame` when `deadline` seconds have passed, if the question is open by then.

    `then` is what it means to do: "remind" or "escalate".
    """

    question: str
    then: str


class TimeCame(Message, frozen=True, kw_only=True):
    """The time that `KeepTime` asked for has come."""

    question: str
    then: str


class QuestionReminded(Message, frozen=True, kw_only=True):
    """A question still waits: `missing` answers of `people` (of anybody, where none are named)."""

    question: str
    people: tuple[str, ...]
    missing: int


class QuestionEscalated(Message, frozen=True, kw_only=True):
    """A question has waited so long that `people` are asked, too."""

    question: str
    people: tuple[str, ...]
    missing: int


class CloseQuestion(Message, frozen=True, kw_only=True):
    """The asker has learned enough: the items still open need no answer."""

    question: str
    reason: str


class AnswerOffered(Message, frozen=True, kw_only=True):
    """What a person said about a question: `answer` is a class name or one of ANSWERS for item `seq`, or an option.

    `reason` is why, in the person's own words, if they gave any. `amend`: it takes the place of what the same person has said before.
    `seconds` from showing the item to the answer; 0 where that is not known; None lets the desk measure from this person's answer before.
    """

    question: str
    answer: str
    by: str
    seq: int = 0
    reason: str = ""
    amend: bool = False
    seconds: float | None = None


ANSWERS = ("skip", "unsure", "none of these", "expected")


class AnswerRefused(Message, frozen=True, kw_only=True):
    """The desk did not take an answer, and says why."""

    question: str
    by: str
    reason: str


class LabelGiven(Message, frozen=True, kw_only=True):
    """The one accepted answer about one item. It came by `channel` and took the person `seconds`; 0 where nobody knows how many."""

    question: str
    label: Label
    channel: str = ""
    seconds: float = 0.0


class LabelAmended(Message, frozen=True, kw_only=True):
    """Who gave the accepted answer about one item has corrected it, before it was used: `label` takes the place of `before`."""

    question: str
    label: Label
    before: Label


class SecondOpinion(Message, frozen=True, kw_only=True):
    """An item has been named a second time, by another person or by the same. The `first` answer holds; the `second` is only compared with it."""

    question: str
    first: Label
    second: Label

    @property
    def agrees(self) -> bool:
        """Whether both named the same class."""
        return self.first.label == self.second.label


class ChoiceMade(Message, frozen=True, kw_only=True):
    """The one accepted answer to a choice; `by` is "default" when nobody answered in time. `reason`: the person's own words, if any."""

    question: str
    option: str
    by: str
    reason: str = ""


class QuestionClosed(Message, frozen=True, kw_only=True):
    """No more answers are taken. `outcome`: answered, expired, settled, or expected (the person says the change is meant)."""

    question: str
    outcome: str
    by: str = ""
