"""The planner: nothing goes live without labelled evidence, and nothing stays live that has not shown that it helps."""

import math

import msgspec
import pytest

from agents.messages import (
    AgentFailed,
    AnswerRefused,
    DeployPipeline,
    DriftEnded,
    IncidentClosed,
    LogBegun,
    PipelineShadowed,
    RemedyChosen,
    RemedyVerified,
    UndoAsked,
)
from agents.planner import Planner
from agents.policy import Approval, Policy, Verification
from models.estimators.paired import enough_evidence
from tests.agents.helpers import amended, DEPLOYMENT, INCIDENT, chosen, closed, compared, expired, failed, given, incident_closed, kinds, live, measured, remedy

FILTER = remedy("filter")
RETRAIN = remedy("retrain", point=0.3, gain=(0.2, 0.4))
ALONE = Policy(approval=Approval(ask="never"))
VERIFY = f"{INCIDENT}/verify"
APPROVE = f"{INCIDENT}/approve"


def planner(policy=ALONE, pipeline="first"):
    planner = Planner(DEPLOYMENT, policy)
    planner.receive(live(pipeline))
    return planner


def shadowed(request):
    return PipelineShadowed(
        id=f"shadowed-{request.id}", source="deployer", incident=request.incident, cause=request.id, to="planner", pipeline=request.pipeline, records=400,
        agreement=0.6, seconds_per_image=0.001,
    )  # fmt: skip


def went_live(request, previous="first", **more):
    return live(request.pipeline, previous=previous, gated=True, since=201, cause=request.id, incident=request.incident, id=f"live-{request.id}", **more)


def choosing(policy=None):
    """A planner that waits for approval."""
    agent = planner(policy or Policy())
    agent.receive(measured(FILTER, remedy("recalibrate", point=0.12)))
    assert agent.state == "choosing"
    return agent


def shadowing():
    agent = planner()
    _, request = agent.receive(measured(FILTER))
    return agent, request


def deploying():
    agent, request = shadowing()
    [deploy] = agent.receive(shadowed(request))
    return agent, deploy


def comparing():
    agent, deploy = deploying()
    [compare] = agent.receive(went_live(deploy))
    return agent, compare


def auditing(policy=ALONE, count=8):
    agent = planner(policy)
    _, shadow = agent.receive(measured(FILTER))
    [deploy] = agent.receive(shadowed(shadow))
    [compare] = agent.receive(went_live(deploy))
    agent.receive(compared(compare, count=count))
    return agent


def undoing():
    agent, compare = comparing()
    [deploy] = agent.receive(failed(compare))
    return agent, deploy


def deployments(said):
    return [message.pipeline for message in said if isinstance(message, DeployPipeline)]


def outcome(said):
    [only] = [message for message in said if isinstance(message, IncidentClosed)]
    assert only.incident == INCIDENT
    return only.outcome


# --- choosing ---


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (remedy("filter", evidence=0.0), "the labels do not speak for it: 1 to 1"),
        (remedy("filter", evidence=-1.0), "the labels do not speak for it: 0.37 to 1"),
        (remedy("filter", clean_loss=0.006), "loses 0.0060 on clean data, more than 0.005"),
        (remedy("filter", latency=0.2), "adds 200.0 ms, more than 50"),
    ],
)
def test_a_remedy_outside_the_policys_limits_is_not_chosen_and_the_table_says_why(bad, why):
    choice, *rest = planner().receive(measured(bad))
    assert isinstance(choice, RemedyChosen)
    assert choice.remedy == "nothing"
    assert why in choice.verdicts["filter"]
    assert outcome(rest) == "no remedy"


def test_among_those_that_fit_the_one_with_most_gain_less_its_costs_is_chosen():
    slow = remedy("filter", point=0.25, latency=0.04)  # 0.25 - 2 * 0.04 = 0.17
    quick = remedy("recalibrate", point=0.20, latency=0.0)  # 0.20 - 0.002 for new weights
    choice, _ = planner().receive(measured(slow, quick))
    assert choice.remedy == "recalibrate"
    assert choice.verdicts["filter"] == "fits, utility +0.170"
    assert choice.verdicts["recalibrate"] == "fits, utility +0.198, the highest"


