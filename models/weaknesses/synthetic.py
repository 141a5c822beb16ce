"""Records of an imaginary model, for doctests, contract checks and authors of checks who have no data yet."""

import numpy as np

from models.detectors.synthetic import CLASSES, mixture
from models.reference import Reference
from models.weaknesses.check import Records
from models.weaknesses.quality import facts_of

SIZE = 8
SITES = ("north", "south")


def labelled(n: int, *, seed: int, accuracy: float = 1.0, shift: float = 0.0, after: int = 0, worse_in: str = "", worse: float = 0.5) -> Records:
    """Draw n records with everything that a check may need: features of `mixture`, small pictures, true labels, a site.

    Parameters
    ----------
    accuracy : probability that an answer is right.
    shift : how far early features move, in standard deviations; 0 is clean.
    after : number of the record before the first.
    worse_in : a site of `SITES` where answers are right with probability `worse` only.

    Examples
    --------
    >>> records = labelled(1000, seed=0, accuracy=0.9)
    >>> bool(abs((records.labels == records.truth).mean() - 0.9) < 0.03), records.seqs[:2].tolist()
    (True, [1, 2])
    """
    early, latent = mixture(n, seed=seed, shift=shift)
    truth = np.random.default_rng(seed).integers(CLASSES, size=n)  # as `mixture` draws its clumps
    rng = np.random.default_rng([seed, 1])
    sites = np.array(SITES)[rng.integers(len(SITES), size=n)]
    right = rng.random(n) < np.where(sites == worse_in, worse, accuracy)
    answers = np.where(right, truth, (truth + rng.integers(1, CLASSES, size=n)) % CLASSES)
    images = rng.integers(0, 256, size=(n, SIZE, SIZE), dtype=np.uint8)
    return Records(
        seqs=after + 1 + np.arange(n), labels=answers, logits=(4 * np.eye(CLASSES)[answers]).astype(np.float32), early=early, latent=latent,
        truth=truth, slices={"site": sites}, images=images, facts=facts_of(images), spoiled=np.zeros(n),
    )  # fmt: skip


def labelled_reference(*, fit: int = 500, calibration: int = 1000) -> Reference:
    """Make a reference of clean records of `labelled`, with their true labels; the model is right on all of them.

    >>> labelled_reference().clean_accuracy
    1.0
    """
    parts = labelled(fit, seed=1_000_000), labelled(calibration, seed=1_000_001)
    named = dict(zip(("fit", "calibration"), parts, strict=True))
    arrays = {f"{name}_{column}": getattr(part, column) for name, part in named.items() for column in ("early", "latent", "labels")}
    return Reference.from_arrays({**arrays, "calibration_logits": parts[1].logits, "clean_accuracy": 1.0})
