"""What a new pipeline takes over: earlier routes stay beside a new one, and become images to learn from where the classifier is replaced."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.exemplars import MOST_DRIFTS, Exemplars, load_exemplars, save_exemplars
from models.export import load_modules, save_pipeline
from models.networks.classifier import Classifier
from models.networks.numerics import to_tensor
from models.networks.route import RouteModules
from models.pipeline import Pipeline
from models.reference import Reference
from models.remedies import retrain
from models.remedies.gate import Gate
from models.remedies.recalibrate import recalibrated
from models.training import look, make_reference
from scenarios.corruptions.registry import corrupt
from scenarios.datasets import load, to_float
from workflows.steps.heritage import MOST_ROUTES, Heritage
from workflows.steps.prepare import measure, prepare
from workflows.steps.window import Window

CLASSES = tuple("0123456789")


def reference(drifts):
    """A reference that knows so many drifts; the features of drift n are about n + 1."""
    rng = np.random.default_rng(0)
    parts = {name: rng.normal(size=(30, 2)) for name in ("fit_early", "fit_latent", "calibration_early", "calibration_latent", "calibration_logits")}
    labels = {"fit_labels": np.zeros(30), "calibration_labels": np.zeros(30)}
    made = Reference.from_arrays({**parts, **labels, "clean_accuracy": 1.0})
    for number in range(drifts):
        made = made.with_component(*rng.normal(number + 1, 0.01, size=(2, 30, 2)))
    return made


def places(made):
    """About where the known drifts of a reference lie, and under which names."""
    return {one.name: round(float(one.fit_early.mean())) for one in made.drifts}


def gated_route(drift):
    return RouteModules(gate=Gate(torch.zeros(4), torch.ones(4)), gate_threshold=0.5, drift=drift)


def images(value):
    return Exemplars(np.full((20, 8, 8), value, np.uint8), np.full(20, value, np.int64))


def heritage(routes):
    drifts = [f"drift{number}" for number in range(routes)]
    return Heritage(tuple(map(gated_route, drifts)), reference(routes), {drift: images(number) for number, drift in enumerate(drifts)})


def test_a_new_route_comes_after_the_earlier_ones_and_serves_the_drift_that_is_made_known_next():
    joined, notes = heritage(2).joined_by((gated_route(None),))
    assert [route.drift for route in joined.routes] == ["drift0", "drift1", "drift2"]
    assert (list(joined.exemplars), notes) == (["drift0", "drift1"], ())


def test_of_too_many_routes_the_oldest_goes_with_all_that_was_known_of_its_drift():
    joined, notes = heritage(MOST_ROUTES).joined_by((gated_route(None),))
    assert [route.drift for route in joined.routes] == [f"drift{number}" for number in range(MOST_ROUTES)]
    assert places(joined.reference) == {"drift0": 2, "drift1": 3, "drift2": 4}  # a drift without a route must raise an alarm again
    assert {drift: int(kept.answers[0]) for drift, kept in joined.exemplars.items()} == {"drift0": 1, "drift1": 2, "drift2": 3}
    assert notes == ("the route for drift0 fell away: should that drift return, it will be found anew",)


def test_a_change_that_needed_no_route_stays_known_when_the_oldest_route_goes():
    with_adopted = Heritage(tuple(gated_route(f"drift{n}") for n in range(1, MOST_ROUTES + 1)), reference(MOST_ROUTES + 1), {})
    joined, _ = with_adopted.joined_by((gated_route(None),))
    assert places(joined.reference) == {"drift0": 1, "drift1": 3, "drift2": 4, "drift3": 5}
    assert [route.drift for route in joined.routes] == ["drift1", "drift2", "drift3", "drift4"]


def test_a_route_without_a_gate_takes_all_images_so_none_stays_beside_it():
    joined, notes = heritage(2).joined_by((RouteModules(),))
    assert ([route.drift for route in joined.routes], places(joined.reference), len(notes)) == (["drift0"], {}, 2)


def test_without_a_new_route_all_stays_as_it_was():
    joined, notes = heritage(MOST_ROUTES).joined_by(())
    assert (len(joined.routes), len(joined.reference.drifts), notes) == (MOST_ROUTES, MOST_ROUTES, ())


def test_exemplars_come_back_from_disk_and_a_damaged_file_is_named(tmp_path):
    assert load_exemplars(tmp_path) == {}
    save_exemplars(tmp_path, {"drift0": images(3)})
    assert (load_exemplars(tmp_path)["drift0"].images == 3).all()
    (tmp_path / "exemplars.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=r"exemplars.npz holds no exemplars"):
        load_exemplars(tmp_path)


# --- prepared on a live pipeline ---


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A pipeline of random weights with the statistics of digits."""
    train, calibration = load("digits", "train"), load("digits", "calibration")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        classifier = recalibrated(Classifier(), to_tensor(train.images[:300]))
    folder = tmp_path_factory.mktemp("pipelines") / "first"
    made = make_reference(classifier, (train.images, train.labels), (calibration.images, calibration.labels))
    save_pipeline(folder, classifier, reference=made, name="first", version="first", classes=CLASSES)
    return folder