def test_a_remedy_that_harms_clean_data_is_not_chosen_even_if_it_gains_more():
    choice, _ = planner().receive(measured(FILTER, remedy("retrain", point=0.4, gain=(0.3, 0.5), clean_loss=0.02)))
    assert choice.remedy == "filter"


def test_one_of_two_reused_pipelines_does_not_borrow_the_others_evidence():
    doubtful = remedy("reuse", "old-a", evidence=-0.2, point=0.4)
    certain = remedy("reuse", "old-b", gain=(0.05, 0.2), point=0.1)
    _, request = planner().receive(measured(doubtful, certain))
    assert request.pipeline == "old-b"


def test_what_could_not_be_prepared_is_in_the_table_with_its_reason():
    choice, *_ = planner().receive(measured(FILTER, failed={"retrain": "out of memory"}))
    assert choice.verdicts["retrain"] == "could not be prepared: out of memory"


def test_remedies_compared_with_a_pipeline_that_is_no_longer_live_are_not_applied():
    assert outcome(planner(pipeline="other").receive(measured(FILTER, base="first"))) == "failed"


def test_measurements_that_come_while_another_change_is_under_way_close_their_incident():
    agent = planner()
    agent.receive(live("filter", previous="first"))
    agent.receive(UndoAsked(id="u", by="ann"))
    assert agent.state == "deploying"
    assert outcome(agent.receive(measured(FILTER))) == "failed"


# --- approval ---


def test_a_person_is_asked_first_and_offered_the_others_that_fit():
    agent = planner(Policy())
    _, ask = agent.receive(measured(FILTER, remedy("recalibrate", point=0.12), remedy("retrain", evidence=-0.5)))
    assert ask.question == APPROVE
    assert ask.options == ("approve", "recalibrate", "decline")


@pytest.mark.parametrize(("best", "asks"), [("filter", False), ("retrain", True), ("fine_tune", True)])
def test_under_new_weights_only_a_changed_classifier_needs_a_person(best, asks):
    agent = planner(Policy(approval=Approval(ask="new weights")))
    assert (kinds(agent.receive(measured(remedy(best))))[1] == "AskChoice") is asks


def test_approval_leads_to_a_shadow_run_of_the_choice():
    [request] = choosing().receive(chosen(APPROVE, "approve"))
    assert kinds([request]) == ["ShadowPipeline"]
    assert request.pipeline == FILTER.pipeline


def test_a_person_may_choose_another_that_fits():
    [request] = choosing().receive(chosen(APPROVE, "recalibrate"))
    assert request.pipeline == f"{INCIDENT}-recalibrate"


def test_who_approved_is_said_with_what_is_deployed():
    agent = choosing()
    [request] = agent.receive(chosen(APPROVE, "approve"))
    [deploy] = agent.receive(shadowed(request))
    assert (deploy.by, deploy.incident) == ("ann", INCIDENT)


def test_declined_means_closed_and_nothing_deployed():
    said = choosing().receive(chosen(APPROVE, "decline"))
    assert outcome(said) == "declined"
    assert deployments(said) == []


def test_an_answer_to_another_question_approves_nothing():
    assert choosing().receive(chosen("digits-0/approve", "approve")) == []


# --- carrying out ---


def test_a_remedy_runs_in_the_shadow_before_it_answers_anybody():
    agent, request = shadowing()
    assert deployments(agent.receive(shadowed(request))) == [FILTER.pipeline]


def test_a_late_shadow_run_of_an_earlier_incident_deploys_nothing():
    agent, request = shadowing()
    stale = msgspec.structs.replace(shadowed(request), cause="long ago", pipeline="digits-0-filter")
    assert agent.receive(stale) == []


@pytest.mark.parametrize("answer", [failed, expired])
def test_a_shadow_run_or_deployment_that_fails_closes_the_incident(answer):
    for make in (shadowing, deploying):
        agent, request = make()
        assert outcome(agent.receive(answer(request))) == "failed"
        assert agent.state == "watching"


