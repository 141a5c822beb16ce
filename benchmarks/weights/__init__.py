"""Weights of first classifiers that take minutes to train, so that a benchmark starts at once; see README.md beside this file."""

from pathlib import Path

FOLDER = Path(__file__).parent


def weights_of(dataset: str, seed: int) -> Path:
    """Where the weights of a data set and a seed are, if they were committed.

    >>> weights_of("cifar10", 0).name
    'cifar10-seed-0.safetensors'
    """
    return FOLDER / f"{dataset}-seed-{seed}.safetensors"
