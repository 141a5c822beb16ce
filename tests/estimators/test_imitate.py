"""Spoiling clean images as a stream is spoiled: the right corruption, the right degree, and what it costs."""

import numpy as np
import pytest

from models.estimators.confidence import Estimate
from models.naming.imitate import accuracy_imitated, imitate, mixed
from scenarios.corruptions import corrupt

IMAGES = np.random.default_rng(0).integers(0, 200, (400, 8, 8), np.uint8)


def test_a_whole_severity_is_that_of_the_catalogue():
    np.testing.assert_array_equal(imitate(IMAGES, "brightness", 3.0, seed=1), corrupt(IMAGES, "brightness", 3, seed=1))


def test_a_severity_between_two_is_a_mixture_of_both():
    low, high = (corrupt(IMAGES, "brightness", severity, seed=1) for severity in (2, 3))
    found = imitate(IMAGES, "brightness", 2.25, seed=1)
    as_low, as_high = ((found == one).all((1, 2)) for one in (low, high))
    assert (as_low | as_high).all()
    assert 0.15 < as_high.mean() < 0.35


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no corruption 'frogs'"):
        imitate(IMAGES, "frogs", 1.0, seed=0)


def test_the_accuracy_is_that_of_the_spoiled_and_the_clean_part():
    labels = np.zeros(len(IMAGES), np.int64)

    def fooled(images):
        return (images.mean((1, 2)) > 150).astype(np.int64)  # right on all clean images, wrong on all bright ones

    found = accuracy_imitated(fooled, (IMAGES, labels), 0.98, "brightness", 5.0, share=0.3)
    assert found.value == pytest.approx(0.98 - 0.3)


def test_the_error_is_that_of_the_loss_and_not_of_the_accuracy():
    """A model that is wrong as often before as after has lost nothing, however often that is."""
    labels = np.arange(len(IMAGES)) % 2

    def guess(images):
        return np.zeros(len(images), np.int64)

    found = accuracy_imitated(guess, (IMAGES, labels), 0.5, "brightness", 5.0, share=1.0)
    assert found.value == 0.5
    assert found.error < 0.01


def test_an_unsure_name_leaves_the_estimate_between_both_and_wider_than_either():
    named, otherwise = Estimate(0.4, 0.02, "named"), Estimate(0.9, 0.03, "otherwise")
    half = mixed(named, 0.5, otherwise)
    assert half.value == pytest.approx(0.65)
    assert half.value - half.error < named.value
    assert half.value + half.error > otherwise.value
    assert mixed(named, 1.0, otherwise).value == named.value
