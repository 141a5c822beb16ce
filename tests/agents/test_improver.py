"""The improver: remedies side by side, on the same records, told apart by few labels."""

import msgspec
import pytest

from agents.improver import Improver
from agents.messages import HarmAssessed, IncidentClosed, Label, Likeness, LogBegun, RemediesMeasured, RemedyVerified
from agents.policy import Policy, Remedies
from tests.agents.helpers import amended, DEPLOYMENT, INCIDENT, closed, compared, expired, failed, given, harm, incident_closed, kinds, live, prepared

POLICY = Policy(remedies=Remedies(prepare=("recalibrate", "filter")))
CHOOSE = f"{INCIDENT}/choose"


def preparing():
    improver = Improver(DEPLOYMENT, POLICY)
    return improver, improver.receive(harm())


def comparing():
    improver, asked = preparing()
    said = []
    for request in asked:
        said = improver.receive(prepared(request))
    [compare] = said
    return improver, compare


def auditing(**how):
    improver, compare = comparing()
    return improver, improver.receive(compared(compare, **how))


def table(said):
    [message] = said
    assert isinstance(message, RemediesMeasured)
    assert message.incident == INCIDENT
    return message


def helped(pipeline):
    return RemedyVerified(id=f"verified-{pipeline}", source="planner", pipeline=pipeline, helped=True, gain=0.2, gain_interval=(0.1, 0.3), log_evidence=2.0, labels_used=5)


def test_every_remedy_of_the_policy_is_prepared_from_the_same_window_with_a_name_of_its_own():
    _, asked = preparing()
    assert [(one.remedy, one.pipeline, one.base) for one in asked] == [
        ("recalibrate", "digits-1-recalibrate", "first"), ("filter", "digits-1-filter", "first"),
    ]  # fmt: skip
    assert {one.window for one in asked} == {"window.npz"}
    assert all(one.teaching == (Label(11, 0),) for one in asked)


def test_audit_labels_never_reach_the_workshop():
    """Teaching labels train, audit labels measure: a remedy that had seen the audit labels would be judged by its own lessons."""
    measure = HarmAssessed(**{**{name: getattr(harm(), name) for name in HarmAssessed.__struct_fields__}, "audit": (Label(777, 2),)})
    for request in Improver(DEPLOYMENT, POLICY).receive(measure):
        assert "777" not in str(request)


def test_pipelines_that_helped_before_are_tried_again_except_the_live_one():
    improver = Improver(DEPLOYMENT, POLICY)
    for pipeline in ("very-old", "old-a", "old-b"):
        improver.receive(helped(pipeline))
    asked = improver.receive(harm(pipeline="old-b"))
    assert [one.pipeline for one in asked if one.remedy == "reuse"] == ["old-a"]


def test_a_pipeline_that_helped_on_another_base_is_not_tried_again():
    """It would bring back the classifier that a retraining has replaced."""
    improver = Improver(DEPLOYMENT, POLICY)
    improver.receive(live("filtered", base="first"))
    improver.receive(helped("filtered"))
    improver.receive(live("retrained", base="retrained"))
    improver.receive(helped("retrained"))
    improver.receive(live("filtered-anew", base="retrained"))
    asked = improver.receive(harm(pipeline="filtered-anew"))
    assert [one.pipeline for one in asked if one.remedy == "reuse"] == ["retrained"]


def test_two_pipelines_used_again_have_two_names_in_the_table():
    improver = Improver(DEPLOYMENT, Policy(remedies=Remedies(prepare=("filter",))))
    improver.receive(helped("old-a"))
    improver.receive(helped("old-b"))
    said = []
    for request in improver.receive(harm()):
        said = improver.receive(prepared(request))
    improver.receive(compared(said[0]))
    names = [one.name for one in table(improver.receive(closed(CHOOSE))).remedies]
    assert names == ["nothing", "filter", "reuse old-a", "reuse old-b"]


def test_they_are_compared_once_the_last_is_ready_on_records_after_the_window():
    improver, asked = preparing()
    assert improver.receive(prepared(asked[0])) == []
    [compare] = improver.receive(prepared(asked[1]))
    assert (compare.baseline, compare.candidates, compare.after) == ("first", ("digits-1-filter", "digits-1-recalibrate"), 40)


