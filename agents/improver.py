"""The improver: prepares the remedies side by side and measures them on the same fresh records.

    idle -- HarmAssessed --> preparing -- all prepared or failed --> comparing -- RemediesCompared --> auditing -- settled --> idle

Before it prepares anything it may be *holding*, until the policy lets it; while remedies are paused it prepares none.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import msgspec

from agents.agent import Agent
from agents.agreement import repeated
from agents.audit import PairedAudit, audit_of
from agents.messages import (
    ActuatorFired, ActuatorHeld, AskLabels, CloseQuestion, CompareRemedies, HarmAssessed, HoldEnded, IncidentClosed, LabelAmended, LabelGiven,
    LogBegun, Message, Paused, PipelineLive, PrepareRemedy, QuestionClosed, RemediesCompared, RemediesMeasured, Remedy, RemedyPrepared,
    RemedyVerified, RequestExpired, RequestFailed, Resumed,
)
from agents.policy import Policy
from agents.remedies import sort_out
from agents.strategy.actuators import Hold, brakes
from models.remedies.catalogue import learns_from_labels

NOTHING = "nothing"
NEEDS_NAME = ("simulate", "filter_pairs")  # can be prepared only where the drift resembles a known corruption
NEGLIGIBLE = 0.01  # share of records; when the remedies differ on fewer, choosing among them needs no labels


class Improver(Agent):
    """Asks the workshop for pipelines and a person for the few labels that tell them apart."""

    name = "improver"
    handles: ClassVar[tuple[type[Message], ...]] = (
        PipelineLive, HarmAssessed, RemedyPrepared, RemediesCompared, LabelGiven, LabelAmended, QuestionClosed, RemedyVerified, IncidentClosed,
        RequestFailed, RequestExpired, LogBegun, ActuatorFired, HoldEnded, Paused, Resumed,
    )

    def __init__(self, deployment: str, policy: Policy, impossible: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(deployment)
        self.policy = policy
        self.impossible = impossible  # what the model of this deployment cannot have, with reasons: told with what failed
        self.base = ""  # what answers when everything behind gates is taken out
        self.verified: dict[str, str] = {}  # pipelines that helped in earlier incidents, each with its base
        self.brake = brakes(("prepare",), policy.actuators)["prepare"]
        self.paused = ""  # the rule by which no remedies are prepared
        self._forget_incident()

    def _forget_incident(self) -> None:
        self.state, self.incident, self.question = "idle", "", ""
        self.harm: HarmAssessed | None = None
        self.request = ""
        self.pending: dict[str, str] = {}  # request id -> remedy
        self.prepared: dict[str, RemedyPrepared] = {}  # pipeline -> what is known of it
        self.failed: dict[str, str] = {}
        self.compared: RemediesCompared | None = None
        self.audit: PairedAudit | None = None

    def handle(self, message: Message) -> list[Message]:  # noqa: C901 - one case a type, nothing else
        match message:
            case PipelineLive():
                self.base = message.base
            case HarmAssessed() if self.state == "idle":
                self._forget_incident()
                self.incident, self.harm = message.incident, message
                return self._take_up(message, message, self.brake.hold(message.time, message.last))
            case HoldEnded() if self.state == "holding" and message.cause == self.request:
                assert self.harm is not None
                return self._take_up(message, self.harm, None)
            case ActuatorFired(actuator="pause" | "resume" as done):
                self.paused = message.rule if done == "pause" else ""
            case RemedyPrepared() if message.cause in self.pending:
                del self.pending[message.cause]
                self.prepared[message.pipeline] = message
                return self._compare(message)
            case RequestFailed() | RequestExpired() if message.cause in self.pending:
                self.failed[self.pending.pop(message.cause)] = _reason(message)
                return self._compare(message)
            case RemediesCompared() if self.state == "comparing" and message.cause == self.request:
                return self._ask(message)
            case RequestFailed() | RequestExpired() if self.state == "comparing" and message.cause == self.request:
                self.failed |= {remedy.remedy: _reason(message) for remedy in self.prepared.values()}
                self.prepared.clear()
                return self._measured(message)
            case (LabelGiven(question=question) | LabelAmended(question=question)) if question == self.question:
                return self._learn(message)
            case QuestionClosed(question=question, outcome="expected") if question == self.question:
                return self._expected(message)
            case QuestionClosed(question=question) if question == self.question:
                return self._measured(message)
            case LogBegun():  # records count from 1 again: all that come are fresh
                self.brake.begin_log()
                self.harm = msgspec.structs.replace(self.harm, last=0) if self.harm is not None else None
            case RemedyVerified(helped=True, pipeline=pipeline) if pipeline not in self.verified:
                self.verified[pipeline] = self.base
            case IncidentClosed(incident=incident) if incident == self.incident:
                self._forget_incident()
        return []

    def _take_up(self, cause: Message, harm: HarmAssessed, hold: Hold | None) -> list[Message]:
        """Prepare remedies, unless a rule has paused them or the policy has them wait."""
        if self.paused:
            return self._close(cause, "reported", f"it hurts ({harm.reason}), and remedies are paused by the rule {self.paused!r}")
        if hold is None:
            return self._prepare(cause, harm)
        held = self.say(ActuatorHeld, cause, actuator="prepare", waits=True, **hold._asdict())
        self.state, self.request = "holding", held.id
        return [held]

    def _prepare(self, cause: Message, harm: HarmAssessed) -> list[Message]:
        self.state = "preparing"
        self.brake.note(cause.time, harm.last)
        alike = [pipeline for pipeline, base in self.verified.items() if base == self.base]  # others would bring back what a retraining replaced
        known = [("reuse", pipeline) for pipeline in alike[-2:] if pipeline != harm.pipeline]
        likeness = None if harm.slice else harm.likeness  # which tells of all traffic
        named = likeness is not None and likeness.known
        possible, self.failed = sort_out(harm.remedies or self.policy.remedies.prepare, self.impossible)
        wanted = [remedy for remedy in possible if named or remedy not in NEEDS_NAME]
        new = [(remedy, f"{harm.incident}-{remedy.replace('_', '-')}") for remedy in wanted]
        requests = [
            self.say(
                PrepareRemedy, cause, key=pipeline, remedy=remedy, base=harm.pipeline, pipeline=pipeline, window=harm.window,
                teaching=harm.teaching, seed=number, likeness=likeness, deadline=self.policy.remedies.deadline,
            )
            for number, (remedy, pipeline) in enumerate([*known, *new])
        ]
        self.pending = {request.id: request.remedy for request in requests}
        return list(requests) or self._measured(cause)

    def _compare(self, cause: Message) -> list[Message]:
        if self.pending:
            return []
        if not self.prepared:
            return self._measured(cause)
        self.state = "comparing"
        assert self.harm is not None
        request = self.say(
            CompareRemedies, cause, baseline=self.harm.pipeline, candidates=tuple(sorted(self.prepared)), after=self.harm.last, seed=1,
            count=self.policy.remedies.compare_records, audit=self._budget(), slice=self.harm.slice, deadline=self.policy.verification.deadline,
        )
        self.request = request.id
        return [request]

    def _budget(self) -> int:
        """Labels for the choice: its own, and what the audit for harm has left over."""
        assert self.harm is not None
        return self.policy.labels.choose + max(0, self.policy.labels.harm - len(self.harm.audit))

    def _ask(self, compared: RemediesCompared) -> list[Message]:
        assert self.harm is not None
        self.state, self.compared = "auditing", compared
        level, sliced = self.policy.remedies.level, bool(self.harm.slice)
        self.audit = audit_of(self.harm.pipeline, sorted(self.prepared), compared, level, sliced=sliced)
        if self._is_harmless(compared):
            return self._close(compared, "harmless", "all audit labels agree with the model, and no remedy would answer otherwise")
        if not compared.draws:
            return self._measured(compared)
        where = f" Most are of {self.harm.slice}, which fares worse." if sliced else ""
        self.question = f"{self.incident}/choose"
        text = f"{len(self.prepared)} remedies are ready. On these images they, or the present model, differ: your labels tell which is right.{where}"
        return [
            self.say(
                AskLabels, compared, question=self.question, items=compared.to_label, purpose="audit", text=text,
                classes=compared.classes, deadline=self.policy.questions.deadline,
                repeats=repeated(self.question, compared.to_label, self.policy.questions.repeat),
            )
        ]

    def _learn(self, given: LabelGiven | LabelAmended) -> list[Message]:
        audit, compared = self.audit, self.compared
        assert audit is not None
        assert compared is not None
        (audit.amend if isinstance(given, LabelAmended) else audit.update)(given.label)
        certain = [name for name in self.prepared if audit.gain_interval(name)[0] > 0]
        alike = compared.share.get("remedies differ", 0.0) < NEGLIGIBLE
        if audit.settled_winner() or (certain and alike and audit.is_rest_seen()):
            return [self.say(CloseQuestion, given, question=self.question, reason="the choice is settled")]
        return []

    def _is_harmless(self, compared: RemediesCompared) -> bool:
        """Suspected, but no label spoke against the model, and the remedies differ from it on next to nothing."""
        assert self.harm is not None
        suspected = not self.harm.teaching and self.harm.interval[1] == 1.0
        return suspected and sum(compared.share.values()) < 2 * self.policy.harm.tolerance

    def _expected(self, closed: QuestionClosed) -> list[Message]:
        """A change that is meant needs no remedy, however ready they are."""
        return self._close(closed, "expected", f"{closed.by or 'a person'} says that this change is meant")

    def _close(self, cause: Message, outcome: str, reason: str) -> list[Message]:
        incident = self.incident
        self._forget_incident()
        return [self.say(IncidentClosed, cause, incident=incident, outcome=outcome, reason=reason)]

    def _measured(self, cause: Message) -> list[Message]:
        assert self.harm is not None
        audit, compared, harm = self.audit, self.compared, self.harm
        self.state = "idle"
        remedies = [self._nothing()]
        if audit is not None and compared is not None:
            now = compared.seconds_per_image.get(harm.pipeline, 0.0)
            remedies += [
                self._remedy(prepared, audit, compared.seconds_per_image.get(name, now) - now) for name, prepared in sorted(self.prepared.items())
            ]
        return [
            self.say(
                RemediesMeasured, cause, incident=self.incident, remedies=tuple(remedies), base=harm.pipeline, after=harm.last,
                labels_used=audit.labels if audit else 0, labels_left=self._budget() - (len(audit.answers) if audit else 0), failed=self.failed,
                slice=harm.slice,
            )
        ]

    def _unanimous(self) -> float:
        """Accuracy where all agree: not labelled here, so it is taken as on clean data."""
        assert self.harm is not None
        return self.harm.clean_accuracy

    def _nothing(self) -> Remedy:
        assert self.harm is not None
        accuracy = self.audit.accuracy(self.harm.pipeline, self._unanimous()) if self.audit else self.harm.accuracy
        return Remedy(
            name=NOTHING, pipeline=self.harm.pipeline, accuracy_drift=accuracy, interval=self.harm.interval, gain=0.0, gain_interval=(0.0, 0.0),
            log_evidence=0.0, accuracy_clean=self.harm.clean_accuracy, clean_loss=0.0, latency_added=0.0, seconds=0.0, labels=len(self.harm.audit),
        )

    def _remedy(self, prepared: RemedyPrepared, audit: PairedAudit, slower: float) -> Remedy:
        gain, (low, high) = audit.gain(prepared.pipeline), audit.gain_interval(prepared.pipeline)
        assert self.harm is not None
        taught = prepared.remedy != "reuse" and learns_from_labels(prepared.remedy)
        teaching = len(self.harm.teaching) if taught else 0
        name = f"reuse {prepared.pipeline}" if prepared.remedy == "reuse" else prepared.remedy  # several may be used again
        now_low, now_high = self.harm.interval
        return Remedy(
            name=name, pipeline=prepared.pipeline, accuracy_drift=audit.accuracy(prepared.pipeline, self._unanimous()),
            interval=(min(1.0, max(0.0, now_low + low)), min(1.0, now_high + high)), gain=gain, gain_interval=(low, high),
            log_evidence=audit.log_evidence(prepared.pipeline), accuracy_clean=prepared.accuracy_clean, clean_loss=prepared.clean_loss,
            latency_added=max(prepared.latency_added, slower), seconds=prepared.seconds, labels=teaching + audit.labels,
            imitated=prepared.imitated, elsewhere=audit.elsewhere(prepared.pipeline), gap_closed=audit.gap_closed(prepared.pipeline),
        )


def _reason(failure: RequestFailed | RequestExpired) -> str:
    return failure.reason if isinstance(failure, RequestFailed) else "it took longer than the policy allows"
