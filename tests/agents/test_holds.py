"""Cool-downs of what agents do by themselves: nothing flips back and forth, what is held back is on record and taken up, and safety goes first."""

from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from agents.checker import Checker
from agents.improver import Improver
from agents.messages import (
    ActuatorFired, ActuatorHeld, AdoptChange, AskLabels, CompareRemedies, DeployPipeline, DriftEnded, HoldEnded, IncidentClosed, IncidentOpened, LogBegun,
    PipelineShadowed, PrepareRemedy, RemediesMeasured, RequestExpired, RequestFailed, ShadowPipeline, UndoAsked,
)
from agents.planner import Planner
from agents.policy import Approval, Detection, Policy
from agents.strategy.sensors import Holds
from agents.strategy.settings import Actuator
from tests.agents.helpers import (
    DEPLOYMENT, INCIDENT, FakeMonitor, analysed, closed, compared, failed, given, harm, incident_closed, kinds, live, measured, remedy, window,
)

COOL = 100.0


def policy(**actuators):
    return Policy(approval=Approval(ask="never"), detection=Detection(save_every=1, cool_down=0), actuators=actuators)


def at(time, message):
    return msgspec.structs.replace(message, time=float(time))


def over(held, time):
    return HoldEnded(id=f"over-{held.id}", source="tracker", to=held.source, cause=held.id, incident=held.incident, actuator=held.actuator, record=held.until_record, time=float(time))


def only(kind, said):
    [one] = [message for message in said if isinstance(message, kind)]
    return one


def shadowed(request):
    return PipelineShadowed(
        id=f"shadowed-{request.id}", source="deployer", incident=request.incident, cause=request.id, pipeline=request.pipeline, records=9, agreement=0.5, seconds_per_image=0.001
    )  # fmt: skip


def went_live(request, time, previous="first"):
    return at(time, live(request.pipeline, previous=previous, gated=True, since=int(time), cause=request.id, incident=request.incident, id=f"live-{request.id}"))


def planner(time=0.0, **actuators):
    """A planner whose first remedy, for digits-1, went live at `time` and helped."""
    agent = Planner(DEPLOYMENT, policy(**(actuators or {"deploy": Actuator(cool_down=COOL)})))
    agent.receive(live())
    shadow = only(ShadowPipeline, agent.receive(at(time, measured(remedy("filter")))))
    deploy = only(DeployPipeline, agent.receive(at(time, shadowed(shadow))))
    agent.receive(went_live(deploy, time))
    agent.receive(at(time, incident_closed("failed", source="checker")))  # on trial, so it is to be taken out again
    return agent


def verified(time=0.0, **actuators):
    """The same, and it was kept."""
    agent = Planner(DEPLOYMENT, policy(**(actuators or {"deploy": Actuator(cool_down=COOL)})))
    agent.receive(live())
    shadow = only(ShadowPipeline, agent.receive(at(time, measured(remedy("filter")))))
    deploy = only(DeployPipeline, agent.receive(at(time, shadowed(shadow))))
    compare = only(CompareRemedies, agent.receive(went_live(deploy, time)))
    agent.receive(compared(compare, count=20))
    said = []
    for seq in range(101, 121):
        said += agent.receive(at(time, given(f"{INCIDENT}/verify", seq, 1)))
    said += agent.receive(at(time, closed(f"{INCIDENT}/verify")))
    assert only(IncidentClosed, said).outcome == "verified"
    return agent


ENDED = DriftEnded(id="ended", source="checker", pipeline=f"{INCIDENT}-filter", at=50)

# --- deploy ---


def test_a_filter_is_not_taken_out_again_before_the_cool_down_is_over():
    agent = verified()
    held = only(ActuatorHeld, agent.receive(at(99, ENDED)))
    assert (held.actuator, held.until, held.waits, held.incident) == ("deploy", COOL, True, INCIDENT)
    assert held.reason == f"first (the drift that {INCIDENT}-filter was made for has ended): it was done less than 100 s ago"
    deploy = only(DeployPipeline, agent.receive(over(held, COOL)))
    assert (deploy.pipeline, deploy.incident) == ("first", INCIDENT)


def test_after_the_cool_down_nothing_is_held():
    assert kinds(verified().receive(at(COOL, ENDED))) == ["DeployPipeline"]