def remedied(base, folder, remedy, corruption):
    """A pipeline prepared from `base` for a window of a corruption, as the workshop does."""
    shown = corrupt(load("digits", "test").images[:250], corruption, seed=len(folder.name))
    answer = look(load_modules(base).classifier, shown)
    logits = answer.logits.numpy()
    window = folder.parent / f"{folder.name}.npz"
    Window(np.arange(1, 251), shown, answer.early.numpy(), answer.latent.numpy(), logits, logits.argmax(1)).save(window)
    told = prepare(
        remedy=remedy, base=base, folder=folder, name=folder.name, window=window, reference=base / "reference.npz", teaching=[], labels=[],
        dataset="digits", root=None, seed=0,
    )
    return Pipeline.load(folder), told["notes"]


@pytest.fixture(scope="module")
def both(first, tmp_path_factory) -> Path:
    """The folder of a pipeline with a route for stripes and, made from that one, a route for noise."""
    folder = tmp_path_factory.mktemp("routes")
    remedied(first, folder / "striped", "recalibrate", "stripe")
    remedied(folder / "striped", folder / "noisy", "recalibrate", "impulse_noise")
    return folder


@pytest.mark.training
def test_a_second_remedy_leaves_the_first_drifts_answers_as_they_were(first, both):
    before, after, without = (Pipeline.load(folder) for folder in (both / "striped", both / "noisy", first))
    stripes = to_float(corrupt(load("digits", "test").images[250:], "stripe", seed=9))
    old, new, plain = (pipeline.run(stripes).logits for pipeline in (before, after, without))
    same = (np.abs(old - new) < 1e-3).all(1)
    assert same.mean() > 0.97
    assert (np.abs(old - plain) < 1e-3).all(1).mean() < 0.1  # as they would be had the first route been lost
    assert [route.drift for route in after.manifest.routes] == ["drift0", "drift1"]
    assert [one.name for one in Reference.load(both / "noisy" / "reference.npz").drifts] == ["drift0", "drift1"]


@pytest.mark.training
def test_exemplars_hold_what_the_pipeline_answers_and_no_true_label(both):
    noisy, kept = Pipeline.load(both / "noisy"), load_exemplars(both / "noisy")
    assert list(kept) == ["drift0", "drift1"]
    for one in kept.values():
        assert (noisy.run(to_float(one.images)).logits.argmax(1) == one.answers).mean() > 0.97


@pytest.mark.training
def test_a_new_classifier_learns_from_exemplars_and_knows_the_earlier_drifts_by_its_own_features(both, tmp_path, monkeypatch):
    monkeypatch.setattr(retrain, "STEPS", 3)
    monkeypatch.setattr(retrain, "TEACHER_STEPS", 3)
    pipeline, notes = remedied(both / "noisy", tmp_path / "new", "retrain", "fog")
    made, kept = Reference.load(tmp_path / "new" / "reference.npz"), load_exemplars(tmp_path / "new")
    assert pipeline.manifest.routes == ()
    assert "2 earlier drifts were learned again" in notes[0]
    assert ([one.name for one in made.drifts], list(kept)) == (["drift0", "drift1", "drift2"], ["drift0", "drift1", "drift2"])
    expected = look(load_modules(tmp_path / "new").classifier, kept["drift0"].images).latent.numpy()
    np.testing.assert_allclose(np.sort(made.drifts[0].fit_latent[:, 0])[0], expected[:, 0].min(), atol=0.5)


def test_of_too_many_earlier_drifts_a_new_classifier_learns_the_latest(first):
    classifier = load_modules(first).classifier
    old = Heritage((), reference(0), {f"drift{number}": images(number) for number in range(MOST_DRIFTS)})
    digits = load("digits", "test").images[:20]
    shown = {drift: Exemplars(corrupt(digits, "stripe", seed=1), one.answers) for drift, one in old.exemplars.items()}
    new = Heritage((), reference(0), shown).replaced_by(classifier, Reference.load(first / "reference.npz"))
    assert [int(one.answers[0]) for one in new.exemplars.values()] == list(range(1, MOST_DRIFTS))
    assert len(new.reference.drifts) == MOST_DRIFTS - 1


@pytest.mark.training
def test_what_a_remedy_gains_on_clean_images_spoiled_as_named_is_measured_with_its_error(first, both):
    window, told = both / "striped.npz", {}
    for name in ("stripe", "brightness"):
        told[name] = measure(first, both / "striped", window, "digits", None, (name, None if name == "stripe" else 5.0))["imitated"]
    low, high = told["stripe"]
    calibration = load("digits", "calibration")
    shown = to_float(corrupt(calibration.images, "stripe", seed=1))
    before, after = (
        (Pipeline.load(folder).run(shown).logits.argmax(1) == calibration.labels).mean() for folder in (first, both / "striped")
    )
    assert low < after - before < high < low + 0.3
    assert told["brightness"] != told["stripe"]
    assert measure(first, both / "striped", window, "digits", None)["imitated"] is None
