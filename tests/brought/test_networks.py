"""A torch module that somebody brings speaks the contract, or says in one sentence why it cannot."""

import numpy as np
import pytest
import torch
from torch import nn

from models.export import load_modules, save_pipeline
from models.networks.brought import BroughtError, bring, load_brought
from models.networks.source import Source, SourceError
from models.pipeline import Pipeline
from models.remedies.possible import impossible
from models.remedies.recalibrate import recalibrated
from models.training import make_reference
from scenarios.datasets import to_float
from tests.brought.conftest import squares

SHAPE = (3, 12, 12)
NOWHERE = Source("net.py:build", ".")


def test_latents_are_what_goes_into_the_last_linear_layer(network):
    brought = bring(network, NOWHERE, SHAPE, 4)
    images = torch.rand(5, *SHAPE)
    answer = brought(images)
    torch.testing.assert_close(answer.logits, network(images))
    torch.testing.assert_close(answer.latent, network[:6](images))
    assert str(brought.spec.latent) == "the input of '6', 12 wide"


def test_what_transfer_trains_is_the_layer_that_is_run_last_wherever_it_is_declared():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.out, self.hidden = nn.Linear(6, 4), nn.Linear(432, 6)

        def forward(self, images):
            return self.out(self.hidden(images.flatten(1)))

    turned = Turned()
    assert [part is own for part, own in zip(bring(turned, NOWHERE, SHAPE, 4).read_out(), turned.out.parameters(), strict=True)] == [True, True]


def test_latents_of_a_named_layer_are_its_output_averaged_over_places(network):
    brought = bring(network, NOWHERE, SHAPE, 4, latent="1")
    images = torch.rand(2, *SHAPE)
    torch.testing.assert_close(brought(images).latent, network[:2](images).mean((2, 3)))


def test_wide_latents_are_projected_and_keep_their_distances():
    wide = nn.Sequential(nn.Flatten(), nn.Linear(432, 2000), nn.Linear(2000, 4))
    brought = bring(wide, NOWHERE, SHAPE, 4)
    images = torch.rand(40, *SHAPE)
    latent = brought(images).latent
    assert latent.shape == (40, 512) and "projected to 512" in str(brought.spec.latent)
    before, after = torch.pdist(wide[:2](images)), torch.pdist(latent)
    assert 0.8 < float((after / before).min()) < float((after / before).max()) < 1.2


def test_images_are_normalised_as_the_network_wants_them(network):
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.2, 0.1)
    images = torch.rand(2, *SHAPE)
    wanted = (images - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    torch.testing.assert_close(bring(network, NOWHERE, SHAPE, 4, mean=mean, std=std)(images).logits, network(wanted))


def test_probabilities_become_logits_that_mean_the_same(network):
    brought = bring(nn.Sequential(network, nn.Softmax(1)), NOWHERE, SHAPE, 4)
    images = torch.rand(3, *SHAPE)
    assert brought.spec.probabilities
    torch.testing.assert_close(brought(images).logits.softmax(1), network(images).softmax(1))


def test_networks_that_answer_with_more_than_logits_are_understood(network):
    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, images):
            return self.inner(images), images

    assert bring(Several(), NOWHERE, SHAPE, 4)(torch.rand(2, *SHAPE)).logits.shape == (2, 4)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (dict(classes=7), r"answers \[3, 4\] to 3 images; expected one value for each of 7 classes"),
        (dict(shape=(1, 12, 12)), r"fails on images of \[1, 12, 12\]"),
        (dict(latent="hidden"), "no layer 'hidden'; it has '0', '1', '2'"),
        (dict(mean=(0.5,)), r"mean \[0.5\] .* expected 3 numbers each"),
        (dict(std=(0.0, 1.0, 1.0)), "those of std above 0"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(network, wrong, told):
    arguments = dict(shape=SHAPE, classes=4) | wrong
    with pytest.raises(BroughtError, match=told):
        bring(network, NOWHERE, **arguments)


def test_a_network_without_a_linear_read_out_must_name_a_layer():
    convolutional = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(BroughtError, match=r"no linear layer with 4 outputs .* name one of its layers, whose output is taken: '0', '1'"):
        bring(convolutional, NOWHERE, SHAPE, 4)
    assert bring(convolutional, NOWHERE, SHAPE, 4, latent="0")(torch.rand(2, *SHAPE)).latent.shape == (2, 8)


def test_a_network_with_one_output_is_told_how_to_have_two():
    with pytest.raises(BroughtError, match="a sigmoid decides"):
        bring(nn.Sequential(nn.Flatten(), nn.Linear(432, 1)), NOWHERE, SHAPE, 2)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("net.py", "names no code; write 'file.py:name'"),
        ("nets.py:build", "there is no file .*nets.py"),
        ("net.py:make", "net.py has no 'make'"),
        ("net.py:nothing", "returns a int; expected a torch.nn.Module"),
        ("models.zoo:build", "a part of scanflow-agents itself; name your file with its ending"),
        ("no_such_package:build", "no_such_package cannot be imported"),
    ],
)
def test_code_that_is_not_there_is_said_to_be_missing(place, entry, told):
    with pytest.raises(SourceError, match=told):
        Source(entry, str(place)).build()


