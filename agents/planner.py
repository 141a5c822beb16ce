"""The planner: chooses by the policy, carries the choice out, and keeps it only if fresh drifted records show that it helped.

    watching -- RemediesMeasured --> choosing -- approved --> shadowing --> deploying --> comparing --> auditing -- helped --> watching
                       |                 |                        |             |                           |
                       +- nothing fits   +- declined              +-- failed ---+                           +-- undoing --> watching

When the drift has ended, the pipeline that was there before comes back (`DriftEnded`), and a person may undo at any time.

What fresh labels say of the remedy is weighed in `agents.trial`. It also follows the rules of the policy. Where `[actuators.deploy]` has a
cool-down, it is *holding* until what is to go live may; what waits while no incident is under way waits beside the states above (`back`). At
once go: what a person wants, and the undoing of what surely harms.
"""

from typing import ClassVar, NamedTuple

from agents.agent import Agent
from agents.agreement import repeated
from agents.audit import audit_of
from agents.improver import NOTHING
from agents.messages import (
    ActuatorFired, ActuatorHeld, AgentFailed, AnswerRefused, AskChoice, AskLabels, ChoiceMade, CloseQuestion, CompareRemedies, DeployPipeline,
    DriftEnded, HoldEnded, IncidentClosed, LabelAmended, LabelGiven, LogBegun, Message, Paused, PipelineLive, PipelineShadowed, QuestionClosed,
    RemediesCompared, RemediesMeasured, Remedy, RemedyChosen, RemedyVerified, RequestExpired, RequestFailed, Resumed, SensorRead, ShadowPipeline,
    UndoAsked, WorkflowRan,
)
from agents.policy import Policy
from agents.rating import NEW_WEIGHTS, Rating
from agents.strategy.actuators import brakes
from agents.strategy.rules import Rules
from agents.trial import Trial

UNDOABLE = ("watching", "comparing", "auditing")  # states in which the pipeline before can be brought back
ATTEMPTS = 3  # at going back to the pipeline before
AWAITING = ("shadowing", "deploying", "undoing", "comparing")  # the states in which a door is at work


class Waiting(NamedTuple):
    """A pipeline that may not go live yet; `held` is the id of the message that says so."""

    held: str
    pipeline: str
    reason: str
    by: str


