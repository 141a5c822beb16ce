"""Retrain: one model for clean and drifted images, without a gate."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.any_classifier import AnyClassifier
from models.networks.numerics import BATCH as LOOK
from models.networks.numerics import fast, thread_count, to_tensor
from models.remedies.context import Candidate, RemedyContext
from models.remedies.fine_tune import adapt
from models.remedies.learning import CONFIDENT, LABELLED, Source, descend, exemplar_source, teaching_source
from models.remedies.recalibrate import recalibrated
from models.remedies.simulate import imitated_source

TEACHER_STEPS = 200
STEPS = 250
CLEAN = 128
DRIFTED = 96
RECALLED = 64  # of each step's images, shared by all earlier drifts


def prepare(context: RemedyContext) -> Candidate:
    """Train one classifier on clean images with their labels and on drifted ones, from the live weights, under augmentation.

    A single model answers clean and drifted images: no gate that could miss a drifted image, no added latency, but a new model where the old one was
    certified. Where the drift has a name in the catalogue, the drifted images are clean ones spoiled alike, with their true labels. Elsewhere a
    copy is first adapted to the drifted images (as fine-tuning does), and its confident answers become their labels. A person's labels
    take part in both. Where routes serve earlier drifts, their gates read the old model's features and fall away with it: exemplars of
    these drifts are learned with it.

    Parameters
    ----------
    context : uses `classifier`, `clean_images`, `clean_labels`, `drifted`, `teaching`, `reference`, `named`, `exemplars`.

    References
    ----------
    Lee, Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks, 2013.
    Zou et al., Unsupervised domain adaptation via class-balanced self-training, ECCV 2018.
    """
    with thread_count(context.threads):
        generator = context.generator()
        if context.named is not None:
            drifted, seconds = imitated_source(context, generator), context.budget
            note = f"learned from clean images spoiled by {context.named[0]}, which the drifted ones resemble"
        else:
            drifted, used = _pseudo_labelled(context, generator)
            seconds, note = context.budget / 2, f"{used:.1%} of the drifted images were used, with the labels that a mended model gave them"
        model = _retrained(context, drifted, generator, seconds)
        if context.exemplars:
            note += f"; {len(context.exemplars)} earlier drifts were learned again, with the answers that they were given"
        return Candidate("retrain", classifier=model, notes=(note,))


def _pseudo_labelled(context: RemedyContext, generator: torch.Generator) -> tuple[Source, float]:
    """Return the drifted images that an adapted model is sure of, with its answers, and their share."""
    teacher = adapt(context, TEACHER_STEPS, context.budget / 2)
    images = context.drifted_tensor()
    with torch.no_grad():
        sure, label = torch.cat([teacher.answer(part)[0] for part in torch.split(images, LOOK)]).softmax(1).max(1)
    kept = sure >= min(CONFIDENT, float(sure.median()))  # never fewer than half
    return Source(images[kept], label[kept], generator), float(kept.float().mean())


def _retrained(context: RemedyContext, drifted: Source, generator: torch.Generator, seconds: float) -> AnyClassifier:
    """Return a frozen classifier for clean and drifted images."""
    taught = teaching_source(context, generator)
    clean = Source(to_tensor(context.clean_images), torch.tensor(context.clean_labels), generator)
    recalled = exemplar_source(context, generator)
    images = context.drifted_tensor()
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

    steps = STEPS + (TEACHER_STEPS if context.named else 0)  # without a teacher there is time for more
    descend(context, "retraining", model.parameters(), loss, steps=steps, seconds=seconds)
    return model.eval().requires_grad_(requires_grad=False)