@pytest.mark.parametrize("answer", [failed, expired])
def test_one_that_fails_or_takes_too_long_does_not_hold_up_the_others(answer):
    improver, asked = preparing()
    improver.receive(answer(asked[0]))
    [compare] = improver.receive(prepared(asked[1]))
    assert compare.candidates == ("digits-1-filter",)
    improver.receive(compared(compare))
    measured = table(improver.receive(closed(CHOOSE)))
    assert set(measured.failed) == {"recalibrate"}


def test_one_that_comes_after_its_deadline_is_left_out():
    improver, asked = preparing()
    improver.receive(expired(asked[0]))
    assert improver.receive(prepared(asked[0])) == []
    [compare] = improver.receive(prepared(asked[1]))
    assert compare.candidates == ("digits-1-filter",)


def test_when_all_fail_the_planner_hears_of_it():
    improver, asked = preparing()
    improver.receive(failed(asked[0]))
    measured = table(improver.receive(failed(asked[1], "no torch")))
    assert [one.name for one in measured.remedies] == ["nothing"]
    assert measured.failed == {"recalibrate": "no room on the disk", "filter": "no torch"}


@pytest.mark.parametrize("answer", [failed, expired])
def test_when_they_cannot_be_compared_none_is_recommended(answer):
    improver, compare = comparing()
    measured = table(improver.receive(answer(compare)))
    assert [one.name for one in measured.remedies] == ["nothing"]
    assert set(measured.failed) == {"recalibrate", "filter"}


def test_what_one_audit_leaves_over_the_next_may_use():
    improver, compare = comparing()  # one label of at most six told that it hurts
    assert compare.audit == POLICY.labels.choose + POLICY.labels.harm - 1
    improver.receive(compared(compare))
    improver.receive(given(CHOOSE, 101, 1))
    improver.receive(given(CHOOSE, 102, None))  # an image that a person looked at in vain is spent, too
    assert table(improver.receive(closed(CHOOSE))).labels_left == compare.audit - 2


def test_an_answer_to_somebody_elses_comparison_is_left_alone():
    improver, compare = comparing()
    stranger = msgspec.structs.replace(compare, id="of the planner")
    assert improver.receive(compared(stranger)) == []
    assert improver.receive(expired(stranger)) == []
    assert improver.state == "comparing"


def test_a_person_is_asked_about_the_drawn_records_in_the_order_of_the_draw():
    _, [ask] = auditing(count=5)
    assert (ask.question, ask.items, ask.purpose) == (CHOOSE, (101, 102, 103, 104, 105), "audit")


def test_the_question_does_not_give_away_what_any_pipeline_says():
    _, [ask] = auditing()
    assert ask.predicted == {}


def test_asking_stops_when_the_choice_is_settled():
    improver, _ = auditing(count=14)
    asked = 0
    for seq in range(101, 115):
        asked += 1
        if kinds(improver.receive(given(CHOOSE, seq, 1))) == ["CloseQuestion"]:
            break
    assert asked < 8
    measured = table(improver.receive(closed(CHOOSE, "settled")))
    assert measured.labels_used == asked
    filters = next(one for one in measured.remedies if one.name == "filter")
    assert filters.gain_interval[0] > 0
    assert 0 < filters.gain <= 0.5


def test_a_choice_is_made_by_labels_as_they_were_put_right():
    improver, _ = auditing(count=8)
    for seq in range(101, 109):
        improver.receive(given(CHOOSE, seq, 0))
    said = [message for seq in range(101, 109) for message in improver.receive(amended(CHOOSE, seq, 1, before=0))]
    assert "CloseQuestion" in kinds(said)
    measured = table(improver.receive(closed(CHOOSE, "settled")))
    assert max(one.gain for one in measured.remedies) > 0


@pytest.mark.parametrize("outcome", ["expired", "answered"])
def test_without_labels_no_gain_is_claimed(outcome):
    improver, _ = auditing()
    improver.receive(given(CHOOSE, 101, None))
    measured = table(improver.receive(closed(CHOOSE, outcome)))
    assert measured.labels_used == 0
    assert all(one.gain_interval[0] <= 0 for one in measured.remedies)


