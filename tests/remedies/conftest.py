"""Classifiers of digits for the tests of remedies, and a stripe of inverted columns as the drift."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.networks.classifier import Classifier
from models.networks.numerics import to_tensor
from models.reference import Reference
from models.remedies.context import RemedyContext
from models.remedies.recalibrate import recalibrated
from models.training import make_reference, train_classifier
from scenarios.corruptions.registry import corrupt
from scenarios.datasets import load

SEED = 3


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """Random weights, statistics of digits: enough wherever accuracy is not the point, and there at once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return recalibrated(Classifier(), to_tensor(load("digits", "train").images[:300]))


@pytest.fixture(scope="session")
def trained() -> Classifier:
    train = load("digits", "train")
    return train_classifier(train.images, train.labels, 10, seed=SEED)


def describe(classifier: Classifier) -> Reference:
    train, calibration = load("digits", "train"), load("digits", "calibration")
    return make_reference(classifier, (train.images, train.labels), (calibration.images, calibration.labels))


@pytest.fixture(scope="session")
def reference(classifier: Classifier) -> Reference:
    return describe(classifier)


@pytest.fixture(scope="session")
def trained_reference(trained: Classifier) -> Reference:
    return describe(trained)


@pytest.fixture
def context(classifier: Classifier, reference: Reference) -> Callable[..., RemedyContext]:
    """A function that makes a context: 300 drifted test images, ten of them labelled, unless told otherwise."""
    train, test = load("digits", "train"), load("digits", "test")

    def make(corruption: str = "stripe", labelled: int = 10, **other: object) -> RemedyContext:
        drifted = corrupt(test.images[:300], corruption, seed=SEED)
        teaching = np.arange(labelled)
        parts = dict(
            classifier=classifier, clean_images=train.images, clean_labels=train.labels,
            reference=reference, drifted=drifted, teaching=teaching, teaching_labels=test.labels[teaching], named=("stripe", None), seed=SEED,
        )
        return RemedyContext(**(parts | other))

    return make
