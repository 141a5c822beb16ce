"""Mahalanobis distance: how far is a record from the clean mean, in units of the clean spread in that direction?

Sees changes that keep every feature within its usual range but break how features go together. The covariance is shrunk towards a
multiple of the identity (Ledoit-Wolf), so that it can be inverted even with fewer fit points than features.

Mahalanobis, P. C. (1936). On the generalised distance in statistics.
Ledoit, O., Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance matrices. J. Multivariate Analysis 88(2).
Lee, K., Lee, K., Lee, H., Shin, J. (2018). A simple unified framework for detecting out-of-distribution samples. NeurIPS.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.covariance import ledoit_wolf

Floats = NDArray[np.float64]


class Mahalanobis:
    """Scores records by their Mahalanobis distance to the fit points.

    Parameters
    ----------
    fit : [m, d], features of clean records; m at least 2.

    Examples
    --------
    Both records are equally far from the mean, but only the second goes against the correlation of the fit points:

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(500, 1))
    >>> detector = Mahalanobis(np.hstack([x, x + 0.1 * x**2]))
    >>> along, against = detector.score([[1.0, 1.0], [1.0, -1.0]])
    >>> bool(against > 5 * along)
    True
    """

    def __init__(self, fit: ArrayLike) -> None:
        points = np.asarray(fit, np.float64)
        if points.ndim != 2 or len(points) < 2:
            raise ValueError(f"fit points have shape {points.shape}; give [m, d] with m at least 2")
        covariance, self.shrinkage = ledoit_wolf(points)
        floor = 1e-9 * max(float(np.trace(covariance)), 1e-9) * np.eye(points.shape[1])  # keeps constant features invertible
        self.mean: Floats = points.mean(0)
        self.whiten: Floats = np.linalg.cholesky(np.linalg.inv(covariance + floor))

    def score(self, features: ArrayLike) -> Floats:
        """Return the Mahalanobis distance of each row of `features` [n, d]: float64 [n]."""
        distances: Floats = np.linalg.norm((np.asarray(features, np.float64) - self.mean) @ self.whiten, axis=1)
        return distances
