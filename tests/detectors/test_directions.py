"""Directions of known corruptions: what a distance does not see, at no more false alarms."""

from dataclasses import replace

import numpy as np
import pytest

from models.checks import check_stream
from models.detectors.directions import Directions
from models.detectors.monitor import Monitor
from models.detectors.synthetic import mixture, mixture_reference
from models.networks.classifier import Classifier
from models.networks.numerics import to_tensor
from models.reference import BadReferenceError, Reference
from models.remedies.recalibrate import recalibrated
from models.training import make_reference
from scenarios.corruptions import catalogue
from scenarios.datasets import load

INWARDS = 0.6


def towards(reference, *moves):
    """A reference that knows corruptions by which the early features of an average record change so."""
    early = np.array(moves, np.float32)
    return replace(reference, towards_early=early, towards_latent=np.zeros((len(early), reference.fit_latent.shape[1]), np.float32))


def inwards(records, seed):
    """Clean records of which each early feature is pulled towards its mean and a little up: nearer to the others than before."""
    early, latent = mixture(records, seed=seed)
    middle = early.mean(0)
    return (middle + INWARDS * (early - middle) + 0.8).astype(np.float32), latent


@pytest.fixture(scope="module")
def plain():
    return mixture_reference(seed=0)


def test_what_moves_inwards_is_seen_in_its_direction_and_not_by_the_distance(plain):
    stream = inwards(1000, seed=3)
    assert not Monitor(plain).update(*stream).alarm
    reading = Monitor(towards(plain, [0.8] * 16)).update(*stream)
    assert reading.alarm
    assert reading.alarm_at < 200


def test_a_corruption_is_seen_to_the_other_side_as_well(plain):
    early, latent = inwards(1000, seed=3)
    reading = Monitor(towards(plain, [-0.8] * 16)).update(early, latent)
    assert reading.alarm


def test_looking_in_many_directions_delays_what_the_distance_sees_by_a_few_records_at_most(plain):
    rng = np.random.default_rng(0)
    known = towards(plain, *rng.normal(size=(15, 16)))
    for seed in range(5):
        stream = mixture(300, seed=seed, shift=1.5)
        alone, both = Monitor(plain).update(*stream).alarm_at, Monitor(known).update(*stream).alarm_at
        assert both <= alone + 3


def test_many_directions_raise_no_alarm_on_clean_records(plain):
    rng = np.random.default_rng(1)
    monitor = Monitor(towards(plain, *rng.normal(size=(15, 16))), run_length=1e4)
    p_values = monitor.p_values(*mixture(20_000, seed=7))
    assert p_values.shape == (20_000, 31)
    assert not monitor.follow(p_values).alarm
    for column in p_values.T:  # each is valid by itself, at every level
        assert all((column <= level).mean() <= 1.1 * level + 0.002 for level in (0.01, 0.05, 0.2, 0.5))


def test_an_adopted_drift_is_known_in_every_direction(plain):
    known = towards(plain, [0.8] * 16).with_component(*inwards(1000, seed=5))
    assert not Monitor(known).update(*inwards(3000, seed=6)).alarm


@pytest.mark.parametrize("block", [1, 7])
def test_with_directions_batches_equal_single_records_too(plain, block):
    known = towards(plain, *np.random.default_rng(2).normal(size=(3, 16)))
    parts = [mixture(120, seed=1), mixture(80, seed=2, shift=2.0)]
    early, latent = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    check_stream(lambda: Monitor(known, block=block), lambda monitor, start, stop: monitor.update(early[start:stop], latent[start:stop]), 200)


def test_the_state_of_a_monitor_that_knows_other_directions_is_refused(plain):
    with pytest.raises(ValueError, match="another monitor"):
        Monitor(towards(plain, [0.8] * 16)).restore(Monitor(plain).state())


def test_directions_are_saved_with_the_reference_and_must_fit_it(plain, tmp_path):
    known = towards(plain, [0.8] * 16)
    known.save(tmp_path / "known.npz")
    np.testing.assert_array_equal(Reference.load(tmp_path / "known.npz").towards_early, known.towards_early)
    plain.save(tmp_path / "plain.npz")
    assert len(Reference.load(tmp_path / "plain.npz").towards_early) == 0
    with pytest.raises(BadReferenceError, match=r"towards_early has shape \(1, 3\); expected \[corruptions, 16\]"):
        towards(plain, [0.1, 0.2, 0.3])


def test_directions_of_another_number_of_features_are_refused():
    with pytest.raises(ValueError, match=r"clean records \(5, 3\) and moves \(2, 4\)"):
        Directions(np.zeros((5, 3)), np.zeros((2, 4)))


def test_a_reference_is_made_with_the_direction_of_each_corruption():
    train, calibration = load("digits", "train"), load("digits", "calibration")
    clean = (train.images, train.labels), (calibration.images, calibration.labels)
    classifier = recalibrated(Classifier(), to_tensor(train.images[:300]))  # random weights will do
    made = make_reference(classifier, *clean, corruptions=[catalogue()["brightness"], catalogue()["stripe"]])
    assert made.towards_early.shape == (2, made.fit_early.shape[1])
    mass = made.fit_early.shape[1] - 6  # of the picture: bright ones have more
    assert made.towards_early[0][mass] > 0.3
    assert len(make_reference(classifier, *clean).towards_early) == 0