def test_a_deployment_that_succeeds_after_its_deadline_is_taken_back():
    agent, deploy = deploying()
    assert outcome(agent.receive(expired(deploy))) == "failed"
    assert deployments(agent.receive(went_live(deploy))) == ["first"]


def test_a_live_remedy_is_compared_with_the_one_before_on_fresh_records_only():
    _, compare = comparing()
    assert (compare.baseline, compare.candidates, compare.after) == ("first", (FILTER.pipeline,), 200)


def test_verification_may_use_the_labels_that_the_audits_before_have_left_over():
    agent = planner()
    _, shadow = agent.receive(measured(FILTER, left=5))
    [deploy] = agent.receive(shadowed(shadow))
    [compare] = agent.receive(went_live(deploy))
    assert compare.audit == ALONE.labels.verify + 5


def test_another_pipeline_going_live_closes_the_incident():
    agent = auditing()
    assert outcome(agent.receive(live("first", id="restarted"))) == "failed"
    assert agent.receive(given(VERIFY, 101, 1)) == []


def test_another_pipeline_found_live_at_a_restart_does_not_leave_an_approval_pending_for_ever():
    agent = choosing()
    assert outcome(agent.receive(live("other", id="found"))) == "failed"


# --- verification ---


def test_labels_that_agree_with_the_new_pipeline_settle_it_early():
    agent = auditing()
    said = []
    for seq in range(101, 109):
        said += agent.receive(given(VERIFY, seq, 1))
        if said:
            break
    assert kinds(said) == ["CloseQuestion"]
    assert 102 <= seq < 108
    verdict, ended = agent.receive(closed(VERIFY, "settled"))
    assert isinstance(verdict, RemedyVerified)
    assert verdict.helped
    assert verdict.log_evidence > enough_evidence(0.8)
    assert ended.outcome == "verified"


def test_labels_that_are_put_right_before_the_end_verify_as_they_are_now():
    agent = auditing()
    for seq in range(101, 105):
        agent.receive(given(VERIFY, seq, 0))
    said = [message for seq in range(101, 105) for message in agent.receive(amended(VERIFY, seq, 1, before=0))]
    said += [message for seq in range(105, 109) for message in agent.receive(given(VERIFY, seq, 1))]
    assert "CloseQuestion" in kinds(said)
    assert agent.receive(closed(VERIFY, "settled"))[0].helped


def test_labels_that_agree_with_the_one_before_bring_it_back():
    agent = auditing()
    for seq in range(101, 109):
        agent.receive(given(VERIFY, seq, 0))
    verdict, deploy = agent.receive(closed(VERIFY))
    assert (verdict.helped, deploy.pipeline) == (False, "first")
    assert outcome(agent.receive(went_live(deploy, previous=FILTER.pipeline))) == "undone"


@pytest.mark.parametrize("in_doubt", ["undo", "keep"])
@pytest.mark.parametrize("labels", [[], [None, None]])
def test_without_a_single_label_nothing_is_verified_whatever_the_policy_does_in_doubt(in_doubt, labels):
    agent = auditing(Policy(approval=Approval(ask="never"), verification=Verification(in_doubt=in_doubt)))
    for seq, label in enumerate(labels, 101):
        agent.receive(given(VERIFY, seq, label))
    verdict, deploy = agent.receive(closed(VERIFY, "expired"))
    assert (verdict.helped, verdict.labels_used) == (False, 0)
    assert deploy.pipeline == "first"


def test_in_doubt_the_policy_decides():
    for in_doubt, kept in (("undo", False), ("keep", True)):
        agent = auditing(Policy(approval=Approval(ask="never"), verification=Verification(in_doubt=in_doubt)))
        agent.receive(given(VERIFY, 101, 1))
        agent.receive(given(VERIFY, 102, 0))
        assert agent.receive(closed(VERIFY, "expired"))[0].helped is kept


def test_where_it_never_differs_from_the_one_before_it_cannot_help():
    agent, compare = comparing()
    verdict, deploy = agent.receive(compared(compare, count=0))
    assert (verdict.helped, deploy.pipeline) == (False, "first")


