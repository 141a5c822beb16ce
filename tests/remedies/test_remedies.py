"""Every remedy: it exports, answers as torch does, keeps clean data, depends on its seed alone, and can be given up."""

import numpy as np
import pytest
import torch

from models.exemplars import Exemplars
from models.export import load_modules, save_pipeline
from models.networks.numerics import to_tensor
from models.networks.route import routed
from models.pipeline import Pipeline
from models.remedies import filter as filter_
from models.remedies import fine_tune, harden, retrain, reweight, simulate, transfer
from models.remedies.catalogue import learns_from_labels, remedies
from models.remedies.context import RemedyCancelledError
from models.remedies.recalibrate import recalibrated
from models.training import look
from scenarios.corruptions.registry import corrupt
from scenarios.datasets import load, to_float

CLASSES = tuple("0123456789")
TRAINED = ("transfer", "simulate", "filter", "fine_tune", "reweight", "harden", "retrain")


@pytest.fixture
def few_steps(monkeypatch):
    """Train for a handful of steps: what is tested is the plumbing, not the accuracy."""
    for module in (transfer, simulate, filter_, fine_tune, reweight, harden, retrain):
        monkeypatch.setattr(module, "STEPS", 3)
    monkeypatch.setattr(retrain, "TEACHER_STEPS", 3)


def export(folder, context, candidate):
    save_pipeline(
        folder, candidate.classifier or context.classifier, reference=context.reference, name=candidate.name, version="2", classes=CLASSES,
        routes=candidate.routes, remedy=candidate.name,
    )  # fmt: skip
    return Pipeline.load(folder)


def weights(candidate):
    modules = (candidate.classifier, candidate.filter, candidate.adapted, candidate.gate)
    return [value for module in modules if module for value in module.state_dict().values()]


@pytest.mark.training
@pytest.mark.parametrize("name", [name for name in remedies() if name != "refit"])  # that one is for rows of a table
def test_a_candidate_exports_and_answers_as_its_modules_do(name, context, tmp_path, few_steps):
    given = context()
    candidate = remedies()[name](given)
    pipeline = export(tmp_path, given, candidate)
    out = pipeline.run(to_float(given.drifted[:7]))
    modules = load_modules(tmp_path)
    expected = routed(modules.classifier, modules.routes, to_tensor(given.drifted[:7]))
    np.testing.assert_allclose(out.logits, expected.numpy(), atol=1e-3)


def test_the_gate_routes_drifted_images_and_lets_clean_ones_pass(context, tmp_path):
    given = context()
    pipeline = export(tmp_path, given, remedies()["recalibrate"](given))
    clean = load("digits", "test").images
    drifted = corrupt(clean[300:], "stripe", seed=9)  # never seen by the gate
    assert pipeline.run(to_float(drifted)).routed.mean() > 0.95
    assert pipeline.run(to_float(clean)).routed.mean() <= 0.03


@pytest.mark.training
@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seed_gives_the_same_weights(name, context, few_steps):
    first, second = (weights(remedies()[name](context())) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))


@pytest.mark.training
@pytest.mark.parametrize("name", [name for name in remedies() if name != "refit"])  # that one is for rows of a table
def test_labels_of_a_person_change_the_remedies_of_which_the_catalogue_says_so_and_no_other(name, context, few_steps):
    given = context()
    other = context(teaching_labels=(given.teaching_labels + 1) % 10)
    first, second = weights(remedies()[name](given)), weights(remedies()[name](other))
    assert all(a.equal(b) for a, b in zip(first, second, strict=True)) != learns_from_labels(name)


