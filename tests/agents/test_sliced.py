"""An incident about a slice of the traffic: remedies are measured there and beside it, and none may help one at the cost of the other."""

import re

import msgspec
import pytest

from agents.audit import SlicedAudit, audit_of
from agents.improver import Improver
from agents.messages import AnalyseWindow, AskLabels, DeployPipeline, Elsewhere, Finding, IncidentClosed, Label, Likeness, RemedyChosen, RemedyVerified
from agents.messages.remedies import Draw
from agents.trial import Trial
from tests.agents.helpers import DEPLOYMENT, INCIDENT, analysed, closed, compared, given, harm, measured, prepared, remedy
from tests.agents.test_checks import hosting, joined
from tests.agents.test_improver import POLICY
from tests.agents.test_planner import planner, shadowed, went_live
from models.weaknesses.synthetic import labelled

SOUTH = "site=south"
FOUND = Finding("bias", "bias", "worse in the south", 0.2, 0.05, "label more", ("reweight", "retrain"), 0.6, (0.5, 0.7), SOUTH)


def sliced(request, *, differing=12, others=6):
    """The slice's records are 101 and on, of which all differ by one half; the others' are 201 and on, by a tenth."""
    said = dict.fromkeys(request.candidates, 1) | {request.baseline: 0}
    draws = tuple(Draw(201 + place, (place,), 0.1, "model differs", said) for place in range(others))
    elsewhere = Elsewhere(300, {"model differs": 0.1}, draws, {})
    return msgspec.structs.replace(compared(request, count=differing), elsewhere=elsewhere)


# --- the checker ---


def opened_bias():
    checker = hosting(bias={"attributes": ("site",)})
    said = checker.receive(joined(labelled(1500, seed=5, accuracy=0.97, worse_in="south", worse=0.6)))
    return checker, next(one for one in said if isinstance(one, AnalyseWindow))


def test_what_teaches_is_looked_for_in_the_slice_and_asked_for_even_where_the_drift_has_a_sure_name():
    checker, analyse = opened_bias()
    assert analyse.slice == SOUTH
    [ask] = checker.receive(analysed(analyse, likeness=Likeness("fog", 3.0, 0.4, 0.99, "fog")))
    assert isinstance(ask, AskLabels)
    assert ask.purpose == "teaching" and SOUTH in ask.text
    [assessed] = checker.receive(closed(ask.question))
    assert assessed.slice == SOUTH and assessed.remedies == ("reweight", "retrain")
    assert 0.5 < assessed.accuracy < 0.7, "of the slice, not of all"


def test_a_batch_of_attributes_without_labels_changes_nothing():
    checker = hosting(bias={"attributes": ("site",)})
    nothing = msgspec.structs.replace(joined(labelled(3, seed=5)), pipelines=(), seqs=b"", labels=b"", truth=b"", logits=b"", early=b"", latent=b"", slices={})
    assert checker.receive(nothing) == []


# --- the audit ---


def choosing():
    improver = Improver(DEPLOYMENT, POLICY)
    asked = improver.receive(msgspec.structs.replace(harm(), slice=SOUTH, remedies=("reweight",), likeness=Likeness("fog", 3.0, 0.4, 0.99, "fog")))
    assert [(one.remedy, one.likeness) for one in asked] == [("reweight", None)], "a name of all traffic says nothing of the slice"
    [compare] = improver.receive(prepared(asked[0]))
    assert compare.slice == SOUTH
    [ask] = improver.receive(sliced(compare))
    return improver, ask


def test_a_person_is_asked_about_two_of_the_slice_for_one_beside_it():
    _, ask = choosing()
    assert ask.items[:6] == (101, 102, 201, 103, 104, 202)
    assert len(ask.items) == 18 and SOUTH in ask.text


def test_asking_does_not_stop_before_the_others_have_been_looked_at_and_both_gains_are_told():
    improver, ask = choosing()
    said = [message for seq in range(101, 113) for message in improver.receive(given(ask.question, seq, 1))]
    assert said == [], "settled in the slice, unseen elsewhere"
    said = [message for seq in range(201, 205) for message in improver.receive(given(ask.question, seq, 0))]
    assert [type(message).__name__ for message in said] == ["CloseQuestion"]
    [told] = improver.receive(closed(ask.question))
    reweight = told.remedies[1]
    assert told.slice == SOUTH
    assert reweight.gain > 0.3 and reweight.elsewhere < -0.03
    assert reweight.gap_closed[0] > 0.2, "what is won here and lost there closes the gap, too: that alone is no merit"