def test_without_a_strategy_nothing_is_held():
    assert kinds(verified(nothing=Actuator()).receive(at(0, ENDED))) == ["DeployPipeline"]


def test_a_cool_down_may_be_counted_in_records():
    agent = verified(time=1.0, deploy=Actuator(cool_down_records=300))
    held = only(ActuatorHeld, agent.receive(at(5, ENDED)))
    assert (held.until, held.until_record) == (0.0, 301)


def test_a_new_log_ends_a_cool_down_that_is_counted_in_records():
    agent = verified(time=1.0, deploy=Actuator(cool_down_records=300))
    agent.receive(LogBegun(id="b", source="tracker", log="new"))
    assert kinds(agent.receive(at(5, ENDED))) == ["DeployPipeline"]


def test_what_waits_is_dropped_when_something_else_went_live_meanwhile():
    agent = verified()
    held = only(ActuatorHeld, agent.receive(at(9, ENDED)))
    agent.receive(at(20, live("other", previous=f"{INCIDENT}-filter")))
    assert agent.receive(over(held, COOL)) == []


def test_a_way_back_waits_longer_while_an_incident_is_under_way():
    agent = verified()
    held = only(ActuatorHeld, agent.receive(at(9, ENDED)))
    agent.receive(at(50, measured(remedy("retrain"), base=f"{INCIDENT}-filter", incident="digits-2")))
    again = only(ActuatorHeld, agent.receive(over(held, COOL)))
    assert (again.until, again.reason) == (
        2 * COOL, f"first (the drift that {INCIDENT}-filter was made for has ended): another change is under way (shadowing)",
    )  # fmt: skip
    agent.receive(at(120, incident_closed("failed", incident="digits-2", source="checker")))
    assert kinds(agent.receive(over(again, 2 * COOL))) == ["DeployPipeline"]


@pytest.fixture
def holding():
    """A second remedy that may not go live yet."""
    agent = verified()
    shadow = only(ShadowPipeline, agent.receive(at(20, measured(remedy("retrain"), base=f"{INCIDENT}-filter", incident="digits-2"))))
    held = only(ActuatorHeld, agent.receive(at(21, shadowed(shadow))))
    assert (agent.state, held.incident) == ("holding", "digits-2")
    return agent, held


def test_a_remedy_waits_and_goes_live_when_its_time_has_come(holding):
    agent, held = holding
    deploy = only(DeployPipeline, agent.receive(over(held, COOL)))
    assert (deploy.pipeline, deploy.incident, agent.state) == (f"{INCIDENT}-retrain", "digits-2", "deploying")
    assert kinds(agent.receive(went_live(deploy, 101, f"{INCIDENT}-filter"))) == ["CompareRemedies"]


def test_a_person_is_never_held_back(holding):
    agent, held = holding
    deploy = only(DeployPipeline, agent.receive(at(22, UndoAsked(id="u", source="ann", by="ann"))))
    assert (deploy.pipeline, deploy.by) == ("first", "ann")
    assert only(IncidentClosed, agent.receive(went_live(deploy, 23, f"{INCIDENT}-filter"))).outcome == "declined"
    assert agent.receive(over(held, COOL)) == []


def test_a_remedy_whose_incident_was_given_up_while_it_waited_never_goes_live(holding):
    agent, held = holding
    assert agent.receive(at(30, incident_closed("failed", incident="digits-2", source="checker"))) == []
    assert agent.receive(over(held, COOL)) == []


def test_the_undoing_of_what_was_not_verified_waits_too():
    agent = planner()
    assert agent.back is not None
    assert (agent.state, agent.back.pipeline) == ("watching", "first")


def auditing():
    """A remedy on trial at 10, of which the labels are still to come."""
    agent = Planner(DEPLOYMENT, policy(deploy=Actuator(cool_down=COOL)))
    agent.receive(live())
    shadow = only(ShadowPipeline, agent.receive(at(9, measured(remedy("filter")))))
    deploy = only(DeployPipeline, agent.receive(at(9, shadowed(shadow))))
    compare = only(CompareRemedies, agent.receive(went_live(deploy, 10)))
    agent.receive(at(11, compared(compare, count=20)))
    return agent


def test_what_surely_harms_is_undone_at_once():
    agent = auditing()
    for seq in range(101, 121):
        agent.receive(at(12, given(f"{INCIDENT}/verify", seq, 0)))  # as the model before had said
    said = agent.receive(at(13, closed(f"{INCIDENT}/verify")))
    assert kinds(said) == ["RemedyVerified", "DeployPipeline"]
    assert said[0].gain_interval[1] < 0