@pytest.mark.training
def test_a_new_classifier_learns_the_answers_that_earlier_drifts_were_given(context, few_steps):
    given = context()
    first, second = (
        weights(retrain.prepare(context(exemplars={"drift0": Exemplars(given.drifted[:60], np.full(60, answer))}))) for answer in (1, 2)
    )
    assert not all(a.equal(b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", remedies())
def test_a_remedy_that_nobody_wants_any_more_stops(name, context):
    with pytest.raises(RemedyCancelledError):
        remedies()[name](context(cancelled=lambda: True))


@pytest.mark.training
@pytest.mark.parametrize("name", ["recalibrate", *TRAINED])
def test_the_live_classifier_is_never_changed(name, context, few_steps):
    given = context()
    before = [value.clone() for value in given.classifier.state_dict().values()]
    remedies()[name](given)
    assert all(a.equal(b) for a, b in zip(before, given.classifier.state_dict().values(), strict=True))
    assert not given.classifier.training


def test_transfer_without_labels_says_what_it_needs(context):
    with pytest.raises(ValueError, match=r"a person's labels and there are none; allow some with \[labels\] teaching in the policy"):
        remedies()["transfer"](context(labelled=0))


@pytest.mark.training
def test_transfer_changes_the_last_layers_alone(context, few_steps):
    given = context()
    before, after = given.classifier.state_dict(), remedies()["transfer"](given).adapted.state_dict()
    changed = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    assert changed == {"to_latent", "to_logits"}


def test_recalibrated_statistics_are_those_of_the_images(context):
    given = context()
    images = given.drifted_tensor()
    adapted = recalibrated(given.classifier, images)
    convolution, norm = adapted.blocks[0][0], adapted.blocks[0][1]
    with torch.no_grad():
        expected = convolution(images).mean((0, 2, 3))
    np.testing.assert_allclose(norm.running_mean.numpy(), expected.numpy(), rtol=0.05, atol=0.05)


def accuracy(pipeline, images, labels):
    return float((pipeline.run(to_float(images)).logits.argmax(1) == labels).mean())


@pytest.mark.training
@pytest.mark.parametrize("name", TRAINED)
def test_trained_remedies_mend_fog_at_next_to_no_cost_on_clean_images(name, context, tmp_path, trained, trained_reference, monkeypatch):
    for module in (transfer, simulate, filter_, fine_tune, reweight, harden, retrain):  # a third of the usual training is enough for digits
        monkeypatch.setattr(module, "STEPS", 70)
    monkeypatch.setattr(retrain, "TEACHER_STEPS", 50)
    given = context("fog", labelled=20, budget=120.0, classifier=trained, reference=trained_reference, named=("fog", 5.0))
    pipeline = export(tmp_path, given, remedies()[name](given))
    test = load("digits", "test")
    fresh, labels = test.images[300:], test.labels[300:]
    foggy = corrupt(fresh, "fog", seed=11)
    as_is = float((look(trained, foggy).logits.argmax(1).numpy() == labels).mean())
    clean = float((look(trained, fresh).logits.argmax(1).numpy() == labels).mean())
    mended, kept = accuracy(pipeline, foggy, labels), accuracy(pipeline, fresh, labels)
    print(f"{name}: as is {as_is:.3f}, mended {mended:.3f}; clean {clean:.3f}, kept {kept:.3f}")
    assert mended > as_is + 0.3
    assert kept >= clean - 0.03


def test_without_a_name_nothing_is_simulated(context):
    with pytest.raises(ValueError, match="nothing in the catalogue resembles"):
        simulate.prepare(context(named=None))


@pytest.mark.training
@pytest.mark.parametrize("remedy", ["simulate", "retrain"])
def test_what_is_simulated_is_the_corruption_that_was_named(remedy, context, few_steps):
    first, second = (weights(remedies()[remedy](context(named=name))) for name in (("stripe", None), ("brightness", 3.0)))
    assert not all(a.equal(b) for a, b in zip(first, second, strict=True))


def test_few_clean_images_are_spoiled_several_times_by_other_chance(context):
    source = simulate.imitated_source(context(named=("impulse_noise", 5.0)), torch.Generator())
    own = len(load("digits", "train").images)
    assert len(source.images) == simulate.IMAGES > own
    assert source.labels[0] == source.labels[own]
    assert not source.images[0].equal(source.images[own])


@pytest.mark.training
def test_retraining_for_a_drift_without_a_name_learns_from_the_answers_of_a_mended_model(context, few_steps):
    named, unnamed = (retrain.prepare(context(named=name)) for name in (("stripe", None), None))
    assert "spoiled by stripe" in named.notes[0]
    assert "with the labels that a mended model gave them" in unnamed.notes[0]
