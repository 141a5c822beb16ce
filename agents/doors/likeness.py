"""Says which known corruption drifted records resemble, and what such a corruption costs the live pipeline."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.messages import Likeness
from models.estimators.confidence import Estimate
from models.naming.imitate import accuracy_imitated
from models.naming.resemblance import BadResemblanceError, Resemblance
from models.pipeline import Pipeline
from scenarios.corruptions import Corruption, corruptions_for
from scenarios.datasets import load, to_float

Images = NDArray[np.uint8]

FIT = 2000  # clean images that the catalogue is learned on
COUNTED = 2000  # held-out images on which the cost of a named corruption is counted
FEWEST = 200
FAST = 32 * 32  # pixels of an image up to which all of these are used; of larger ones fewer, so that learning takes minutes at most
LARGEST = 96 * 96  # pixels beyond which spoiling a few hundred images in every known way takes too long to be worth its name
BATCH = 250


class Likenesses:
    """Compares records with the catalogue of one data set; learns it at the first question and keeps it in a folder.

    Parameters
    ----------
    folder : where what was learned is kept for the next start.
    dataset, root : the clean data, and its folder.
    """

    def __init__(self, folder: Path, dataset: str, root: Path | None) -> None:
        self._folder, self._dataset, self._root = folder, dataset, root
        self._known = cache(self._learned)

    def of(self, images: Images) -> Likeness | None:
        """What uint8 images [n, ...] resemble; None where there is too little clean data to learn the catalogue from."""
        known = self._known()
        if known is None:
            return None
        found = known.name(images)
        return Likeness(found.name, found.severity, round(found.share, 3), round(found.confidence, 4), found.nearest)

    def accuracy(self, likeness: Likeness, pipeline: Path, clean_accuracy: float) -> Estimate:
        """Accuracy of the pipeline in a folder: its clean one, less what it loses on clean images that are spoiled as `likeness` says."""
        live = Pipeline.load(pipeline)
        clean = load(self._dataset, "calibration", self._root)

        def answer(images: Images) -> NDArray[np.int64]:
            parts = [live.run(to_float(images[at : at + BATCH])).logits.argmax(1) for at in range(0, len(images), BATCH)]
            return np.concatenate(parts)

        held = clean.images[:COUNTED], clean.labels[:COUNTED]
        return accuracy_imitated(answer, held, clean_accuracy, likeness.name, likeness.severity, likeness.share)

    def learn(self) -> bool:
        """Learn the catalogue now, not at the first question; False where there is too little clean data, or its images are too large."""
        return self._known() is not None

    def _learned(self) -> Resemblance | None:
        images = load(self._dataset, "train", self._root).images[:FIT]
        if images.ndim == 2 or len(images) < FEWEST:  # rows of a table have no catalogue
            return None
        pixels = images.shape[1] * images.shape[2]
        if pixels > LARGEST:
            return None
        images = images[: max(FEWEST, FIT * FAST // pixels)] if pixels > FAST else images
        known = corruptions_for(images)
        file = self._folder / f"{self._dataset}-{_digest(images, known)}.npz"
        try:
            return Resemblance.load(file)
        except BadResemblanceError:  # none is there yet, or half of one
            learned = Resemblance.fit(images, known)
        self._folder.mkdir(parents=True, exist_ok=True)
        learned.save(file)
        return learned


def _digest(images: Images, corruptions: list[Corruption]) -> str:
    """Of all that a fit depends on but its own code."""
    digest = hashlib.sha256(images.tobytes())
    for one in corruptions:
        digest.update(f"{one.name} {one.parameters}".encode())
    return digest.hexdigest()[:12]
