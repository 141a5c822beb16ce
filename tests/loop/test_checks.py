"""Other weaknesses than drift, through the whole loop in one process: each opens an incident of its kind."""

import numpy as np
import pytest
import torch

from agents.in_process import InProcess
from agents.messages import AskLabels, AuditMeasured, HarmAssessed, IncidentClosed, IncidentOpened, PrepareRemedy, RemedyPrepared
from agents.policy import Detection, Labels, Policy, Remedies
from agents.state import State
from agents.story import tell
from models.export import load_modules
from models.networks.attack import error_of, pgd
from models.networks.numerics import to_tensor
from models.remedies import filter as filter_
from models.remedies import harden
from scenarios.corruptions import corrupt
from scenarios.datasets import load
from scenarios.scenario import Scenario, Segment

pytestmark = pytest.mark.training

CHEAP = {"remedies": Remedies(prepare=("recalibrate",)), "labels": Labels(choose=40, verify=40)}
LATE = 1e100  # so that the monitor of drift is slower than any check here


@pytest.fixture
def play(first_model, tmp_path):
    """Sends 400 clean images, then what a pool calls `kind`, until the incident rests; returns the loop and the first incident's messages."""

    def play(kind, images, policy, *, share=1.0, labels_after=None):
        test = load("digits", "test")
        halves = [(part[0::2], part[1::2]) for part in (images, test.labels)]
        pool = {kind: (halves[0][0], halves[1][0], halves[0][1], halves[1][1])}
        segments = (Segment(records=400), Segment(corruption=kind, share=share, until="closed", records=6000))
        scenario = Scenario(name=kind, segment=segments, labels_after=labels_after)
        with State(tmp_path / kind) as state:
            state.pipeline("digits-first").symlink_to(first_model)
            loop = InProcess(state, scenario, policy=policy, pool=pool)
            loop.run()
        [first, *_] = loop.ledger.messages(IncidentOpened)
        return first, loop.ledger.story(first.incident), loop

    return play


def only(story, kind):
    return [message for message in story if isinstance(message, kind)]


def test_labels_that_come_late_tell_of_a_decay_that_the_monitor_of_drift_did_not_notice_and_remedies_are_tried(play):
    dim = corrupt(load("digits", "test").images, "fog", seed=1)
    policy = Policy(checks={"decay": {}}, detection=Detection(run_length=LATE, window=300), **CHEAP)
    opened, story, _loop = play("dim", dim, policy, labels_after=100)
    assert opened.kind == "decay"
    assert 380 <= opened.onset <= 460
    [harm, *_] = only(story, HarmAssessed)
    assert harm.audit == () and harm.interval[1] < harm.clean_accuracy
    assert not any(ask.question.endswith("/harm") for ask in only(story, AskLabels)), "true labels have measured it"
    assert [request.remedy for request in only(story, PrepareRemedy)] == ["recalibrate"]
    [rest] = only(story, IncidentClosed)
    assert rest.outcome in ("verified", "no remedy", "undone")
    assert any("opened, decay: " in text and "newest labels agree with the model" in text for text in tell(story))


def test_a_decay_is_found_by_asking_about_a_few_records_where_no_label_comes_by_itself(play):
    dim = corrupt(load("digits", "test").images, "fog", seed=1)
    policy = Policy(checks={"decay": {"spot_checks": 1000}}, detection=Detection(run_length=LATE, window=300), **CHEAP)
    opened, story, loop = play("dim", dim, policy)
    assert opened.kind == "decay"
    assert 400 < opened.alarm_at < 1200
    [harm, *_] = only(story, HarmAssessed)
    assert harm.audit == () and harm.interval[1] < harm.clean_accuracy
    before = [ask for ask in loop.ledger.messages(AskLabels) if ask.time < opened.time]
    assert {len(ask.items) for ask in before} == {5}
    assert all("this is a spot check" in ask.text for ask in before)
    measured = [one for one in loop.ledger.messages(AuditMeasured) if one.time < opened.time]
    assert [one.labels for one in measured] == [5 * (place + 1) for place in range(len(measured))]
    assert measured[-1].low <= measured[-1].accuracy <= measured[-1].high


def test_a_covered_camera_is_reported_and_nothing_is_tried(play):
    blank = np.zeros_like(load("digits", "test").images)
    opened, story, loop = play("blank", blank, Policy(checks={"quality": {}}, **CHEAP))
    assert opened.kind == "quality"
    assert 401 <= opened.onset <= opened.alarm_at <= 420
    [rest] = only(story, IncidentClosed)
    assert rest.outcome == "reported"
    assert loop.ledger.messages(AskLabels, PrepareRemedy) == []


def test_adversarial_inputs_open_an_incident_and_hardening_is_tried(play, first_model, monkeypatch):
    for remedy in (harden, filter_):  # what they are worth is measured elsewhere
        monkeypatch.setattr(remedy, "STEPS", 5)
    classifier = load_modules(first_model).classifier
    test = load("digits", "test")
    labels = torch.tensor(test.labels)
    moved = pgd(to_tensor(test.images), error_of(classifier, labels), 0.3, generator=torch.Generator().manual_seed(0))
    attacked = (moved * 255).round().to(torch.uint8)[:, 0].numpy()
    opened, story, _loop = play("pgd", attacked, Policy(checks={"adversarial": {}}, detection=Detection(window=300), **CHEAP), share=0.5)
    assert opened.kind == "adversarial"
    assert 395 <= opened.onset <= 430
    [harm, *_] = only(story, HarmAssessed)
    assert harm.harmful and harm.remedies == ("harden", "filter")
    assert {prepared.remedy for prepared in only(story, RemedyPrepared)} == {"harden", "filter"}
    assert len(only(story, IncidentClosed)) == 1
