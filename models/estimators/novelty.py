"""A new class against a corruption: are the pictures spoiled, or do they show something else? Without any label.

Two things are asked of each record. Does the model know it? The conformal p-value of the monitor says how usual its features are; where half
of the p-values are above 1/2, nothing has changed, and what is missing there is the share of changed records (Storey's estimate). And does
its *picture* look spoiled? A linear discriminant on image statistics, which no network has touched, tells clean training images from
corrupted ones; a digit, a letter or a coat of a kind never seen still has clean strokes and edges. If more records have changed than twice
as many as look spoiled, then most of the changed ones are clean pictures of something that the model does not know.

This is a hint about whom to ask what, not a verdict: a corruption that nobody thought of and that leaves pictures clean (a mirror; a shift,
if none was among the corruptions) looks like new content, and a new class drawn with another pen looks spoiled. The answer "none of these"
of a person decides.

Storey, J. (2002). A direct approach to false discovery rates. J. Royal Statistical Society B 64(3). Ledoit, O., Wolf, M. (2004). Honey, I
shrunk the sample covariance matrix. J. Portfolio Management 30(4), for the covariance of the discriminant.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from scipy.stats import t as student
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from models.naming.statistics import image_statistics
from scenarios.corruptions import Corruption, catalogue

Images = NDArray[np.uint8]
Singles = NDArray[np.float32]
Floats = NDArray[np.float64]

SMALLEST_FIT = 200
"""Fewest clean images to fit on."""
SMALLEST_WINDOW = 10
"""Fewest records to judge."""

_MOST_CLEAN, _OF_A_CORRUPTION = 2000, 300  # images; more make the fit slower and hardly surer
_HELD_OUT = 4  # one clean image in so many is kept from the discriminant, to see how it judges clean images
_FURTHEST, _FURTHEST_SQUARE = 6.0, 9.0  # in clean standard deviations; beyond, more of the same says nothing new
_USUAL = 0.5  # p-values above this are taken to be those of unchanged records


@dataclass(frozen=True)
class Change:
    """What a window of records says about the change that it stands in."""

    changed: float
    """Share of the records that the model does not know, in [0, 1]; clean records make it about 0."""
    spoiled: float
    """Share of the records whose picture looks corrupted, in [0, 1]."""
    new_content: float
    """Confidence that most of the changed records are clean pictures of something new, in [0, 1]. Clean windows exceed c in a share of
    about 1 - c of all cases, so ask for 0.95, and only after an alarm."""


class Looks:
    """Tells pictures that look clean from those that look spoiled. Made by `fit`.

    Examples
    --------
    A model of all digits but the four would know neither fours nor noise, so both get small p-values:

    >>> from scenarios.corruptions import corrupt
    >>> from scenarios.datasets import load
    >>> digits = load("digits", "train")
    >>> fours = digits.labels == 4
    >>> looks = Looks.fit(digits.images[~fours], [catalogue()[name] for name in ("shot_noise", "rotate", "stripe")])
    >>> odd = np.full(fours.sum(), 0.01)
    >>> looks.judge(digits.images[fours], odd).new_content > 0.99
    True
    >>> looks.judge(corrupt(digits.images[~fours], "shot_noise", seed=1)[: fours.sum()], odd).new_content < 0.01
    True
    """

    def __init__(self, scale: tuple[Floats, Floats], weights: Floats, offsets: Floats, clean: Floats) -> None:
        self._scale, self._weights, self._offsets = scale, weights, offsets
        self._mistaken = float(clean.mean())
        self._mistaken_variance = float(clean.var()) / len(clean)

    @classmethod
    def fit(cls, clean: Images, corruptions: Iterable[Corruption] | None = None, *, seed: int = 0) -> "Looks":
        """Learn from clean training images, and from corrupted ones that are made of them here; some seconds on one core.

        Parameters
        ----------
        clean : uint8 [n, h, w] or [n, h, w, 3], at least 200; of more than 2,000, so many are drawn. No labels are needed.
        corruptions : what spoiled may mean; by default the catalogue, without those that are not for colour if the images are.
        seed : of the corruptions and the draws; equal input gives an equal fit.

        Raises
        ------
        ValueError
            when there are too few images, they are of another dtype or shape, or there is no corruption.
        """
        chosen = list(corruptions) if corruptions is not None else [one for one in catalogue().values() if clean.ndim == 3 or one.colour]
        if not chosen:
            raise ValueError("there is no corruption to learn from; give at least one of catalogue(), or None for all")
        if len(clean) < SMALLEST_FIT:
            raise ValueError(f"there are {len(clean)} clean images; give at least {SMALLEST_FIT}, 2,000 for the best fit")
        rng = np.random.default_rng(seed)
        images = clean[rng.permutation(len(clean))[:_MOST_CLEAN]]
        held_out, images = np.split(images, [len(images) // _HELD_OUT])
        tables: list[Singles] = [image_statistics(images), *(_spoiled(images, one, rng, seed) for one in chosen)]
        scale = _scale(tables[0])
        described = np.concatenate([_described(table, *scale) for table in tables])
        kinds = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
        # Each corruption is a class of its own: together they surround the clean images, and no one plane parts these from all of them.
        priors = np.full(len(tables), 0.5 / len(chosen))
        priors[0] = 0.5
        found = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=priors).fit(described, kinds)
        # Of two classes, scikit-learn keeps the difference alone.
        pair = len(tables) == 2
        weights = np.vstack([np.zeros_like(found.coef_), found.coef_]) if pair else found.coef_
        offsets = np.concatenate([np.zeros(1), found.intercept_]) if pair else found.intercept_
        unknown = cls(scale, weights, offsets, np.zeros(1))
        return cls(scale, weights, offsets, unknown.spoiled(held_out))

    def spoiled(self, images: Images) -> Floats:
        """Return the probability that each picture is corrupted, if half of all were: float64 [n]."""
        return self._of_statistics(image_statistics(images))

    def judge(self, images: Images, p_values: ArrayLike) -> Change:
        """Say whether pictures are spoiled or show something new; for some hundred records, well under a second.

        Parameters
        ----------
        images : uint8 [n, h, w] or [n, h, w, 3], at least 10; those of the records since the change, odd and usual ones alike.
        p_values : float [n] in (0, 1], of the same records: `Monitor.p_values`.

        Raises
        ------
        ValueError
            when the two do not fit each other, a p-value is none, or there are too few.
        """
        usual = np.asarray(p_values, np.float64)
        if len(images) < SMALLEST_WINDOW or usual.shape != (len(images),) or not ((usual > 0) & (usual <= 1)).all():
            raise ValueError(
                f"there are {len(images)} images and p-values of shape {usual.shape}; expected one p-value in (0, 1] for each image, "
                f"and at least {SMALLEST_WINDOW} images"
            )
        return weigh(self.beyond_clean(images), usual, 4 * self._mistaken_variance)

    def beyond_clean(self, images: Images) -> Floats:
        """Return by how much each picture looks more corrupted than clean ones do: float64 [n], at most 1, on average 0 for clean pictures."""
        return np.asarray((self.spoiled(images) - self._mistaken) / (1 - self._mistaken), np.float64)

    def _of_statistics(self, rows: ArrayLike) -> Floats:
        scores = _described(np.asarray(rows, np.float64), *self._scale) @ self._weights.T + self._offsets
        return cast("Floats", 1 - softmax(scores, axis=1)[:, 0])


def weigh(spoiled: ArrayLike, p_values: ArrayLike, variance: float = 0.0) -> Change:
    """As `Looks.judge`, of pictures of which only `Looks.beyond_clean` is known; neither is looked at for its sense.

    Parameters
    ----------
    spoiled, p_values : float [n] each, n at least 2.
    variance : of twice the mean of `spoiled`, beside that among these records.
    """
    usual = np.asarray(p_values, np.float64)
    changed, looks = 1 - (usual > _USUAL) / (1 - _USUAL), np.asarray(spoiled, np.float64)
    # More changed records are clean than spoiled ones if this is above zero on average.
    clean_news = changed - 2 * looks
    error = np.sqrt(clean_news.var(ddof=1) / len(usual) + variance)
    new = float(student.cdf(clean_news.mean() / max(float(error), 1e-9), len(usual) - 1))
    return Change(float(np.clip(changed.mean(), 0, 1)), float(np.clip(looks.mean(), 0, 1)), new)


def _spoiled(clean: Images, corruption: Corruption, rng: np.random.Generator, seed: int) -> Singles:
    """Statistics of some of the images, corrupted in equal parts at each severity."""
    degrees = range(1, len(corruption.parameters) + 1)
    chosen = rng.permutation(len(clean))[:_OF_A_CORRUPTION]
    parts = zip(degrees, np.array_split(chosen, len(degrees)), strict=True)
    return np.concatenate([image_statistics(corruption(clean[part], degree, seed=seed)) for degree, part in parts])


def _scale(clean: ArrayLike) -> tuple[Floats, Floats]:
    rows = np.asarray(clean, np.float64)
    return rows.mean(0), np.maximum(rows.std(0), 1e-3)


def _described(rows: ArrayLike, centre: Floats, spread: Floats) -> Floats:
    """Statistics in clean standard deviations, and their squares, which see what is moved to either side at random: [n, 2 d]."""
    off = (np.asarray(rows, np.float64) - centre) / spread
    return np.concatenate([np.clip(off, -_FURTHEST, _FURTHEST), np.minimum(off**2, _FURTHEST_SQUARE)], 1)
