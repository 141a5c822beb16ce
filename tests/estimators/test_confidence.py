"""Accuracy without labels: right within its error where its assumption holds, wide where it cannot know."""

import numpy as np
import pytest

from models.checks import ContractError, check_estimator
from models.estimators.confidence import Estimate, estimate_accuracy


def draw(n, unsure, seed, classes=10):
    """Records of a model that is right 98 times in 100 when it is sure and guesses else; returns logits and true labels."""
    rng = np.random.default_rng(seed)
    labels, guess = rng.integers(classes, size=n), rng.random(n) < unsure
    answers = np.where(rng.random(n) < np.where(guess, 0.1, 0.98), labels, rng.integers(classes, size=n))
    return np.where(guess, 0.3, 6.0)[:, None] * np.eye(classes)[answers] + 0.2 * rng.normal(size=(n, classes)), labels


def test_it_keeps_the_contract():
    check_estimator(estimate_accuracy)


def test_the_contract_check_finds_an_estimator_that_believes_every_confidence():
    def boastful(calibration_logits, calibration_labels, logits):
        """Says that all is well, with a small error, whatever the logits are: the kind of estimator to keep out."""
        return Estimate(0.95, 0.01, "none")

    with pytest.raises(ContractError, match="the truth is"):
        check_estimator(boastful)


@pytest.mark.parametrize("unsure", [0.02, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("n", [100, 2000])
def test_it_is_right_within_its_error_when_the_model_knows_that_it_does_not_know(unsure, n):
    known, labels = draw(3000, 0.02, seed=0)
    logits, hidden = draw(n, unsure, seed=1)
    estimate = estimate_accuracy(known, labels, logits)
    assert abs(estimate.value - (logits.argmax(1) == hidden).mean()) <= estimate.error


def test_one_class_that_swallows_the_others_is_seen_although_confidence_stays_high():
    known, labels = draw(3000, 0.02, seed=0)
    collapsed = 6.0 * np.eye(10)[np.full(500, 8)]
    estimate = estimate_accuracy(known, labels, collapsed)
    assert estimate.value < 0.2 and "as frequent as before" in estimate.assumption
    without = estimate_accuracy(known, labels, collapsed, same_mix=False)
    assert without.value > 0.8 and "nothing is assumed" in without.assumption


def test_fewer_records_mean_a_larger_error():
    known, labels = draw(3000, 0.02, seed=0)
    logits, _ = draw(2000, 0.02, seed=1)
    assert estimate_accuracy(known, labels, logits[:50]).error > estimate_accuracy(known, labels, logits).error


def test_shapes_that_do_not_fit_are_refused():
    known, labels = draw(100, 0.1, seed=0)
    for wrong in (known[:0], known[:, :5], known[0]):
        with pytest.raises(ValueError, match="the same k classes"):
            estimate_accuracy(known, labels, wrong)
