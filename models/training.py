"""Train the first classifier, and write down what clean data looks like to it."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from models.networks.adamw import AdamW, one_cycle
from models.networks.any_classifier import AnyClassifier, Answer
from models.networks.augment import affine, mirror_and_shift, photographs, wipe
from models.networks.classifier import Classifier, Trunk
from models.networks.numerics import BATCH, fast, thread_count, to_tensor
from models.reference import FIT_SAMPLES, Reference, drawn
from scenarios.corruptions import Corruption

SMALL: Final = 10_000
"""Training sets of grey images below this size are trained with augmentation, smaller batches and a few more epochs."""

CALIBRATION_SAMPLES: Final = 5000
MOVED: Final = 200
"""Images by whose change the direction of a corruption is found; each is compared with itself, so few are enough."""


@dataclass(frozen=True)
class Recipe:
    """How a kind of images is learned."""

    trunk: Trunk
    epochs: int
    batch: int
    rate: float
    """Peak of the learning rate."""
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None


PLAIN: Final = Recipe("plain", epochs=3, batch=256, rate=1e-2)
FEW: Final = Recipe("plain", epochs=10, batch=64, rate=4e-3, augment=partial(affine, turn=0.2, scale=0.1, shift=0.1))
PHOTOGRAPHS: Final = Recipe("residual", epochs=30, batch=128, rate=5e-3, augment=lambda images, draw: wipe(mirror_and_shift(images, draw), draw))


def recipe_for(images: Tensor) -> Recipe:
    """Return how to learn images [n, c, h, w].

    >>> recipe_for(torch.empty(20_000, 1, 28, 28)).trunk, recipe_for(torch.empty(100, 3, 32, 32)).trunk
    ('plain', 'residual')
    """
    if photographs(images):
        return PHOTOGRAPHS
    return FEW if len(images) < SMALL else PLAIN


def train_classifier(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, epochs: int | None = None, seed: int = 0, threads: int = 1,
    start: Classifier | None = None,
) -> Classifier:
    """Train a classifier with AdamW and a one-cycle learning rate; on a CUDA device where there is one.

    Args:
        images: uint8 [n, h, w] or [n, h, w, c], square.
        labels: int64 [n], each in 0..classes-1.
        classes: number of classes.
        epochs: passes over the data; by default 3, or 10 for fewer than 10,000 grey images, or 30 for photographs.
        seed: of weights, order and augmentation; the same seed on the same machine gives the same weights.
        threads: torch threads.
        start: a classifier to go on from, left as it is; without one, training starts from scratch.

    Returns:
        A classifier in eval mode, frozen, on the processor.

    Raises:
        ValueError: images and labels do not fit each other, or the images are not square.

    """
    if len(images) != len(labels) or len(images) == 0 or images.shape[1] != images.shape[2]:
        message = f"got {list(images.shape)} images and {len(labels)} labels, expected equally many (at least one) square images and labels"
        raise ValueError(message)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(seed)
    data, truth = to_tensor(images), torch.tensor(labels)
    recipe = recipe_for(data)
    epochs = epochs or recipe.epochs
    with thread_count(threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = Classifier(data.shape[1], classes, data.shape[2], recipe.trunk) if start is None else copy.deepcopy(start)
        classifier = fresh.to(device).to(memory_format=torch.channels_last).requires_grad_(requires_grad=True).train()
        optimizer = AdamW(classifier.parameters(), weight_decay=5e-2)
        steps = epochs * -(-len(data) // recipe.batch)
        order = (chosen for _ in range(epochs) for chosen in torch.split(torch.randperm(len(data), generator=generator), recipe.batch))
        for step, chosen in enumerate(order):
            if len(chosen) == 1:  # batch norm cannot work on a single image
                continue
            shown = data[chosen] if recipe.augment is None else recipe.augment(data[chosen], generator)
            with fast(device):
                logits, _ = classifier.answer(shown.to(device))
            loss = F.cross_entropy(logits.float(), truth[chosen].to(device), label_smoothing=0.05)
            optimizer.step(loss, recipe.rate * one_cycle(step / steps))
    return classifier.to("cpu").eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def look(classifier: AnyClassifier, images: NDArray[np.uint8]) -> Answer:
    """Run a classifier over uint8 images in batches; return logits [n, k], early [n, e] and latent [n, d], float32."""
    parts = [classifier(to_tensor(images[at : at + BATCH])) for at in range(0, len(images), BATCH)]
    return Answer(*(torch.cat(column) for column in zip(*parts, strict=True)))


def make_reference(
    classifier: AnyClassifier,
    train: tuple[NDArray[np.uint8], NDArray[np.int64]],
    calibration: tuple[NDArray[np.uint8], NDArray[np.int64]],
    seed: int = 0,
    corruptions: Iterable[Corruption] = (),
) -> Reference:
    """Describe what clean data looks like to this classifier.

    Args:
        classifier: frozen, in eval mode.
        train: clean training images and labels, of which at most 2000 are drawn.
        calibration: clean images and labels never trained on, of which at most 5000 are drawn.
        seed: of the draws.
        corruptions: those whose directions a monitor should look in, at their usual severity.

    Returns:
        The reference of this classifier: clean data is its one component.

    Raises:
        BadReferenceError: fewer than ten images in a part.

    """
    draw = np.random.default_rng(seed)
    chosen = drawn(draw, len(train[1]), FIT_SAMPLES)
    held = drawn(draw, len(calibration[1]), CALIBRATION_SAMPLES)
    fit, kept = look(classifier, train[0][chosen]), look(classifier, calibration[0][held])
    truth = calibration[1][held]
    moves = [_move(classifier, train[0][chosen[:MOVED]], one, seed) for one in corruptions]
    towards = {f"towards_{part}": np.stack([move[part] for move in moves]) for part in ("early", "latent")} if moves else {}
    return Reference.from_arrays({
        "fit_early": fit.early.numpy(),
        "fit_latent": fit.latent.numpy(),
        "fit_labels": train[1][chosen],
        "calibration_early": kept.early.numpy(),
        "calibration_latent": kept.latent.numpy(),
        "calibration_logits": kept.logits.numpy(),
        "calibration_labels": truth,
        "clean_accuracy": (kept.logits.argmax(1).numpy() == truth).mean(),
        **towards,
    })


def _move(classifier: AnyClassifier, images: NDArray[np.uint8], corruption: Corruption, seed: int) -> dict[str, NDArray[np.float32]]:
    """Mean change of the features of images, by a corruption of the same images: "early" [e] and "latent" [d]."""
    before, after = look(classifier, images), look(classifier, corruption(images, seed=seed))
    return {part: (getattr(after, part) - getattr(before, part)).mean(0).numpy() for part in ("early", "latent")}
