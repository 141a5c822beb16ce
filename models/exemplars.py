"""Images of earlier drifts, kept beside a pipeline so that a classifier that replaces it does not forget them.

A route serves its drift for as long as the classifier whose features its gate reads. A remedy that replaces the classifier takes the
routes away, and must learn what they knew: from a few images of each drift, with what the pipeline answered. No true label is kept.

Robins, A. (1995). Catastrophic forgetting, rehearsal and pseudorehearsal. Connection Science 7(2). The word is that of Rebuffi et al.,
iCaRL: incremental classifier and representation learning, CVPR 2017.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.arrays import save_npz

EXEMPLARS = "exemplars.npz"
MOST_IMAGES = 500
"""Of one drift."""

MOST_DRIFTS = 8
"""The oldest are forgotten."""


@dataclass(frozen=True, eq=False)
class Exemplars:
    """Images uint8 [n, ...] of one drift and the answers that the pipeline gave, int64 [n]."""

    images: NDArray[np.uint8]
    answers: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.answers):
            raise ValueError(f"exemplars: {len(self.images)} images and {len(self.answers)} answers; give one answer for each image")


def chosen(images: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    """Choose at most `MOST_IMAGES` of these at random: no harder and no easier than the drift itself.

    >>> len(chosen(np.zeros((800, 8, 8), np.uint8)))
    500
    """
    return images[np.sort(np.random.default_rng(seed).permutation(len(images))[:MOST_IMAGES])]


def save_exemplars(folder: Path, exemplars: Mapping[str, Exemplars]) -> None:
    """Write the exemplars of a pipeline, by known drift ("drift0", ...), into its folder; without pickle, whole or not at all."""
    arrays = {f"{drift}_{part}": getattr(kept, part) for drift, kept in exemplars.items() for part in ("images", "answers")}
    save_npz(folder / EXEMPLARS, arrays)


def load_exemplars(folder: Path) -> dict[str, Exemplars]:
    """Read the exemplars of a pipeline folder, by known drift; none where the pipeline knows no earlier drift.

    Raises
    ------
    ValueError
        When the file is damaged.
    """
    path = folder / EXEMPLARS
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            drifts = [match[1] for name in archive.files if (match := re.fullmatch(r"(drift\d+)_images", name))]
            return {drift: Exemplars(archive[f"{drift}_images"], archive[f"{drift}_answers"]) for drift in drifts}
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{path} holds no exemplars ({error}); remove it, and a new classifier will not learn from earlier drifts") from error