@pytest.mark.parametrize("answer", [failed, expired])
def test_what_cannot_be_verified_is_undone(answer):
    agent, compare = comparing()
    [deploy] = agent.receive(answer(compare))
    assert deploy.pipeline == "first"
    assert outcome(agent.receive(went_live(deploy, previous=FILTER.pipeline))) == "undone"


def test_an_expiry_that_was_overtaken_by_its_answer_changes_nothing():
    agent, compare = comparing()
    agent.receive(compared(compare))
    assert agent.receive(expired(compare)) == []
    assert agent.state == "auditing"


# --- undoing ---


def test_an_undo_that_fails_is_tried_again_before_the_incident_is_given_up():
    agent, deploy = undoing()
    for _ in range(2):
        [deploy] = agent.receive(failed(deploy))
        assert deploy.pipeline == "first"
    said = agent.receive(failed(deploy))
    assert outcome(said) == "failed"
    assert f"{FILTER.pipeline} could not be undone" in said[-1].reason


def test_an_undo_that_succeeds_late_counts():
    agent, first = undoing()
    [again] = agent.receive(expired(first))
    assert outcome(agent.receive(went_live(first, previous=FILTER.pipeline))) == "undone"
    assert agent.receive(went_live(again, previous="first")) == []


def asked_to_undo(agent):
    return agent.receive(UndoAsked(id="u", source="console", by="ann"))


def test_a_person_may_undo_a_verified_remedy():
    agent = planner()
    agent.receive(live("filter", previous="first", id="verified"))
    [deploy] = asked_to_undo(agent)
    assert (deploy.pipeline, deploy.reason) == ("first", "undone by ann")
    assert agent.receive(went_live(deploy, previous="filter")) == []
    assert agent.state == "watching"


def test_a_person_may_undo_a_remedy_on_trial_and_need_not_label_on():
    agent = auditing()
    close, deploy = asked_to_undo(agent)
    assert (kinds([close]), close.question) == (["CloseQuestion"], VERIFY)
    assert agent.receive(closed(VERIFY, "settled")) == []
    assert outcome(agent.receive(went_live(deploy, previous=FILTER.pipeline))) == "undone"


def test_a_person_may_undo_while_records_to_verify_on_are_awaited():
    agent, compare = comparing()
    [deploy] = asked_to_undo(agent)
    assert agent.receive(compared(compare)) == []
    assert outcome(agent.receive(went_live(deploy, previous=FILTER.pipeline))) == "undone"


@pytest.mark.parametrize("make", [shadowing, deploying, undoing])
def test_while_a_change_is_under_way_undo_is_refused_with_the_reason(make):
    agent, _ = make()
    [refused] = asked_to_undo(agent)
    assert isinstance(refused, AnswerRefused)
    assert agent.state in refused.reason


def test_with_nothing_before_there_is_nothing_to_undo():
    [refused] = asked_to_undo(planner())
    assert "no pipeline before" in refused.reason


# --- the end of a drift ---


def drift_ended(pipeline="filter"):
    return DriftEnded(id="end", source="checker", pipeline=pipeline, at=900)


def behind_a_gate():
    agent = planner()
    agent.receive(live("filter", base="first", previous="first", gated=True))
    return agent


def test_when_the_drift_has_ended_the_pipeline_without_the_remedy_comes_back():
    agent = behind_a_gate()
    [deploy] = agent.receive(drift_ended())
    assert deploy.pipeline == "first"
    assert agent.receive(went_live(deploy, previous="filter")) == []
    assert agent.state == "watching"


def test_the_way_back_is_for_the_incident_that_the_remedy_was_made_for_though_it_is_closed():
    agent = planner()
    agent.receive(live("filter", base="first", previous="first", gated=True, incident=INCIDENT))
    [deploy] = agent.receive(drift_ended())
    assert deploy.incident == INCIDENT


def test_the_way_back_is_tried_three_times():
    agent = behind_a_gate()
    [deploy] = agent.receive(drift_ended())
    for _ in range(2):
        [deploy] = agent.receive(failed(deploy))
    assert agent.receive(failed(deploy)) == []
    assert agent.state == "watching"


