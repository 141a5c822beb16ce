"""Filter from pairs: mend the image in front of a classifier that gives no gradients, learned from clean images spoiled alike."""

import numpy as np
import torch
from torch import Tensor

from models.naming.imitate import imitate
from models.networks.filter import Filter
from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies.context import Candidate, RemedyContext
from models.remedies.filter import fresh_filter
from models.remedies.gate import gated
from models.remedies.learning import descend

STEPS = 400
PAIRS = 96
IMAGES = 6000


def prepare(context: RemedyContext) -> Candidate:
    """Learn a filter that turns spoiled images back into the clean ones that they were made from, and put a gate in front of it.

    Nothing passes through the classifier: the loss is the distance between pixels (Charbonnier's, which is not ruled by the few worst). So
    the classifier may be a file that nobody can train, and the filter knows nothing of what it needs to see. Only a drift that resembles
    a corruption of the catalogue has pairs. Where gradients are to be had, `filter` and `simulate` learn more.

    Parameters
    ----------
    context : uses `named`, `clean_images`, `drifted` and `reference` (for the gate), `classifier` (its features, for the gate).

    Raises
    ------
    ValueError
        When the corruption has no name.

    References
    ----------
    Charbonnier et al., Two deterministic half-quadratic regularization algorithms for computed imaging, ICIP 1994.
    """
    if context.named is None:
        raise ValueError("filter_pairs needs the name of a corruption and there is none: nothing in the catalogue resembles these images")
    with thread_count(context.threads):
        degree = "" if context.named[1] is None else f" at severity {context.named[1]:.1f}"
        note = f"learned from pairs: clean images, and the same spoiled by {context.named[0]}{degree}"
        return gated(context, Candidate("filter_pairs", filter=learn_filter(context, STEPS), notes=(note,)))


def learn_filter(context: RemedyContext, steps: int) -> Filter:
    """Train a filter on pairs; returns it frozen, in eval mode."""
    assert context.named is not None
    rows = np.resize(np.arange(len(context.clean_images)), IMAGES)
    clean = context.clean_images[rows]
    wanted, spoiled = to_tensor(clean), to_tensor(imitate(clean, *context.named, seed=context.seed))
    filter_, generator = fresh_filter(context), context.generator()

    def loss() -> Tensor:
        drawn = torch.randint(0, len(rows), (PAIRS,), generator=generator)
        with fast():
            mended = filter_(spoiled[drawn])
        return ((mended.float() - wanted[drawn]).square() + 1e-4).sqrt().mean()

    descend(context, "learning a filter from pairs", filter_.parameters(), loss, steps=steps)
    return filter_.eval().requires_grad_(requires_grad=False)
