"""The desk: where questions wait for people. It keeps the rules of asking, wherever an answer comes from.

A question has an id, a deadline and a default, and of each of its items one answer holds: the first one that is valid. What somebody
else says of the same item while the question is open changes nothing, but is kept beside it, so that disagreement is noticed. What a question
asks about is kept as evidence, so it outlives a restart, also of the inference service, whose log then counts from 1 again.

Who gave an answer may amend it until it is used, and it is used when its question closes: only then has who asked come to a conclusion. The desk
has no clock: it asks for the time (`KeepTime`), and reminds people, or asks others besides, when it is told that it has passed.
"""

from collections import defaultdict
from typing import ClassVar

import msgspec

from agents.agent import Agent, M
from agents.agreement import Agreement
from agents.messages import (
    ANSWERS, AnswerOffered, AnswerRefused, AskChoice, AskLabels, ChoiceMade, CloseQuestion, IncidentClosed, KeepTime, Label, LabelAmended, LabelGiven,
    Message, NoteMade, QuestionClosed, QuestionEscalated, QuestionReminded, RequestExpired, SecondOpinion, TimeCame,
)
from agents.pace import AWAY, BLINK
from agents.policy import Questions

Question = AskLabels | AskChoice
DEFAULT = Questions()


class OpenQuestion(msgspec.Struct):
    """A question and the answers accepted so far."""

    asked: Question
    answers: dict[int, str] = {}
    people: dict[int, tuple[str, ...]] = {}  # who has spoken of an item; the answer of the first one holds
    spoke: dict[str, float] = {}  # when each person answered last

    @property
    def open_items(self) -> tuple[int, ...]:
        """Items without an answer; empty for a choice."""
        return tuple(seq for seq in self.asked.items if seq not in self.answers) if isinstance(self.asked, AskLabels) else ()

    @property
    def missing(self) -> int:
        """How many answers it waits for."""
        return len(self.open_items) if isinstance(self.asked, AskLabels) else 1