def test_what_nobody_has_judged_is_undone_when_the_cool_down_is_over():
    agent = auditing()
    verdict, held = agent.receive(at(13, closed(f"{INCIDENT}/verify", "expired")))
    assert (verdict.helped, held.until, agent.state) == (False, 110.0, "holding")
    deploy = only(DeployPipeline, agent.receive(over(held, 110)))
    assert (deploy.pipeline, agent.state) == ("first", "undoing")
    assert only(IncidentClosed, agent.receive(went_live(deploy, 111, f"{INCIDENT}-filter"))).outcome == "undone"


def test_a_person_who_says_that_the_change_is_meant_does_not_wait():
    assert kinds(auditing().receive(at(13, closed(f"{INCIDENT}/verify", "expected")))) == ["DeployPipeline"]


# --- open, ask, adopt ---


def checker(**actuators):
    agent = Checker(DEPLOYMENT, policy(**actuators), FakeMonitor)
    agent.receive(live())
    return agent


def opened_and_closed(agent, time, first=1):
    """An incident that another agent gives up."""
    opened = only(IncidentOpened, agent.receive(at(time, window(first, first + 9, drifted=True))))
    agent.receive(at(time, incident_closed("failed", incident=opened.incident)))


def test_no_incident_opens_before_its_cool_down_is_over_and_that_is_on_record_once():
    agent = checker(open=Actuator(cool_down=COOL))
    opened_and_closed(agent, 1)
    said = [kinds(agent.receive(at(time, window(first, first + 9, drifted=True)))) for time, first in ((50, 11), (60, 21), (101, 31))]
    assert said == [["ActuatorHeld", "EvidenceSaved", "EvidenceUpdated"], ["EvidenceSaved", "EvidenceUpdated"], ["IncidentOpened", "AnalyseWindow", "EvidenceSaved", "EvidenceUpdated"]]


def test_a_restored_checker_knows_when_the_last_incident_opened_and_what_it_has_said():
    agent, history = checker(open=Actuator(cool_down=COOL)), [live()]
    for time, first in ((1, 1), (50, 11)):
        said = agent.receive(at(time, window(first, first + 9, drifted=True)))
        history += [at(time, one) for one in said if not one.transient]
        if time == 1:
            history.append(at(time, incident_closed("failed")))
            agent.receive(history[-1])
    restored = checker(open=Actuator(cool_down=COOL))
    restored.restore(history)
    assert kinds(restored.receive(at(60, window(21, 30, drifted=True)))) == ["EvidenceSaved", "EvidenceUpdated"]
    assert "IncidentOpened" in kinds(restored.receive(at(101, window(31, 40, drifted=True))))


def test_the_first_question_of_an_incident_waits_and_what_follows_does_not():
    agent = checker(ask=Actuator(cool_down=COOL))
    for number, time in ((1, 1), (2, 50)):
        analyse = agent.receive(at(time, window(10 * number - 9, 10 * number, drifted=True)))[1]
        said = agent.receive(at(time, analysed(analyse)))
        if number == 1:
            assert kinds(said) == ["AskLabels"]
            agent.receive(at(time, incident_closed("failed")))
    [held] = said
    assert (held.actuator, held.until, agent.state) == ("ask", 101.0, "holding")
    question = only(AskLabels, agent.receive(over(held, 101)))
    assert (question.incident, question.purpose, agent.state) == ("digits-2", "audit", "auditing")
    for seq in range(1, 9):
        agent.receive(at(102, given(question.question, seq, 1, "digits-2")))
    assert only(AskLabels, agent.receive(at(102, closed(question.question, incident="digits-2")))).purpose == "teaching"


def test_a_change_is_not_adopted_before_the_cool_down_is_over():
    agent = checker(adopt=Actuator(cool_down=COOL))
    for number, time in ((1, 1), (2, 50)):
        analyse = agent.receive(at(time, window(10 * number - 9, 10 * number, drifted=True)))[1]
        question = only(AskLabels, agent.receive(at(time, analysed(analyse))))
        said = agent.receive(at(time, closed(question.question, "expected", question.incident)))
        if number == 1:
            assert kinds(said) == ["IncidentClosed", "AdoptChange"]
            agent.receive(failed(only(AdoptChange, said)))
    assert kinds(said) == ["IncidentClosed", "ActuatorHeld"]
    assert (agent.state, said[1].actuator, said[1].incident, said[1].until) == ("watching", "adopt", "digits-2", 101.0)