def test_the_end_of_a_drift_without_a_remedy_changes_nothing():
    assert planner().receive(drift_ended("first")) == []


def test_after_one_incident_the_planner_is_ready_for_the_next():
    agent = auditing()
    for seq in range(101, 109):
        agent.receive(given(VERIFY, seq, 1))
    agent.receive(closed(VERIFY))
    choice, request = agent.receive(measured(remedy("filter", "digits-2-filter"), base=FILTER.pipeline, incident="digits-2"))
    assert (choice.incident, request.pipeline) == ("digits-2", "digits-2-filter")


# --- others who failed ---


def test_an_incident_that_another_agent_gave_up_leaves_nothing_on_trial():
    for agent in (auditing(), comparing()[0]):
        assert deployments(agent.receive(incident_closed("failed", source="checker"))) == ["first"]


def test_an_incident_given_up_while_its_remedy_is_being_deployed_is_taken_back_when_it_is_live():
    agent, deploy = deploying()
    assert agent.receive(incident_closed("failed", source="checker")) == []
    assert deployments(agent.receive(went_live(deploy))) == ["first"]


def test_an_incident_that_the_checker_cannot_go_on_with_is_closed():
    broken = AgentFailed(id="f", source="checker", incident=INCIDENT, agent="checker", message="WindowAnalysed", reason="KeyError: 7")
    assert outcome(planner().receive(broken)) == "failed"


def test_a_checker_that_cannot_even_close_an_incident_is_not_told_again():
    broken = AgentFailed(id="f", source="checker", incident=INCIDENT, agent="checker", message="IncidentClosed", reason="no file")
    assert planner().receive(broken) == []


def test_a_change_that_a_person_calls_expected_while_the_remedy_is_on_trial_takes_it_out_and_closes_as_expected():
    planner = auditing()
    [deploy] = planner.receive(closed(f"{INCIDENT}/verify", "expected"))
    assert deploy.pipeline == "first"
    [ended] = planner.receive(went_live(deploy, previous=f"{INCIDENT}-filter"))
    assert (ended.outcome, ended.reason) == ("expected", "ann says that this change is meant")


def verified(evidence, wins, losses, others=(), policy=ALONE, imitated=None):
    """The planner's verdict when the labels of the choice gave `evidence` and the fresh ones so many wins and losses."""
    agent = planner(policy)
    _, shadow = agent.receive(measured(remedy("filter", point=0.5, evidence=evidence, imitated=imitated), *others))
    [deploy] = agent.receive(shadowed(shadow))
    [compare] = agent.receive(went_live(deploy))
    agent.receive(compared(compare, count=wins + losses))
    for place in range(wins + losses):
        agent.receive(given(VERIFY, 101 + place, place % 2 if place < 2 * min(wins, losses) else int(wins > losses)))
    verdict, *_ = agent.receive(closed(VERIFY))
    return verdict


def test_a_service_that_begins_a_new_log_is_compared_on_what_comes_then():
    agent, before = comparing()
    [again] = agent.receive(LogBegun(id="l", source="tracker", log="new"))
    assert (again.after, again.baseline, again.candidates, again.incident) == (0, before.baseline, before.candidates, before.incident)
    assert agent.receive(compared(before)) == []
    assert kinds(agent.receive(compared(again))) == ["AskLabels"]


def test_labels_that_are_being_asked_for_are_still_wanted_after_a_restart_of_the_service():
    agent = auditing()
    assert agent.receive(LogBegun(id="l", source="tracker", log="new")) == []
    assert agent.state == "auditing"


def test_a_remedy_that_nobody_labelled_for_is_undone_for_that_reason():
    agent = auditing()
    _, deploy = agent.receive(closed(VERIFY, "expired"))
    assert "nobody labelled" in deploy.reason


@pytest.mark.parametrize(("wins", "losses"), [(4, 4), (3, 5), (0, 1)])
def test_fresh_labels_that_do_not_speak_for_a_remedy_are_not_outvoted_by_those_that_it_was_chosen_by(wins, losses):
    assert not verified(evidence=20.0, wins=wins, losses=losses).helped


