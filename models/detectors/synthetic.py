"""Features of an imaginary model, for doctests, contract checks and users who try a detector before they have data.

Clean records come from ten Gaussian clumps (the classes); a shift moves all early features by so many standard deviations.
"""

import numpy as np
from numpy.typing import NDArray

from models.reference import Reference

EARLY, LATENT, CLASSES = 16, 16, 10


def mixture(n: int, *, seed: int, shift: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw n records.

    Parameters
    ----------
    shift : how far early features move, in standard deviations of one clump; 0 is clean.

    Returns
    -------
    early, latent : float32 [n, 16] each.

    Examples
    --------
    >>> early, latent = mixture(5, seed=0)
    >>> early.shape, latent.dtype
    ((5, 16), dtype('float32'))
    """
    centres = np.random.default_rng(20220101).normal(scale=2.0, size=(CLASSES, EARLY + LATENT))
    rng = np.random.default_rng(seed)
    values = centres[rng.integers(CLASSES, size=n)] + rng.normal(size=(n, EARLY + LATENT))
    values[:, :EARLY] += shift
    single = values.astype(np.float32)
    return single[:, :EARLY], single[:, EARLY:]


def mixture_reference(*, seed: int, fit: int = 500, calibration: int = 1000) -> Reference:
    """Make a reference of clean records of `mixture`.

    Examples
    --------
    >>> mixture_reference(seed=0, calibration=300).calibration_early.shape
    (300, 16)
    """
    fit_early, fit_latent = mixture(fit, seed=2 * seed + 1_000_000)
    calibration_early, calibration_latent = mixture(calibration, seed=2 * seed + 1_000_001)
    labels = np.arange(calibration) % CLASSES
    return Reference.from_arrays(
        {
            "fit_early": fit_early,
            "fit_latent": fit_latent,
            "fit_labels": np.arange(fit) % CLASSES,
            "calibration_early": calibration_early,
            "calibration_latent": calibration_latent,
            "calibration_logits": 4 * np.eye(CLASSES)[labels],
            "calibration_labels": labels,
            "clean_accuracy": 1.0,
        }
    )
