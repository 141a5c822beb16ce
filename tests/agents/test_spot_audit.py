"""An audit without an alarm: drawn at random, asked, measured; one at a time, and nothing hangs when it cannot be done."""

import pytest

from agents.checker import Checker
from agents.messages import ActuatorFired, ActuatorHeld, AuditDrawn, AuditMeasured, DrawAudit, NoteMade
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
    assert (asking.state, asking.audit) == ("analysing", [])


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
