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


class AskChoice(Request, frozen=True, kw_only=True):
    """Asks a person to choose one of `options`; `default` holds when nobody answers in time."""

    question: str
    options: tuple[str, ...]
    default: str
    text: str


class CloseQuestion(Message, frozen=True, kw_only=True):
    """The asker has learned enough: the items still open need no answer."""

    question: str
    reason: str


class AnswerOffered(Message, frozen=True, kw_only=True):
    """What a person said about a question: `answer` is a class name or one of ANSWERS for item `seq`, or an option.

    `reason` is why, in the person's own words, if they gave any.
    """

    question: str
    answer: str
    by: str
    seq: int = 0
    reason: str = ""


ANSWERS = ("skip", "unsure", "none of these", "expected")


class AnswerRefused(Message, frozen=True, kw_only=True):
    """The desk did not take an answer, and says why."""

    question: str
    by: str
    reason: str


class LabelGiven(Message, frozen=True, kw_only=True):
    """The one accepted answer about one item."""

    question: str
    label: Label


class SecondOpinion(Message, frozen=True, kw_only=True):
    """Another person has named an item too. The `first` answer holds; the `second` is only compared with it."""

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
