"""The checker: is it different, and does it hurt?

    watching -- alarm --> analysing -- WindowAnalysed --> auditing -- hurts --> teaching --> handed over -- IncidentClosed --> watching
                              |                              |                                                  |
                              +--------- failed ----------> adopting <--- harmless, expected, unknown ----------+

Beside the monitor of drift it hosts the checks that the policy turns on (the panel). What such a check finds opens an incident of its kind: one
that only a person can mend is reported and closed at once; one that has been measured with true labels needs no audit.

Drift alone is no reason to act: what is asked of people after an alarm, and what follows from it, is in `agents.inquiry`.

A rule of the policy may have it open an incident or measure without one (`SpotAudit`), and the policy may have it wait: it is *holding* between
analysing and auditing then.
"""

from collections.abc import Callable
from typing import ClassVar

from agents.agent import Agent
from agents.messages import (
    ActuatorFired, ActuatorHeld, AdoptChange, AgentFailed, AnalyseWindow, AuditDrawn, ChangeAdopted, DRIFT, DrawAudit, DriftEnded,
    EvidenceSaved, EvidenceUpdated, Finding, HoldEnded, IncidentClosed, IncidentOpened, LabelAmended, LabelGiven, LogBegun, Message, NoteMade,
    Paused, PipelineLive, QuestionClosed, RecordsLabelled, RequestExpired, RequestFailed, Resumed, WindowAnalysed, WindowObserved,
)
from agents.inquiry import Inquiry
from agents.numbering import Numbering
from agents.panel import Alarm, Makers, Panel
from agents.policy import Policy
from agents.strategy.actuators import Hold, brakes
from agents.strategy.spot_audit import SpotAudit
from models.detectors.end import DriftEnd, Share, rate_of_the_end
from models.detectors.monitor import Monitor

AWAITED = (("analysing", "AnalyseWindow"), ("adopting", "AdoptChange"))
ADOPTED = ("harmless", "expected", "unknown class")  # outcomes after which the change belongs to the reference
ASKING = ("confirming", "auditing", "teaching")
RESTING = ("watching", "adopting")  # no other agent has anything to do
OTHERS = ("improver", "planner", "desk")  # an incident cannot go on when one of them could not handle a message of it


