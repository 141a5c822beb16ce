"""Worlds of the science benchmark on images made up here: which images, which severity, which network to begin with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.common import incident
from benchmarks.science import worlds
from benchmarks.weights import FOLDER
from models.export import load_modules
from models.networks.classifier import Classifier, load_classifier, save_classifier
from scenarios.corruptions import corrupt
from scenarios.datasets import Dataset

ROOT = Path("nowhere")


@pytest.fixture(autouse=True)
def photographs(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, Path], Dataset]:
    """Sixty small photographs in place of each split."""
    images = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), np.uint8)

    def load(name: str, split: str, _root: Path) -> Dataset:
        return Dataset(name, split, images, np.arange(60) % 10, tuple("0123456789"))

    monkeypatch.setattr(worlds, "load", load)
    monkeypatch.setattr(incident, "load", load)
    return load


def test_even_positions_stream_by_and_odd_ones_are_kept_for_the_score(photographs) -> None:
    test = photographs("cifar10", "test", ROOT).images
    world = worlds.make_world("cifar10", "cifar10_c/contrast", 0, ROOT)
    assert world.severity == 5
    assert np.array_equal(world.pool["none"][0], test[0::2])
    assert np.array_equal(world.fresh[0], corrupt(test, "cifar10_c/contrast", 5, seed=0)[1::2])


def test_a_severity_is_kept_and_changes_the_images() -> None:
    mild = worlds.make_world("cifar10", "cifar10_c/contrast", 0, ROOT, severity=1)
    assert mild.severity == 1
    assert mild.fresh[0].std() > 2 * worlds.make_world("cifar10", "cifar10_c/contrast", 0, ROOT).fresh[0].std()


def test_another_seed_draws_the_corruption_anew() -> None:
    one, other = (worlds.make_world("cifar10", "cifar10_c/gaussian_noise", seed, ROOT) for seed in (0, 1))
    assert not np.array_equal(one.fresh[0], other.fresh[0])


def test_a_severity_where_there_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="fashion-mnist has no severities, and 3 was asked for"):
        worlds.make_world("fashion-mnist", "fog", 0, ROOT, severity=3)


def test_the_oracle_of_cifar10_goes_on_from_the_clean_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = {}
    monkeypatch.setattr(worlds, "train_classifier", lambda images, labels, classes, **rest: asked.update(rest, images=images))
    monkeypatch.setattr(incident, "MODELS", tmp_path)
    begin_with_weights(monkeypatch, tmp_path, seed=2)
    world = worlds.make_world("cifar10", "cifar10_c/contrast", 2, ROOT, severity=3)
    worlds.oracle(world)
    assert asked["epochs"] == worlds.ORACLE_EPOCHS
    assert asked["start"].trunk == "residual"
    assert asked["images"].std() < 0.5 * world.clean[0].std()  # corrupted, all of them


def test_committed_weights_become_the_first_pipeline_without_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(incident, "MODELS", tmp_path)
    classifier = begin_with_weights(monkeypatch, tmp_path, seed=1)
    pipeline = incident.first_model("cifar10", ROOT, 1)
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(load_modules(pipeline).classifier(images).logits, classifier(images).logits)


def begin_with_weights(monkeypatch: pytest.MonkeyPatch, folder: Path, seed: int) -> Classifier:
    """Weights of `seed` alone, and a training that may not be asked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier(3, 10, 32, "residual").eval()
    save_classifier(classifier, folder / f"{seed}.safetensors")
    monkeypatch.setattr(incident, "weights_of", lambda _dataset, number: folder / f"{number}.safetensors")
    monkeypatch.setattr(incident, "train", lambda *_, **__: pytest.fail("trained, although there are weights"))
    return classifier


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.safetensors")), ids=lambda file: file.stem)
def test_the_committed_weights_are_small_classifiers_of_their_data_set(file: Path) -> None:
    assert file.stat().st_size < 2_500_000
    classifier = load_classifier(file)
    expected = ("residual", 3, 32, 10) if file.stem.startswith("cifar10") else ("plain", 1, 28, 10)
    assert (classifier.trunk, classifier.channels, classifier.size, classifier.classes) == expected
