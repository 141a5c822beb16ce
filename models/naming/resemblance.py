"""Which known corruption does a window of records look like, at which severity, on which share of the records, and how sure is that?

Clean images are corrupted in every known way at every severity; a window is compared with what that does to the image statistics
(`signatures`). How near is near enough, and how much one distance says against another, is learned in the fit itself, on windows of other
clean images: each is compared with the catalogue as it is (known) and with the catalogue without its own corruption (unlike any). Logistic
regression on the logarithm of the smallest distance tells the two apart, so no threshold is set by hand. What is as strange as the known
corruptions are to each other is then seen as strange. That is strict: another way to slant a picture than the known one counts as unlike any
too; `nearest` says what it reminds of.

Fisher, R. A. (1936). The use of multiple measurements in taxonomic problems. Annals of Eugenics 7(2). Scheirer, W. et al. (2013). Toward open
set recognition. IEEE Transactions on Pattern Analysis and Machine Intelligence 35(7).
"""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from models.arrays import save_npz
from models.naming.signatures import Signatures
from models.naming.statistics import image_statistics
from scenarios.corruptions import Corruption, catalogue

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]

NONE = "none"
UNLIKE_ANY = "unlike any"
SMALLEST_FIT = 200
"""Fewest clean images to fit on."""

_FIT, _HELD_OUT = 600, 200  # images of each kind at most; more make the fit slower and hardly surer
_STEEPEST = 40.0  # largest exponent that is tried when odds of distances become odds of names
_CLEAN_KEPT = 0.99  # share of held-out clean windows that keep the name "none"
_PRACTICE = ((30, 1.0), (100, 1.0), (30, 0.5), (100, 0.5))  # records in a window, and the share of them that is corrupted


class BadResemblanceError(ValueError):
    """A saved fit is missing or damaged, or images do not fit it. The message says what was expected."""


@dataclass(frozen=True)
class Naming:
    """What a window of records looks like."""

    name: str
    """A corruption of the catalogue, "none" for clean records, or "unlike any"."""
    severity: float | None
    """From 1 (mild) to 5, of the named corruption; None for "none", for "unlike any" and for a corruption without degrees."""
    share: float
    """Share of the records that are corrupted so, from 0.1 to 1; 0 for "none", and 1 for "unlike any", where it is not known."""
    confidence: float
    """Probability of `name`, in [0, 1], supposing that a corruption outside of the catalogue is as likely as one within it."""
    distance: float
    """To the nearest kind: about 1 or less where it is that kind."""
    nearest: str
    """The nearest name even if it is not near: what an unknown corruption reminds of."""
    alternatives: tuple[tuple[str, float], ...]
    """All other names with their probabilities, most probable first."""


@dataclass(frozen=True)
class Habits:
    """What turns distances into an answer.

    Attributes
    ----------
    slope, offset : the log-odds that the nearest kind is the true one are slope * log(distance) + offset.
    steepness : odds of names are odds of their distances to this power.
    allowance : a small share of a mild corruption fits a clean window as well as none does, or better by chance; so the distance to "none" is
        divided by this, which all but one in a hundred held-out clean windows need at most.
    """

    slope: float
    offset: float
    steepness: float
    allowance: float


