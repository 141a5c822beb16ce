"""Fine-tune: adapt a copy of the classifier to drifted images, mostly without labels, and put it behind a gate."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.any_classifier import AnyClassifier
from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies.context import Candidate, RemedyContext
from models.remedies.gate import gated
from models.remedies.learning import Source, Stream, descend
from models.remedies.recalibrate import norms_of, recalibrated

STEPS = 350
CLEAN = 64


def prepare(context: RemedyContext) -> Candidate:
    """Adapt a copy of the classifier, starting from the recalibrated one, and let a gate send it drifted images only.

    Every step sees drifted images as they are and augmented (confident predictions must survive augmentation, latents must keep the
    mean and covariance of clean data, classes their proportions), a person's labels under augmentation, and clean labelled images,
    normalised by their own statistics, so that what was once learned is not forgotten. The live classifier answers clean images as before.

    Parameters
    ----------
    context : uses `classifier`, `clean_images`, `clean_labels`, `drifted`, `teaching`, `reference`.

    References
    ----------
    Sohn et al., FixMatch, NeurIPS 2020. Liang et al., Do we really need to access the source data?, ICML 2020.
    """
    with thread_count(context.threads):
        return gated(context, Candidate("fine_tune", adapted=adapt(context, STEPS)))


def adapt(context: RemedyContext, steps: int, seconds: float | None = None) -> AnyClassifier:
    """Return a frozen copy of `context.classifier`, in eval mode, adapted to the drifted images alone."""
    generator = context.generator()
    stream = Stream.of(context, generator)
    clean = Source(to_tensor(context.clean_images), torch.tensor(context.clean_labels), generator)
    model = recalibrated(context.classifier, stream.drifted.images).to(memory_format=torch.channels_last)
    model.requires_grad_(requires_grad=True).train()
    norms = norms_of(model)
    momentum = 0.05

    def loss() -> Tensor:
        value = stream.loss(model.answer)
        recalled = clean.draw(CLEAN)
        for norm in norms:
            norm.momentum = 0.0  # clean images are normalised by their own statistics and leave the kept ones alone
        with fast():
            logits, _ = model.answer(clean.augmented(clean.images[recalled]))
        for norm in norms:
            norm.momentum = momentum
        return value + F.cross_entropy(logits.float(), clean.labels[recalled], label_smoothing=0.05)

    for norm in norms:
        norm.momentum = momentum
    descend(context, "fine-tuning", model.parameters(), loss, steps=steps, seconds=seconds)
    return model.eval().requires_grad_(requires_grad=False)
