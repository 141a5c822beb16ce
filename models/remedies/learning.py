"""How the trained remedies learn from drifted images without labels, and from the few with one.

No image of the drifted stream has a clean twin, so nothing is learned from pairs. What is known instead: how the latents of clean data
are spread, and in which proportions its classes come; and that a model which is sure of an image should say the same of that image
turned a little, shifted a little, with a patch wiped out.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.adamw import AdamW, one_cycle
from models.networks.augment import affine, mirror_and_shift, photographs, wipe
from models.networks.numerics import fast, to_tensor
from models.remedies.context import RemedyContext

CONFIDENT = 0.9
"""Predictions with at least this probability count as labels of the augmented image."""

TAUGHT = 0.2
"""Weight of the few labels: enough to turn a wrong start round, too little to be learned by heart."""

UNLABELLED = 96
"""Drifted images of a step; it sees each twice, as it is and augmented."""

LABELLED = 16
"""Labelled images of a step, where there are any."""

GRACE = 0.15
"""Part of the time after which training looks at the clock; before, and on machines that are fast enough, only steps count."""


@dataclass(frozen=True)
class Target:
    """What the latents and answers of drifted images should look like once they are mended."""

    mean: Tensor
    """float32 [d]: mean of clean latents"""
    covariance: Tensor
    """float32 [d, d]"""
    proportions: Tensor
    """float32 [k]: class proportions of the reference; assumed softly"""

    @classmethod
    def of(cls, context: RemedyContext) -> "Target":
        latent = torch.tensor(context.reference.fit_latent)
        return cls(latent.mean(0), torch.cov(latent.T), context.proportions())

    def distance(self, latent: Tensor) -> Tensor:
        """Return how far the mean and covariance of `latent` [n, d] are from those of clean data; no labels needed."""
        off_mean = ((latent.mean(0) - self.mean).square() / self.covariance.diag()).mean()
        off_covariance = (torch.cov(latent.T) - self.covariance).square().sum() / self.covariance.square().sum()
        return off_mean + off_covariance

    def loss(self, logits: Tensor, latent: Tensor, changed: Tensor) -> Tensor:
        """Return the loss on unlabelled images.

        Parameters
        ----------
        logits, latent : float32 [n, k] and [n, d] of the images as they are.
        changed : logits [n, k] of the same images, augmented.
        """
        probability = logits.softmax(1)
        confidence, label = probability.detach().max(1)
        agree = (F.cross_entropy(changed, label, reduction="none") * (confidence > CONFIDENT)).mean()
        usage = probability.mean(0)
        unbalanced = (usage * ((usage + 1e-8) / self.proportions).log()).sum()
        doubt = -(probability * (probability + 1e-8).log()).sum(1).mean()
        return self.distance(latent) + agree + 0.5 * unbalanced + 0.1 * doubt


@dataclass(frozen=True)
class Source:
    """Draws batches from images and, where there are any, labels; every draw of labelled images is augmented."""

    images: Tensor
    """float32 [n, c, h, w]"""
    labels: Tensor
    """int64 [n]; empty for unlabelled images"""
    generator: torch.Generator

    def draw(self, count: int) -> Tensor:
        """Return positions of `count` images, drawn with replacement."""
        return torch.randint(0, len(self.images), (count,), generator=self.generator)

    def augmented(self, images: Tensor) -> Tensor:
        """Return the images turned, scaled and shifted a little (photographs: mirrored and shifted), one square of each wiped out."""
        changed = mirror_and_shift(images, self.generator) if photographs(images) else affine(images, self.generator)
        return wipe(changed, self.generator)


def drifted_source(context: RemedyContext, generator: torch.Generator) -> Source:
    """Return the unlabelled drifted images."""
    return Source(context.drifted_tensor(), torch.zeros(0, dtype=torch.int64), generator)


def teaching_source(context: RemedyContext, generator: torch.Generator) -> Source | None:
    """Return the drifted images that a person labelled, or None if there are none."""
    if not len(context.teaching):
        return None
    images = context.drifted_tensor()[torch.tensor(context.teaching)]
    return Source(images, torch.tensor(context.teaching_labels), generator)


def exemplar_source(context: RemedyContext, generator: torch.Generator) -> Source | None:
    """Return the images of earlier drifts with the answers that they were given, or None if there are none."""
    if not context.exemplars:
        return None
    kept = context.exemplars.values()
    images, answers = torch.cat([to_tensor(one.images) for one in kept]), np.concatenate([one.answers for one in kept])
    return Source(images, torch.tensor(answers), generator)


@dataclass(frozen=True)
class Stream:
    """The drifted images and what is known of them, as a loss."""

    drifted: Source
    taught: Source | None
    target: Target
    unlabelled: int = UNLABELLED

    @classmethod
    def of(cls, context: RemedyContext, generator: torch.Generator) -> "Stream":
        return cls(drifted_source(context, generator), teaching_source(context, generator), Target.of(context))

    def loss(self, answer: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
        """Return the loss on one fresh batch: of unlabelled images as they are and augmented, and of the labelled ones, augmented.

        Parameters
        ----------
        answer : (logits, latent) of images, float32 [n, c, h, w]; called once, so that all share the statistics of batch norm.
        """
        n = self.unlabelled
        images = self.drifted.images[self.drifted.draw(n)]
        batch = [images, self.drifted.augmented(images)]
        if self.taught:
            chosen = self.taught.draw(LABELLED)
            batch.append(self.taught.augmented(self.taught.images[chosen]))
        with fast():
            logits, latent = answer(torch.cat(batch))
        logits, latent = logits.float(), latent.float()
        value = self.target.loss(logits[:n], latent[:n], logits[n : 2 * n])
        if self.taught:
            value = value + TAUGHT * F.cross_entropy(logits[2 * n :], self.taught.labels[chosen])
        return value


def descend(
    context: RemedyContext,
    what: str,
    parameters: Iterable[nn.Parameter],
    loss: Callable[[], Tensor],
    *,
    steps: int,
    rate: float = 2e-3,
    seconds: float | None = None,
    weight_decay: float = 1e-3,
) -> None:
    """Take `steps` steps of AdamW with a one-cycle learning rate; on a slow machine fewer, so that `seconds` are kept.

    They are seconds of this thread's processor time: on a busy machine a remedy comes later, and is no worse for it.

    The learning rate follows whichever is further on, steps or time, so training cut short has cooled down as well.

    Parameters
    ----------
    what : a few words for the progress report.
    loss : computes the loss of one fresh batch; called once a step.
    seconds : of processor time; by default the budget of the context.

    Raises
    ------
    RemedyCancelledError
        When the context says that nobody wants the remedy any more.
    """
    seconds = context.budget if seconds is None else seconds
    optimizer = AdamW(parameters, weight_decay)
    began = time.thread_time()
    for step in range(steps):
        part, spent = step / steps, (time.thread_time() - began) / seconds
        if spent > max(part, GRACE):  # later than planned; a slow first step is no reason to hurry
            part = spent
        if part >= 1:
            break
        context.report(part, what)
        optimizer.step(loss(), rate * one_cycle(part))