def fired(actuator, time=1.0, **more):
    return ActuatorFired(id=f"{actuator}-{time}", source="planner", actuator=actuator, rule="low", reason="because", newest=30, time=float(time), **more)


def test_a_rule_opens_an_incident_on_the_newest_records_though_nothing_alarms():
    agent = checker()
    agent.receive(window(1, 40))
    opened, analyse = agent.receive(fired("open"))
    assert (opened.incident, opened.onset, opened.alarm_at, opened.kind, opened.finding.check) == (INCIDENT, 11, 40, "drift", "rule low")
    assert (analyse.first, analyse.incident) == (11, INCIDENT)
    question = only(AskLabels, agent.receive(analysed(analyse)))
    assert question.text.startswith("The rule 'low' wants it looked at (because). ")


def test_a_rule_opens_none_while_one_is_open_and_says_so():
    agent = checker()
    agent.receive(window(1, 40))
    agent.receive(fired("open"))
    [held] = agent.receive(fired("open", 2))
    assert held.reason == "low: digits-1 is under way (analysing)"


def test_a_restored_checker_has_the_incident_that_a_rule_opened_open_once():
    agent, message = checker(), fired("open")
    agent.receive(window(1, 40))
    said = agent.receive(message)
    restored = Checker(DEPLOYMENT, policy(), FakeMonitor)
    restored.restore([live(), message, *said])
    assert (restored.state, restored.incident, restored.incidents) == ("analysing", INCIDENT, 1)


# --- prepare, pause ---


def improver(**actuators):
    agent = Improver(DEPLOYMENT, policy(**actuators))
    agent.receive(live())
    return agent


def test_remedies_are_not_prepared_before_their_cool_down_is_over():
    agent = improver(prepare=Actuator(cool_down=COOL))
    assert set(kinds(agent.receive(at(1, harm())))) == {"PrepareRemedy"}
    agent.receive(incident_closed("failed"))
    [held] = agent.receive(at(50, harm(incident="digits-2")))
    assert (held.actuator, held.until, held.incident, agent.state) == ("prepare", 101.0, "digits-2", "holding")
    said = agent.receive(over(held, 101))
    assert {(type(one), one.incident) for one in said} == {(PrepareRemedy, "digits-2")}


def test_while_remedies_are_paused_an_incident_is_reported_and_nothing_prepared():
    agent = improver()
    agent.receive(fired("pause"))
    [only_one] = agent.receive(harm())
    assert (only_one.outcome, only_one.reason) == ("reported", "it hurts (it hurts), and remedies are paused by the rule 'low'")
    agent.receive(fired("resume"))
    assert set(kinds(agent.receive(harm(incident="digits-2")))) == {"PrepareRemedy"}


def test_what_waits_is_not_prepared_when_a_rule_has_paused_remedies_meanwhile():
    agent = improver(prepare=Actuator(cool_down=COOL))
    agent.receive(at(1, harm()))
    agent.receive(incident_closed("failed"))
    [held] = agent.receive(at(50, harm(incident="digits-2")))
    agent.receive(fired("pause", 60))
    assert kinds(agent.receive(over(held, 101))) == ["IncidentClosed"]


# --- under any stream of drift that comes and goes ---


