"""Tells of pictures by how much they look spoiled, so that a check can tell new content from corruption and no picture has to be shown."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.doors.likeness import FEWEST, FIT, LARGEST
from models.estimators.novelty import Looks
from scenarios.corruptions import corruptions_for
from scenarios.datasets import load


class Spoiled:
    """Learns from the clean training images of a data set, once, what clean and spoiled pictures look like.

    Of rows of a table, of pictures that are too large to be spoiled in every known way, and of too few, nothing can be learned.
    """

    def __init__(self, dataset: str, root: Path | None) -> None:
        self._dataset, self._root = dataset, root
        self._looks = cache(self._learned)

    def learn(self) -> bool:
        """Learn now, some seconds; False where nothing can be learned."""
        return self._looks() is not None

    def of(self, images: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """By how much each of the images looks spoiled, float64 [n]; None where nothing could be learned."""
        looks = self._looks()
        return None if looks is None else looks.beyond_clean(images)

    def _learned(self) -> Looks | None:
        images = load(self._dataset, "train", self._root).images[:FIT]
        if images.ndim == 2 or len(images) < FEWEST or images.shape[1] * images.shape[2] > LARGEST:
            return None
        return Looks.fit(images, corruptions_for(images))
