"""The checker: is it different, does it hurt? And no incident stays open for ever."""

import msgspec
import numpy as np
import pytest

from agents.checker import Checker
from agents.messages import AgentFailed, AskLabels, ChangeAdopted, DriftEnded, EvidenceSaved, IncidentClosed, IncidentOpened, Likeness, LogBegun, RecordsRead, WindowObserved
from agents.policy import Detection, Labels, Policy, Questions
from models.detectors.monitor import Monitor
from models.detectors.synthetic import mixture, mixture_reference
from tests.agents.helpers import DEPLOYMENT, INCIDENT, FakeMonitor, amended, analysed, closed, expired, failed, given, incident_closed, kinds, live, window

POLICY = Policy(detection=Detection(save_every=1000, cool_down=500))
HARM, TEACHING = f"{INCIDENT}/harm", f"{INCIDENT}/teaching"


def watching(policy=POLICY):
    checker = Checker(DEPLOYMENT, policy, FakeMonitor)
    checker.receive(live())
    return checker


def analysing():
    checker = watching()
    checker.receive(window(1, 10))
    _, request, *_ = checker.receive(window(11, 20, drifted=True))
    assert checker.state == "analysing"
    return checker, request


def auditing(**how):
    checker, request = analysing()
    checker.receive(analysed(request, **how))
    assert checker.state == "auditing"
    return checker


def teaching():
    checker = auditing(predicted=0)
    for seq in range(1, 5):
        checker.receive(given(HARM, seq, 1))
    checker.receive(closed(HARM, "settled"))
    assert checker.state == "teaching"
    return checker


def handed_over():
    checker = teaching()
    checker.receive(closed(TEACHING))
    assert checker.state == "handed over"
    return checker


def adopting():
    checker = auditing(predicted=0)
    for seq in range(1, 9):
        checker.receive(given(HARM, seq, 0))
    said = checker.receive(closed(HARM))
    assert checker.state == "adopting"
    return checker, said[-1]


def ended(said):
    return [message.outcome for message in said if isinstance(message, IncidentClosed)]


def adopted(request, pipeline="first", reference="adopted.npz"):
    return ChangeAdopted(id=f"adopted-{request.id}", source="analysis", incident=request.incident, cause=request.id, to="checker", pipeline=pipeline, reference=reference)


# --- is it different ---


def test_clean_records_are_weighed_and_nothing_else_is_said():
    [updated] = watching().receive(window(1, 100))
    assert (kinds([updated]), updated.cursor, updated.incident) == (["EvidenceUpdated"], 100, "")


def test_an_alarm_opens_an_incident_that_knows_where_the_change_began():
    checker = watching()
    checker.receive(window(1, 100))
    opened, analyse, saved, _ = checker.receive(window(101, 120, drifted=True))
    assert isinstance(opened, IncidentOpened)
    assert (opened.incident, opened.pipeline, opened.onset, opened.alarm_at) == (INCIDENT, "first", 101, 105)
    assert (kinds([analyse]), analyse.first, analyse.count) == (["AnalyseWindow"], 101, POLICY.detection.window)
    assert isinstance(saved, EvidenceSaved)


def test_during_an_incident_records_are_weighed_but_no_second_one_is_opened():
    checker, _ = analysing()
    assert kinds(checker.receive(window(21, 100, drifted=True))) == ["EvidenceUpdated"]


def test_when_one_in_so_many_is_looked_at_numbers_remain_those_of_all_records():
    checker = watching()
    checker.receive(window(1, 100))
    [updated] = checker.receive(window(101, 200, every=10))
    assert (updated.cursor, updated.every) == (200, 10)
    checker.receive(window(201, 240, every=20, drifted=True))  # looks at 220 and 240
    opened, *_ = checker.receive(window(241, 300, every=15, drifted=True))  # looks at 255, 270 and 285, by when it has seen five
    assert (opened.onset, opened.alarm_at, opened.every) == (220, 285, 15)


def test_when_all_records_are_looked_at_the_incident_does_not_speak_of_it():
    opened, *_ = watching().receive(window(1, 20, drifted=True))
    assert (opened.onset, opened.every) == (1, None)


def test_what_it_has_looked_at_is_not_looked_at_again_when_only_one_in_so_many_is():
    checker = watching()
    checker.receive(window(1, 100, every=10))
    checker.receive(window(51, 150, every=10, id="from further back"))
    assert len(checker.monitor.weighed) == 15
    assert checker.cursor == 150


