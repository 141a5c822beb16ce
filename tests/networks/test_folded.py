"""Folding batch norm makes a frozen network faster and changes nothing else."""

import pytest
import torch
from torch import nn

from models.networks.classifier import Classifier
from models.networks.folded import folded


@pytest.fixture
def classifier():
    """Statistics and scales that matter: a fresh batch norm would be next to the identity, and folding it would prove nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Classifier(size=12).eval()
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                for value, low, high in ((part.running_mean, -1, 1), (part.running_var, 0.2, 3), (part.weight, -2, 2), (part.bias, -1, 1)):
                    nn.init.uniform_(value, low, high)
    return network


def slope(network, images):
    """Answer and gradient of a made-up loss to the images."""
    images = images.clone().requires_grad_()
    logits, latent = network.answer(images)
    (gradient,) = torch.autograd.grad(logits.square().sum() + latent.sum(), [images])
    return logits, latent, gradient


def test_a_folded_classifier_answers_and_leads_gradients_as_before(classifier):
    images = torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    for found, expected in zip(slope(folded(classifier), images), slope(classifier, images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_no_batch_norm_is_left_to_slow_it_down_and_nothing_can_be_trained(classifier):
    fast = folded(classifier)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fast.modules())
    assert not any(value.requires_grad for value in fast.parameters())


def test_the_network_itself_is_not_changed(classifier):
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    folded(classifier)
    assert all(value.equal(before[name]) for name, value in classifier.state_dict().items())
    assert all(value.requires_grad for value in classifier.parameters())


def test_a_network_in_training_is_refused(classifier):
    with pytest.raises(ValueError, match=r"call network.eval\(\) first"):
        folded(classifier.train())
