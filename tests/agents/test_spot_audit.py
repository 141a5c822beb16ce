"""An audit without an alarm: drawn at random, asked, measured; one at a time, and nothing hangs when it cannot be done."""

import msgspec
import pytest

from agents.checker import Checker
from agents.messages import ActuatorFired, ActuatorHeld, AuditDrawn, AuditMeasured, DrawAudit, JoinLabels, NoteMade
from agents.policy import Policy, Questions
from tests.agents.helpers import amended, CLASSES, DEPLOYMENT, FakeMonitor, closed, expired, failed, given, kinds, live, window

NAME = "digits-audit-1"
QUESTION = f"{NAME}/audit"


def fired(number=1):
    return ActuatorFired(id=f"fired-{number}", source="planner", actuator="audit", rule="weekly", reason="monday has looked", labels=4, newest=500)


def drawn(request):
    items = (7, 3, 9, 5)
    return AuditDrawn(
        id=f"drawn-{request.id}", source="analysis", to="checker", incident=request.incident, cause=request.id, items=items, predicted=dict.fromkeys(items, 1),
        classes=CLASSES, pipeline="first", clean_accuracy=0.99, records=500,
    )  # fmt: skip


@pytest.fixture
def checker():
    agent = Checker(DEPLOYMENT, Policy(questions=Questions(deadline=50)), FakeMonitor)
    agent.receive(live())
    return agent


@pytest.fixture
def asking(checker):
    [draw] = checker.receive(fired())
    checker.receive(drawn(draw))
    return checker


def test_a_few_of_the_newest_records_are_drawn_and_a_person_is_asked_about_them(checker):
    [draw] = checker.receive(fired())
    assert isinstance(draw, DrawAudit)
    assert (draw.incident, draw.labels, draw.count, draw.seed) == (NAME, 4, 500, 1)
    [ask] = checker.receive(drawn(draw))
    assert (ask.question, ask.items, ask.purpose, ask.incident, ask.deadline) == (QUESTION, (7, 3, 9, 5), "audit", NAME, 50)
    assert checker.state == "watching"


def test_the_labels_measure_accuracy_with_an_interval(asking):
    for seq, label in ((7, 1), (3, 1), (9, 0), (5, None)):
        assert asking.receive(given(QUESTION, seq, label, NAME)) == []
    [measured] = asking.receive(closed(QUESTION, incident=NAME))
    assert isinstance(measured, AuditMeasured)
    assert (measured.accuracy, measured.labels, measured.pipeline, measured.incident) == (pytest.approx(2 / 3), 3, "first", NAME)
    assert 0 <= measured.low < 2 / 3 < measured.high <= 1


def test_a_label_that_is_put_right_is_measured_as_it_is_now(asking):
    for seq, label in ((7, 1), (3, 1), (9, 0), (5, None)):
        asking.receive(given(QUESTION, seq, label, NAME))
    assert asking.receive(amended(QUESTION, 9, 1, 0, NAME)) == []
    [measured] = asking.receive(closed(QUESTION, incident=NAME))
    assert (measured.accuracy, measured.labels) == (1.0, 3)


def test_without_any_label_nothing_is_measured_and_that_is_on_record(asking):
    [note] = asking.receive(closed(QUESTION, "expired", NAME))
    assert isinstance(note, NoteMade) and "nobody has named an image" in note.text


def test_a_second_audit_is_not_begun_while_one_is_under_way(asking):
    [held] = asking.receive(fired(2))
    assert isinstance(held, ActuatorHeld)
    assert held.reason == f"weekly: {NAME} is under way"
    asking.receive(closed(QUESTION, "expired", NAME))
    [draw] = asking.receive(fired(3))
    assert draw.incident == "digits-audit-2"


@pytest.mark.parametrize("answer", [failed, expired])
def test_an_audit_that_cannot_be_drawn_is_given_up_and_the_next_one_can_be(checker, answer):
    [draw] = checker.receive(fired())
    [note] = checker.receive(answer(draw))
    assert isinstance(note, NoteMade) and note.text.startswith(f"{NAME} was not possible: ")
    assert kinds(checker.receive(fired(2))) == ["DrawAudit"]


def test_an_audit_and_an_incident_do_not_disturb_each_other(asking):
    assert "IncidentOpened" in kinds(asking.receive(window(1, 10, drifted=True)))
    asking.receive(given(QUESTION, 7, 1, NAME))
    [measured] = asking.receive(closed(QUESTION, incident=NAME))
    assert measured.labels == 1
    assert (asking.state, asking.inquiry) == ("analysing", None)


