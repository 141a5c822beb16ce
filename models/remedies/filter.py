"""Filter: mend the image in front of the untouched classifier, learned without pairs of clean and drifted images."""

import torch
from torch import Tensor

from models.networks.filter import Filter
from models.networks.folded import folded
from models.networks.numerics import thread_count
from models.remedies.context import Candidate, RemedyContext
from models.remedies.gate import gated
from models.remedies.learning import Stream, descend

STEPS = 250


def prepare(context: RemedyContext) -> Candidate:
    """Learn a filter that makes drifted images look clean to the classifier, and put a gate in front of it.

    The classifier is frozen and stays certified; gradients only pass through it. The filter (affine map per image, then a small residual
    U-Net) is trained so that the latents of filtered images have the mean and covariance of clean ones, that confident predictions
    survive augmentation, and that a person's labels hold. Strong where the drift hides or moves what the classifier needs (stripe,
    translate, fog, noise).

    Parameters
    ----------
    context : uses `classifier`, `drifted`, `teaching`, `reference`.

    References
    ----------
    Gao et al., Back to the source: diffusion-driven adaptation to test-time corruption, CVPR 2023 (adapt the input, not the model).
    Liang et al., Do we really need to access the source data?, ICML 2020 (adapt towards a frozen read-out).
    """
    with thread_count(context.threads):
        return gated(context, Candidate("filter", filter=learn_filter(context, STEPS)))


def learn_filter(context: RemedyContext, steps: int) -> Filter:
    """Train a filter in front of `context.classifier`; returns it frozen, in eval mode."""
    filter_ = fresh_filter(context)
    improve(context, filter_, Stream.of(context, context.generator()), steps)
    return filter_.eval().requires_grad_(requires_grad=False)


def fresh_filter(context: RemedyContext) -> Filter:
    """Return a filter that changes nothing yet; its hidden weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        return Filter(context.classifier.shape[0], context.classifier.shape[1:]).to(memory_format=torch.channels_last)


def improve(context: RemedyContext, filter_: Filter, stream: Stream, steps: int) -> None:
    """Train the filter in place for `steps` steps on what `stream` draws."""
    frozen = folded(context.classifier)

    def loss() -> Tensor:
        return stream.loss(lambda images: frozen.answer(filter_(images)))

    descend(context, "learning a filter", filter_.parameters(), loss, steps=steps, weight_decay=1e-4)
