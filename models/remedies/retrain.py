"""Retrain: one model for clean and drifted images, without a gate."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.classifier import Classifier
from models.networks.numerics import BATCH as LOOK
from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies.context import Candidate, RemedyContext
from models.remedies.fine_tune import adapt
from models.remedies.learning import CONFIDENT, LABELLED, Source, descend, exemplar_source, teaching_source
from models.remedies.recalibrate import recalibrated

TEACHER_STEPS = 200
STEPS = 250
CLEAN = 128
DRIFTED = 96
RECALLED = 64  # of each step's images, shared by all earlier drifts


def prepare(context: RemedyContext) -> Candidate:
    """Train one classifier on clean images with their labels and drifted images with those of a mended model.

    A copy is first adapted to the drifted images (as fine-tuning does); its confident answers, and a person's labels, become the labels
    of the drifted images. Training then goes on from the live weights on both kinds together, under augmentation, so that a single
    model answers clean and drifted images: no gate, no added latency, but a new model where the old one was certified. Where routes serve
    earlier drifts, their gates read the old model's features and fall away with it: exemplars of these drifts are learned with it.

    Parameters
    ----------
    context : uses `classifier`, `clean_images`, `clean_labels`, `drifted`, `teaching`, `reference`, `exemplars`.

    References
    ----------
    Lee, Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks, 2013.
    Zou et al., Unsupervised domain adaptation via class-balanced self-training, ECCV 2018.
    """
    with thread_count(context.threads):
        teacher = adapt(context, TEACHER_STEPS, context.budget / 2)
        model, used = retrained(context, teacher)
        note = f"{used:.1%} of the drifted images were used, with the labels that a mended model gave them"
        if context.exemplars:
            note += f"; {len(context.exemplars)} earlier drifts were learned again, with the answers that they were given"
        return Candidate("retrain", classifier=model, notes=(note,))


def retrained(context: RemedyContext, teacher: Classifier) -> tuple[Classifier, float]:
    """Return a frozen classifier for clean and drifted images, and the share of drifted images that `teacher` was sure of."""
    generator = context.generator()
    images = context.drifted_tensor()
    with torch.no_grad():
        sure, label = torch.cat([teacher.answer(part)[0] for part in torch.split(images, LOOK)]).softmax(1).max(1)
    kept = sure >= min(CONFIDENT, float(sure.median()))  # never fewer than half
    drifted = Source(images[kept], label[kept], generator)
    taught = teaching_source(context, generator)
    clean = Source(to_tensor(context.clean_images), torch.tensor(context.clean_labels), generator)
    recalled = exemplar_source(context, generator)
    shown = torch.cat([clean.images[: len(images)], images, *([recalled.images] if recalled else [])])
    model = recalibrated(context.classifier, shown).to(memory_format=torch.channels_last)
    model.requires_grad_(requires_grad=True).train()

    def loss() -> Tensor:
        batch, labels = [], []
        for source, count in ((clean, CLEAN), (drifted, DRIFTED), (recalled, RECALLED), (taught, LABELLED)):
            if source:
                chosen = source.draw(count)
                shown = source.images[chosen]
                # Half of each kind as it is, for the statistics of batch norm are taken from these batches.
                batch += [shown[: count // 2], source.augmented(shown[count // 2 :])]
                labels.append(source.labels[chosen])
        with fast():
            logits, _ = model.answer(torch.cat(batch))
        return F.cross_entropy(logits.float(), torch.cat(labels), label_smoothing=0.05)

    descend(context, "retraining", model.parameters(), loss, steps=STEPS, seconds=context.budget / 2)
    return model.eval().requires_grad_(requires_grad=False), float(kept.float().mean())
