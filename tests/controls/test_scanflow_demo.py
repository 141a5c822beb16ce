"""The demo's rule: it flags a tenth of its own training data, so it retrains for nothing; and clean accuracy decides what goes live."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.controls import scanflow_demo
from benchmarks.controls.scanflow_demo import Alarm, respond
from models.networks.classifier import Classifier
from scenarios.corruptions.registry import corrupt
from scenarios.datasets import load

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def alarm():
    return Alarm.fit(load("digits", "train").images, epochs=30)


def test_a_tenth_of_the_clean_training_images_is_flagged_by_construction(alarm):
    train = load("digits", "train").images
    assert alarm.flagged(train).mean() == pytest.approx(0.1, abs=0.003)
    assert replace(alarm, widens=True).flagged(train).mean() == pytest.approx(0.3, abs=0.003)


def test_clean_batches_retrain_nearly_always(alarm):
    """Unseen clean images are drawn a little worse than those it was trained on, so more than a tenth of them is flagged."""
    clean = load("digits", "test").images
    assert alarm.false_alarms(clean, batch=50) >= 0.7
    assert replace(alarm, widens=True).false_alarms(clean, batch=50) == 1


def test_images_drawn_unusually_badly_or_unusually_well_are_flagged(alarm):
    test = load("digits", "test").images
    assert alarm.flagged(corrupt(test, "fog", seed=0)).mean() > 0.9
    easy = load("digits", "train").images[np.argsort(alarm.usual)[:20]]
    assert alarm.flagged(easy).all()


def test_widening_stops_where_enough_is_flagged(alarm):
    foggy = corrupt(load("digits", "test").images, "fog", seed=0)
    assert np.array_equal(replace(alarm, widens=True).flagged(foggy), alarm.flagged(foggy))


@pytest.fixture
def answered(alarm, trained, monkeypatch):
    """A function: the outcome of a batch, with the classifier that retraining would give, and what it was trained on."""
    train, held, test = (load("digits", split) for split in ("train", "calibration", "test"))

    def run(batch, new):
        seen = []
        monkeypatch.setattr(scanflow_demo, "train_classifier", lambda *given, **_: seen.append(given) or new)
        outcome = respond(alarm, trained, batch, lambda rows: test.labels[rows], (train.images, train.labels), (held.images, held.labels))
        return outcome, seen

    return run


def test_after_an_alarm_flagged_picks_are_labelled_and_learned_with_all_clean_data(answered, alarm, trained):
    train, foggy = load("digits", "train"), load("digits", "test").images[:200].copy()
    foggy[:40] = corrupt(foggy[:40], "fog", seed=0)  # the others are clean, and mostly not flagged
    outcome, [(images, labels, classes)] = answered(foggy, trained)
    assert len(outcome.picked) == len(set(outcome.picked)) == 10  # 5 % of the batch
    assert alarm.flagged(foggy)[outcome.picked].all() and outcome.flagged == alarm.flagged(foggy).mean()
    assert np.array_equal(images[:1000], train.images) and np.array_equal(images[1000:], foggy[outcome.picked])
    assert np.array_equal(labels[1000:], load("digits", "test").labels[outcome.picked]) and classes == 10


def test_a_new_classifier_goes_live_only_if_clean_accuracy_does_not_fall(answered, trained):
    foggy = corrupt(load("digits", "test").images[:200], "fog", seed=0)
    untrained = Classifier().eval().requires_grad_(requires_grad=False)
    refused, _ = answered(foggy, untrained)
    assert refused.classifier is trained and not refused.promoted
    taken, _ = answered(foggy, equal := copy.deepcopy(trained))
    assert taken.classifier is equal and taken.promoted  # equal accuracy is enough, and nothing asks how it does on the fog


def test_without_an_alarm_nobody_is_asked_and_nothing_is_trained(answered, alarm, trained):
    train = load("digits", "train").images
    outcome, seen = answered(train[~alarm.flagged(train)][:100], trained)
    assert outcome.classifier is trained and not outcome.promoted and not len(outcome.picked) and not seen