def test_where_all_agree_there_is_nothing_to_ask_and_no_gain():
    improver, said = auditing(count=0)
    assert all(one.gain_interval[0] <= 0 for one in table(said).remedies)
    assert improver.state == "idle"


def test_a_person_who_says_the_change_is_meant_ends_the_incident_however_ready_the_remedies_are():
    improver, _ = auditing()
    [ended] = improver.receive(closed(CHOOSE, "expected"))
    assert (kinds([ended]), ended.outcome, ended.incident) == (["IncidentClosed"], "expected", INCIDENT)
    assert improver.state == "idle"


def test_a_slower_remedy_is_told_as_slower_than_it_was_in_preparation():
    improver, compare = comparing()
    answer = compared(compare)
    slow = msgspec.structs.replace(answer, seconds_per_image={"first": 0.001, "digits-1-filter": 0.021, "digits-1-recalibrate": 0.001})
    improver.receive(slow)
    remedies = {one.name: one for one in table(improver.receive(closed(CHOOSE))).remedies}
    assert remedies["filter"].latency_added == pytest.approx(0.02)
    assert remedies["recalibrate"].latency_added == 0.001


def test_an_incident_that_is_closed_meanwhile_is_dropped():
    improver, asked = preparing()
    improver.receive(incident_closed("failed", source="checker"))
    assert improver.receive(prepared(asked[0])) == []
    assert improver.state == "idle"
    assert kinds(improver.receive(harm(incident="digits-2"))) == ["PrepareRemedy"] * 2


def test_one_incident_after_the_other():
    improver, _ = auditing()
    improver.receive(closed(CHOOSE))
    improver.receive(incident_closed())
    asked = improver.receive(harm(incident="digits-2"))
    assert [one.pipeline for one in asked] == ["digits-2-recalibrate", "digits-2-filter"]
    assert not {one.id for one in asked} & {one.id for one in preparing()[1]}


def suspected():
    """Harm that only the estimate suspects: all audit labels agree with the model, and nobody was asked to teach."""
    return msgspec.structs.replace(harm(), interval=(0.4, 1.0), teaching=())


@pytest.mark.parametrize(("share", "outcomes"), [(0.005, ["harmless"]), (0.2, [])])
def test_a_suspicion_that_no_remedy_bears_out_is_closed_as_harmless(share, outcomes):
    improver = Improver(DEPLOYMENT, Policy(remedies=Remedies(prepare=("filter",))))
    [prepare] = improver.receive(suspected())
    [compare] = improver.receive(prepared(prepare))
    said = improver.receive(compared(compare, share=share))
    assert [message.outcome for message in said if isinstance(message, IncidentClosed)] == outcomes


def test_after_a_new_log_began_remedies_are_compared_on_whatever_comes():
    improver, asked = preparing()
    improver.receive(LogBegun(id="l", source="tracker", log="new"))
    said = []
    for request in asked:
        said = improver.receive(prepared(request))
    assert said[0].after == 0


def test_simulation_is_prepared_only_where_the_drift_resembles_a_known_corruption():
    policy = Policy(remedies=Remedies(prepare=("recalibrate", "simulate")))
    fog, unlike = Likeness("fog", 3.0, 1.0, 0.98, "fog"), Likeness("unlike any", None, 1.0, 0.9, "fog")
    asked = {like: Improver(DEPLOYMENT, policy).receive(msgspec.structs.replace(harm(), likeness=like)) for like in (fog, unlike, None)}
    assert [one.remedy for one in asked[fog]] == ["recalibrate", "simulate"]
    assert asked[fog][1].likeness == fog
    assert [[one.remedy for one in asked[like]] for like in (unlike, None)] == [["recalibrate"], ["recalibrate"]]


def test_a_policy_that_only_simulates_finds_nothing_to_do_where_nothing_is_known():
    said = Improver(DEPLOYMENT, Policy(remedies=Remedies(prepare=("simulate",)))).receive(harm())
    assert [remedy.name for remedy in table(said).remedies] == ["nothing"]