class Checker(Agent):
    """Weighs every record; `load_monitor` makes the sequential test that belongs to a reference file, `load_checks` all other checks."""

    name = "checker"
    handles: ClassVar[tuple[type[Message], ...]] = (
        PipelineLive, ChangeAdopted, LogBegun, WindowObserved, RecordsLabelled, WindowAnalysed, LabelGiven, LabelAmended, QuestionClosed,
        IncidentClosed, AgentFailed, RequestFailed, RequestExpired, ActuatorFired, AuditDrawn, HoldEnded, Paused, Resumed,
    )

    def __init__(
        self, deployment: str, policy: Policy, load_monitor: Callable[[str], Monitor], load_checks: Callable[[str], Makers] = lambda _reference: {}
    ) -> None:
        super().__init__(deployment)
        self.policy, self.load_monitor = policy, load_monitor
        self.state = "watching"
        self.pipeline = self.reference = self.incident = self.window = ""
        self.monitor: Monitor | None = None
        self.panel = Panel(load_checks)
        self.numbering = Numbering()
        self.end: DriftEnd | None = None
        self.cursor = self.saved = self.weighed = self.incidents = self.muted_until = 0
        spot_checks = policy.checks.get("decay", {}).get("spot_checks", 0)
        self.spot_audit = SpotAudit(deployment, self.say, policy.questions.deadline, spot_checks, policy.questions.repeat)
        self.brakes = brakes(("open", "ask", "adopt"), policy.actuators)
        self.told: Hold | None = None  # by which no incident is opened, on record already
        self._forget_incident()

    def _forget_incident(self) -> None:
        self.state, self.incident, self.held = "watching", "", ""
        self.finding: Finding | None = None
        self.inquiry: Inquiry | None = None

    def handle(self, message: Message) -> list[Message]:
        said = [*self._handle(message), *self.spot_audit.handle(message)]
        if isinstance(message, WindowObserved) and self.state == "watching" and self.cursor >= self.muted_until:
            said += self.spot_audit.look(message, self.cursor)
        return [*said, *(self.say(NoteMade, message, key=note, text=note) for note in self.panel.notes())]

    def _handle(self, message: Message) -> list[Message]:
        match message:
            case WindowObserved():
                return self._weigh(message)
            case RecordsLabelled():
                return self._take_labels(message)
            case PipelineLive():
                return self._watch(message)
            case LogBegun():  # records count from 1 again
                return self._begin_anew(message)
            case ChangeAdopted():
                self._adopted(message)
            case WindowAnalysed(incident=incident) if self.state == "analysing" and incident == self.incident:
                return self._hear_analysis(message)
            case LabelGiven() | LabelAmended() if self.inquiry is not None and message.question == self.inquiry.question and self.state in ASKING:
                return self.inquiry.learn(message)
            case QuestionClosed(question=question) if self.inquiry is not None and question == self.inquiry.question and self.state in ASKING:
                return self._settle(message, self.inquiry)
            case HoldEnded() if self.inquiry is not None and self.state == "holding" and message.cause == self.held:
                return self._begin_inquiry(message, self.inquiry)
            case ActuatorFired(actuator="open"):
                return self._open_by_rule(message)
            case IncidentClosed(incident=incident) if incident == self.incident and message.source != self.name and self.state != "adopting":
                return self._rest(message, message.time)
            case AgentFailed(agent=agent, incident=incident) if agent in OTHERS and incident == self.incident and self.state not in RESTING:
                return self._close(message, "failed", f"the {agent} failed: {message.reason}")
            case RequestFailed() | RequestExpired() if (self.state, message.request) in AWAITED and message.incident == self.incident:
                return self._give_up(message)
        return []

    def recall(self, message: Message) -> None:
        match message:
            case IncidentOpened(incident=incident) if incident == f"{self.deployment}-{self.incidents + 1}":  # else its cause has opened it
                self._open(incident, message.finding)
                self.brakes["open"].note(message.time, message.alarm_at)
            case IncidentClosed(incident=incident, outcome="reported") if incident == self.incident and self.state == "analysing":
                self._rest(message, message.time)  # at once, in the same window
            case ActuatorHeld(actuator="open") if message.until or message.until_record:
                self.told = Hold("", message.until, message.until_record)
            case EvidenceSaved():
                self._resume(message)
            case DrawAudit():
                self.spot_audit.recall(message)
            case DriftEnded():
                self.end = None

    def _begin_anew(self, begun: LogBegun) -> list[Message]:
        self.cursor = self.saved = self.muted_until = 0
        self.panel.begin_log()
        for brake in self.brakes.values():
            brake.begin_log()
        if self.state == "analysing":  # its records were in the log that is gone
            return self._close(begun, "failed", "the inference service began a new log before the drifted records were kept")
        return []

    # --- is it different ---

    def _watch(self, live: PipelineLive) -> list[Message]:
        foreign = self.state not in RESTING and live.pipeline != self.pipeline and live.incident != self.incident
        self.pipeline = live.pipeline
        self._load(live.reference)
        self.end = DriftEnd(rate=self._rate_of_the_end(live)) if live.gated and live.pipeline != live.base else None
        said: list[Message] = []
        if foreign:  # what was seen and labelled so far tells of a pipeline that is no longer live
            said = self._close(live, "failed", f"{live.pipeline} went live meanwhile: {live.reason}")
        self.muted_until = 0
        return said

    def _adopted(self, adopted: ChangeAdopted) -> None:
        """Late ones too are worth knowing, unless another pipeline is live or another incident has begun meanwhile."""
        waiting = self.state == "adopting" and adopted.incident == self.incident
        if adopted.pipeline == self.pipeline and (waiting or self.state == "watching"):
            self._load(adopted.reference)
        if waiting:
            self._forget_incident()

    def _load(self, reference: str) -> None:
        self.reference, self.monitor, self.weighed = reference, self.load_monitor(reference), 0
        self.panel.load(reference)
        self.numbering.clear()

    def _weigh(self, window: WindowObserved) -> list[Message]:
        seen = max(0, self.cursor - window.first + 1) // window.every  # a tracker that was restored reads again what has been weighed already
        if window.first > self.cursor + 1 and not window.lost:  # this checker was restored and has not weighed those before: from there again
            return [self.say(EvidenceUpdated, window, cursor=self.cursor, log_evidence=0.0, incident="")]
        fresh = window.last > self.cursor
        self.cursor = max(self.cursor, window.last)
        said: list[Message] = []
        evidence = 0.0
        if self.monitor is not None and fresh and window.pipeline == self.pipeline:
            if window.last > self.muted_until:
                said, evidence = self._test(window, seen, self.monitor)
            said = [*said, *self._look_for_the_end(window, seen)]
        updated = self.say(EvidenceUpdated, window, cursor=self.cursor, log_evidence=evidence, every=window.every, incident="")
        if self.monitor is not None and (said or self.cursor - self.saved >= self.policy.detection.save_every):
            self.saved = self.cursor
            state = self.monitor.state()
            said = [
                *said,
                self.say(
                    EvidenceSaved, window, cursor=self.cursor, log_evidence=evidence, pipeline=self.pipeline, weighed=self.weighed, state=state,
                    end=self.end.state() if self.end is not None else b"", checks=self.panel.state(), incident="",
                ),
            ]
        return [*said, updated]

    def _test(self, window: WindowObserved, seen: int, monitor: Monitor) -> tuple[list[Message], float]:
        """Weigh a window without the records that have been `seen` before."""
        self.numbering.note(self.weighed, window.first + window.every * (seen + 1) - 1, window.every)
        early, latent = window.features()
        reading = monitor.update(early[seen:], latent[seen:])
        self.weighed += len(early) - seen
        found = self.panel.observe(window, seen)
        said: list[Message] = []
        drifted = reading.onset is not None and reading.alarm_at is not None and self.weighed - reading.alarm_at > self.panel.patience
        alarm = found is not None or (reading.alarm and drifted)
        if self.state != "watching" or not alarm:
            return said, reading.log_evidence
        if (held := self._why_not_open(window, self.cursor)) is not None:
            said = held
        elif found is not None:  # what a check says tells more than that something is different
            said = self._report(window, found)
        elif reading.onset is not None and reading.alarm_at is not None:
            incident = f"{self.deployment}-{self.incidents + 1}"
            self._open(incident)
            self.brakes["open"].note(window.time, self.numbering.record(reading.alarm_at))
            onset, alarm_at = self.numbering.record(reading.onset), self.numbering.record(reading.alarm_at)
            opened = self.say(
                IncidentOpened, window, incident=incident, pipeline=self.pipeline, onset=onset, alarm_at=alarm_at,
                log_evidence=reading.log_evidence, every=window.every if window.every > 1 else None,
            )
            said = [opened, self._look_at(opened, onset)]
        return said, reading.log_evidence

    def _look_for_the_end(self, window: WindowObserved, seen: int) -> list[Message]:
        if self.end is None or self.state != "watching" or not self.end.update(window.routed_flags()[seen:]):
            return []
        self.end = None
        return [self.say(DriftEnded, window, pipeline=self.pipeline, at=window.last, incident="")]

    def _rate_of_the_end(self, live: PipelineLive) -> float:
        clean = Share(live.routed_clean, live.routed_clean_most)
        return rate_of_the_end(clean, live.routed_drift, self.policy.detection.ended_below)

    def _open(self, incident: str, finding: Finding | None = None) -> None:
        self._forget_incident()
        self.incidents += 1
        self.state, self.incident, self.finding = "analysing", incident, finding

    def _look_at(self, opened: IncidentOpened, first: int) -> Message:
        labels, finding = self.policy.labels, self.finding
        return self.say(
            AnalyseWindow, opened, first=first, count=self.policy.detection.window, audit=labels.harm, teaching=labels.teaching, seed=self.incidents,
            slice=finding.slice if finding else "", unlike=labels.harm if finding and finding.is_new_content else 0, deadline=600.0,
        )

    # --- what other checks find ---

    def _take_labels(self, labelled: RecordsLabelled) -> list[Message]:
        """Learn always, report only where a drift would be reported, too."""
        found = self.panel.learn(labelled, self.pipeline) if labelled.pipelines else None
        due = self.state == "watching" and self.saved >= self.muted_until  # `saved`, unlike `cursor`, is the same when history is handled again
        if found is None or not due:
            return []
        held = self._why_not_open(labelled, self.saved)
        return self._report(labelled, found) if held is None else held

    def _report(self, cause: Message, found: Alarm) -> list[Message]:
        """Open an incident of the check's kind, and either hand it to a person or look at the newest records that it may concern."""
        evidence, finding = found.evidence, found.finding()
        assert evidence.since is not None
        assert evidence.at is not None
        self._open(f"{self.deployment}-{self.incidents + 1}", finding)
        self.brakes["open"].note(cause.time, evidence.at)
        opened = self.say(
            IncidentOpened, cause, incident=self.incident, pipeline=self.pipeline, onset=evidence.since, alarm_at=evidence.at,
            log_evidence=evidence.value, finding=finding,
        )
        if finding.for_a_person:
            return [opened, *self._close(opened, "reported", f"{finding.sentence}. {finding.advice.capitalize()}")]
        # The images of older records have left the ring.
        return [opened, self._look_at(opened, max(evidence.since, self.cursor + 1 - self.policy.detection.window))]

    # --- what the strategy of the policy says ---

    def _why_not_open(self, cause: Message, record: int) -> list[Message] | None:
        """None where an incident may open; else what puts on record, once, until when it may not. The alarm stays, so it opens then."""
        hold = self.brakes["open"].hold(cause.time, record)
        if hold is None:
            return None
        if self.told is not None and self.told[1:] == hold[1:]:
            return []
        self.told = hold
        return [self.say(ActuatorHeld, cause, actuator="open", incident="", **hold._asdict())]

    def _open_by_rule(self, fired: ActuatorFired) -> list[Message]:
        """Open an incident as a check would, beginning with the records on which the rule rests."""
        if self.state != "watching" or self.monitor is None:
            reason = f"{self.incident or 'an incident'} is under way ({self.state})" if self.state != "watching" else "no pipeline is live yet"
            return [self.say(ActuatorHeld, fired, actuator="open", reason=f"{fired.rule}: {reason}")]
        if (held := self._why_not_open(fired, self.saved)) is not None:
            return held
        sentence = f"the rule {fired.rule!r} wants it looked at ({fired.reason})"
        finding = Finding(f"rule {fired.rule}", DRIFT, sentence, 0.0, 0.0, "look at the newest images")
        self._open(f"{self.deployment}-{self.incidents + 1}", finding)
        self.brakes["open"].note(fired.time, self.saved)
        first = max(1, self.cursor + 1 - min(fired.newest, self.policy.detection.window))
        opened = self.say(
            IncidentOpened, fired, incident=self.incident, pipeline=self.pipeline, onset=first, alarm_at=self.cursor, log_evidence=0.0,
            finding=finding,
        )
        return [opened, self._look_at(opened, first)]

    def _resume(self, saved: EvidenceSaved) -> None:
        if saved.pipeline == self.pipeline and self.monitor is not None:
            try:
                self.monitor.restore(saved.state)
            except ValueError:  # evidence of another design, as after a change of the policy, counts for nothing in this one
                self.weighed = 0
            else:
                self.weighed = saved.weighed
            self.panel.restore(saved.checks)
        if saved.end and self.end is not None:
            self.end.restore(saved.end)
        self.cursor = self.saved = saved.cursor

    # --- does it hurt ---

    def _hear_analysis(self, analysis: WindowAnalysed) -> list[Message]:
        """Ask, or wait until the policy lets a person be asked again."""
        self.inquiry = Inquiry(self.incident, self.pipeline, analysis, self.finding, self.policy, self.say)
        hold = self.brakes["ask"].hold(analysis.time, analysis.last)
        if hold is None or not analysis.audit or self.inquiry.is_measured:
            return self._begin_inquiry(analysis, self.inquiry)
        held = self.say(ActuatorHeld, analysis, actuator="ask", waits=True, **hold._asdict())
        self.state, self.held = "holding", held.id
        return [held]

    def _begin_inquiry(self, cause: Message, inquiry: Inquiry) -> list[Message]:
        said = inquiry.begin(cause)
        self.state = inquiry.state
        if not inquiry.is_measured:
            self.brakes["ask"].note(cause.time, inquiry.analysis.last)
        return said

    def _settle(self, closed: QuestionClosed, inquiry: Inquiry) -> list[Message]:
        said = inquiry.settle(closed)
        self.state = inquiry.state
        return [*said, *self._close(closed, *inquiry.ended)] if inquiry.ended else said

    # --- coming to rest ---

    def _close(self, cause: Message, outcome: str, reason: str) -> list[Message]:
        closed = self.say(IncidentClosed, cause, incident=self.incident, outcome=outcome, reason=reason)
        return [closed, *self._rest(closed, cause.time)]

    def _rest(self, closed: IncidentClosed, time: float) -> list[Message]:
        """What a person need not be asked about again is adopted; what hurts unmended is asked about again, but later.

        A verified remedy brings its own reference, in which the drift is known.
        """
        window = self.inquiry.analysis.window if self.inquiry is not None else ""
        adopts = closed.outcome in ADOPTED and window != ""
        hold = self.brakes["adopt"].hold(time, self.saved) if adopts else None
        if not adopts or hold is not None:
            incident = self.incident
            self._load(self.reference)
            self._forget_incident()
            self.muted_until = 0 if closed.outcome == "verified" else self.saved + self.policy.detection.cool_down
            if hold is None:
                return []
            return [self.say(ActuatorHeld, closed, actuator="adopt", incident=incident, **hold._asdict())]
        self.state = "adopting"
        self.brakes["adopt"].note(time, self.saved)
        return [self.say(AdoptChange, closed, incident=self.incident, pipeline=self.pipeline, window=window, deadline=120.0)]

    def _give_up(self, failure: RequestFailed | RequestExpired) -> list[Message]:
        if self.state == "adopting":
            self._load(self.reference)
            self._forget_incident()
            return []
        reason = failure.reason if isinstance(failure, RequestFailed) else "it took too long"
        return self._close(failure, "failed", f"the drifted records could not be analysed: {reason}")
