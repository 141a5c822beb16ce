"""Both trunks keep one contract: answers, features, files, export."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from models.export import save_pipeline
from models.networks.classifier import Classifier, load_classifier, save_classifier
from models.networks.numerics import to_tensor
from models.remedies.recalibrate import recalibrated
from models.training import make_reference, recipe_for, train_classifier

PHOTOGRAPHS = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def residual() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return recalibrated(Classifier(3, 10, 32, "residual"), to_tensor(PHOTOGRAPHS))


def test_a_file_that_does_not_name_its_trunk_is_a_plain_classifier(tmp_path: Path) -> None:
    """So are the files that were written before there were two trunks."""
    classifier = Classifier().eval()
    old = {"channels": "1", "classes": "10", "size": "28"}
    save_file(dict(classifier.state_dict()), tmp_path / "old.safetensors", metadata=old)
    images = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(load_classifier(tmp_path / "old.safetensors")(images).logits, classifier(images).logits)


def test_a_residual_classifier_comes_back_from_its_file(residual: Classifier, tmp_path: Path) -> None:
    save_classifier(residual, tmp_path / "one.safetensors")
    images = torch.rand(3, 3, 32, 32)
    back = load_classifier(tmp_path / "one.safetensors")
    assert back.trunk == "residual"
    torch.testing.assert_close(back(images).logits, residual(images).logits)


def test_weights_in_half_precision_are_single_when_they_are_loaded(residual: Classifier, tmp_path: Path) -> None:
    save_classifier(recalibrated(residual, to_tensor(PHOTOGRAPHS)).half(), tmp_path / "half.safetensors")
    back = load_classifier(tmp_path / "half.safetensors")
    assert {value.dtype for value in back.parameters()} == {torch.float32}
    images = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(back(images).logits, residual(images).logits, atol=0.02, rtol=0.02)


def test_the_short_answer_is_the_long_one_without_early(residual: Classifier) -> None:
    images = torch.rand(4, 3, 32, 32)
    whole = residual(images)
    logits, latent = residual.answer(images)
    assert torch.equal(whole.logits, logits)
    assert torch.equal(whole.latent, latent)


def test_recalibration_reaches_every_norm_of_the_residual_trunk(residual: Classifier) -> None:
    bright = recalibrated(residual, to_tensor(255 - PHOTOGRAPHS // 8))
    norms = [name for name, module in residual.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 9
    for name in norms:
        before, after = residual.get_submodule(name), bright.get_submodule(name)
        assert not torch.equal(before.running_mean, after.running_mean), name


def test_an_odd_size_is_refused_where_cells_of_two_by_two_are_looked_at() -> None:
    with pytest.raises(ValueError, match="must be even; pad them"):
        Classifier(3, 10, 33, "residual")


def test_a_residual_pipeline_answers_without_torch_as_with_it(residual: Classifier, tmp_path: Path) -> None:
    """`save_pipeline` compares both and raises if they differ."""
    labels = np.arange(40) % 10
    reference = make_reference(residual, (PHOTOGRAPHS, labels), (PHOTOGRAPHS, labels))
    classes = tuple("0123456789")
    manifest = save_pipeline(tmp_path / "first", residual, reference=reference, name="first", version="first", classes=classes)
    assert manifest.input == (3, 32, 32)


@pytest.mark.parametrize(("shape", "trunk"), [((9, 1, 28, 28), "plain"), ((9, 3, 28, 28), "plain"), ((9, 3, 32, 32), "residual")])
def test_photographs_alone_get_the_residual_trunk(shape: tuple[int, ...], trunk: str) -> None:
    assert recipe_for(torch.zeros(shape)).trunk == trunk


def test_training_goes_on_from_a_classifier_and_leaves_it_as_it_was(residual: Classifier) -> None:
    before = {name: value.clone() for name, value in residual.state_dict().items()}
    after = train_classifier(PHOTOGRAPHS, np.arange(40) % 10, 10, epochs=1, seed=7, start=residual)
    assert all(torch.equal(value, residual.state_dict()[name]) for name, value in before.items())
    assert not residual.training
    off = max(float((value - before[name]).abs().max()) for name, value in after.named_parameters())
    assert 0 < off < 0.05  # a few steps away from where it began: other random weights would be further
