"""The score of the monitor: one distance from a known population that sees both the picture and what the classifier made of it.

A corruption changes the picture, so the Mahalanobis distance of the early features shows it first; an unknown class, or a change that
only matters to the classifier, shows in the neighbours of the latent. Each distance is taken as a logarithm and standardised on the
fit part, then both are added: a single score, so one conformal p-value stays exact. (A maximum, a
log-sum-exp and sums of more parts were measured on self-made MNIST corruptions; none separated better.)

Lee, K. et al. (2018). A simple unified framework for detecting out-of-distribution samples. NeurIPS. (Adds distances of several layers.)
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.detectors.knn import NearestNeighbours
from models.detectors.mahalanobis import Mahalanobis
from models.detectors.scale import LogScale
from models.reference import Component, Reference

Floats = NDArray[np.float64]


class Distance:
    """Scores records by their distance from one component of a reference.

    Parameters
    ----------
    reference : gives the standardisation of features.
    component : the population to measure from; the clean one if left out.
    k : neighbours that count.

    Examples
    --------
    >>> from models.detectors.synthetic import mixture_reference, mixture
    >>> distance = Distance(mixture_reference(seed=0))
    >>> near, far = mixture(200, seed=1), mixture(200, seed=2, shift=1.0)
    >>> bool(distance.score(*far).mean() > distance.score(*near).mean() + 1)
    True
    """

    def __init__(self, reference: Reference, component: Component | None = None, *, k: int = 3) -> None:
        known = component or reference.components[0]
        self._reference = reference
        early = reference.standard_early(known.fit_early)
        self._spread = Mahalanobis(early)
        self._near = NearestNeighbours(reference.features(known.fit_early, known.fit_latent), k=min(k, len(early) - 1))
        self._spread_scale = LogScale(self._spread.score(early))
        self._near_scale = LogScale(self._near.left_out())

    def score(self, early: ArrayLike, latent: ArrayLike) -> Floats:
        """Return the distance of n records, given as early [n, e] and latent [n, d]: float64 [n], about 0 on average for known records.

        Rounded to 6 decimals, so that a record scores the same alone and in a batch (matrix products differ in the last bits).
        """
        spread = self._spread_scale(self._spread.score(self._reference.standard_early(early)))
        near = self._near_scale(self._near.score(self._reference.features(early, latent)))
        return np.round(spread + near, 6)