def test_records_of_another_pipeline_do_not_count():
    checker = watching()
    assert kinds(checker.receive(window(1, 50, drifted=True, pipeline="other"))) == ["EvidenceUpdated"]
    assert checker.monitor.weighed == []


def test_records_that_a_restored_tracker_reads_again_are_weighed_once():
    checker = watching()
    checker.receive(window(1, 100))
    [updated] = checker.receive(window(1, 100, id="again"))
    assert updated.cursor == 100
    checker.receive(window(51, 160, id="half of it"))
    assert len(checker.monitor.weighed) == 160


def test_where_the_change_began_is_right_after_an_overlap_too():
    checker = watching()
    checker.receive(window(1, 100))
    checker.receive(window(51, 100, id="again"))
    opened, *_ = checker.receive(window(101, 110, drifted=True))
    assert (opened.onset, opened.alarm_at) == (101, 105)


def test_a_new_log_counts_from_one_again():
    checker = watching()
    checker.receive(window(1, 100))
    checker.receive(LogBegun(id="l", source="tracker", log="new"))
    checker.receive(window(1, 40, id="after restart"))
    assert len(checker.monitor.weighed) == 140


def test_the_test_is_saved_every_so_many_records_and_a_new_checker_goes_on_from_there():
    checker = watching()
    checker.receive(window(1, 3, drifted=True))
    saved = next(message for message in checker.receive(window(4, 1010)) if isinstance(message, EvidenceSaved))
    restored = Checker(DEPLOYMENT, POLICY, FakeMonitor)
    restored.restore([live(), saved])
    for one in (checker, restored):
        opened, *_ = one.receive(window(1011, 1020, drifted=True))
        assert (opened.onset, opened.alarm_at) == (1, 1012)


def test_the_real_monitor_alarms_on_a_real_shift_and_survives_a_restart():
    def load(_reference):
        return Monitor(mixture_reference(seed=0, fit=200, calibration=300))

    def observed(first, last, shift):
        early, latent = mixture(last - first + 1, seed=first, shift=shift)
        return WindowObserved(
            id=f"w{first}", first=first, last=last, pipeline="first", early=early.tobytes(), latent=latent.tobytes(), routed=bytes(last - first + 1),
            widths=(early.shape[1], latent.shape[1]),
        )  # fmt: skip

    checker = Checker(DEPLOYMENT, Policy(detection=Detection(save_every=200)), load)
    checker.receive(live())
    saved, _ = checker.receive(observed(1, 300, 0.0))
    restored = Checker(DEPLOYMENT, Policy(detection=Detection(save_every=200)), load)
    restored.restore([live(), saved])
    opened = [one.receive(observed(301, 400, 2.0))[0] for one in (checker, restored)]
    assert opened[0] == opened[1]
    assert isinstance(opened[0], IncidentOpened)
    assert abs(opened[0].onset - 301) < 10


# --- does it hurt ---


def test_after_the_alarm_a_person_is_asked_about_random_records_with_the_estimate_beside():
    checker, request = analysing()
    [ask] = checker.receive(analysed(request))
    assert (ask.question, ask.items, ask.purpose, ask.incident) == (HARM, (1, 2, 3, 4, 5, 6, 7, 8), "audit", INCIDENT)
    assert "accuracy 0.99 (0.97 to 1.00)" in ask.text


def test_asking_stops_when_it_surely_hurts_and_labels_to_learn_from_are_asked_for():
    checker = auditing(predicted=0)
    said = []
    for seq in range(1, 9):
        said += checker.receive(given(HARM, seq, 1))
        if said:
            break
    assert kinds(said) == ["CloseQuestion"]
    assert seq < 8
    [ask] = checker.receive(closed(HARM, "settled"))
    assert (ask.question, ask.items, ask.purpose) == (TEACHING, (11, 12), "teaching")


def test_what_hurts_is_handed_over_with_audit_and_teaching_labels_kept_apart():
    checker = teaching()
    checker.receive(given(TEACHING, 11, 1))
    [harm] = checker.receive(closed(TEACHING))
    assert harm.harmful
    assert [label.seq for label in harm.audit] == [1, 2, 3, 4]
    assert [label.seq for label in harm.teaching] == [11]
    assert (harm.pipeline, harm.window, harm.last) == ("first", "window.npz", 40)


