"""How far an answer can be trusted, from where its latent lies among the labelled reference latents.

Source: Jiang, Kim, Guan, Gupta (2018). To trust or not to trust a classifier. NeurIPS 31. Theirs is the ratio
d_other / d_predicted of distances to the nearest latent, unbounded; here it is d_other / (d_other + d_predicted), the same order in [0, 1].
Three things differ, because on corrupted images they find wrong answers better (see `benchmarks.trust`): latents are measured in spreads of a
class, their direction counts more than their length, and a distance is the mean of those to the `NEIGHBOURS` nearest latents.
"""

import numpy as np
from numpy.typing import NDArray

CAP = 512  # reference latents kept in all, at most so many a class that one image costs a [1, d] x [d, 512] product
# Chosen on calibration images that were corrupted for it, never on reported ones.
NEIGHBOURS = 10
SHRINKAGE = 0.3  # 0 whitens by the covariance within classes as it was estimated, 1 not at all
LEVEL = 1.0  # of the constant that is appended before latents are scaled to length 1, in lengths; 0 compares directions only


class Trust:
    """Trust of predictions, from the nearest reference latents per class.

    Examples
    --------
    >>> trust = Trust(np.array([[0.0], [1.0]], np.float32), np.array([0, 1]), classes=2)
    >>> print(trust(np.array([[0.0], [0.5], [0.9]], np.float32), np.array([0, 0, 0])).round(2))
    [1.   0.3  0.04]
    """

    def __init__(self, latents: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
        """Keep an even choice of at most `CAP` of `latents` [m, d] with `labels` [m] in 0..classes-1, alike for every class."""
        share = max(1, CAP // classes)
        rows = [np.flatnonzero(labels == label) for label in range(classes)]
        self._present = np.array([label for label in range(classes) if len(rows[label])])
        # A class that has fewer lends its latents several times, so that all classes have equally many.
        kept = np.concatenate([rows[label][np.arange(share) * len(rows[label]) // share] for label in self._present])
        self._scale = _whitening(latents, labels)
        scaled = latents[kept] @ self._scale
        self._level = np.float32(LEVEL * max(float(np.median(np.linalg.norm(scaled, axis=1))), 1e-6))
        length = np.sqrt((scaled * scaled).sum(1) + self._level**2)
        self._minus_points = np.ascontiguousarray(-(scaled / length[:, None]).T)
        self._minus_constant = -self._level * self._level / length
        self._classes, self._nearest = classes, min(NEIGHBOURS, share)

    def __call__(self, latents: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Trust float32 [n] in [0, 1] of predictions `labels` [n] with `latents` [n, d]."""
        x = latents @ self._scale
        minus_cosine = x @ self._minus_points  # times the length of x, with which it is divided where it is needed only
        minus_cosine += self._minus_constant
        length = np.sqrt(np.einsum("ij,ij->i", x, x) + self._level**2)
        of_class = minus_cosine.reshape(len(x), len(self._present), -1)
        of_class.partition(self._nearest - 1, axis=2)
        near = of_class[:, :, : self._nearest] / length[:, None, None]
        near += 1  # half the squared distance of two points at length 1
        distance = np.full((len(x), self._classes), np.inf, np.float32)
        distance[:, self._present] = np.sqrt(np.maximum(near, 0, out=near), out=near).mean(2)
        rows = np.arange(len(x))
        predicted = distance[rows, labels]
        distance[rows, labels] = np.inf
        other = distance.min(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            # other / (other + predicted), written so that an absent class (infinite distance) needs no case of its own
            trust: NDArray[np.float32] = 1 / (1 + predicted / other)
        return np.nan_to_num(trust, copy=False, nan=0.5)


def _whitening(latents: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Matrix [d, d] after which a class spreads about alike in all directions; the identity where no class spreads at all."""
    inside = latents.astype(np.float64)
    for label in np.unique(labels):
        inside[labels == label] -= inside[labels == label].mean(0)
    covariance = inside.T @ inside / len(inside)
    sphere = np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
    if not sphere.any():
        return np.eye(len(covariance), dtype=np.float32)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * sphere
    return np.linalg.inv(np.linalg.cholesky(shrunk)).T.astype(np.float32)
