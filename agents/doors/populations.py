"""All that a reference knows, and how far from each of it is far."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.detectors.distance import Distance
from models.reference import Reference

FAR = 0.99  # of clean records are nearer than what counts as unlike


class Populations:
    """The known populations of a reference: clean data, and changes that were adopted."""

    def __init__(self, reference: Reference) -> None:
        self._distances = [(Distance(reference, one), one) for one in reference.components]
        self._far = [
            float(np.quantile(distance.score(one.calibration_early, one.calibration_latent), FAR)) for distance, one in self._distances
        ]

    def unlike(self, early: ArrayLike, latent: ArrayLike) -> NDArray[np.bool_]:
        """Which of the records [n] are far from all of them."""
        scores = zip(self._distances, self._far, strict=True)
        found: NDArray[np.bool_] = np.all([distance.score(early, latent) > far for (distance, _), far in scores], axis=0)
        return found


@lru_cache(maxsize=4)
def populations(path: Path) -> Populations:
    """Those of a reference file; these are never changed once written."""
    return Populations(Reference.load(path))
