"""Continued training: as long as fine-tuning trains, on clean images alone. What it gains is no merit of the drifted data.

The same optimizer, schedule, number of steps and of images a step, and augmentation as the remedy `fine_tune`, started from the live
weights, but every image is a clean one with its label. A remedy is worth only what it gains beyond this.

It does not mend noise or lost contrast (it costs: impulse noise 0.345 to 0.103 on held-out MNIST training images). Against geometry the
augmentation alone goes far (translate 0.758 to 0.939, where `fine_tune` with 20 labels gets 0.971), so there this is the control that counts.

Oliver, A., Odena, A., Raffel, C., Cubuk, E., Goodfellow, I. (2018). Realistic evaluation of deep semi-supervised learning algorithms.
NeurIPS. (A method that learns from unlabelled data is to be compared with the same training, as well tuned, without these data.)
"""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.classifier import Classifier
from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies import fine_tune
from models.remedies.context import Candidate, RemedyContext
from models.remedies.learning import LABELLED, UNLABELLED, Source, descend

IMAGES = 2 * UNLABELLED + LABELLED + fine_tune.CLEAN
"""Images of a step: as many as a step of `fine_tune` sees."""


def prepare(context: RemedyContext) -> Candidate:
    """Train the live classifier on: a remedy like the product's, for whoever measures remedies. The drifted images are not looked at."""
    with thread_count(context.threads):
        return Candidate("continued", classifier=continued(context, fine_tune.STEPS))


def continued(context: RemedyContext, steps: int) -> Classifier:
    """Return a frozen copy of `context.classifier`, in eval mode, after `steps` more steps on clean images."""
    clean = Source(to_tensor(context.clean_images), torch.tensor(context.clean_labels), context.generator())
    model = copy.deepcopy(context.classifier).to(memory_format=torch.channels_last).requires_grad_(requires_grad=True).train()

    def loss() -> Tensor:
        chosen = clean.draw(IMAGES)
        shown = clean.images[chosen]
        # Half of them as they are, for the statistics of batch norm are taken from these batches.
        batch = torch.cat([shown[: IMAGES // 2], clean.augmented(shown[IMAGES // 2 :])])
        with fast():
            logits, _ = model.answer(batch)
        return F.cross_entropy(logits.float(), clean.labels[chosen], label_smoothing=0.05)

    descend(context, "continued training", model.parameters(), loss, steps=steps)
    return model.eval().requires_grad_(requires_grad=False)
