"""Recalibrate: re-estimate the statistics of the batch-norm layers on drifted images; no label, no gradient, a second or two."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.networks.any_classifier import AnyClassifier
from models.networks.numerics import BATCH, thread_count
from models.remedies.context import Candidate, RemedyContext
from models.remedies.gate import gated

NO_NORMS = "recalibrate re-estimates the statistics of batch norm, and this classifier has no batch norm"
Network = TypeVar("Network", bound=AnyClassifier)


def prepare(context: RemedyContext) -> Candidate:
    """Give drifted images batch-norm statistics of their own, behind a gate.

    A shift of brightness, contrast or noise level moves the mean and spread of every channel, and the frozen statistics of batch norm then
    push activations to where the next layer never learned anything. Statistics of the drifted stream bring them back. The strongest
    cheap remedy for noise, contrast and fog; does nothing for geometry (translate, rotate).

    Parameters
    ----------
    context : uses `classifier`, `drifted` and `reference` (for the gate); labels are not used.

    Raises
    ------
    ValueError
        When the classifier has no batch norm.

    References
    ----------
    Schneider et al., Improving robustness against common corruptions by covariate shift adaptation, NeurIPS 2020.
    Li et al., Revisiting batch normalization for practical domain adaptation, 2016.
    """
    if not norms_of(context.classifier):
        raise ValueError(NO_NORMS)
    with thread_count(context.threads):
        context.report(0.0, "re-estimating batch-norm statistics")
        adapted = recalibrated(context.classifier, context.drifted_tensor())
        context.report(0.5, "fitting the gate")
        return gated(context, Candidate("recalibrate", adapted=adapted))


def norms_of(network: nn.Module) -> list[_BatchNorm]:
    """Return the batch-norm layers of a network."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


@torch.no_grad()
def recalibrated(classifier: Network, images: Tensor) -> Network:
    """Return a frozen copy of `classifier` whose batch-norm statistics, if it has any, are those of `images`, float32 [n, c, h, w]."""
    fresh = copy.deepcopy(classifier)
    norms = norms_of(fresh)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over all batches
    fresh.train()
    for part in torch.split(images, BATCH) if norms else ():
        fresh.answer(part)
    for norm, live in zip(norms, norms_of(classifier), strict=True):
        norm.momentum = live.momentum
    return fresh.eval().requires_grad_(requires_grad=False)
