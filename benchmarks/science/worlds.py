"""The drifts that the science benchmark measures: which images stream by, and which are kept for the score.

The images of CIFAR-10 may be JPEG-decoded ones (see `scenarios.cifar`): say so wherever figures of them stand.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.incident import World, first_model
from benchmarks.loop import CORRUPTIONS as MNIST_C
from benchmarks.loop import world_of
from models.export import load_modules
from models.networks.classifier import Classifier
from models.training import train_classifier
from scenarios.corruptions import catalogue, corrupt
from scenarios.datasets import load

FAMILIES = ("mnist", "fashion-mnist", "cifar10")
IMAGES = 4000  # of the test split, as in the reference files
SEVERITY = 5  # of CIFAR-10-C, where nothing else is said
ORACLE_EPOCHS = 8  # of the oracle that goes on from the clean network


def corruptions_of(family: str) -> tuple[str, ...]:
    """The corruptions of a family, in the published order.

    >>> len(corruptions_of("mnist")), len(corruptions_of("cifar10"))
    (15, 19)
    """
    return tuple(catalogue("cifar10_c")) if family == "cifar10" else MNIST_C


def make_world(family: str, corruption: str, seed: int, root: Path, severity: int | None = None) -> World:
    """A world of a family: even positions stream, odd ones fresh.

    For MNIST the reference files of MNIST-C; for Fashion-MNIST the corruptions of MNIST-C and for CIFAR-10 those of CIFAR-10-C, on the
    first 4,000 test images, drawn anew for each seed.

    Parameters
    ----------
    severity : 1 to 5, for cifar10 alone; 5 by default.

    Raises
    ------
    ValueError : a severity for a family whose corruptions have one only.
    """
    if family == "cifar10":
        severity = severity or SEVERITY
    elif severity is not None:
        raise ValueError(f"{family} has no severities, and {severity} was asked for; leave it out, or take the family cifar10")
    if family == "mnist":
        return world_of(corruption, seed, root)
    test = load(family, "test", root)
    clean, labels = test.images[:IMAGES], test.labels[:IMAGES]
    pool = _pool(corruption, corrupt(clean, corruption, severity, seed=seed), clean, labels)
    return World(family, corruption, seed, pool, root, severity)


def external_world(family: str, file: Path, seed: int, root: Path) -> World:
    """A world from a file with `images` and `labels`, uint8, in the order of the test split: first half stream, second half fresh.

    Raises
    ------
    ValueError : the file does not hold these arrays, or they do not fit the data set.
    """
    test = load(family, "test", root)
    with np.load(file, allow_pickle=False) as archive:
        if not {"images", "labels"} <= set(archive.files):
            raise ValueError(f"{file} holds {archive.files}; expected images and labels")
        images, labels = archive["images"], archive["labels"].astype(np.int64)
    if images.dtype != np.uint8 or images.shape[1:] != test.images.shape[1:] or len(images) != len(labels) or len(images) > len(test.images):
        raise ValueError(
            f"{file} holds images {images.dtype} {list(images.shape)} and {len(labels)} labels; expected uint8 [n, {test.images.shape[1:]}] and n "
            f"labels, n at most {len(test.images)}, in the order of the test split of {family}"
        )
    if (labels != test.labels[: len(labels)]).any():
        raise ValueError(f"the labels in {file} are not those of the first {len(labels)} test images of {family}; expected their order")
    half, clean = len(images) // 2, test.images[: len(images)]
    name = file.stem
    pool = {key: (data[:half], labels[:half], data[half:], labels[half:]) for key, data in ((name, images), ("none", clean))}
    return World(family, name, seed, pool, root)


def corrupted_training(world: World) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """The whole training split under the world's corruption, for the oracle; None where its rule is not known."""
    if world.corruption not in corruptions_of(world.dataset):
        return None
    training = load(world.dataset, "train", world.root)
    return corrupt(training.images, world.corruption, world.severity, seed=world.seed + 1), training.labels


def oracle(world: World) -> Classifier | None:
    """The same network, trained with all labels on the corrupted training set; None where the corruption's rule is not known.

    For CIFAR-10 training goes on from the clean network for a few epochs, since from scratch each row would take minutes longer.
    """
    training = corrupted_training(world)
    if training is None:
        return None
    classes = len(load(world.dataset, "train", world.root).classes)
    if world.dataset != "cifar10":
        return train_classifier(*training, classes, seed=world.seed)
    start = load_modules(first_model(world.dataset, world.root, world.seed)).classifier
    return train_classifier(*training, classes, epochs=ORACLE_EPOCHS, seed=world.seed, start=start)


def _pool(
    corruption: str, images: NDArray[np.uint8], clean: NDArray[np.uint8], labels: NDArray[np.int64]
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]]:
    return {name: (data[0::2], labels[0::2], data[1::2], labels[1::2]) for name, data in ((corruption, images), ("none", clean))}
