"""Imitate: spoil clean images as a stream seems to be spoiled, so that their labels, which are known, may teach and tell."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.estimators.confidence import Estimate
from scenarios.corruptions import catalogue

Images = NDArray[np.uint8]
Z = 1.96


def imitate(images: Images, name: str, severity: float | None, *, seed: int) -> Images:
    """Spoil uint8 images [n, h, w] or [n, h, w, 3] by a corruption of the catalogue, at whole severities whose mean is `severity`.

    Raises
    ------
    ValueError
        When the catalogue has no such corruption, or it is not for images of this kind.

    Examples
    --------
    >>> images = np.zeros((4, 8, 8), np.uint8)
    >>> int(imitate(images, "stripe", None, seed=0).max()), imitate(images, "brightness", 2.5, seed=0).shape
    (255, (4, 8, 8))
    """
    if name not in catalogue("all"):
        raise ValueError(f"there is no corruption {name!r} to imitate; the catalogue has {', '.join(catalogue('all'))}")
    corruption = catalogue("all")[name]
    if severity is None:
        return corruption(images, seed=seed)
    result = np.empty_like(images)
    degrees = np.clip(np.floor(severity + np.random.default_rng(seed).random(len(images))), 1, len(corruption.parameters)).astype(int)
    for degree in np.unique(degrees):
        result[degrees == degree] = corruption(images[degrees == degree], int(degree), seed=seed)
    return result


def accuracy_imitated(
    answer: Callable[[Images], NDArray[np.int64]], clean: tuple[Images, NDArray[np.int64]], clean_accuracy: float, name: str,
    severity: float | None, share: float, *, seed: int = 0,
) -> Estimate:
    """Accuracy on a stream of which `share` is spoiled so: the clean one, less what is lost on clean images that are spoiled alike.

    Parameters
    ----------
    answer : images -> the labels that the model in question gives, int64 [n].
    clean : images and labels that the model was not trained on.
    clean_accuracy : of the model, known from as many images as there are. The loss is counted image by image, so it is known better.
    name, severity, share : as `Resemblance.name` found them.
    seed : of the corruption.

    Examples
    --------
    A model that calls everything bright a 1:

    >>> clean = np.zeros((200, 8, 8), np.uint8), np.zeros(200, np.int64)
    >>> bright = lambda images: (images.mean((1, 2)) > 50).astype(np.int64)
    >>> accuracy_imitated(bright, clean, 0.99, "brightness", 5.0, share=0.25).value
    0.74
    """
    images, labels = clean
    lost = (answer(images) == labels).astype(float) - (answer(imitate(images, name, severity, seed=seed)) == labels)
    value = min(1.0, max(0.0, clean_accuracy - share * float(lost.mean())))
    error = Z * share * float(np.sqrt(max(lost.var(), 1 / len(lost)) / len(lost)))
    return Estimate(value, error, f"Records are spoiled by {name}, as in the catalogue; the classes are as frequent as before.")


def mixed(named: Estimate, confidence: float, otherwise: Estimate) -> Estimate:
    """What to expect when an estimate holds with probability `confidence`, and another one otherwise: mean and 95 % error of the mixture.

    >>> sure, unsure = Estimate(0.5, 0.02, "a"), Estimate(0.7, 0.1, "b")
    >>> round(mixed(sure, 0.99, unsure).value, 3), mixed(sure, 0.5, unsure).error > 0.19
    (0.502, True)
    """
    value = confidence * named.value + (1 - confidence) * otherwise.value
    within = confidence * named.error**2 + (1 - confidence) * otherwise.error**2
    apart = Z**2 * confidence * (1 - confidence) * (named.value - otherwise.value) ** 2
    return Estimate(value, min(1.0, float(np.sqrt(within + apart))), f"{named.assumption} If not: {otherwise.assumption}")
