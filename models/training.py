"""Train the first classifier, and write down what clean data looks like to it."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.adamw import AdamW, one_cycle
from models.networks.augment import affine
from models.networks.classifier import Answer, Classifier
from models.networks.numerics import BATCH, fast, thread_count, to_tensor
from models.reference import Reference

SMALL: Final = 10_000
"""Training sets below this size are trained with augmentation, smaller batches and a few more epochs."""

FIT_SAMPLES: Final = 2000
CALIBRATION_SAMPLES: Final = 5000


def train_classifier(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, epochs: int | None = None, seed: int = 0, threads: int = 1
) -> Classifier:
    """Train a classifier from scratch with AdamW and a one-cycle learning rate.

    Args:
        images: uint8 [n, h, w] or [n, h, w, c], square.
        labels: int64 [n], each in 0..classes-1.
        classes: number of classes.
        epochs: passes over the data; by default 3, or 10 for fewer than 10,000 images.
        seed: of weights, order and augmentation; the same seed on the same machine gives the same weights.
        threads: torch threads.

    Returns:
        A classifier in eval mode, frozen.

    Raises:
        ValueError: images and labels do not fit each other, or the images are not square.

    """
    if len(images) != len(labels) or len(images) == 0 or images.shape[1] != images.shape[2]:
        message = f"got {list(images.shape)} images and {len(labels)} labels, expected equally many (at least one) square images and labels"
        raise ValueError(message)
    small = len(images) < SMALL
    epochs = epochs or (10 if small else 3)
    batch, rate = (64, 4e-3) if small else (256, 1e-2)
    generator = torch.Generator().manual_seed(seed)
    data, truth = to_tensor(images), torch.tensor(labels)
    with thread_count(threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = Classifier(data.shape[1], classes, data.shape[2]).to(memory_format=torch.channels_last)
        optimizer = AdamW(classifier.parameters(), weight_decay=5e-2)
        steps = epochs * -(-len(data) // batch)
        order = (chosen for _ in range(epochs) for chosen in torch.split(torch.randperm(len(data), generator=generator), batch))
        for step, chosen in enumerate(order):
            if len(chosen) == 1:  # batch norm cannot work on a single image
                continue
            shown = data[chosen]
            if small:
                shown = affine(shown, generator, turn=0.2, scale=0.1, shift=0.1)
            with fast():
                logits, _ = classifier.answer(shown)
            optimizer.step(F.cross_entropy(logits.float(), truth[chosen], label_smoothing=0.05), rate * one_cycle(step / steps))
    return classifier.eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def look(classifier: Classifier, images: NDArray[np.uint8]) -> Answer:
    """Run a classifier over uint8 images in batches; return logits [n, k], early [n, e] and latent [n, d], float32."""
    parts = [classifier(to_tensor(images[at : at + BATCH])) for at in range(0, len(images), BATCH)]
    return Answer(*(torch.cat(column) for column in zip(*parts, strict=True)))


def make_reference(
    classifier: Classifier,
    train: tuple[NDArray[np.uint8], NDArray[np.int64]],
    calibration: tuple[NDArray[np.uint8], NDArray[np.int64]],
    seed: int = 0,
) -> Reference:
    """Describe what clean data looks like to this classifier.

    Args:
        classifier: frozen, in eval mode.
        train: clean training images and labels, of which at most 2000 are drawn.
        calibration: clean images and labels never trained on, of which at most 5000 are drawn.
        seed: of the draws.

    Returns:
        The reference of this classifier: clean data is its one component.

    Raises:
        BadReferenceError: fewer than ten images in a part.

    """
    draw = np.random.default_rng(seed)
    chosen = np.sort(draw.permutation(len(train[1]))[:FIT_SAMPLES])
    held = np.sort(draw.permutation(len(calibration[1]))[:CALIBRATION_SAMPLES])
    fit, kept = look(classifier, train[0][chosen]), look(classifier, calibration[0][held])
    truth = calibration[1][held]
    return Reference.from_arrays({
        "fit_early": fit.early.numpy(),
        "fit_latent": fit.latent.numpy(),
        "fit_labels": train[1][chosen],
        "calibration_early": kept.early.numpy(),
        "calibration_latent": kept.latent.numpy(),
        "calibration_logits": kept.logits.numpy(),
        "calibration_labels": truth,
        "clean_accuracy": (kept.logits.argmax(1).numpy() == truth).mean(),
    })