def test_a_label_that_is_put_right_counts_as_it_is_now():
    checker = auditing(predicted=0)
    for seq in range(1, 9):
        checker.receive(given(HARM, seq, 1 if seq == 3 else 0))
    checker.receive(amended(HARM, 3, 0, before=1))
    checker.receive(closed(HARM))
    assert checker.state == "adopting", "all labels agree with the model now"


def test_an_amendment_may_settle_the_audit():
    checker = auditing(predicted=0)
    said = [checker.receive(given(HARM, seq, 1 if seq < 3 else None)) for seq in range(1, 8)]
    said += [checker.receive(amended(HARM, seq, 1, before=None)) for seq in range(3, 8)]
    assert next(kinds(one) for one in said if one) == ["CloseQuestion"]


def test_a_teaching_label_that_is_put_right_teaches_as_it_is_now():
    checker = teaching()
    checker.receive(given(TEACHING, 11, 1))
    checker.receive(amended(TEACHING, 11, 2, before=1))
    [harm] = checker.receive(closed(TEACHING))
    assert [label.label for label in harm.teaching] == [2]


@pytest.mark.parametrize(("price", "seconds", "asked"), [(0.0, 60.0, 20), (0.001, 5.0, 20), (0.001, 10.0, 10), (0.001, 0.0, 20), (0.01, 20.0, 0)])
def test_where_labels_are_slow_fewer_are_asked_for_to_learn_from(price, seconds, asked):
    checker, request = analysing()
    checker.policy = Policy(detection=POLICY.detection, labels=Labels(second_price=price))
    checker.receive(analysed(request, predicted=0, teaching=tuple(range(11, 31))))
    for seq in range(1, 5):
        checker.receive(msgspec.structs.replace(given(HARM, seq, 1), seconds=seconds))
    said = checker.receive(closed(HARM, "settled"))
    assert [len(one.items) for one in said if isinstance(one, AskLabels)] == ([asked] if asked else [])
    assert checker.state == ("teaching" if asked else "handed over")


def test_a_share_of_the_images_is_to_be_named_twice():
    checker, request = analysing()
    checker.policy = Policy(questions=Questions(repeat=0.5))
    [ask] = checker.receive(analysed(request))
    assert 0 < len(ask.repeats) < len(ask.items) and set(ask.repeats) <= set(ask.items)


def test_without_samples_to_teach_it_is_handed_over_at_once():
    checker = auditing(predicted=0, teaching=())
    checker.receive(given(HARM, 1, 1))
    assert kinds(checker.receive(closed(HARM))) == ["HarmAssessed"]


def test_a_change_that_costs_nothing_is_closed_as_harmless_and_adopted():
    checker, request = adopting()
    assert (kinds([request]), request.pipeline, request.window) == (["AdoptChange"], "first", "window.npz")
    checker.receive(adopted(request))
    assert (checker.state, checker.reference) == ("watching", "adopted.npz")


def test_a_change_that_a_person_expects_is_adopted_at_any_question():
    for checker, question in ((auditing(), HARM), (teaching(), TEACHING)):
        said = checker.receive(closed(question, "expected"))
        assert ended(said) == ["expected"]
        assert kinds(said)[-1] == "AdoptChange"


def test_images_of_no_known_class_need_a_person_not_a_remedy():
    checker = auditing()
    for seq in range(1, 9):
        checker.receive(given(HARM, seq, -1 if seq < 5 else 0))
    assert ended(checker.receive(closed(HARM))) == ["unknown class"]


@pytest.mark.parametrize(("estimated", "state"), [(0.4, "handed over"), (0.99, "adopting")])
def test_a_question_that_nobody_answers_leaves_the_estimate_to_decide_whether_it_hurts(estimated, state):
    checker = auditing(estimated=estimated)
    checker.receive(closed(HARM, "expired"))
    assert checker.state == state


@pytest.mark.parametrize(
    ("estimated", "labels", "asked"),
    [
        (0.4, 8, False),  # eight right answers of eight belie the estimate
        (0.96, 4, False),  # within its error it is as on clean data
        (0.6, 4, True),
    ],
)
def test_where_no_label_speaks_against_the_model_a_sure_estimate_is_reason_enough_to_teach(estimated, labels, asked):
    checker = auditing(estimated=estimated)
    for seq in range(1, labels + 1):
        checker.receive(given(HARM, seq, 0))
    [said] = checker.receive(closed(HARM))
    assert isinstance(said, AskLabels) == asked


def test_where_the_labels_belie_the_estimate_nobody_is_asked_to_teach():
    checker = auditing(estimated=0.4)
    for seq in range(1, 9):
        checker.receive(given(HARM, seq, 0))
    [harm] = checker.receive(closed(HARM))
    assert (harm.harmful, harm.teaching) == (True, ())


