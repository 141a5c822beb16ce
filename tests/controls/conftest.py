"""A trained classifier of digits, and contexts as a remedy gets them."""

from collections.abc import Callable

import numpy as np
import pytest

from models.networks.classifier import Classifier
from models.reference import Reference
from models.remedies.context import RemedyContext
from models.training import look, make_reference, train_classifier
from scenarios.corruptions.registry import corrupt
from scenarios.datasets import load

SEED = 3


@pytest.fixture(scope="session")
def trained() -> Classifier:
    train = load("digits", "train")
    return train_classifier(train.images, train.labels, 10, seed=SEED)


@pytest.fixture(scope="session")
def reference(trained: Classifier) -> Reference:
    train, calibration = load("digits", "train"), load("digits", "calibration")
    return make_reference(trained, (train.images, train.labels), (calibration.images, calibration.labels))


@pytest.fixture
def context(trained: Classifier, reference: Reference) -> Callable[[str], RemedyContext]:
    """A function that makes a context of 300 unlabelled drifted test images."""
    train, test = load("digits", "train"), load("digits", "test")
    none = np.empty(0, np.int64)

    def make(corruption: str = "impulse_noise") -> RemedyContext:
        return RemedyContext(
            classifier=trained, clean_images=train.images, clean_labels=train.labels, reference=reference,
            drifted=corrupt(test.images[:300], corruption, seed=SEED), teaching=none, teaching_labels=none, seed=SEED, budget=300.0,
        )

    return make


@pytest.fixture(scope="session")
def accuracy():
    """A function: share of right answers of a classifier on the 200 test images that no context holds, corrupted anew."""
    test = load("digits", "test")

    def measure(classifier: Classifier, corruption: str = "none") -> float:
        images = corrupt(test.images[300:], corruption, seed=SEED + 1)
        return float((look(classifier, images).logits.argmax(1).numpy() == test.labels[300:]).mean())

    return measure