class Planner(Agent):
    """Holds what is live, what was before, and the remedy on trial."""

    name = "planner"
    handles: ClassVar[tuple[type[Message], ...]] = (
        PipelineLive, RemediesMeasured, ChoiceMade, PipelineShadowed, RemediesCompared, LabelGiven, LabelAmended, QuestionClosed, DriftEnded,
        UndoAsked, IncidentClosed, AgentFailed, RequestFailed, RequestExpired, LogBegun, SensorRead, HoldEnded, Paused, Resumed, WorkflowRan,
    )

    def __init__(self, deployment: str, policy: Policy) -> None:
        super().__init__(deployment)
        self.policy = policy
        self.live = self.base = self.previous = ""
        self.undone: set[str] = set()  # pipelines that were taken out again
        self.made_for: dict[str, str] = {}  # the incident for which each pipeline went live
        self.given_up: set[str] = set()  # deployments that took too long: should one still succeed, it is taken back
        self.rules = Rules(policy.rules, policy.sensors, policy.actuators, self.say, lambda: self.pause.on)
        self.brake = brakes(("deploy",), policy.actuators)["deploy"]
        self.record = 0  # the newest that is known of
        self.back: Waiting | None = None  # a way back that no incident waits for
        self._forget_incident()

    def _forget_incident(self) -> None:
        self.state, self.incident, self.question, self.request = "watching", "", "", ""
        self.choice: Remedy | None = None
        self.measured: RemediesMeasured | None = None
        self.trial: Trial | None = None
        self.among = 0  # so many remedies it was chosen
        self.undo_reason, self.undo_outcome = "", "undone"
        self.approved_by = ""
        self.goal, self.attempts = "", 0
        self.waiting: Waiting | None = None

    def handle(self, message: Message) -> list[Message]:
        match message:
            case (
                PipelineLive(since=record) | RemediesMeasured(after=record) | DriftEnded(at=record) | SensorRead(record=record)
                | HoldEnded(record=record)
            ):  # fmt: skip
                self.record = max(self.record, record)
            case LogBegun():
                self.record = 0
                self.brake.begin_log()
                self.rules.begin_log()
        return self._handle(message)

    def _handle(self, message: Message) -> list[Message]:  # noqa: C901 - one case a type, nothing else
        match message:
            case PipelineLive():
                return self._went_live(message)
            case RemediesMeasured() if self.state == "watching":
                return self._choose(message)
            case RemediesMeasured():
                return [self._say_closed(message, message.incident, "failed", f"another change was under way ({self.state})")]
            case ChoiceMade(question=question) if question == self.question and self.state == "choosing":
                return self._decided(message)
            case PipelineShadowed() if self.state == "shadowing" and message.cause == self.request:
                return self._shadowed(message)
            case RemediesCompared() if self.state == "comparing" and message.cause == self.request:
                return self._ask(message)
            case LabelGiven() | LabelAmended() if message.question == self.question and self.state == "auditing" and self.trial is not None:
                return self._learn(message, self.trial)
            case QuestionClosed(question=question) if question == self.question and self.state == "auditing" and self.trial is not None:
                return self._verdict(message, self.trial)
            case LogBegun() if self.state == "comparing":  # the records that were waited for will not come under those numbers
                return [self._compare(message, after=0)]
            case DriftEnded() if self.state == "watching" and self.live != self.base:
                return [self._deploy(message, self.base, f"the drift that {self.live} was made for has ended")]
            case UndoAsked():
                return self._undo_by_person(message)
            case SensorRead():
                return self._follow_rules(message)
            case HoldEnded():
                return self._hold_ended(message)
            case WorkflowRan():
                return self.rules.ran(message)
            case RequestFailed(request="RunWorkflow") | RequestExpired(request="RunWorkflow"):
                return self.rules.ran(message)
            case RequestFailed() | RequestExpired() if self.state in AWAITING and message.cause == self.request:
                return self._failed(message)
            case IncidentClosed(incident=incident) if incident == self.incident and message.source != self.name:
                return self._let_go(message)
            case AgentFailed(agent="checker", incident=incident) if incident:
                return self._checker_failed(message)
        return []

    def waits(self, message: Message) -> bool:
        """While remedies are paused a chosen one does not go live; the way back, as by an undo, stays open."""
        return isinstance(message, DeployPipeline) and self.state == "deploying" and self.choice is not None

    # --- choose ---

    def _choose(self, measured: RemediesMeasured) -> list[Message]:
        self._forget_incident()
        self.incident, self.measured = measured.incident, measured
        if measured.base != self.live:
            return self._close(measured, "failed", f"the remedies were compared with {measured.base}, but {self.live} is live now")
        remedies = [remedy for remedy in measured.remedies if remedy.name != NOTHING]
        self.among = len(remedies)
        rules = Rating(self.policy, measured.labels_used)
        verdicts = {remedy.name: rules.objection(remedy) for remedy in remedies}
        verdicts |= {name: f"could not be prepared: {reason}" for name, reason in measured.failed.items()}
        fit = [remedy for remedy in remedies if not rules.objection(remedy)]
        if not fit:
            reason = "no remedy has shown within the policy's limits that it helps"
            chosen = self.say(RemedyChosen, measured, remedy=NOTHING, pipeline=measured.base, reason=reason, verdicts=verdicts)
            return [chosen, *self._close(measured, "no remedy", reason)]
        self.choice = best = max(fit, key=rules.utility)
        verdicts |= {remedy.name: f"fits, utility {rules.utility(remedy):+.3f}" for remedy in fit}
        verdicts[best.name] += ", the highest"
        where = f"where {measured.slice}" if measured.slice else "on drifted data"
        reason = (
            f"gains {best.gain:+.3f} {where} (interval {best.gain_interval[0]:+.3f} to {best.gain_interval[1]:+.3f}), costs "
            f"{best.clean_loss:.4f} on clean data and {1000 * best.latency_added:.2f} ms a request"
        )
        chosen = self.say(RemedyChosen, measured, remedy=best.name, pipeline=best.pipeline, reason=reason, verdicts=verdicts)
        approval = self.policy.approval
        if approval.ask == "never" or (approval.ask == "new weights" and best.name not in NEW_WEIGHTS):
            return [chosen, self._shadow(measured)]
        self.state, self.question = "choosing", f"{self.incident}/approve"
        others = tuple(remedy.name for remedy in fit if remedy is not best)
        ask = self.say(
            AskChoice, measured, question=self.question, options=("approve", *others, "decline"), default=approval.default,
            text=f"I would apply {best.name}: it {reason}. Approve, choose another, or decline?", deadline=approval.deadline,
        )
        return [chosen, ask]

    def _decided(self, made: ChoiceMade) -> list[Message]:
        self.approved_by = made.by
        if made.option == "decline":
            return self._close(made, "declined", f"declined by {made.by}")
        assert self.measured is not None
        if made.option != "approve":
            self.choice = next(remedy for remedy in self.measured.remedies if remedy.name == made.option)
        return [self._shadow(made)]

    # --- carry out ---

    def _shadow(self, cause: Message) -> Message:
        assert self.choice is not None
        self.state = "shadowing"
        request = self.say(ShadowPipeline, cause, pipeline=self.choice.pipeline, count=self.policy.verification.records, deadline=120.0)
        self.request = request.id
        return request

    def _shadowed(self, shadowed: PipelineShadowed) -> list[Message]:
        assert self.choice is not None
        return [self._deploy(shadowed, shadowed.pipeline, f"{self.choice.name} for {self.incident}, provisional", self.approved_by)]

    def _deploy(self, cause: Message, pipeline: str, reason: str, by: str = "", *, at_once: bool = False) -> Message:
        """Bring a pipeline live, or say until when the policy has it wait."""
        # An incident that was closed is still why its remedy came, and so why it goes.
        incident = self.incident or cause.incident or self.made_for.get(self.live, "")
        if not at_once and (held := self._held(cause, pipeline, reason, by, incident)) is not None:
            return held
        self.state, self.goal = ("undoing" if self.undo_reason else "deploying"), pipeline
        request = self.say(DeployPipeline, cause, pipeline=pipeline, reason=reason, by=by, incident=incident, deadline=120.0)
        self.request = request.id
        self.brake.note(cause.time, self.record)
        return request

    def _held(self, cause: Message, pipeline: str, reason: str, by: str, incident: str, *, aside: bool = False) -> Message | None:
        """Why and until when a pipeline may not go live; nothing where it may. `aside`: the incident under way, if any, does not wait for it."""
        hold = self.brake.hold(cause.time, self.record)
        if hold is None:
            return None
        hold = hold._replace(reason=f"{pipeline} ({reason}): {hold.reason}")
        held = self.say(ActuatorHeld, cause, actuator="deploy", waits=True, incident=incident, **hold._asdict())
        waiting = Waiting(held.id, pipeline, reason, by)
        if self.incident and not aside:
            self.state, self.waiting = "holding", waiting
        else:
            self.back = waiting
        return held

    def _hold_ended(self, ended: HoldEnded) -> list[Message]:
        """Take up what has waited, if it is still wanted; it waits again where something else went live meanwhile."""
        waiting, back = self.waiting, self.back
        if waiting is not None and waiting.held == ended.cause:
            self.waiting = None
            return [self._deploy(ended, waiting.pipeline, waiting.reason, waiting.by)]
        if back is None or back.held != ended.cause:
            return []
        self.back = None
        if self.state != "watching":  # an incident goes first; what it brings may make the way back needless
            until, reason = ended.time + self.brake.limits.cool_down, f"{back.pipeline} ({back.reason}): another change is under way ({self.state})"
            held = self.say(ActuatorHeld, ended, actuator="deploy", reason=reason, until=until, until_record=self.record + 1, waits=True)
            self.back = back._replace(held=held.id)
            return [held]
        return [self._deploy(ended, back.pipeline, back.reason, back.by)]

    def _went_live(self, live: PipelineLive) -> list[Message]:
        if live.pipeline != self.live:
            self.back = None  # it led away from what was live
            if self.live:  # else it is what was found at the first start
                self.brake.note(live.time, live.since)
        self.live, self.base, self.previous = live.pipeline, live.base, live.previous
        if live.incident:
            self.made_for[live.pipeline] = live.incident
        if live.cause in self.given_up:
            self.given_up.discard(live.cause)
            reason = "undo: it went live only after its deadline, when nobody was left to verify it"
            if not live.previous:
                return []
            held = self._held(live, live.previous, reason, "", live.incident, aside=True)
            return [held or self.say(DeployPipeline, live, pipeline=live.previous, reason=reason, deadline=120.0)]
        going_back = self.state == "undoing" or (self.state == "deploying" and not self.incident)
        asked_for = self.request != "" and live.cause == self.request  # one that was found at a start has no cause at all
        if not asked_for and not (going_back and live.pipeline == self.goal):
            if self.incident:  # what was chosen and measured beside another pipeline says nothing about this one
                return self._close(live, "failed", f"{live.pipeline} went live meanwhile: {live.reason}")
            return []
        if self.state == "undoing":
            self.undone.add(live.previous)
            return self._close(live, self.undo_outcome, self.undo_reason)
        if self.state == "deploying" and self.choice is not None:
            return [self._compare(live, live.since - 1)]
        self._forget_incident()  # the pipeline before is back: no incident hangs on it
        return []

    # --- verify, keep or undo ---

    def _compare(self, cause: Message, after: int) -> Message:
        """Run what is live beside what was before, on the records that come after number `after`."""
        assert self.measured is not None
        self.state = "comparing"
        verification = self.policy.verification
        request = self.say(
            CompareRemedies, cause, incident=self.incident, baseline=self.previous, candidates=(self.live,), after=after,
            count=verification.records, audit=self.policy.labels.verify + self.measured.labels_left, seed=2, slice=self.measured.slice,
            deadline=verification.deadline,
        )
        self.request = request.id
        return request

    def _ask(self, compared: RemediesCompared) -> list[Message]:
        assert self.measured is not None
        assert self.choice is not None
        level, slice_ = self.policy.verification.level, self.measured.slice
        audit = audit_of(self.previous, [self.live], compared, level, sliced=bool(slice_))
        self.trial = Trial(self.live, self.choice, self.among, audit, self.policy, slice_)
        self.state = "auditing"
        if not compared.draws:
            return self._verdict(compared, self.trial)
        self.question = f"{self.incident}/verify"
        text = "The remedy is live, on trial. On these new images it differs from the model before: your labels show whether it helps."
        return [
            self.say(
                AskLabels, compared, question=self.question, items=compared.to_label, purpose="audit", text=text,
                classes=compared.classes, deadline=self.policy.questions.deadline,
                repeats=repeated(self.question, compared.to_label, self.policy.questions.repeat),
            )
        ]

    def _learn(self, given: LabelGiven | LabelAmended, trial: Trial) -> list[Message]:
        (trial.amend if isinstance(given, LabelAmended) else trial.update)(given.label)
        return [self.say(CloseQuestion, given, question=self.question, reason="verification is settled")] if trial.is_settled() else []

    def _verdict(self, cause: Message, trial: Trial) -> list[Message]:
        if isinstance(cause, QuestionClosed) and cause.outcome == "expected":
            self.undo_reason, self.undo_outcome = f"{cause.by or 'a person'} says that this change is meant", "expected"
            return [self._deploy(cause, self.previous, f"undo: {self.undo_reason}", at_once=True)]
        found = trial.verdict()
        verified = self.say(
            RemedyVerified, cause, pipeline=self.live, helped=found.helped, gain=found.gain, gain_interval=found.gain_interval,
            log_evidence=trial.log_evidence(), labels_used=trial.audit.labels, slice=trial.slice, elsewhere=found.elsewhere,
            gap_closed=found.gap_closed,
        )
        if found.helped:
            return [verified, *self._close(cause, "verified", found.reason)]
        self.undo_reason = found.reason
        return [verified, self._deploy(cause, self.previous, f"undo: {self.undo_reason}", at_once=found.surely_harms)]

    def _undo_by_person(self, asked: UndoAsked) -> list[Message]:
        if reason := self._why_not_undo((*UNDOABLE, "holding")):
            return [self.say(AnswerRefused, asked, question="undo", by=asked.by, reason=reason)]
        return self._undo(asked, f"undone by {asked.by}", asked.by)

    def _why_not_undo(self, states: tuple[str, ...]) -> str:
        """What stands against the pipeline before, or nothing; it can be brought back in these states."""
        if self.state not in states and not self.pause.held:  # what waits for remedies to be resumed has not begun
            return f"a change is under way ({self.state})"
        if not self.previous or self.previous == self.live:
            return "there is no pipeline before the live one"
        if self.previous in self.undone:
            return f"the one before, {self.previous}, was itself undone: it has not shown that it helps"
        return ""

    def _undo(self, cause: Message, reason: str, by: str = "") -> list[Message]:
        said: list[Message] = []
        waiting = bool(self.pause.held)
        if self.state == "auditing" and not waiting:
            said = [self.say(CloseQuestion, cause, question=self.question, reason=reason)]
        if self.state not in (*UNDOABLE, "holding"):
            said = self._close(cause, "declined", f"{reason} while remedies were paused")
        self.pause.held.clear()
        if self.state != "watching":
            if self.state == "holding" and not self.undo_reason:  # what waited was never live
                self.undo_outcome = "declined"
            self.undo_reason = reason
        self.question, self.waiting, self.back = "", None, None
        return [*said, self._deploy(cause, self.previous, reason, by, at_once=bool(by))]

    def _follow_rules(self, read: SensorRead) -> list[Message]:
        said = self.rules.follow(read)
        wanted = [fired for fired in said if isinstance(fired, ActuatorFired) and fired.actuator == "undo"]
        for fired in wanted[:1]:
            if reason := self._why_not_undo(UNDOABLE):
                said.append(self.say(ActuatorHeld, read, key="undo", actuator="undo", reason=f"{fired.rule}: {reason}", incident=read.during))
            else:
                said += self._undo(read, f"undone by the rule {fired.rule!r}: {fired.reason}")
        return said

    def _failed(self, failure: RequestFailed | RequestExpired) -> list[Message]:
        reason = failure.reason if isinstance(failure, RequestFailed) else f"{failure.request} was not done in time"
        if self.state == "deploying" and self.incident and isinstance(failure, RequestExpired):
            self.given_up.add(self.request)
        back = self.state == "undoing" or (self.state == "deploying" and not self.incident)
        if back and self.attempts < ATTEMPTS - 1:
            self.attempts += 1
            again = f"{self.undo_reason or 'going back'}; tried again, since {reason}"
            return [self._deploy(failure, self.goal, again, at_once=True)]
        if self.state == "comparing":  # live, but nothing fresh to judge it by: it has not shown that it helps
            self.undo_reason = f"could not be verified: {reason}"
            return [self._deploy(failure, self.previous, f"undo: {self.undo_reason}")]
        if self.incident:
            return self._close(failure, "failed", f"{self.live} could not be undone: {reason}" if back else reason)
        self._forget_incident()
        return []

    # --- others who failed ---

    def _let_go(self, closed: IncidentClosed) -> list[Message]:
        """Another agent gave the incident up: nothing that is on trial stays live."""
        on_trial = self.state in ("comparing", "auditing") or (self.state == "holding" and self.undo_reason != "")
        if self.state == "deploying":
            self.given_up.add(self.request)
        self._forget_incident()
        return [self._deploy(closed, self.previous, f"undo: {closed.reason}")] if on_trial else []

    def _checker_failed(self, failed: AgentFailed) -> list[Message]:
        """Without the checker an incident that is still in its hands would stay open for ever."""
        if failed.incident == self.incident or failed.message == "IncidentClosed":
            return []
        return [self._say_closed(failed, failed.incident, "failed", f"the checker failed: {failed.reason}")]

    def _close(self, cause: Message, outcome: str, reason: str) -> list[Message]:
        closed = self._say_closed(cause, self.incident, outcome, reason)
        self._forget_incident()
        return [closed]

    def _say_closed(self, cause: Message, incident: str, outcome: str, reason: str) -> Message:
        return self.say(IncidentClosed, cause, incident=incident, outcome=outcome, reason=reason)
