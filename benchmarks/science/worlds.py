"""The drifts that the science benchmark measures: which images stream by, and which are kept for the score."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.incident import World
from benchmarks.loop import CORRUPTIONS as MNIST_C
from benchmarks.loop import world_of
from scenarios.corruptions import corrupt
from scenarios.datasets import load

FAMILIES = ("mnist", "fashion-mnist")
IMAGES = 4000  # of the test split, as in the reference files


def make_world(family: str, corruption: str, seed: int, root: Path) -> World:
    """A world of a family: for MNIST the reference files of MNIST-C, for Fashion-MNIST the MNIST-C corruptions, drawn anew for each seed."""
    if family == "mnist":
        return world_of(corruption, seed, root)
    test = load(family, "test", root)
    clean, labels = test.images[:IMAGES], test.labels[:IMAGES]
    return World(family, corruption, seed, _pool(corruption, corrupt(clean, corruption, seed=seed), clean, labels), root)


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
    training = load(world.dataset, "train", world.root)
    if world.corruption not in MNIST_C:
        return None
    return corrupt(training.images, world.corruption, seed=world.seed + 1), training.labels


def _pool(
    corruption: str, images: NDArray[np.uint8], clean: NDArray[np.uint8], labels: NDArray[np.int64]
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]]:
    return {name: (data[0::2], labels[0::2], data[1::2], labels[1::2]) for name, data in ((corruption, images), ("none", clean))}
