"""Does it hurt? The questions of one incident, hosted by the checker. Pure, as its host is.

    confirming -- they show known classes --> auditing -- hurts --> teaching --> handed over
        |                                        |
        +-- an unknown class: ended              +-- harmless, expected, an unknown class: ended

A person labels a few records drawn at random, and only when these or the label-free estimate say that accuracy suffers are labels asked to
learn from. What has been measured with true labels needs no audit. Where a check has found new content, a person first sees some of the records
that are unlike all that is known: "none of these" confirms it, and no remedy is tried; without an answer none is, either. Otherwise it is a
drift as any other.
"""

from collections.abc import Callable, Sequence
from typing import Any

from agents.agreement import repeated
from agents.judge import Judge, asked
from agents.messages import (
    AskLabels, CloseQuestion, Finding, HarmAssessed, Label, LabelAmended, LabelGiven, Message, NoteMade, QuestionClosed, WindowAnalysed,
)
from agents.pace import worth_asking
from agents.panel import remedies_for
from agents.policy import Policy

UNKNOWN = -1  # the class index that stands for "none of these"


class Inquiry:
    """What is asked about the analysed window of an incident, and what follows from the answers.

    Parameters
    ----------
    incident, pipeline : of which it is about.
    finding : what a check has found; None where the monitor of drift raised the alarm.
    say : makes a message of the host.

    Attributes
    ----------
    state : as drawn above.
    question : the name of the open one.
    ended : outcome and reason, once the incident needs nobody else.
    """

    def __init__(
        self, incident: str, pipeline: str, analysis: WindowAnalysed, finding: Finding | None, policy: Policy, say: Callable[..., Any]
    ) -> None:
        self.incident, self.pipeline, self.analysis, self.finding = incident, pipeline, analysis, finding
        self.policy, self._say = policy, say
        self.state, self.question = "auditing", ""
        self.ended: tuple[str, str] | None = None
        self.seen: list[Label] = []
        self.audit: list[Label] = []
        self.teaching: list[Label] = []
        self.seconds: list[float] = []  # that a label took
        self.harm: HarmAssessed | None = None

    @property
    def is_measured(self) -> bool:
        """Whether true labels have measured what it costs, so that nobody is asked for that."""
        return self.finding is not None and self.finding.accuracy is not None

    def begin(self, cause: Message) -> list[Message]:
        """Ask, or say at once what true labels have measured."""
        found = self.finding
        if found is not None and found.is_new_content:
            return self._confirm(cause, found)
        if found is None or found.accuracy is None:
            return [self._ask(cause, "audit", self.analysis.audit, asked(self.analysis, found))]
        self.harm = self._harm(cause, harmful=True, reason=found.sentence, accuracy=found.accuracy, interval=found.interval)
        likeness = self.analysis.likeness
        return self._teach(cause, worth=bool(found.slice) or not (likeness is not None and likeness.sure))

    def learn(self, given: LabelGiven | LabelAmended) -> list[Message]:
        """Take one label of the open question, or put one right."""
        labels = {"confirming": self.seen, "teaching": self.teaching}.get(self.state, self.audit)
        if isinstance(given, LabelGiven):
            labels.append(given.label)
            self.seconds.append(given.seconds)
        else:
            labels[:] = [given.label if label.seq == given.label.seq else label for label in labels]
        if self.state == "confirming":
            settled = _is_unknown(self.seen, self.policy.harm.unknown_share, of=len(self.analysis.unlike))
            return [self._say(CloseQuestion, given, question=self.question, reason="a new class: settled")] if settled else []
        if self.state == "teaching":
            return []
        if self._judge().surely_hurts:
            return [self._say(CloseQuestion, given, question=self.question, reason="it hurts: settled")]
        return []

    def settle(self, closed: QuestionClosed) -> list[Message]:
        """Go on after the open question has been closed."""
        if closed.outcome == "expected":
            return self._end("expected", f"{closed.by or 'a person'} says that this change is meant")
        if self.state == "confirming":
            return self._confirmed(closed)
        if self.state == "teaching":
            self.state = "handed over"
            assert self.harm is not None
            own = set(HarmAssessed.__struct_fields__) - set(Message.__struct_fields__) - {"teaching"}
            return [self._say(HarmAssessed, closed, **{name: getattr(self.harm, name) for name in own}, teaching=tuple(self.teaching))]
        if _is_unknown(self.audit, self.policy.harm.unknown_share):
            return self._end_unknown(self.audit)
        judge = self._judge()
        harmful, reason = judge.verdict()
        self.harm = self._harm(closed, harmful=harmful, reason=reason, accuracy=judge.accuracy, interval=judge.interval)
        return self._teach(closed, worth=judge.worth_teaching()) if harmful else self._end("harmless", reason)

    def _confirm(self, cause: Message, found: Finding) -> list[Message]:
        if not self.analysis.unlike:
            return self._end("reported", f"{found.sentence}. {found.advice.capitalize()}, if that is so: nothing was there to ask a person about")
        self.state = "confirming"
        text = f"{found.sentence.capitalize()}. These are some of the images that are most unlike what the model knows. What do they show?"
        return [self._ask(cause, "teaching", self.analysis.unlike, text, "class")]

    def _confirmed(self, closed: QuestionClosed) -> list[Message]:
        found, named = self.finding, sum(label.label is not None for label in self.seen)
        assert found is not None
        if _is_unknown(self.seen, self.policy.harm.unknown_share):
            return self._end_unknown(self.seen)
        if not named:
            return self._end("reported", f"{found.sentence}; nobody has said what they show. If it is none of the classes, {found.advice}")
        # They were chosen, so they cannot measure, but what a person has named can be learned from.
        self.teaching = [label for label in self.seen if label.label not in (None, UNKNOWN)]
        self.state, self.finding = "auditing", None
        text = f"{len(self.teaching)} of {named} odd images show known classes: no new class, so this is taken as drift"
        note = self._say(NoteMade, closed, key="class", text=text)
        return [note, *self.begin(closed)]

    def _end_unknown(self, labels: Sequence[Label]) -> list[Message]:
        unknown, answered = (sum(kind(label.label) for label in labels) for kind in (lambda one: one == UNKNOWN, lambda one: one is not None))
        return self._end("unknown class", f"{unknown} of {answered} images show none of the classes: collect and label a new one")

    def _end(self, outcome: str, reason: str) -> list[Message]:
        self.ended = outcome, reason
        return []

    def _ask(self, cause: Message, purpose: str, items: tuple[int, ...], text: str, name: str = "") -> Message:
        self.question = f"{self.incident}/{name or ('harm' if purpose == 'audit' else 'teaching')}"
        predicted = {seq: self.analysis.predicted[seq] for seq in items if seq in self.analysis.predicted}
        ask: Message = self._say(
            AskLabels, cause, key=name, question=self.question, items=items, purpose=purpose, text=text, classes=self.analysis.classes,
            predicted=predicted, repeats=repeated(self.question, items, self.policy.questions.repeat), deadline=self.policy.questions.deadline,
        )
        return ask

    def _teach(self, cause: Message, *, worth: bool) -> list[Message]:
        """Ask for labels to learn from; on a mere suspicion remedies are tried without."""
        harm = self.harm
        assert harm is not None
        of_use = self.analysis.teaching if worth else ()
        items = of_use[: worth_asking(len(of_use), self.seconds, self.policy.labels.second_price)]
        if not items:
            self.state = "handed over"
            return [harm]
        self.state = "teaching"
        of = f" of {harm.slice}" if harm.slice else ""
        fewer = f" Labels are slow here, so {len(items)} are asked for, not {len(of_use)}." if len(items) < len(of_use) else ""
        return [self._ask(cause, "teaching", items, f"It hurts: {harm.reason}. These typical images{of} teach a remedy most.{fewer}")]

    def _judge(self) -> Judge:
        return Judge(self.analysis, self.audit, self.policy.harm.tolerance)

    def _harm(self, cause: Message, **found: Any) -> HarmAssessed:
        analysis = self.analysis
        harm: HarmAssessed = self._say(
            HarmAssessed, cause, key=str(len(self.teaching)), clean_accuracy=analysis.clean_accuracy,
            estimated_accuracy=analysis.estimated_accuracy, pipeline=self.pipeline, window=analysis.window, last=analysis.last,
            classes=analysis.classes, audit=tuple(self.audit), teaching=tuple(self.teaching), likeness=analysis.likeness,
            remedies=remedies_for(self.finding, analysis.likeness), slice=self.finding.slice if self.finding else "", **found,
        )
        return harm


def _is_unknown(labels: Sequence[Label], share: float, of: int = 0) -> bool:
    """Whether a `share` of the answers, and two at least, are "none of these"; `of` so many that may come."""
    unknown = sum(label.label == UNKNOWN for label in labels)
    return unknown >= 2 and unknown >= share * max(of, sum(label.label is not None for label in labels))
