"""Simulate: spoil clean images in the way that the stream was named after, and learn from them with their true labels."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.naming.imitate import imitate
from models.networks.classifier import Classifier
from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies.context import Candidate, RemedyContext
from models.remedies.gate import gated
from models.remedies.learning import Source, Stream, descend
from models.remedies.recalibrate import recalibrated

STEPS = 200
SIMULATED = 96
IMAGES = 6000
"""Clean images that are spoiled; some corruptions take a millisecond each."""


def prepare(context: RemedyContext) -> Candidate:
    """Adapt a copy of the classifier to clean images spoiled as the stream seems to be, and to the stream itself, behind a gate.

    Where the corruption is known by name (`models.naming`), pairs can be had after all: the clean training images, whose labels are known,
    are spoiled in the same way and to about the same degree. The drifted images take part without labels, as in fine-tuning, so that a name
    that is nearly right does little harm. A name that is wrong costs only the time: the labels that compare the remedies tell.

    Parameters
    ----------
    context : uses `named`, `classifier`, `clean_images`, `clean_labels`, `drifted`, `teaching`, `reference`.

    Raises
    ------
    ValueError
        When the corruption has no name, or none of the catalogue's.

    References
    ----------
    Tobin et al., Domain randomization for transferring deep neural networks from simulation to the real world, IROS 2017.
    """
    if context.named is None:
        raise ValueError("simulate needs the name of a corruption and there is none: nothing in the catalogue resembles these images")
    with thread_count(context.threads):
        name, severity = context.named
        degree = "" if severity is None else f" at severity {severity:.1f}"
        note = f"learned from clean images spoiled by {name}{degree}, which the drifted ones resemble"
        return gated(context, Candidate("simulate", adapted=simulated(context, STEPS), notes=(note,)))


def simulated(context: RemedyContext, steps: int) -> Classifier:
    """Return a frozen copy of `context.classifier`, in eval mode, that knows the named corruption."""
    assert context.named is not None
    generator = context.generator()
    stream = Stream.of(context, generator)
    chosen = np.random.default_rng(context.seed).permutation(len(context.clean_images))[:IMAGES]
    images = imitate(context.clean_images[chosen], *context.named, seed=context.seed)
    known = Source(to_tensor(images), torch.tensor(context.clean_labels[chosen]), generator)
    model = recalibrated(context.classifier, stream.drifted.images).to(memory_format=torch.channels_last)
    model.requires_grad_(requires_grad=True).train()

    def loss() -> Tensor:
        drawn = known.draw(SIMULATED)
        with fast():
            logits, _ = model.answer(known.images[drawn])
        return stream.loss(model.answer) + F.cross_entropy(logits.float(), known.labels[drawn], label_smoothing=0.05)

    descend(context, "learning from simulated images", model.parameters(), loss, steps=steps)
    return model.eval().requires_grad_(requires_grad=False)
