"""What clean data looks like to one model version: the features that every detector compares with.

A reference holds one *component* for clean data and one for each known drift (a change that a person called expected, or that a
remedy now serves). Each component has a fit part, from which detectors learn distances, and a calibration part, unseen by them and by
the classifier's training, against which scores become p-values. It is saved beside the model as `reference.npz`, without pickle.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.arrays import save_npz

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Labels = NDArray[np.int64]

FIT_SAMPLES = 2000
"""Training images whose features are kept at most."""

SMALLEST_PART = 10
"""Fewest records in a part; below this neither a distance nor a p-value means anything."""

_MATRICES = ("fit_early", "fit_latent", "calibration_early", "calibration_latent", "calibration_logits")
_LABELS = ("fit_labels", "calibration_labels")
_TOWARDS = ("towards_early", "towards_latent")  # may be left out
_DRIFT = re.compile(r"drift(\d+)_(fit_early|fit_latent|calibration_early|calibration_latent)")


class BadReferenceError(ValueError):
    """A reference is missing, damaged, or does not fit the features given to it. The message says what was expected."""


@dataclass(frozen=True, eq=False)
class Component:
    """One population that counts as known: clean data, or a known drift.

    Attributes
    ----------
    name : "clean", "drift0", "drift1", ...
    fit_early, fit_latent : float32 [m, e] and [m, d], what detectors learn from.
    calibration_early, calibration_latent : float32 [n, e] and [n, d], what p-values are counted against.
    """

    name: str
    fit_early: Singles = field(repr=False)
    fit_latent: Singles = field(repr=False)
    calibration_early: Singles = field(repr=False)
    calibration_latent: Singles = field(repr=False)

    def __post_init__(self) -> None:
        for part in ("fit", "calibration"):
            early, latent = getattr(self, f"{part}_early"), getattr(self, f"{part}_latent")
            if len(early) != len(latent):
                raise BadReferenceError(
                    f"component {self.name!r}: {part}_early has {len(early)} rows and {part}_latent {len(latent)}; "
                    "row i of both must describe the same image"
                )
            if len(early) < SMALLEST_PART:
                raise BadReferenceError(
                    f"component {self.name!r}: the {part} part has {len(early)} records, at least {SMALLEST_PART} are needed; "
                    "collect more records of this population before making it known"
                )


@dataclass(frozen=True, eq=False)
class Reference:
    """What clean data, and every known drift, looks like to one model version.

    Attributes
    ----------
    fit_early, fit_latent : float32 [m, e] and [m, d], features of clean training images.
    fit_labels : int64 [m], their true labels.
    calibration_early, calibration_latent, calibration_logits : float32 [n, e], [n, d], [n, k], clean images never trained on.
    calibration_labels : int64 [n], their true labels.
    clean_accuracy : accuracy on the calibration part, in [0, 1].
    towards_early, towards_latent : float32 [k, e] and [k, d], mean change of the features by each known corruption; k may be 0.
    drifts : the known drifts, oldest first.

    Raises
    ------
    BadReferenceError
        when shapes disagree, a part is too small or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> reference = Reference.from_arrays({
    ...     "fit_early": rng.normal(size=(40, 3)), "fit_latent": rng.normal(size=(40, 2)), "fit_labels": np.zeros(40),
    ...     "calibration_early": rng.normal(size=(30, 3)), "calibration_latent": rng.normal(size=(30, 2)),
    ...     "calibration_logits": np.eye(2)[np.zeros(30, int)], "calibration_labels": np.zeros(30), "clean_accuracy": 1.0})
    >>> reference.features(reference.fit_early, reference.fit_latent).shape
    (40, 5)
    >>> adopted = reference.with_component(rng.normal(3, 1, (40, 3)), rng.normal(3, 1, (40, 2)))
    >>> [component.name for component in adopted.components]
    ['clean', 'drift0']
    """

    fit_early: Singles = field(repr=False)
    fit_latent: Singles = field(repr=False)
    fit_labels: Labels = field(repr=False)
    calibration_early: Singles = field(repr=False)
    calibration_latent: Singles = field(repr=False)
    calibration_logits: Singles = field(repr=False)
    calibration_labels: Labels = field(repr=False)
    clean_accuracy: float
    towards_early: Singles = field(default_factory=lambda: np.empty((0, 0), np.float32), repr=False)
    towards_latent: Singles = field(default_factory=lambda: np.empty((0, 0), np.float32), repr=False)
    drifts: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        for part in ("fit", "calibration"):
            expected = len(getattr(self, f"{part}_early"))
            for name in (*_MATRICES, *_LABELS):
                if name.startswith(part) and len(getattr(self, name)) != expected:
                    raise BadReferenceError(f"{name} has {len(getattr(self, name))} rows, {part}_early has {expected}; they must be equal")
        for part in ("early", "latent"):
            towards, features = getattr(self, f"towards_{part}"), getattr(self, f"fit_{part}").shape[1]
            if len(towards) != len(self.towards_early) or (len(towards) and towards.shape[1] != features):
                raise BadReferenceError(f"towards_{part} has shape {towards.shape}; expected [corruptions, {features}], equally many of both")
        if not 0 <= self.clean_accuracy <= 1:
            raise BadReferenceError(f"clean_accuracy is {self.clean_accuracy}; expected a share in [0, 1]")
        for component in self.components:
            for name in ("fit_early", "calibration_early", "fit_latent", "calibration_latent"):
                found, expected = getattr(component, name).shape[1:], getattr(self, name.replace("calibration", "fit")).shape[1:]
                if found != expected:
                    raise BadReferenceError(f"{component.name}: rows of {name} have shape {found}, expected {expected}")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, ArrayLike]) -> "Reference":
        """Build a reference from named arrays, as they stand in `reference.npz`; cast to float32 and int64.

        Raises
        ------
        BadReferenceError
            names the array that is missing, unknown, of a wrong number of dimensions or not finite.
        """
        missing = [name for name in (*_MATRICES, *_LABELS, "clean_accuracy") if name not in arrays]
        if missing:
            raise BadReferenceError(f"arrays missing: {', '.join(missing)}; a reference is written with Reference.save(path)")
        drifts: dict[int, dict[str, Singles]] = {}
        for name, values in arrays.items():
            if match := _DRIFT.fullmatch(name):
                drifts.setdefault(int(match[1]), {})[match[2]] = _matrix(name, values)
            elif name not in {*_MATRICES, *_LABELS, *_TOWARDS, "clean_accuracy"}:
                raise BadReferenceError(f"array {name!r} is not part of a reference; known drifts are named drift0_fit_early and so on")
        for index, parts in drifts.items():
            if len(parts) != 4 or max(drifts) >= len(drifts):
                raise BadReferenceError(
                    f"known drift {index} is incomplete or out of order: found {', '.join(sorted(parts))} among {len(drifts)} drifts; "
                    "each needs fit_early, fit_latent, calibration_early and calibration_latent, and numbers count from 0 without a gap"
                )
        return cls(
            fit_early=_matrix("fit_early", arrays["fit_early"]),
            fit_latent=_matrix("fit_latent", arrays["fit_latent"]),
            fit_labels=_vector("fit_labels", arrays["fit_labels"]),
            calibration_early=_matrix("calibration_early", arrays["calibration_early"]),
            calibration_latent=_matrix("calibration_latent", arrays["calibration_latent"]),
            calibration_logits=_matrix("calibration_logits", arrays["calibration_logits"]),
            calibration_labels=_vector("calibration_labels", arrays["calibration_labels"]),
            clean_accuracy=float(np.asarray(arrays["clean_accuracy"])),
            **{name: _matrix(name, arrays[name]) for name in _TOWARDS if name in arrays},
            drifts=tuple(Component(f"drift{index}", **drifts[index]) for index in sorted(drifts)),
        )

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Read a reference that `save` wrote.

        Raises
        ------
        BadReferenceError
            when the file is missing, is not an npz file, holds pickled objects, or its arrays do not fit together.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            raise BadReferenceError(f"no reference at {path}; write one with Reference.save(path)") from None
        except (zipfile.BadZipFile, ValueError, EOFError, AttributeError) as error:
            raise BadReferenceError(f"{path} is not a reference ({error}); expected plain arrays as Reference.save(path) writes") from error
        try:
            return cls.from_arrays(arrays)
        except BadReferenceError as error:
            raise BadReferenceError(f"{path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write all arrays to `path` as npz; the parent folder must exist. The file appears whole or not at all."""
        arrays: dict[str, NDArray[np.generic]] = {name: getattr(self, name) for name in (*_MATRICES, *_LABELS)}
        if len(self.towards_early):
            arrays |= {name: getattr(self, name) for name in _TOWARDS}
        arrays["clean_accuracy"] = np.asarray(self.clean_accuracy, np.float64)
        for drift in self.drifts:
            for name in ("fit_early", "fit_latent", "calibration_early", "calibration_latent"):
                arrays[f"{drift.name}_{name}"] = getattr(drift, name)
        save_npz(path, arrays)

    @property
    def held_out(self) -> slice:
        """Rows of the calibration part that no gate is fitted on, so that they tell of its errors: the second half."""
        return slice(len(self.calibration_early) // 2, None)

    @property
    def components(self) -> tuple[Component, ...]:
        """All known populations, clean data first."""
        clean = Component("clean", self.fit_early, self.fit_latent, self.calibration_early, self.calibration_latent)
        return (clean, *self.drifts)

    def features(self, early: ArrayLike, latent: ArrayLike) -> Floats:
        """Concatenate early and latent features, each standardised by the clean fit part.

        Parameters
        ----------
        early : [n, e]; latent : [n, d].

        Returns
        -------
        float64 [n, e + d]: on clean data each column has about mean 0 and standard deviation 1.
        """
        return np.concatenate([self.standard_early(early), self.standard_latent(latent)], 1)

    def standard_early(self, early: ArrayLike) -> Floats:
        """Standardise early features by the clean fit part: [n, e] -> float64 [n, e]."""
        return _standardised("early", early, *self._early_scale)

    def standard_latent(self, latent: ArrayLike) -> Floats:
        """Standardise latent features by the clean fit part: [n, d] -> float64 [n, d]."""
        return _standardised("latent", latent, *self._latent_scale)

    def with_component(self, early: ArrayLike, latent: ArrayLike) -> "Reference":
        """Return a reference that also knows the population of these records, as one more known drift.

        Even rows become its fit part, odd rows its calibration part, so a slow change over the rows falls on both alike. Equal records
        count once: one that stood in both parts would be at distance 0 from itself and make the population look narrower than it is.

        Parameters
        ----------
        early : [n, e]; latent : [n, d]; n at least 20.
        """
        first, second = _matrix("early", early), _matrix("latent", latent)
        if len(first) == len(second) and (first.shape[1], second.shape[1]) == (self.fit_early.shape[1], self.fit_latent.shape[1]):
            _, distinct = np.unique(np.hstack([first, second]), axis=0, return_index=True)
            first, second = (rows[np.sort(distinct)] for rows in (first, second))
        drift = Component(f"drift{len(self.drifts)}", first[0::2], second[0::2], first[1::2], second[1::2])
        return replace(self, drifts=(*self.drifts, drift))

    def calibrated_on(self, rows: NDArray[np.int64]) -> "Reference":
        """Return a reference whose calibration part is these rows of the present one, int64 [n]; its clean accuracy is theirs."""
        kept = {name: getattr(self, name)[rows] for name in (*_MATRICES, *_LABELS) if name.startswith("calibration")}
        right = kept["calibration_logits"].argmax(1) == kept["calibration_labels"]
        return replace(self, **kept, clean_accuracy=float(right.mean()))

    def without(self, drift: str) -> "Reference":
        """Return a reference that no longer knows the drift of this name; later ones move up, so that numbers stay without a gap.

        Raises
        ------
        BadReferenceError
            When there is no such drift.
        """
        kept = [one for one in self.drifts if one.name != drift]
        if len(kept) == len(self.drifts):
            raise BadReferenceError(f"there is no known drift {drift!r}; this reference knows {[one.name for one in self.drifts]}")
        return replace(self, drifts=tuple(replace(one, name=f"drift{number}") for number, one in enumerate(kept)))

    @cached_property
    def _early_scale(self) -> tuple[Floats, Floats]:
        return _scale(self.fit_early)

    @cached_property
    def _latent_scale(self) -> tuple[Floats, Floats]:
        return _scale(self.fit_latent)


def drawn(draw: np.random.Generator, count: int, most: int) -> NDArray[np.int64]:
    """Which of `count` images stand in a part of a reference, in order: at most `most`. The fit part is drawn first, by `default_rng(seed)`.

    >>> drawn(np.random.default_rng(0), 5, 3), drawn(np.random.default_rng(0), 2, 3)
    (array([2, 3, 4]), array([0, 1]))
    """
    return np.sort(draw.permutation(count)[:most]).astype(np.int64)


def _scale(values: Singles) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column.

    A column that is almost constant on clean data (a thumbnail's black corner) would turn one stray pixel into a thousand standard
    deviations, so no deviation counts as smaller than a tenth of the median one.
    """
    spread = values.std(0, dtype=np.float64)
    return values.mean(0, dtype=np.float64), np.maximum(spread, max(0.1 * float(np.median(spread)), 1e-6))


def _standardised(name: str, values: ArrayLike, mean: Floats, spread: Floats) -> Floats:
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or array.shape[1] != len(mean):
        raise BadReferenceError(
            f"{name} features have shape {array.shape}, expected [n, {len(mean)}]; "
            "they must come from the model that this reference describes"
        )
    return (array - mean) / spread


def _matrix(name: str, values: ArrayLike) -> Singles:
    array = np.asarray(values, np.float32)
    if array.ndim != 2 or not np.isfinite(array).all():
        finite = bool(np.isfinite(array).all())
        raise BadReferenceError(f"{name} must be a finite float matrix [records, features]; got shape {array.shape}, finite: {finite}")
    return array


def _vector(name: str, values: ArrayLike) -> Labels:
    array = np.asarray(values)
    if array.ndim != 1 or (array != array.astype(np.int64)).any():
        raise BadReferenceError(f"{name} must be whole numbers [records]; got shape {array.shape}, dtype {array.dtype}")
    return array.astype(np.int64)
