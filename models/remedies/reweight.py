"""Reweight: train where the model fares worst, slice by slice, so that no slice pays for the average."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies.context import Candidate, RemedyContext
from models.remedies.learning import Source, descend
from models.remedies.recalibrate import recalibrated
from models.training import look
from models.weaknesses.bias import nearest, parts

STEPS = 250
CLEAN, TAUGHT = 160, 32
SLICES = 8
EAGER = 0.1
"""How fast weight moves to the slices with the largest loss."""


def prepare(context: RemedyContext) -> Candidate:
    """Train one classifier, from the live weights, on clean images and those that a person labelled, weighted by slice.

    Slices are parts of latent space, as the check for bias finds them. At each step weight moves to the slices whose loss is largest
    (group DRO), so training ends where the worst slice is as good as it can be made. It helps where the images of the worse slice are
    among the clean or the labelled ones; where there are none, it cannot.

    Parameters
    ----------
    context : uses `classifier`, `clean_images`, `clean_labels`, `drifted`, `teaching`, `reference`.

    References
    ----------
    Sagawa, S., Koh, P. W., Hashimoto, T., Liang, P., Distributionally robust neural networks for group shifts, ICLR 2020.
    """
    with thread_count(context.threads):
        generator = context.generator()
        reference = context.reference
        slices = parts(reference.standard_latent(reference.fit_latent), reference.fit_labels, SLICES)

        def slice_of(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
            return torch.tensor(nearest(slices, reference.standard_latent(look(context.classifier, images).latent.numpy())))

        sources = [(Source(to_tensor(context.clean_images), torch.tensor(context.clean_labels), generator), slice_of(context.clean_images), CLEAN)]
        if len(context.teaching):
            images = context.drifted[context.teaching]
            sources.append((Source(to_tensor(images), torch.tensor(context.teaching_labels), generator), slice_of(images), TAUGHT))
        model = recalibrated(context.classifier, sources[0][0].images[: CLEAN * TAUGHT]).to(memory_format=torch.channels_last)
        model.requires_grad_(requires_grad=True).train()
        weight = torch.full((len(slices),), 1 / len(slices))

        def loss() -> Tensor:
            batch, labels, groups = [], [], []
            for source, group, count in sources:
                chosen = source.draw(count)
                batch.append(source.augmented(source.images[chosen]))
                labels.append(source.labels[chosen])
                groups.append(group[chosen])
            with fast():
                logits, _ = model.answer(torch.cat(batch))
            each, group = F.cross_entropy(logits.float(), torch.cat(labels), reduction="none"), torch.cat(groups)
            inside = F.one_hot(group, len(slices)).float()
            present = inside.sum(0)
            mean = (each @ inside) / present.clamp(min=1)
            weight.mul_((EAGER * mean.detach()).exp()).div_(weight.sum().clone())
            return (weight * mean).sum()

        descend(context, "reweighting", model.parameters(), loss, steps=STEPS, rate=1e-3)
        heaviest = int(weight.argmax())
        note = f"most weight went to the slice {slices[heaviest][0]}: {float(weight[heaviest] / weight.sum()):.0%}"
        return Candidate("reweight", classifier=model.eval().requires_grad_(requires_grad=False), notes=(note,))
