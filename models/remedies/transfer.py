"""Transfer: what the first layers see is kept; the last ones learn from a person's labels alone, turned, shifted and scaled."""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.augment import affine
from models.networks.any_classifier import AnyClassifier
from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies.context import Candidate, RemedyContext
from models.remedies.gate import gated
from models.remedies.learning import Source, descend, teaching_source

STEPS = 200
TAUGHT = 64
CLEAN = 64


def prepare(context: RemedyContext) -> Candidate:
    """Fine-tune the last layers of a copy of the live classifier on the labelled images and clean ones, and put it behind a gate.

    The improver of Scanflow's second paper: the few drifted images that a person labelled are multiplied by geometric augmentation
    (turned, shifted, scaled), mixed with as many clean images, and learned by the layers after the convolutions, from the live weights.
    Convolutions and the statistics of batch norm stay, and the unlabelled images serve the gate alone: where a drift breaks the first
    layers, this cannot mend it. It is the supervised remedy that those which also learn from unlabelled images must beat.

    Parameters
    ----------
    context : uses `classifier`, `clean_images`, `clean_labels`, `drifted` (for the gate), `teaching` (at least one), `reference`.

    Raises
    ------
    ValueError
        When there are no teaching labels.

    References
    ----------
    Bravo-Rocca et al., Human-in-the-loop online multi-agent approach to increase trustworthiness in ML models through trust scores and
    data augmentation, 2022, arXiv 2204.14255.
    """
    with thread_count(context.threads):
        adapted = transferred(context, STEPS)
        note = f"learned from {len(context.teaching)} labelled images under geometric augmentation; the convolutions stayed as they were"
        return gated(context, Candidate("transfer", adapted=adapted, notes=(note,)))


def transferred(context: RemedyContext, steps: int) -> AnyClassifier:
    """Return a frozen copy of `context.classifier`, in eval mode, whose last two layers know the labelled images."""
    generator = context.generator()
    taught = teaching_source(context, generator)
    if taught is None:
        raise ValueError("transfer learns from a person's labels and there are none; allow some with [labels] teaching in the policy")
    clean = Source(to_tensor(context.clean_images), torch.tensor(context.clean_labels), generator)
    model = copy.deepcopy(context.classifier).eval().requires_grad_(requires_grad=False)
    last = model.read_out()
    for value in last:
        value.requires_grad = True

    def loss() -> Tensor:
        seen, recalled = taught.draw(TAUGHT), clean.draw(CLEAN)
        batch = torch.cat([affine(taught.images[seen], generator), clean.images[recalled]])
        with fast():
            logits, _ = model.answer(batch)
        return F.cross_entropy(logits.float(), torch.cat([taught.labels[seen], clean.labels[recalled]]), label_smoothing=0.05)

    descend(context, "transfer learning", last, loss, steps=steps)
    return model.requires_grad_(requires_grad=False)