def test_a_source_that_fails_names_the_error(place):
    with pytest.raises(SourceError, match=r"called with .*'depth': 3.* fails: TypeError"):
        Source("net.py:build", str(place), {"depth": 3}).build()


@pytest.fixture
def saved(place, tmp_path):
    """A brought network as a pipeline folder, and the network."""
    source = Source("net.py:build", str(place), {"classes": 4})
    brought = bring(source.build(), source, SHAPE, 4)
    clean = squares(40, 0)
    folder = tmp_path / "pipeline"
    save_pipeline(folder, brought, reference=make_reference(brought, clean, squares(30, 1)), name="mine", version="mine", classes=("a", "b", "c", "d"))
    return folder, brought


def test_a_pipeline_answers_without_torch_as_the_network_does(saved):
    folder, brought = saved
    images = to_float(squares(7, 2)[0])
    output, expected = Pipeline.load(folder).run(images), brought(torch.tensor(images))
    for part in ("logits", "early", "latent"):
        np.testing.assert_allclose(getattr(output, part), getattr(expected, part).numpy(), rtol=1e-3, atol=1e-4)


def test_the_network_comes_back_from_its_pipeline_with_its_weights(saved):
    folder, brought = saved
    images = torch.rand(3, *SHAPE)
    torch.testing.assert_close(load_modules(folder).classifier(images), brought(images))


def test_code_that_no_longer_takes_the_weights_is_told_so(saved, place):
    folder, _ = saved
    (place / "net.py").write_text("from torch import nn\n\n\ndef build(**_):\n    return nn.Linear(2, 2)\n", encoding="utf-8")
    with pytest.raises(BroughtError, match="does not take the weights that it had"):
        load_brought(folder / "classifier.safetensors")


def test_recalibration_moves_the_statistics_of_a_copy(saved):
    _, brought = saved
    before = {name: value.clone() for name, value in brought.state_dict().items()}
    moved = recalibrated(brought, torch.rand(20, *SHAPE))
    assert all(torch.equal(before[name], value) for name, value in brought.state_dict().items())
    assert not torch.equal(moved.network.features[1].running_mean, brought.network.features[1].running_mean)


def test_what_a_network_cannot_have_is_known_beforehand(saved, network):
    _, brought = saved
    assert impossible(brought) == {}
    assert impossible(bring(network, NOWHERE, SHAPE, 4)).keys() == {"recalibrate"}
    odd = bring(nn.Sequential(nn.Flatten(), nn.Linear(3 * 10 * 14, 4)), NOWHERE, (3, 10, 14), 4)
    assert impossible(odd).keys() == {"recalibrate", "filter", "filter_pairs"}
