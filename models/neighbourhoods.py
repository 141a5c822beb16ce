"""t-SNE: latents laid out so that neighbours stay neighbours, to draw records in. Islands mean something; the ways between them nothing.

It is drawn anew for each set of points and takes seconds, so it is looked at when somebody asks for it; what is shown at once, and stays the same
while records come and go, is `models.projection`. It begins from the principal components, so that equal latents make equal maps and the
islands lie about where the plane has them (Kobak and Berens).

van der Maaten, L. and Hinton, G. (2008). Visualizing data using t-SNE. Journal of Machine Learning Research 9.
Kobak, D. and Berens, P. (2019). The art of using t-SNE for single-cell transcriptomics. Nature Communications 10.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.manifold import TSNE

from models.projection import fit_plane

PERPLEXITY = 30.0  # about so many neighbours of each point are kept near; the authors' middle value
ROUNDS = 500
SPREAD = 1e-4  # standard deviation at the start, as Kobak and Berens advise


def lay_out(latents: ArrayLike, rounds: int = ROUNDS) -> NDArray[np.float64]:
    """Where latents [n, d] lie beside their neighbours: [n, 2], n at least 5. Draws nothing at random.

    >>> apart = np.eye(3).repeat(20, axis=0) * 9 + np.linspace(0, 1, 60)[:, None]
    >>> x, y = lay_out(apart).reshape(3, 20, 2).mean(1)[:2]  # the middles of two of three islands
    >>> bool(np.linalg.norm(x - y) > 3)
    True
    """
    rows = np.asarray(latents, np.float32)
    begin = fit_plane(rows).place(rows)
    begin *= SPREAD / (begin[:, 0].std() or 1.0)
    tsne = TSNE(perplexity=min(PERPLEXITY, (len(rows) - 1) / 4), init=begin.astype(np.float32), max_iter=rounds, random_state=0, n_jobs=1)
    return np.asarray(tsne.fit_transform(rows), np.float64)