@dataclass
class Stream:
    """A planner in a world where anything may happen next; keeps the time, answers for the doors, and ends holds as the tracker does."""

    cool_down: float
    now: float = 0.0
    number: int = 0
    live: str = "first"
    changes: list = field(default_factory=list)  # (time, the request)

    def __post_init__(self):
        self.agent = Planner(DEPLOYMENT, policy(deploy=Actuator(cool_down=self.cool_down)))
        self.asked, self.holds, self.heard, self.exempt = [], Holds(), [], set()
        self.hear(live())

    def hear(self, message):
        self.number += 1
        message = msgspec.structs.replace(message, id=f"{type(message).__name__}-{self.number}", time=self.now)
        said = [msgspec.structs.replace(one, time=self.now) for one in self.agent.receive(message)]
        self.heard += [message, *said]
        harms = any(getattr(one, "gain_interval", (0, 0))[1] < 0 for one in said)
        for one in said:
            if isinstance(one, DeployPipeline) and (one.by or harms or isinstance(message, RequestFailed | RequestExpired)):
                self.exempt.add(one.id)  # a person's, what surely harms, and what is tried again since it did not happen
            if isinstance(one, ActuatorHeld):
                self.holds.keep(one.id, one.source, one.actuator, one.incident, one.until, one.until_record)
        self.asked += [one for one in said if isinstance(one, ShadowPipeline | DeployPipeline | CompareRemedies | AskLabels)]

    def wait(self, seconds):
        self.now += seconds
        for held, (source, actuator, incident) in self.holds.over(self.now, 10**9).items():
            self.hear(HoldEnded(id="", source="tracker", to=source, cause=held, actuator=actuator, incident=incident, record=0))

    def drift(self, pick):
        self.hear(measured(remedy("filter", f"made-{self.number}"), base=self.live, incident=f"digits-{self.number}"))

    def ends(self, pick):
        self.hear(DriftEnded(id="", source="checker", pipeline=self.live, at=1))

    def person(self, pick):
        self.hear(UndoAsked(id="", source="ann", by="ann"))

    def gives_up(self, pick):
        self.exempt |= {request.id for request in self.asked if isinstance(request, DeployPipeline)}  # too late to stop, and no longer wanted
        self.hear(incident_closed("failed", incident=self.agent.incident or "digits-0", source="checker"))

    def fails(self, pick):
        if not self.asked or isinstance(self.asked[-1], AskLabels):
            return
        request = self.asked[-1] if pick % 2 else self.asked.pop()
        if isinstance(request, DeployPipeline):
            self.exempt.add(request.id)  # should it succeed all the same, later than it was given up, no agent has decided that
        self.hear(RequestExpired(id="", source="switchboard", cause=request.id, incident=request.incident, request=type(request).__name__))

    def succeeds(self, pick):
        if not self.asked:
            return
        request = self.asked.pop()
        match request:
            case ShadowPipeline():
                self.hear(shadowed(request))
            case CompareRemedies():
                self.hear(compared(request, count=6))
            case DeployPipeline():
                previous, self.live = self.live, request.pipeline
                if previous != self.live:
                    self.changes.append((self.now, request))
                self.hear(live(request.pipeline, previous=previous, base="first", gated=True, cause=request.id, incident=request.incident))
            case AskLabels():
                for seq in request.items if pick % 4 else ():
                    self.hear(given(request.question, seq, (None, 1, 0, seq % 2)[pick % 4], request.incident))
                self.hear(closed(request.question, "answered", request.incident))

    def crash(self, pick):
        agent = Planner(DEPLOYMENT, self.agent.policy)
        agent.restore(self.heard)
        assert (agent.state, agent.live, agent.brake, agent.back, agent.waiting) == (
            self.agent.state, self.agent.live, self.agent.brake, self.agent.back, self.agent.waiting,
        )  # fmt: skip
        self.agent = agent


STEPS = st.lists(
    st.tuples(st.sampled_from(["drift", "drift", "ends", "ends", "succeeds", "succeeds", "succeeds", "succeeds", "fails", "gives_up", "person", "crash"]), st.integers(0, 7), st.integers(0, 60)),
    min_size=10, max_size=60,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@hypothesis_given(STEPS)
def test_under_any_drift_that_comes_and_goes_no_two_deployments_by_agents_are_closer_than_the_cool_down(steps):
    stream = Stream(COOL)
    for what, pick, seconds in steps:
        stream.wait(seconds)
        getattr(stream, what)(pick)
    for (before, _), (after, request) in pairwise(stream.changes):
        assert after - before >= COOL or request.id in stream.exempt


@settings(max_examples=100, deadline=None)
@hypothesis_given(STEPS)
def test_whatever_waits_is_taken_up_or_dropped_and_every_incident_comes_to_rest(steps):
    stream = Stream(COOL)
    for what, pick, seconds in steps:
        stream.wait(seconds)
        getattr(stream, what)(pick)
    for _ in range(2 * len(steps)):
        stream.wait(COOL)
        stream.succeeds(0)
    assert stream.agent.state == "watching"
    assert not stream.holds.held
    ended = {message.incident for message in stream.heard if isinstance(message, IncidentClosed)}
    assert {message.incident for message in stream.heard if isinstance(message, RemediesMeasured)} <= ended
