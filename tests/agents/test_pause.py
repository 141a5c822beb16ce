"""Remedies can be paused: drift is still looked for, and nothing new is prepared, deployed or asked until they are resumed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.hosts.host import LocalHost
from agents.improver import Improver
from agents.ledger import Ledger
from agents.messages import (
    AnswerRefused, AskChoice, AskLabels, DeployPipeline, IncidentClosed, IncidentOpened, LabelGiven, Paused, PrepareRemedy, Resumed, ShadowPipeline,
    UndoAsked,
)
from agents.planner import Planner
from agents.policy import Approval, Policy, Remedies
from tests.agents.helpers import DEPLOYMENT, INCIDENT, chosen, closed, compared, harm, incident_closed, kinds, live, measured, remedy
from tests.agents.test_planner import ALONE, shadowed, went_live
from tests.agents.world import FACTORIES, Loop, World

PAUSED, RESUMED = Paused(id="paused", by="ana", reason="the line is being rebuilt"), Resumed(id="resumed", by="ana")
UNDO = UndoAsked(id="undo", source="console", by="ana")


def planner(policy=ALONE, previous=""):
    agent = Planner(DEPLOYMENT, policy)
    agent.receive(live("first", previous=previous))
    return agent


def test_the_improver_prepares_nothing_until_it_is_resumed():
    improver = Improver(DEPLOYMENT, Policy(remedies=Remedies(prepare=("recalibrate", "filter"))))
    improver.receive(live())
    improver.receive(PAUSED)
    assert improver.receive(harm()) == []
    assert kinds(improver.receive(RESUMED)) == ["PrepareRemedy", "PrepareRemedy"]
    assert improver.receive(RESUMED) == [], "what was held is said once"


def test_what_was_held_for_an_incident_that_has_closed_is_forgotten():
    improver = Improver(DEPLOYMENT, Policy())
    improver.receive(live())
    improver.receive(PAUSED)
    improver.receive(harm())
    improver.receive(incident_closed("failed", source="checker"))
    assert improver.receive(RESUMED) == []


def test_the_planner_asks_for_no_approval_while_paused_and_asks_when_resumed():
    agent = planner(Policy())
    agent.receive(PAUSED)
    assert kinds(agent.receive(measured(remedy("filter")))) == ["RemedyChosen"], "what it would do is on record"
    assert kinds(agent.receive(RESUMED)) == ["AskChoice"]


def test_an_answer_to_a_question_that_was_open_counts_and_its_remedy_waits():
    agent = planner(Policy(approval=Approval(ask="always")))
    agent.receive(measured(remedy("filter")))
    agent.receive(PAUSED)
    assert agent.receive(chosen(f"{INCIDENT}/approve", "approve")) == []
    [shadow] = agent.receive(RESUMED)
    assert isinstance(shadow, ShadowPipeline)


def test_a_remedy_that_was_in_the_shadow_when_they_were_paused_does_not_go_live():
    agent = planner()
    _, shadow = agent.receive(measured(remedy("filter")))
    agent.receive(PAUSED)
    assert agent.receive(shadowed(shadow)) == []
    [deploy] = agent.receive(RESUMED)
    assert isinstance(deploy, DeployPipeline)
    assert deploy.pipeline == f"{INCIDENT}-filter"


def test_a_remedy_on_trial_that_does_not_help_is_taken_out_even_while_paused():
    agent = planner()
    _, shadow = agent.receive(measured(remedy("filter")))
    [deploy] = agent.receive(shadowed(shadow))
    [compare] = agent.receive(went_live(deploy))
    agent.receive(compared(compare))
    agent.receive(PAUSED)
    said = agent.receive(closed(f"{INCIDENT}/verify", "expired"))
    assert kinds(said) == ["RemedyVerified", "DeployPipeline"]
    assert said[1].pipeline == "first"


def test_a_person_may_undo_while_paused_and_what_waited_is_declined():
    agent = planner(previous="older")
    agent.receive(PAUSED)
    agent.receive(measured(remedy("filter")))
    declined, deploy = agent.receive(UNDO)
    assert (declined.incident, declined.outcome, deploy.pipeline) == (INCIDENT, "declined", "older")
    assert "while remedies were paused" in declined.reason
    assert agent.receive(RESUMED) == []


def test_an_undo_that_is_refused_while_paused_declines_nothing():
    agent = planner(previous="")
    agent.receive(PAUSED)
    agent.receive(measured(remedy("filter")))
    [refused] = agent.receive(UNDO)
    assert isinstance(refused, AnswerRefused)
    assert kinds(agent.receive(RESUMED)) == ["ShadowPipeline"]


def test_an_agent_that_is_rebuilt_while_paused_still_holds_what_it_held():
    ledger = Ledger(clock=lambda: 1.0)
    agent = planner()
    for message in (live("first"), PAUSED, measured(remedy("filter"))):
        ledger.append([message])
        ledger.handled("planner", message, [] if message is PAUSED else agent.receive(message))
    rebuilt = Planner(DEPLOYMENT, ALONE)
    rebuilt.restore(ledger.history("planner"))
    assert rebuilt.pause.on
    assert kinds(rebuilt.receive(RESUMED)) == ["ShadowPipeline"]


def drift_while_paused(after, restart):
    """Drift comes, remedies are paused after so many messages and resumed much later. The ledger before that, and all in the end."""
    world, ledger, heard = World(), Ledger(clock=lambda: 1.0), []
    loop = Loop(world, ledger)

    def listen(message):
        heard.append(message)
        if len(heard) == after:
            loop.switchboard.post(PAUSED)

    loop.switchboard.listen(listen)
    for _ in range(8):
        world.feed(50, drifted=True)
        loop.step()
    before = ledger.messages()
    if restart:
        loop = Loop(world, ledger, LocalHost(FACTORIES))
    loop.switchboard.post(RESUMED)
    for _ in range(8):
        world.feed(50, drifted=True)
        loop.step()
    return before, ledger, world


@settings(max_examples=12, deadline=None)
@given(after=st.integers(1, 90), restart=st.booleans())
def test_whenever_they_are_paused_nothing_new_begins_and_the_incident_ends_well_once_resumed(after, restart):
    before, ledger, world = drift_while_paused(after, restart)
    asked_at = next(place for place, one in enumerate(before) if isinstance(one, Paused))
    begun = [one for one in before[asked_at:] if isinstance(one, AskLabels | AskChoice | PrepareRemedy | ShadowPipeline | DeployPipeline)]
    assert begun == []
    assert ledger.messages(IncidentOpened)
    [ended] = ledger.messages(IncidentClosed)
    assert ended.outcome == "verified"
    assert set(world.done.values()) == {1}


def test_drift_is_found_while_paused():
    before, ledger, _ = drift_while_paused(1, restart=False)
    assert [one.incident for one in before if isinstance(one, IncidentOpened)] == [INCIDENT]
    assert not [one for one in before if isinstance(one, AskLabels)]
    assert ledger.messages(LabelGiven), "asked when resumed"