def test_a_restored_checker_goes_on_with_its_audit(checker):
    history = [live(), fired()]
    [draw] = checker.receive(history[-1])
    history += [draw, drawn(draw)]
    history += checker.receive(history[-1])
    restored = Checker(DEPLOYMENT, checker.policy, FakeMonitor)
    restored.restore(history)
    restored.receive(given(QUESTION, 3, 1, NAME))
    [measured] = restored.receive(closed(QUESTION, incident=NAME))
    assert measured.labels == 1


# --- spot checks ---


@pytest.fixture
def spotting():
    """Asks about 100 of 10,000 records, five every 500."""
    agent = Checker(DEPLOYMENT, Policy(checks={"decay": {"spot_checks": 100}}), FakeMonitor)
    agent.receive(live())
    return agent


def spot_check(agent, first, last, *labels, pipeline="first"):
    [draw, *_] = [message for message in agent.receive(window(first, last)) if isinstance(message, DrawAudit)]
    agent.receive(msgspec.structs.replace(drawn(draw), pipeline=pipeline))
    for seq, label in zip((7, 3, 9, 5), labels, strict=False):
        agent.receive(given(f"{draw.incident}/audit", seq, label, draw.incident))
    return draw, agent.receive(closed(f"{draw.incident}/audit", incident=draw.incident))


def test_without_a_rate_nobody_is_asked(checker):
    assert kinds(checker.receive(window(1, 100_000))) == ["EvidenceUpdated", "EvidenceSaved"][::-1]


def test_a_few_records_are_asked_about_regularly_though_nothing_is_alarming(spotting):
    assert "DrawAudit" not in kinds(spotting.receive(window(1, 499)))
    draw, _ = spot_check(spotting, 500, 510, 1)
    assert (draw.labels, draw.count, draw.due, draw.incident) == (5, 510, 510, NAME)
    assert "DrawAudit" not in kinds(spotting.receive(window(511, 1009)))
    draw, _ = spot_check(spotting, 1010, 1010, 1)
    assert (draw.count, draw.due, draw.incident) == (500, 1010, "digits-audit-2")


def test_all_spot_checks_of_a_pipeline_make_one_estimate_and_their_labels_go_to_the_checks(spotting):
    spot_check(spotting, 1, 500, 1, 1, 1, 1)
    _, [measured, join] = spot_check(spotting, 501, 1000, 1, 0, -1, None)
    assert (measured.labels, measured.accuracy, measured.regular) == (7, pytest.approx(5 / 7), True)
    assert isinstance(join, JoinLabels) and join.labels == {7: 1, 3: 0, 9: -1}
    spotting.receive(live("second", previous="first", since=1001))
    _, [measured, _] = spot_check(spotting, 1001, 1600, 1, pipeline="second")
    assert measured.labels == 1


def test_labels_of_a_pipeline_that_is_no_longer_live_do_not_count_for_the_new_one(spotting):
    [draw, *_] = [message for message in spotting.receive(window(1, 500)) if isinstance(message, DrawAudit)]
    spotting.receive(drawn(draw))
    spotting.receive(live("second", previous="first", since=501))
    spotting.receive(given(QUESTION, 7, 0, NAME))
    [measured] = spotting.receive(closed(QUESTION, incident=NAME))
    assert (measured.pipeline, measured.regular) == ("first", False)
    assert spotting.spot_audit.regular == []


def test_no_spot_check_while_an_incident_is_open(spotting):
    assert "IncidentOpened" in kinds(spotting.receive(window(1, 10, drifted=True)))
    assert "DrawAudit" not in kinds(spotting.receive(window(11, 2000)))


def test_a_checker_that_is_restored_goes_on_with_the_spot_check_and_asks_no_other_one_too_soon(spotting):
    said = spotting.receive(window(1, 500))
    restored = Checker(DEPLOYMENT, Policy(checks={"decay": {"spot_checks": 100}}), FakeMonitor)
    restored.restore([live(), *said])
    draw = next(message for message in said if isinstance(message, DrawAudit))
    assert kinds(restored.receive(drawn(draw))) == ["AskLabels"]
    restored.receive(closed(QUESTION, "expired", NAME))
    assert "DrawAudit" not in kinds(restored.receive(window(1, 900))), "read again, since nothing had been saved"
    assert "DrawAudit" in kinds(restored.receive(window(901, 1000)))


def test_labels_that_could_not_be_joined_are_on_record(spotting):
    _, [_, join] = spot_check(spotting, 1, 500, 1)
    [note] = spotting.receive(failed(join, "none of the 1 labelled records is in the log"))
    assert "not counted by the checks: none of the 1 labelled" in note.text
