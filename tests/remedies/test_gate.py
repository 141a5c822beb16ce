"""A gate tells its drift from clean images and from the drifts that are known already, but for those that it may take over."""

import copy

import numpy as np
import pytest
import torch

from models.blend import part
from models.exemplars import Exemplars
from models.remedies.context import Candidate
from models.remedies.gate import fit_gate, gated
from models.remedies.recalibrate import recalibrated
from models.training import look
from scenarios.corruptions.registry import corrupt
from scenarios.datasets import load


@pytest.fixture
def second(context, classifier, reference):
    """A function that makes a context in which stripes are a known drift, and another one, or the same once more, is new."""
    test = load("digits", "test").images
    seen = look(classifier, corrupt(test[:300], "stripe", seed=1))
    known = reference.with_component(seen.early.numpy(), seen.latent.numpy())

    def make(corruption, **other):
        return context(drifted=corrupt(test[:300], corruption, seed=2), reference=known, **other)

    return make


def share(gate, threshold, classifier, corruption):
    """Share of images that the gate has not seen, bearing a corruption, that it routes."""
    seen = look(classifier, corrupt(load("digits", "test").images[300:], corruption, seed=3))
    return float((gate(seen.early, seen.latent) > threshold).float().mean())


@pytest.mark.parametrize(("apart", "low", "high"), [(True, 0.0, 0.03), (False, 0.9, 1.0)])
def test_images_of_a_known_drift_are_left_to_the_route_that_serves_it(second, classifier, apart, low, high):
    given = second("impulse_noise")
    gate, threshold, *_ = fit_gate(given, look(classifier, given.drifted), given.reference.drifts if apart else ())
    assert share(gate, threshold, classifier, "impulse_noise") > 0.95
    assert low <= share(gate, threshold, classifier, "stripe") <= high  # a gate that knows nothing of stripes takes them for noise


def exemplars(given, adapted, right):
    """Stripes, a share `right` of them with the answers of `adapted`."""
    images = corrupt(load("digits", "test").images[:200], "stripe", seed=4)
    answers = look(adapted, images).logits.argmax(1).numpy()
    answers[: round((1 - right) * len(answers))] += 1
    return {"drift0": Exemplars(images, answers)}


@pytest.mark.parametrize(("right", "routed"), [(1.0, True), (0.9, False)])
def test_a_drift_that_cannot_be_told_from_an_earlier_one_is_taken_over_only_where_answers_stay(second, classifier, right, routed):
    given = second("stripe")
    adapted = recalibrated(classifier, given.drifted_tensor())
    candidate = gated(second("stripe", exemplars=exemplars(given, adapted, right)), Candidate("mine", adapted=adapted))
    taken = share(candidate.gate, candidate.gate_threshold, classifier, "stripe")
    assert taken > 0.9 if routed else taken < 0.03
    assert ("takes over drift0" in candidate.notes[-1]) == routed


def test_a_known_drift_that_needed_no_remedy_holds_nothing_back(second, classifier):
    candidate = gated(second("stripe"), Candidate("mine", adapted=classifier))
    assert share(candidate.gate, candidate.gate_threshold, classifier, "stripe") > 0.9


def test_a_drift_that_can_be_told_is_kept_out_even_where_answers_would_stay(second, classifier):
    given = second("impulse_noise")
    candidate = gated(second("impulse_noise", exemplars=exemplars(given, classifier, 1.0)), Candidate("mine", adapted=classifier))
    assert share(candidate.gate, candidate.gate_threshold, classifier, "stripe") < 0.03
    assert "1 known drift is kept out" in candidate.notes[-1]


def test_every_known_population_counts_alike_however_many_records_it_has(second, classifier):
    """A known drift of few records is kept out as well."""
    given = second("impulse_noise")
    few = given.reference.without("drift0").with_component(*(rows[:40] for rows in (
        given.reference.drifts[0].fit_early, given.reference.drifts[0].fit_latent,
    )))  # fmt: skip
    gate, threshold, *_ = fit_gate(second("impulse_noise", exemplars={}), look(classifier, given.drifted), few.drifts)
    assert np.isfinite(threshold)
    assert share(gate, threshold, classifier, "stripe") < 0.1


# --- where the drift cannot be told from clean data ---


def parts(context, adapted, **other):
    """The parts that a remedy gets in the answers to clean images when clean images are taken for the drift, too."""
    given = context(drifted=load("digits", "test").images[:300], **other)
    made = gated(given, Candidate("mine", adapted=adapted))
    seen = look(given.classifier, load("digits", "test").images[300:])
    score = made.gate(seen.early, seen.latent).numpy()
    return (score > made.gate_threshold) * 1.0 if made.gate_even is None else part(score, made.gate_even)


def test_a_gate_that_cannot_tell_is_in_doubt(context, classifier):
    assert 0.3 < np.median(parts(context, classifier)) < 0.7


@pytest.mark.parametrize(("harmful", "low", "high"), [(False, 0.3, 0.7), (True, 0.0, 0.1)])
def test_a_remedy_that_harms_clean_images_gets_next_to_no_part_in_their_answers(context, trained, trained_reference, harmful, low, high):
    adapted = copy.deepcopy(trained)
    if harmful:
        adapted.to_logits.bias.data += 100 * torch.eye(10)[0]  # everything is a 0
    images = load("digits", "calibration").images
    found = parts(context, adapted, calibration_images=images, classifier=trained, reference=trained_reference)
    assert low <= found.mean() <= high


def test_images_behind_other_rows_are_refused(context):
    with pytest.raises(ValueError, match="calibration_images: 3 images"):
        context(calibration_images=load("digits", "calibration").images[:3])
