"""Reconstruction: an autoencoder that learned clean images fails on others, and its code lies where no clean code lies.

The detector of the Scanflow paper, made whole: the error is scaled by what clean images show once and for all (not per batch, which would
hide a drift of all images), only large errors are odd (a small one is an easy image), and the code is used too. Works on arrays; training
and running the network is the business of `models.networks.autoencoder`.

Bravo-Rocca, G. et al. (2021). Scanflow: a multi-graph framework for machine learning workflow management, supervision, and debugging.
Denouden, T. et al. (2018). Improving reconstruction autoencoder out-of-distribution detection with Mahalanobis distance. arXiv 1812.02765.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.detectors.mahalanobis import Mahalanobis
from models.detectors.scale import LogScale

Floats = NDArray[np.float64]


def reconstruction_error(images: ArrayLike, reconstructions: ArrayLike) -> Floats:
    """Return the root mean squared error of each image: [n, c, h, w] twice -> float64 [n], in units of pixel values.

    Examples
    --------
    >>> reconstruction_error(np.zeros((2, 1, 4, 4)), np.full((2, 1, 4, 4), 0.5)).tolist()
    [0.5, 0.5]
    """
    first, second = np.asarray(images, np.float64), np.asarray(reconstructions, np.float64)
    if first.shape != second.shape or first.ndim < 2:
        raise ValueError(f"images have shape {first.shape}, reconstructions {second.shape}; both must be [n, c, h, w]")
    return np.asarray(np.sqrt(((first - second) ** 2).reshape(len(first), -1).mean(1)), np.float64)


class Reconstruction:
    """Scores records by reconstruction error and code.

    Parameters
    ----------
    errors : [m], `reconstruction_error` of clean images.
    codes : [m, d], their codes (the narrowest layer); m at least 2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> detector = Reconstruction(rng.gamma(5, 0.01, size=500), rng.normal(size=(500, 8)))
    >>> usual, badly_drawn, strange = detector.score([0.05, 0.2, 0.05], [[0.5] * 8, [0.5] * 8, [4.0] * 8])
    >>> bool(badly_drawn > usual + 2), bool(strange > usual + 2)
    (True, True)
    """

    def __init__(self, errors: ArrayLike, codes: ArrayLike) -> None:
        fit_errors, fit_codes = np.asarray(errors, np.float64), np.asarray(codes, np.float64)
        if fit_errors.ndim != 1 or fit_codes.ndim != 2 or len(fit_errors) != len(fit_codes):
            raise ValueError(f"errors have shape {fit_errors.shape}, codes {fit_codes.shape}; expected [m] and [m, d]")
        self._codes = Mahalanobis(fit_codes)
        self._error_scale = LogScale(fit_errors)
        self._code_scale = LogScale(self._codes.score(fit_codes))

    def score(self, errors: ArrayLike, codes: ArrayLike) -> Floats:
        """Return the sum of the standardised log error and log distance of the code: [n] and [n, d] -> float64 [n]."""
        return self._error_scale(errors) + self._code_scale(self._codes.score(codes))