def test_labels_of_the_choice_count_beside_the_fresh_ones():
    doubtful, clear = verified(evidence=0.1, wins=2, losses=0), verified(evidence=2.5, wins=2, losses=0)
    assert (doubtful.helped, clear.helped) == (False, True)
    assert clear.log_evidence - doubtful.log_evidence == pytest.approx(math.log((1 + math.exp(2.5)) / (1 + math.exp(0.1))))
    assert clear.gain_interval == doubtful.gain_interval  # which is that on fresh records


def test_the_best_of_many_must_show_more_than_one_that_was_alone():
    worse = [remedy(name, f"digits-1-{name}", point=0.02, evidence=0.0) for name in ("recalibrate", "fine_tune", "retrain")]
    alone, best_of_four = verified(2.0, 2, 0), verified(2.0, 2, 0, others=worse)
    assert (alone.helped, best_of_four.helped) == (True, False)


def test_fresh_labels_alone_are_enough_whatever_the_choice_was():
    worse = [remedy(name, f"digits-1-{name}", point=0.02, evidence=0.0) for name in ("recalibrate", "fine_tune", "retrain")]
    assert verified(evidence=0.1, wins=6, losses=0, others=worse).helped


# --- what is known from clean images that were spoiled alike ---

GAINS, DOUBTFUL = (0.02, 0.04), (-0.01, 0.03)


def test_of_two_remedies_that_the_labels_hardly_tell_apart_the_one_is_chosen_that_gains_more_on_imitated_images():
    lucky, better = remedy("filter", point=0.22, imitated=(0.10, 0.12)), remedy("simulate", point=0.20, imitated=(0.20, 0.22))
    said, _ = planner().receive(measured(lucky, better))
    assert said.remedy == "simulate"


@pytest.mark.parametrize(
    ("imitated", "point", "chosen"),
    [(GAINS, 0.01, "filter"), (GAINS, -0.01, "nothing"), (DOUBTFUL, 0.01, "nothing"), (None, 0.03, "nothing"), ((0.001, 0.003), 0.005, "nothing")],
)
def test_where_labels_settle_nothing_a_sure_gain_on_imitated_images_is_worth_a_trial(imitated, point, chosen):
    said, *_ = planner().receive(measured(remedy("filter", point=point, evidence=-0.5, imitated=imitated)))
    assert said.remedy == chosen


@pytest.mark.parametrize(
    ("imitated", "wins", "losses", "helped"), [(GAINS, 3, 2, True), (GAINS, 2, 2, False), (GAINS, 0, 3, False), (DOUBTFUL, 3, 2, False), (None, 3, 2, False)]
)
def test_in_doubt_a_remedy_is_kept_only_where_it_gains_on_imitated_images_and_the_labels_favour_it(imitated, wins, losses, helped):
    assert verified(evidence=2.0, wins=wins, losses=losses, imitated=imitated).helped is helped


def test_labels_that_favour_it_on_the_whole_do_not_keep_a_remedy_that_the_fresh_ones_alone_do_not():
    assert not verified(evidence=20.0, wins=4, losses=4, imitated=GAINS).helped


def test_a_policy_may_have_doubt_end_in_undoing_whatever_was_imitated():
    strict = Policy(approval=Approval(ask="never"), verification=Verification(in_doubt="undo"))
    assert not verified(evidence=2.0, wins=3, losses=2, imitated=GAINS, policy=strict).helped


@pytest.mark.parametrize(("wins", "losses", "doubted"), [(3, 2, True), (6, 0, False)])
def test_the_story_says_where_a_remedy_was_kept_in_doubt(wins, losses, doubted):
    agent = planner(ALONE)
    _, shadow = agent.receive(measured(remedy("filter", point=0.5, evidence=2.0, imitated=GAINS)))
    [deploy] = agent.receive(shadowed(shadow))
    [compare] = agent.receive(went_live(deploy))
    agent.receive(compared(compare, count=wins + losses))
    for place in range(wins + losses):
        agent.receive(given(VERIFY, 101 + place, int(place < wins)))
    _, ended = agent.receive(closed(VERIFY))
    assert ended.outcome == "verified"
    assert ("leave it in doubt" in ended.reason) is doubted