def test_skipped_labels_are_neither_right_nor_wrong():
    checker = auditing(estimated=0.99)
    for seq in range(1, 9):
        checker.receive(given(HARM, seq, None))
    assert ended(checker.receive(closed(HARM))) == ["harmless"]


def test_no_teaching_labels_at_all_still_hand_the_incident_over():
    [harm] = teaching().receive(closed(TEACHING, "expired"))
    assert harm.teaching == ()


# --- coming to rest ---


@pytest.mark.parametrize("answer", [failed, expired])
def test_an_analysis_that_fails_closes_the_incident(answer):
    checker, request = analysing()
    assert ended(checker.receive(answer(request))) == ["failed"]
    assert checker.state == "watching"


@pytest.mark.parametrize("answer", [failed, expired])
def test_a_change_that_cannot_be_adopted_leaves_the_checker_watching(answer):
    checker, request = adopting()
    assert checker.receive(answer(request)) == []
    assert checker.state == "watching"


def test_after_a_verified_remedy_it_watches_for_the_next_change_at_once():
    checker = handed_over()
    checker.receive(live("filter", previous="first", gated=True, incident=INCIDENT))
    checker.receive(incident_closed("verified"))
    opened, *_ = checker.receive(window(21, 40, drifted=True, pipeline="filter"))
    assert (opened.incident, opened.pipeline, opened.onset) == ("digits-2", "filter", 21)


def test_a_drift_that_hurts_unmended_is_asked_about_again_only_after_a_while():
    checker = handed_over()
    assert checker.receive(incident_closed("no remedy")) == []
    assert kinds(checker.receive(window(21, 120, drifted=True))) == ["EvidenceUpdated"]
    checker.receive(window(121, 520, drifted=True))
    assert "IncidentOpened" in kinds(checker.receive(window(521, 620, drifted=True)))


def test_another_incidents_end_is_not_this_ones():
    checker = handed_over()
    assert checker.receive(incident_closed("verified", incident="digits-0")) == []
    assert checker.state == "handed over"


def test_a_late_analysis_of_an_earlier_incident_does_not_take_the_place_of_the_present_one():
    checker, first = analysing()
    checker.receive(expired(first))
    checker.receive(live(id="restarted"))  # which also ends the pause
    _, second, *_ = checker.receive(window(21, 40, drifted=True))
    assert checker.receive(analysed(first)) == []
    assert checker.receive(failed(first)) == []
    [ask] = checker.receive(analysed(second))
    assert (ask.question, ask.incident) == ("digits-2/harm", "digits-2")


def test_a_late_adoption_of_an_earlier_change_does_not_end_the_present_incident():
    checker, request = adopting()
    checker.receive(expired(request))
    checker.receive(live(id="restarted"))
    checker.receive(window(21, 40, drifted=True))
    assert checker.receive(adopted(request)) == []
    assert (checker.state, checker.incident) == ("analysing", "digits-2")


def test_a_reference_of_a_pipeline_that_is_no_longer_live_is_not_loaded():
    checker, request = adopting()
    checker.receive(live("filter"))
    checker.receive(adopted(request))
    assert (checker.state, checker.reference) == ("watching", "filter.npz")


@pytest.mark.parametrize("make", [lambda: analysing()[0], auditing, teaching, handed_over])
def test_when_another_pipeline_goes_live_meanwhile_the_incident_is_moot(make):
    checker = make()
    assert ended(checker.receive(live("other", id="by a person"))) == ["failed"]
    assert checker.state == "watching"
    seen = checker.cursor
    assert "IncidentOpened" in kinds(checker.receive(window(seen + 1, seen + 20, drifted=True, pipeline="other")))


def test_a_checker_that_has_not_weighed_what_came_before_asks_to_go_on_from_there():
    checker = watching()
    checker.receive(window(1, 20))
    [evidence] = checker.receive(window(41, 60))
    assert evidence.cursor == 20


def test_records_that_are_lost_are_not_waited_for():
    checker = watching()
    checker.receive(window(1, 20))
    assert checker.receive(window(41, 60, lost=20))[-1].cursor == 60


def test_while_an_unmended_drift_is_let_rest_the_end_of_an_earlier_one_is_still_noticed():
    checker = watching()
    checker.receive(live("filter", gated=True))
    checker.muted_until = 10_000
    said = kinds(checker.receive(window(1, 1000, pipeline="filter")))
    assert "DriftEnded" in said and "IncidentOpened" not in said


