"""What a remedy is prepared from, and what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.exemplars import Exemplars
from models.networks.any_classifier import AnyClassifier
from models.networks.filter import Filter
from models.networks.route import RouteModules
from models.networks.numerics import to_tensor
from models.reference import Reference

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


class RemedyCancelledError(Exception):
    """Preparing a remedy was given up because `cancelled()` of its context said so."""


@dataclass(frozen=True)
class RemedyContext:
    """Everything that a remedy may use; nothing else reaches it.

    Raises
    ------
    ValueError
        When parts do not fit each other: the message names the part.
    """

    classifier: AnyClassifier
    """The live classifier: eval mode, frozen. Remedies copy it, they never change it."""
    clean_images: Images
    """uint8 [m, h, w] or [m, h, w, c]: clean training images (10,000 are enough; of 30,000 `simulate` learns 0.001 to 0.002 more)."""
    clean_labels: Labels
    """int64 [m]"""
    reference: Reference
    """What clean data looks like to `classifier`."""
    drifted: Images
    """uint8 [n, ...]: unlabelled images since the drift began, about 200 to 2000."""
    teaching: Labels
    """int64 [t]: positions in `drifted` that a person labelled; may be empty."""
    teaching_labels: Labels
    """int64 [t]: what the person said."""
    calibration_images: Images | None = None
    """uint8 [c, ...]: the clean images behind the calibration rows of `reference`, in their order; without them no gate is measured on them."""
    named: tuple[str, float | None] | None = None
    """The corruption of the catalogue that the drifted images resemble and its severity (1 to 5; None if it has no degrees), if any."""
    exemplars: Mapping[str, Exemplars] = field(default_factory=dict)
    """By known drift of the reference: images of it, and what the live pipeline answers; a new classifier must not forget them."""
    seed: int = 0
    threads: int = 1
    """torch threads while preparing; one is best where remedies are prepared side by side."""
    budget: float = 45.0
    """Seconds of processor time that training may take; training loops end their schedule early on slow machines so as to stay within."""
    progress: Callable[[float, str], None] = field(default=lambda _part, _what: None)
    """Called with the part done in [0, 1] and a few words."""
    cancelled: Callable[[], bool] = field(default=lambda: False)
    """Asked at every step; True ends the preparation with `RemedyCancelledError`."""

    def __post_init__(self) -> None:
        for name, images, labels in (
            ("clean", self.clean_images, self.clean_labels),
            ("teaching", self.teaching, self.teaching_labels),
        ):
            if len(images) != len(labels):
                raise ValueError(f"{name}: {len(images)} images and {len(labels)} labels; give one label for each image")
        if self.calibration_images is not None and len(self.calibration_images) != len(self.reference.calibration_labels):
            raise ValueError(
                f"calibration_images: {len(self.calibration_images)} images, and the reference has {len(self.reference.calibration_labels)} "
                "calibration rows; give the image of each row, or none"
            )
        if len(self.drifted) < SMALLEST_DRIFT:
            raise ValueError(f"{len(self.drifted)} drifted images; a remedy needs at least {SMALLEST_DRIFT}, wait for more records")
        if len(self.teaching) and not 0 <= int(self.teaching.min()) <= int(self.teaching.max()) < len(self.drifted):
            raise ValueError(f"teaching holds positions outside of the {len(self.drifted)} drifted images; they count from 0")
        if len(self.teaching) and not 0 <= int(self.teaching_labels.min()) <= int(self.teaching_labels.max()) < self.classifier.classes:
            raise ValueError(f"teaching_labels holds classes outside of 0..{self.classifier.classes - 1}; leave out what has no class")

    def report(self, part: float, what: str) -> None:
        """Tell how far it is, and stop if nobody wants the remedy any more; every loop of a remedy calls this.

        Raises
        ------
        RemedyCancelledError
            When `cancelled()` is true.
        """
        if self.cancelled():
            raise RemedyCancelledError(f"cancelled at {part:.0%} ({what})")
        self.progress(part, what)

    def generator(self) -> torch.Generator:
        """Return a fresh source of randomness, the same for the same seed."""
        return torch.Generator().manual_seed(self.seed)

    def drifted_tensor(self) -> Tensor:
        """Return the drifted images as float32 NCHW in [0, 1]."""
        return to_tensor(self.drifted)

    def proportions(self) -> Tensor:
        """Return the class proportions of the reference, float32 [classes]: what a stream is softly assumed to hold."""
        counts = np.bincount(self.reference.fit_labels, minlength=self.classifier.classes) + 1.0
        return torch.tensor(counts / counts.sum(), dtype=torch.float32)


SMALLEST_DRIFT = 20


@dataclass(frozen=True)
class Candidate:
    """A prepared remedy: the modules of a pipeline; `routes` is what `models.export.save_pipeline` takes.

    `classifier` is the new classifier where the remedy replaces it, else None (the live one stays).
    """

    name: str
    classifier: AnyClassifier | None = None
    filter: Filter | None = None
    adapted: AnyClassifier | None = None
    gate: nn.Module | None = None
    gate_threshold: float | None = None
    gate_even: float | None = None
    notes: tuple[str, ...] = ()
    """What a person should know: how much the gate routes, which assumption was made."""

    @property
    def routes(self) -> tuple[RouteModules, ...]:
        """The route that this remedy adds: one, or none where it replaces the classifier or does nothing."""
        if self.filter is None and self.adapted is None:
            return ()
        return (RouteModules(self.filter, self.adapted, self.gate, self.gate_threshold, self.gate_even),)


class Prepare(Protocol):
    """The one function of a remedy."""

    def __call__(self, context: RemedyContext) -> Candidate:
        """Prepare the remedy; pure but for time: equal contexts give equal candidates on the same machine."""
        ...
