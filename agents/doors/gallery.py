"""Clean images with the latents that a model version has of them, to be shown beside a drifted one; and what filters make of an image.

The reference of a version is computed on a seeded sample of the clean training images, so its rows have pictures already: they are drawn
again, and nothing is computed or stored a second time. Where the data are not those that the reference was made of, there is no gallery.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from agents.doors.shelf import Shelf
from models.pipeline import Pipeline, PipelineError
from models.reference import FIT_SAMPLES, BadReferenceError, Reference, drawn
from scenarios.datasets import load, to_float
from scenarios.errors import DataError

KEPT = 12  # pipelines that are held loaded: the live one and the candidates of an incident
BYTES = 1 << 27  # of clean images of one sample; of larger images fewer are shown
NEIGHBOURS = 3
BATCH = 64

Picture = NDArray[Any]
K = TypeVar("K")
V = TypeVar("V")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A clean image near another one in latent space. `row` is its place in the gallery; `distance` is in standard deviations of the latents."""

    row: int
    name: str
    distance: float
    image: Picture


@dataclass(frozen=True, eq=False)
class Hall:
    """The gallery of one model version: n clean images uint8 [n, ...], their classes int64 [n], and the reference that they are part of."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    classes: tuple[str, ...]
    reference: Reference

    @cached_property
    def latents(self) -> NDArray[np.float64]:
        """Standardised latents of the images, [n, d]."""
        return self.reference.standard_latent(self.reference.fit_latent[self.rows])


class Gallery:
    """Clean images by pipeline. Safe to use from several threads.

    Parameters
    ----------
    shelf : the pipelines of a state folder.
    dataset, root : the clean data, and its folder.
    """

    def __init__(self, shelf: Shelf, dataset: str, root: Path | None) -> None:
        self._shelf, self._dataset, self._root = shelf, dataset, root
        self._lock = threading.Lock()
        self._pipelines: OrderedDict[str, Pipeline | None] = OrderedDict()
        self._halls: OrderedDict[Path, Hall | None] = OrderedDict()
        self._clean: tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]] | None = None

    def neighbours(self, pipeline: str, image: Picture, count: int = NEIGHBOURS) -> tuple[Neighbour, ...]:
        """The clean images whose latents are nearest to that of an image uint8 [h, w] or [h, w, 3], nearest first; none where there are none."""
        hall, network = self.hall(pipeline), self._pipeline(pipeline)
        if hall is None or network is None or image.ndim < 2:
            return ()
        latent = hall.reference.standard_latent(network.run(to_float(image[None])).latent)
        distances = np.sqrt(np.square(hall.latents - latent).mean(1))
        nearest = np.argsort(distances, kind="stable")[:count]
        return tuple(
            Neighbour(int(row), hall.classes[hall.labels[row]], float(distances[row]), hall.images[row]) for row in nearest.tolist()
        )  # fmt: skip

    def filtered(self, pipeline: str, image: Picture) -> Picture | None:
        """What the newest filter of a pipeline makes of an image; None where its newest route has no filter."""
        network = self._pipeline(pipeline)
        found = network.filtered(to_float(image[None])) if network is not None and image.ndim > 1 else None
        if found is None:
            return None
        pixels = np.rint(found[0] * 255).astype(np.uint8)
        return pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def look(self, pipeline: str, images: Sequence[Picture]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Early features [n, e] and latents [n, d] of images, as the classifier of a pipeline sees them; None where it is not there."""
        network = self._pipeline(pipeline)
        if network is None or not images:
            return None
        parts = [network.run(to_float(np.stack(images[at : at + BATCH]))) for at in range(0, len(images), BATCH)]
        return np.concatenate([one.early for one in parts]), np.concatenate([one.latent for one in parts])

    def same_classifier(self, one: str, other: str) -> bool:
        """Whether two pipelines see raw images alike, so that their latents may be compared."""
        try:
            first, second = self._shelf.manifest(one), self._shelf.manifest(other)
        except PipelineError:
            return False
        return first.files[first.classifier] == second.files[second.classifier]

    def clean(self, pipeline: str, row: int) -> Picture | None:
        """A clean image by its place."""
        hall = self.hall(pipeline)
        return hall.images[row] if hall is not None and 0 <= row < len(hall.images) else None

    def hall(self, pipeline: str) -> Hall | None:
        """The clean images of a pipeline's reference; None for tables, and where the data are not those of the reference."""
        with self._lock:
            try:
                path = self._shelf.folder(pipeline) / self._shelf.manifest(pipeline).reference
            except PipelineError:
                return None
            if path not in self._halls:
                self._halls[path] = self._opened(path, self._shelf.manifest(pipeline).classes)
            return _newest(self._halls, path)

    def _opened(self, path: Path, classes: tuple[str, ...]) -> Hall | None:
        try:
            reference = Reference.load(path)
            if self._clean is None:
                self._clean = self._sample()
        except (BadReferenceError, DataError) as error:
            log.warning("no clean images can be shown", reference=str(path), error=str(error))
            return None
        images, labels, rows = self._clean
        if images.ndim < 3 or (len(rows) and rows[-1] >= len(reference.fit_labels)) or not np.array_equal(reference.fit_labels[rows], labels):
            return None
        return Hall(images, labels, rows, classes, reference)

    def _sample(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Clean images, their labels, and which rows of the reference they are."""
        data = load(self._dataset, "train", self._root)
        chosen = drawn(np.random.default_rng(0), len(data), FIT_SAMPLES)
        fit = max(1, min(len(chosen), BYTES // max(1, data.images[0].nbytes)))
        rows = np.linspace(0, len(chosen) - 1, fit).astype(np.int64)
        return data.images[chosen[rows]], data.labels[chosen[rows]], rows

    def _pipeline(self, name: str) -> Pipeline | None:
        with self._lock:
            if name not in self._pipelines:
                try:
                    self._pipelines[name] = Pipeline.load(self._shelf.folder(name))
                except PipelineError as error:
                    log.warning("a pipeline cannot be shown", pipeline=name, error=str(error))
                    self._pipelines[name] = None
            return _newest(self._pipelines, name)


def _newest(kept: OrderedDict[K, V], key: K) -> V:
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[key]