def test_the_remedy_of_the_incident_itself_going_live_does_not_end_it():
    checker = handed_over()
    assert checker.receive(live("filter", previous="first", incident=INCIDENT)) == []
    assert checker.state == "handed over"


@pytest.mark.parametrize("agent", ["improver", "planner", "desk"])
@pytest.mark.parametrize("make", [auditing, teaching, handed_over])
def test_an_incident_that_another_agent_cannot_go_on_with_is_closed(agent, make):
    broken = AgentFailed(id="f", source=agent, incident=INCIDENT, agent=agent, message="RemediesCompared", reason="KeyError")
    checker = make()
    assert ended(checker.receive(broken)) == ["failed"]
    assert checker.state == "watching"


def test_a_failure_that_concerns_no_incident_closes_none():
    checker = handed_over()
    assert checker.receive(AgentFailed(id="f", source="desk", agent="desk", message="AnswerOffered", reason="KeyError")) == []


# --- the end of a drift ---


def behind_a_gate():
    checker = Checker(DEPLOYMENT, POLICY, FakeMonitor)
    checker.receive(live("filter", base="first", previous="first", gated=True))
    return checker


def test_the_end_of_a_drift_is_told_once_when_traffic_behind_the_gate_has_run_dry():
    checker = behind_a_gate()
    assert kinds(checker.receive(window(1, 300, pipeline="filter", routed=True))) == ["EvidenceUpdated"]
    over, *_ = checker.receive(window(301, 900, pipeline="filter"))
    assert isinstance(over, DriftEnded)
    assert (over.pipeline, over.at) == ("filter", 900)
    assert "DriftEnded" not in kinds(checker.receive(window(901, 1900, pipeline="filter")))


def test_a_gate_that_takes_many_clean_records_too_still_shows_the_end():
    """Behind it three of ten clean records are routed, and nine of ten drifted ones."""
    checker = Checker(DEPLOYMENT, POLICY, FakeMonitor)
    checker.receive(live("filter", base="first", previous="first", gated=True, routed_clean=0.3, routed_drift=0.9))
    drifted, clean = (np.random.default_rng(0).random(3000) < share for share in (0.9, 0.3))
    assert "DriftEnded" not in kinds(checker.receive(window(1, 3000, pipeline="filter", routed=drifted)))
    assert "DriftEnded" in kinds(checker.receive(window(3001, 6000, pipeline="filter", routed=clean)))


def test_without_a_gate_no_drift_ends():
    assert "DriftEnded" not in kinds(watching().receive(window(1, 900)))


def test_while_an_incident_is_open_no_drift_ends():
    checker = behind_a_gate()
    checker.receive(window(1, 20, pipeline="filter", drifted=True, routed=True))
    assert checker.state == "analysing"
    assert "DriftEnded" not in kinds(checker.receive(window(21, 900, pipeline="filter")))


def test_the_policy_says_how_many_labels_are_asked_for():
    checker = watching(Policy(labels=Labels(harm=3, teaching=0)))
    _, request, *_ = checker.receive(window(1, 20, drifted=True))
    assert (request.audit, request.teaching) == (3, 0)


@pytest.mark.parametrize(("confidence", "state"), [(0.98, "handed over"), (0.6, "teaching")])
def test_where_the_drift_has_a_sure_name_nobody_is_asked_to_teach(confidence, state):
    checker = auditing(predicted=0, likeness=Likeness("fog", 3.0, 1.0, confidence, "fog"))
    for seq in range(1, 5):
        checker.receive(given(HARM, seq, 1))
    checker.receive(closed(HARM, "settled"))
    assert checker.state == state


def test_only_windows_of_the_tracker_are_weighed():
    assert RecordsRead not in Checker.handles


@pytest.mark.parametrize(("like", "state"), [(Likeness("fog", 3.0, 1.0, 0.98, "fog"), "adopting"), (Likeness("fog", 3.0, 1.0, 0.6, "fog"), "handed over"), (None, "handed over")])
def test_an_estimate_that_was_counted_on_a_sure_name_is_taken_with_its_error(like, state):
    """0.97 plus or minus 0.02 is less than 0.98, but not surely so."""
    checker = auditing(estimated=0.97, likeness=like)
    for seq in range(1, 5):
        checker.receive(given(HARM, seq, 0))
    checker.receive(closed(HARM))
    assert checker.state == state