def test_a_trial_is_not_settled_before_the_others_have_been_looked_at():
    improver, _ = choosing()
    pipeline = improver.audit.candidates[0]
    audit = audit_of(improver.audit.baseline, [pipeline], improver.compared, POLICY.verification.level, sliced=True)
    trial = Trial(pipeline, remedy("reweight"), 1, audit, POLICY, SOUTH)
    for seq in range(101, 113):
        trial.update(Label(seq, 1))
    assert trial.verdict().helped and audit.gap_closed(pipeline)[0] > 0 and not trial.is_settled()
    for seq in range(201, 205):
        trial.update(Label(seq, 1))
    assert trial.is_settled()


def test_where_no_record_is_known_to_lie_elsewhere_there_is_no_gap_to_tell():
    improver, _ = choosing()
    bare = msgspec.structs.replace(improver.compared, elsewhere=None)
    audit = audit_of("first", ["new"], bare, 0.8, sliced=True)
    assert isinstance(audit, SlicedAudit)
    assert (audit.elsewhere("new"), audit.gap_closed("new"), audit.is_rest_seen()) == (None, None, True)


def test_labels_of_both_parts_count_as_used_once():
    improver, _ask = choosing()
    for seq in (101, 201, 201):
        improver.audit.update(Label(seq, 1))
    assert improver.audit.labels == 2 and set(improver.audit.answers) == {101, 201}


# --- the planner ---


def of_slice(*remedies):
    return msgspec.structs.replace(measured(*remedies), slice=SOUTH)


def reweight(elsewhere):
    return msgspec.structs.replace(remedy("reweight"), elsewhere=elsewhere, gap_closed=(0.1, 0.3))


def test_a_remedy_that_costs_the_others_more_than_is_put_up_with_is_not_chosen():
    chosen, rest = planner().receive(of_slice(reweight(-0.02)))
    assert isinstance(chosen, RemedyChosen)
    assert chosen.verdicts["reweight"] == "loses 0.020 outside of the slice that it is for, more than 0.01"
    assert isinstance(rest, IncidentClosed) and rest.outcome == "no remedy"
    chosen, _ = planner().receive(of_slice(reweight(-0.005)))
    assert chosen.remedy == "reweight" and f"where {SOUTH}" in chosen.reason


def verifying():
    agent = planner()
    _, shadow = agent.receive(of_slice(reweight(0.0)))
    [deploy] = agent.receive(shadowed(shadow))
    [compare] = agent.receive(went_live(deploy))
    assert compare.slice == SOUTH
    agent.receive(sliced(compare))
    return agent


def answer(agent, seqs, label):
    return [message for seq in seqs for message in agent.receive(given(f"{INCIDENT}/verify", seq, label))]


def test_it_is_kept_when_fresh_labels_show_that_the_slice_gains_and_the_gap_closes():
    agent = verifying()
    assert answer(agent, range(201, 205), 1) == []
    assert answer(agent, range(101, 112), 1)[0].reason == "verification is settled"
    verdict, rest = agent.receive(closed(f"{INCIDENT}/verify"))
    assert isinstance(verdict, RemedyVerified)
    assert verdict.helped and verdict.slice == SOUTH and verdict.gap_closed[0] > 0
    assert rest.outcome == "verified" and "the gap closes by" in rest.reason


@pytest.mark.parametrize(("here", "there", "says"), [(1, 0, "no slice may pay for another"), (0, 1, f"fresh {SOUTH} records did not show|no slice may pay")])
def test_it_is_undone_when_the_others_pay_or_the_slice_does_not_gain(here, there, says):
    agent = verifying()
    answer(agent, range(201, 207), there)
    answer(agent, range(101, 113), here)
    verdict, undo = agent.receive(closed(f"{INCIDENT}/verify"))
    assert not verdict.helped
    assert isinstance(undo, DeployPipeline) and undo.pipeline == "first"
    assert re.search(says, undo.reason), undo.reason


def test_an_incident_of_all_traffic_is_as_it_was():
    agent = planner()
    _, shadow = agent.receive(measured(remedy("filter")))
    [deploy] = agent.receive(shadowed(shadow))
    [compare] = agent.receive(went_live(deploy))
    assert compare.slice == ""