class Desk(Agent):
    """All open questions of a deployment; `rules` say who is reminded when, and who is asked besides."""

    name = "desk"
    handles: ClassVar[tuple[type[Message], ...]] = (AskLabels, AskChoice, AnswerOffered, CloseQuestion, RequestExpired, TimeCame, IncidentClosed)

    def __init__(self, deployment: str, rules: Questions = DEFAULT) -> None:
        super().__init__(deployment)
        self.state = "open"
        self.rules = rules
        self.questions: dict[str, OpenQuestion] = {}
        self.closed: dict[str, str] = {}  # question -> outcome
        self.agreement: defaultdict[tuple[str, str], Agreement] = defaultdict(Agreement)  # of two people, in the order of their names
        self.noted: set[tuple[str, str, str]] = set()  # incident, and two people whose disagreement its story tells

    def handle(self, message: Message) -> list[Message]:
        match message:
            case AskLabels() | AskChoice():
                return self._open(message)
            case AnswerOffered():
                return self._answer(message)
            case CloseQuestion(question=question) if question in self.questions:
                return [self._close(message, question, "settled")]
            case TimeCame():
                return self._call(message)
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
        wanted = (("remind", self.rules.remind_after), ("escalate", self.rules.escalate_after))
        return [
            self.say(KeepTime, asked, key=f"{asked.question}/{then}", question=asked.question, then=then, deadline=after)
            for then, after in wanted if 0 < after < asked.deadline
        ]

    def _answer(self, offered: AnswerOffered) -> list[Message]:
        question = self.questions.get(offered.question)
        if question is None:
            outcome = self.closed.get(offered.question)
            reason = f"this question is closed ({outcome})" if outcome else f"there is no question {offered.question!r}"
            if outcome and offered.amend:
                reason += ": its answers have been used, so none can be amended any more"
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
        if offered.amend:
            return [self._amend(offered, asked, question, label)]
        seconds = _seconds(offered, question)
        if offered.seq in question.answers:
            return self._compare(offered, asked, question, label)
        question.answers[offered.seq], question.people[offered.seq] = offered.answer, (offered.by,)
        given = self._about(LabelGiven, asked, offered, question=asked.question, label=label, channel=offered.source, seconds=seconds)
        return [given] if question.open_items else [given, self._close(offered, asked.question, "answered", offered.by)]

    def _amend(self, offered: AnswerOffered, asked: AskLabels, question: OpenQuestion, label: Label) -> Message:
        """Put right what the same person has said before. What others were compared with stays as it was: it was said without them."""
        seq, people = label.seq, question.people.get(label.seq, ())
        if not people:
            return self._refuse(offered, f"record {seq} has no answer yet that could be amended; just answer it")
        before = question.answers[seq]
        if people[0] != offered.by:
            return self._refuse(offered, f"the answer about record {seq} is {people[0]}'s, who alone can amend it")
        if before == offered.answer:
            return self._refuse(offered, f"the answer about record {seq} is {before} already")
        question.answers[seq] = offered.answer
        was = Label(seq, _class_index(before, asked.classes), offered.by)
        return self._about(LabelAmended, asked, offered, question=asked.question, label=label, before=was)

    def _compare(self, offered: AnswerOffered, asked: AskLabels, question: OpenQuestion, second: Label) -> list[Message]:
        """A second view of an item that has an answer, if both say what they see; else there is nothing to compare."""
        answer, people = question.answers[second.seq], question.people[second.seq]
        first = Label(second.seq, _class_index(answer, asked.classes), people[0])
        again = people == (second.by,) and second.seq in asked.repeats  # shown a second time to the same person
        if (second.by in people and not again) or first.label is None or second.label is None:
            return [self._refuse(offered, f"record {second.seq} has an answer already: {answer}")]
        question.people[second.seq] = (*people, second.by)
        opinion = self._about(SecondOpinion, asked, offered, question=asked.question, first=first, second=second)
        return [opinion, *self._note_disagreement(offered, asked, first, second)]

    def _note_disagreement(self, offered: AnswerOffered, asked: AskLabels, first: Label, second: Label) -> list[Message]:
        """Where two people disagree much the story says so, once: what rests on their labels is less sure than its intervals say."""
        assert first.label is not None
        assert second.label is not None
        low, high = sorted((first, second), key=lambda label: label.by)
        assert low.label is not None
        assert high.label is not None
        pair = self.agreement[low.by, high.by]
        pair.add(low.label, high.label)
        noted = (asked.incident, low.by, high.by)
        if not pair.is_poor or noted in self.noted:
            return []
        self.noted.add(noted)
        who = f"{low.by} and {high.by} agree" if low.by != high.by else f"{low.by}, asked again, says the same"
        text = f"{who} on only {pair.agreed} of {pair.compared} images: look at some together before you decide by their labels"
        return [self._about(NoteMade, asked, offered, text=text)]

    def _expire(self, expired: RequestExpired) -> list[Message]:
        question = next((one for one in self.questions.values() if one.asked.id == expired.cause), None)
        if question is None:
            return []
        asked = question.asked
        closed = self._close(expired, asked.question, "expired")
        if isinstance(asked, AskChoice):
            return [self._about(ChoiceMade, asked, expired, question=asked.question, option=asked.default, by="default"), closed]
        return [closed]

    def _call(self, came: TimeCame) -> list[Message]:
        """Remind who was asked, or ask others besides, where the question is still open."""
        question = self.questions.get(came.question)
        reminds = came.then == "remind"
        if question is None or not (self.rules.remind_after if reminds else self.rules.escalate_after):
            return []  # the rule may have gone since the time was asked for
        kind, people = (QuestionReminded, self.rules.people) if reminds else (QuestionEscalated, self.rules.escalate_to)
        return [self.say(kind, came, incident=question.asked.incident, question=came.question, people=people, missing=question.missing)]

    def _close(self, cause: Message, name: str, outcome: str, by: str = "") -> Message:
        asked = self.questions.pop(name).asked
        self.closed[name] = outcome
        return self._about(QuestionClosed, asked, cause, question=name, outcome=outcome, by=by)

    def _about(self, kind: type[M], asked: Question, cause: Message, **fields: object) -> M:
        return self.say(kind, cause, key=asked.question, to=asked.source, incident=asked.incident, **fields)

    def _refuse(self, offered: AnswerOffered, reason: str) -> Message:
        return self.say(AnswerRefused, offered, question=offered.question, by=offered.by, reason=reason)


def _seconds(offered: AnswerOffered, question: OpenQuestion) -> float:
    """What the answer took its person: as the channel says, else the time since the answer before; 0 where that tells nothing."""
    before = question.spoke.get(offered.by, offered.time)
    question.spoke[offered.by] = offered.time
    taken = offered.time - before if offered.seconds is None else offered.seconds
    return taken if BLINK <= taken <= AWAY else 0.0


def _class_index(answer: str, classes: tuple[str, ...]) -> int | None:
    if answer in classes:
        return classes.index(answer)
    return -1 if answer == "none of these" else None
