"""Harden: train on adversarial examples of clean images, so that small changes of a picture no longer turn the answer."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.attack import error_of, fgsm
from models.networks.augment import photographs
from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies.context import Candidate, RemedyContext
from models.remedies.learning import LABELLED, Source, descend, teaching_source
from models.remedies.recalibrate import recalibrated

STEPS = 400
BATCH = 64
SIZE, SIZE_OF_PHOTOGRAPHS = 0.2, 8 / 255
"""Largest change of a pixel that is trained against, of its range; MNIST and CIFAR-10 are usually attacked with 0.1 to 0.3 and 8 / 255."""


def prepare(context: RemedyContext) -> Candidate:
    """Train one classifier, from the live weights, on clean images and on adversarial examples made of them at every step.

    An example is made by one step against the model as it stands, from a random start within the size, which is drawn anew for each batch: about
    as good as many steps, at twice the cost of plain training. Images of the stream take part with the labels that a person gave, if any.
    It hardens against changes of this kind and size only; a larger change, or one of another kind, passes. Clean accuracy
    suffers a little, which the planner weighs against the gain.

    Parameters
    ----------
    context : uses `classifier`, `clean_images`, `clean_labels`, `drifted`, `teaching`.

    References
    ----------
    Madry, A. et al., Towards deep learning models resistant to adversarial attacks, ICLR 2018.
    Wong, E., Rice, L., Kolter, Z., Fast is better than free: revisiting adversarial training, ICLR 2020.
    """
    with thread_count(context.threads):
        generator = context.generator()
        clean = Source(to_tensor(context.clean_images), torch.tensor(context.clean_labels), generator)
        taught = teaching_source(context, generator)
        model = recalibrated(context.classifier, clean.images[: 2 * BATCH * BATCH]).to(memory_format=torch.channels_last)
        model.requires_grad_(requires_grad=True)
        most = SIZE_OF_PHOTOGRAPHS if photographs(clean.images) else SIZE

        def loss() -> Tensor:
            chosen = clean.draw(2 * BATCH)
            images, labels = clean.images[chosen], clean.labels[chosen]
            size = most * float(torch.rand((), generator=generator))
            first = images[:BATCH]
            model.eval()
            start = (first + size * (2 * torch.rand(first.shape, generator=generator) - 1)).clamp(0, 1)
            moved = fgsm(start, error_of(model, labels[:BATCH]), 1.25 * size)
            attacked = torch.clamp(moved, first - size, first + size).clamp(0, 1)
            model.train()
            batch, said = [attacked, images[BATCH:]], [labels]
            if taught:
                own = taught.draw(LABELLED)
                batch.append(taught.augmented(taught.images[own]))
                said.append(taught.labels[own])
            with fast():
                logits, _ = model.answer(torch.cat(batch))
            return F.cross_entropy(logits.float(), torch.cat(said))

        descend(context, "hardening", model.parameters(), loss, steps=STEPS)
        note = f"trained against changes of up to {most:.3f} of a pixel's range; larger ones, and other kinds, pass"
        return Candidate("harden", classifier=model.eval().requires_grad_(requires_grad=False), notes=(note,))
