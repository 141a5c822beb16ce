"""The own optimizer takes the steps of torch's; it exists for its start-up time alone."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.adamw import AdamW, one_cycle
from models.networks.classifier import Classifier


@pytest.mark.training
@pytest.mark.parametrize("weight_decay", [0.0, 5e-2])
def test_its_steps_are_those_of_torch(weight_decay):
    """A real network, a learning rate that changes, weights that are pulled: thirty steps later both stand at the same place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        ours = Classifier(size=8).double().train()  # in double precision no rounding grows into a difference
        images, labels = torch.rand(16, 1, 8, 8, dtype=torch.float64), torch.arange(16) % 10
    theirs = copy.deepcopy(ours)
    mine = AdamW(ours.parameters(), weight_decay)
    known = torch.optim.AdamW(theirs.parameters(), weight_decay=weight_decay, betas=mine.betas, eps=1e-8)
    start = [value.detach().clone() for value in ours.parameters()]
    for step in range(30):
        rate = 1e-2 * one_cycle(step / 30)
        mine.step(F.cross_entropy(ours.answer(images)[0], labels), rate)
        known.param_groups[0]["lr"] = rate
        known.zero_grad()
        F.cross_entropy(theirs.answer(images)[0], labels).backward()
        known.step()
    for begun, one, other in zip(start, ours.parameters(), theirs.parameters(), strict=True):
        assert float((one.detach() - begun).abs().max()) > 1e-2  # there was something to compare
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)


def test_frozen_weights_are_left_alone():
    free, frozen = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2), requires_grad=False)
    AdamW([free, frozen]).step((free * frozen).sum(), rate=0.1)
    assert frozen.equal(torch.ones(2)) and not free.equal(torch.ones(2))
