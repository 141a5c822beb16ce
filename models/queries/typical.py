"""Typical and diverse images (TypiClust): with few labels, ask about the middle of every clump, not about the outliers.

The features are grouped into as many clusters as there will be labels (those already given included). From each of the largest clusters
that hold no label yet, the most typical image is taken: the one with the smallest mean distance to its nearest neighbours in the cluster.

Hacohen, G., Dekel, A., Weinshall, D. (2022). Active learning on a budget: opposite strategies suit high and low budgets. ICML.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

from models.detectors.knn import NearestNeighbours
from models.queries.candidates import candidates

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_NEIGHBOURS = 20  # as in the paper
_MOST_CLUSTERS = 500  # beyond it clusters get so small that typical means little


def typical(features: ArrayLike, count: int, seed: int, exclude: ArrayLike = ()) -> Indices:
    """Choose `count` typical rows from different clusters.

    Parameters
    ----------
    features : [n, d], such as standardised latents.
    count : how many; fewer are returned when fewer are left.
    seed : of the clustering; equal input gives equal output.
    exclude : int, rows that already have labels (or may not be asked about): they are not chosen, and their clusters count as covered.

    Returns
    -------
    int64 [count], row numbers, from the largest uncovered cluster first: a prefix is a good smaller choice.

    Examples
    --------
    Three clumps, three questions, one in each:

    >>> rng = np.random.default_rng(0)
    >>> clumps = np.repeat([[0, 0], [9, 0], [0, 9]], 50, axis=0) + rng.normal(size=(150, 2))
    >>> sorted((typical(clumps, 3, seed=0) // 50).tolist())
    [0, 1, 2]
    """
    matrix, free, count = candidates(features, count, exclude)
    if count == 0:
        return np.empty(0, np.int64)
    covered = np.ones(len(matrix), bool)
    covered[free] = False
    clusters = min(count + int(covered.sum()), _MOST_CLUSTERS, len(np.unique(matrix, axis=0)))
    groups = KMeans(clusters, n_init=1, max_iter=50, random_state=seed).fit_predict(matrix)
    sizes = np.bincount(groups, minlength=clusters)
    labelled = np.bincount(groups[covered], minlength=clusters)
    queues = {int(group): _most_typical_first(matrix, np.flatnonzero(groups == group), covered) for group in np.unique(groups[free])}
    chosen: list[int] = []
    while len(chosen) < count:
        group = min((g for g in queues if queues[g]), key=lambda g: (labelled[g], -sizes[g], g))
        chosen.append(queues[group].pop(0))
        labelled[group] += 1
    return np.array(chosen, np.int64)


def _most_typical_first(matrix: Floats, members: Indices, covered: NDArray[np.bool_]) -> list[int]:
    """Return the rows of one cluster that may be chosen, most typical first."""
    k = min(_NEIGHBOURS, len(members) - 1)
    distances = NearestNeighbours(matrix[members], k=k).left_out() if k else np.zeros(1)
    order = members[np.argsort(distances, kind="stable")]
    return [int(row) for row in order[~covered[order]]]
