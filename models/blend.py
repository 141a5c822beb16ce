"""How the answers of a pipeline's routes are put together: each route's part is as large as its gate is sure.

A hard gate must choose between clean data and its drift even for an image that could be either. What is known of such an image is the
probability that the gate gives it, and the best answer is then the mean of both answers, weighted with it. Routes are asked newest first;
each takes its part of what the newer ones have left, and the first answer gets the rest. This needs numpy alone: it runs in the container.

Jacobs, Jordan, Nowlan, Hinton (1991). Adaptive mixtures of local experts. Neural Computation 3(1).
Frank, E., Kramer, S. (2004). Ensembles of nested dichotomies for multi-class problems. ICML.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEAST = 0.05
"""A part below this is none, and one above 1 - this is the whole: most images then need one answer, and keep the first bit for bit."""

SMALLEST = 1e-12


def part(score: Floats, even: float) -> Floats:
    """The part in the answers that a gate's scores [n], logarithms of odds, give to its route: float32 [n] in [0, 1].

    Parameters
    ----------
    even : score at which both answers count alike.

    >>> part(np.array([-9.0, 0.0, 9.0], np.float32), 0.0).tolist()
    [0.0, 0.5, 1.0]
    """
    share = 1 / (1 + np.exp(np.clip(even - score, -50, 50)))
    return np.select([share < LEAST, share > 1 - LEAST], [0.0, 1.0], share).astype(np.float32)


class Blend:
    """Answers to n images in the making.

    >>> blend = Blend(2, 2)
    >>> blend.add(np.array([0.0, 0.75], np.float32), np.array([[0.0, 5.0]], np.float32), np.array([[7.0]], np.float32))
    >>> logits, latent = blend.rest(np.array([[2.0, 1.0], [2.0, 1.0]], np.float32), np.zeros((2, 1), np.float32))
    >>> logits.argmax(1).tolist(), latent.tolist()
    ([0, 1], [[0.0], [7.0]])
    """

    def __init__(self, images: int, classes: int) -> None:
        self.left = np.ones(images, np.float32)  # of each answer
        self._most = np.zeros(images, np.float32)
        self._mixed = np.zeros((images, classes), np.float32)
        self._latent: Floats | None = None

    def add(self, parts: Floats, logits: Floats, latent: Floats) -> None:
        """Take `parts` [n] of what is left; `logits` [m, k] and `latent` [m, d] are those of the m images that have a part at all."""
        inside = np.flatnonzero(parts)
        given = self.left[inside] * parts[inside]
        self._mixed[inside] += given[:, None] * _softmax(logits)
        self.left[inside] -= given
        if self._latent is None:
            self._latent = np.zeros((len(parts), latent.shape[1]), np.float32)
        leads = given > self._most[inside]
        self._latent[inside[leads]], self._most[inside[leads]] = latent[leads], given[leads]

    def rest(self, logits: Floats, latent: Floats) -> tuple[Floats, Floats]:
        """Give what is left to the first answer, [n, k] and [n, d]: (logits, latent of whoever has the largest part)."""
        told = self.left < 1
        if self._latent is None or not told.any():
            return logits, latent
        mixed = self._mixed[told] + self.left[told, None] * _softmax(logits[told])
        logits = logits.copy()
        logits[told] = np.log(np.maximum(mixed, SMALLEST))
        return logits, np.where((self._most > self.left)[:, None], self._latent, latent)


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))