class Resemblance:
    """Names corruptions of one kind of image. Made by `fit` or `load`.

    Parameters
    ----------
    signatures : of "none" and of all that can be named.
    habits : how distances become an answer.
    shape : height, width and channels of the images.

    Examples
    --------
    >>> from scenarios.corruptions import corrupt
    >>> from scenarios.datasets import load
    >>> known = Resemblance.fit(load("digits", "train").images[:400], [catalogue()[name] for name in ("stripe", "brightness", "rotate")])
    >>> fresh = load("digits", "test").images
    >>> seen = known.name(corrupt(fresh[:100], "brightness", 3, seed=1))
    >>> seen.name, round(seen.severity, 1), round(seen.share, 1), seen.confidence > 0.9
    ('brightness', 3.0, 1.0, True)
    >>> known.name(fresh[100:200]).name, known.name(255 - fresh[:100]).name
    ('none', 'unlike any')
    """

    def __init__(self, signatures: Signatures, habits: Habits, shape: tuple[int, int, int]) -> None:
        self.signatures = signatures
        self.habits = habits
        self.shape = shape

    @classmethod
    def fit(cls, clean: Images, corruptions: Iterable[Corruption] | None = None, *, seed: int = 0) -> "Resemblance":
        """Learn what each corruption makes of clean images; about five seconds on one core.

        Parameters
        ----------
        clean : uint8 [n, h, w] or [n, h, w, 3], at least 200; of more than 800, so many are drawn.
        corruptions : those to know; by default the catalogue, without those that are not for colour if the images are. Give each only once:
            of two that are the same under two names, neither can be told from the other.
        seed : of the corruptions and the draws; equal input gives an equal fit.

        Raises
        ------
        ValueError
            when there are too few images, they are of another dtype or shape, or there is no corruption to know.
        """
        chosen = list(corruptions) if corruptions is not None else [one for one in catalogue().values() if clean.ndim == 3 or one.colour]
        if not chosen:
            raise ValueError("there is no corruption to know; give at least one of catalogue(), or None for all")
        if len(clean) < SMALLEST_FIT:
            raise ValueError(f"there are {len(clean)} clean images; give at least {SMALLEST_FIT}, 800 or more for the best fit")
        kinds = [(NONE, 0)] + [(one.name, severity) for one in chosen for severity in range(1, len(one.parameters) + 1)]
        order = np.random.default_rng(seed).permutation(len(clean))
        first = min(_FIT, len(clean) * 3 // 4)
        # All kinds are made of the same images, so that what is peculiar to these images falls out of every difference.
        signatures = Signatures.of(kinds, _rows(clean[order[:first]], chosen, seed))
        others = _rows(clean[order[first : first + _HELD_OUT]], chosen, seed + 1)
        habits = learned_habits(signatures, [signatures.describe(rows) for rows in others], seed + 2)
        height, width, channels = (*clean.shape[1:], 1)[:3]
        return cls(signatures, habits, (height, width, channels))

    def name(self, images: Images) -> Naming:
        """Say what a window of images looks like; for some hundred records, well under a second.

        Raises
        ------
        BadResemblanceError
            when there are no images, or they are not of the height, width and channels that were fitted.
        ValueError
            when they are not uint8.
        """
        found = (*images.shape[1:], 1)[:3] if images.ndim in {3, 4} else images.shape
        if found != self.shape or not len(images):
            raise BadResemblanceError(
                f"images have shape {list(images.shape)}; give at least one, of the height, width and channels that were fitted: {self.shape}"
            )
        return self.name_statistics(image_statistics(images))

    def name_statistics(self, rows: ArrayLike) -> Naming:
        """Say what a window looks like whose `image_statistics` [n, d] are already there."""
        signatures, habits = self.signatures, self.habits
        described = signatures.describe(rows)
        distances, shares, severities = signatures.compare(described.mean(0)[None], np.array([len(described)]))
        distances[:, 0] /= habits.allowance
        kind, best = int(distances[0].argmin()), signatures.best(distances)[0]
        odds = (best.min() / best) ** habits.steepness
        known = float(expit(habits.slope * np.log(best.min()) + habits.offset))
        parts = dict(zip(signatures.names, (known * odds / odds.sum()).tolist(), strict=True)) | {UNLIKE_ANY: 1 - known}
        nearest, _ = signatures.kinds[kind]
        name = nearest if known >= 0.5 else UNLIKE_ANY
        degrees = sum(one == name for one, _ in signatures.kinds)
        share = {NONE: 0.0, UNLIKE_ANY: 1.0}.get(name, float(shares[0, kind]))
        others = sorted(((other, p) for other, p in parts.items() if other != name), key=lambda pair: -pair[1])
        return Naming(name, float(severities[0, kind]) if degrees > 1 else None, share, parts[name], float(best.min()), nearest, tuple(others))

    def save(self, path: Path) -> None:
        """Write the fit to `path` as npz without pickle (some ten MB); the parent folder must exist. The file appears whole or not at all."""
        signatures, habits = self.signatures, self.habits
        arrays: dict[str, ArrayLike] = {name: getattr(signatures, name) for name in _SIGNATURES} | {
            "names": [name for name, _ in signatures.kinds], "severities": [severity for _, severity in signatures.kinds],
            "habits": [habits.slope, habits.offset, habits.steepness, habits.allowance], "shape": self.shape,
        }  # fmt: skip
        save_npz(path, {name: np.asarray(array) for name, array in arrays.items()})

    @classmethod
    def load(cls, path: Path) -> "Resemblance":
        """Read what `save` wrote.

        Raises
        ------
        BadResemblanceError
            when the file is missing, is not an npz file, holds pickled objects or lacks an array.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                kinds = tuple(zip(archive["names"].tolist(), archive["severities"].tolist(), strict=True))
                parts = {name: archive[name] for name in _SIGNATURES}
                habits, (height, width, channels) = Habits(*archive["habits"].tolist()), archive["shape"].tolist()
        except FileNotFoundError:
            raise BadResemblanceError(f"there is no fit at {path}; write one with Resemblance.fit(clean).save(path)") from None
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
            raise BadResemblanceError(f"{path} is not a saved fit ({error}); write it anew with Resemblance.fit(clean).save(path)") from error
        return cls(Signatures(kinds=kinds, **parts | {"images": int(parts["images"])}), habits, (height, width, channels))


_SIGNATURES = ("centre", "spread", "clean_spread", "means", "covariances", "images")


def learned_habits(signatures: Signatures, described: list[Floats], seed: int) -> Habits:
    """Learn how distances become an answer, from held-out described images [m, 2 d] of each kind."""
    rng = np.random.default_rng(seed)

    def practise(kinds: NDArray[np.int64], size: int, share: float) -> Floats:
        """One window of each of the given kinds [w]: distances to each name [w, names]."""
        corrupted, means = round(size * share), []
        for kind in kinds:
            parts = ((described[kind], corrupted), (described[0], size - corrupted))
            means.append(np.concatenate([rows[rng.integers(0, len(rows), count)] for rows, count in parts]).mean(0))
        return signatures.best(signatures.compare(np.stack(means), np.full(len(means), size))[0])

    clean = [practise(np.zeros(100, np.int64), size, 1.0) for size in (30, 100)]
    allowance = max(1.0, *(float(np.quantile(found[:, 0] / found[:, 1:].min(1), _CLEAN_KEPT)) for found in clean))
    found = np.concatenate([practise(np.arange(len(described)), size, share) for size, share in _PRACTICE])
    found[:, 0] /= allowance
    truths = np.tile(signatures.of_name, len(_PRACTICE))
    own = np.arange(len(signatures.names)) == truths[:, None]
    known = found.min(1)
    strange = np.where(own, np.inf, found).min(1)[truths > 0]  # clean windows are never strangers: "none" is always known
    logs = np.log(np.concatenate([known, strange]))[:, None]
    regression = LogisticRegression(C=10.0, class_weight="balanced").fit(logs, np.arange(len(logs)) < len(known))
    ratios = np.log(found / known[:, None])

    def surprise(steepness: float) -> float:
        return -float(np.log(softmax(-steepness * ratios, axis=1)[own] + 1e-6).mean())

    steepness = minimize_scalar(surprise, bounds=(1.0, _STEEPEST), method="bounded").x
    return Habits(float(regression.coef_[0, 0]), float(regression.intercept_[0]), float(steepness), allowance)


def _rows(clean: Images, corruptions: list[Corruption], seed: int) -> list[NDArray[np.float32]]:
    """Statistics of the images as they are, and then of each kind."""
    kinds = ((one, severity) for one in corruptions for severity in range(1, len(one.parameters) + 1))
    return [image_statistics(clean), *(image_statistics(one(clean, severity, seed=seed)) for one, severity in kinds)]
