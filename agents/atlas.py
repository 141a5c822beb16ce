"""The latent map: the reference of the live pipeline and the newest records, in a plane that was fitted on the reference alone, or beside
their neighbours.

Where a record lies is told by its latents; how far it is from clean data, as the monitor looks at it, by early features and latents
together. Records that another classifier has answered lie in another space and are left out, and so is everything true of a drifted record.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.board import QuestionView
from agents.doors.gallery import Gallery, Hall
from agents.reception import Reception
from models.detectors.knn import NearestNeighbours
from models.neighbourhoods import lay_out
from models.projection import Plane, fit_plane
from workflows.inference import InferenceError

Layout = Literal["plane", "neighbours"]

REFERENCE, RECENT, ASKED = 700, 700, 300  # points that are drawn at most
ORDINARY = 0.95  # of clean images that were never trained on are as near to the reference as the map calls ordinary


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One image. `key` is its place in the gallery, or its record.

    `label` is the class of a clean image, or what was answered to a record; -1 where that is not told.
    """

    key: int
    x: float
    y: float
    label: int
    distance: float


class LatentMap(msgspec.Struct, frozen=True):
    """`explained`: share of the variance of clean latents in the plane. `ordinary`: a distance that few clean images exceed.

    `reference` are clean images, `recent` records, `asked` records of the open question `question` that nobody has labelled.
    """

    pipeline: str
    classes: tuple[str, ...]
    explained: float
    ordinary: float
    reference: tuple[Point, ...]
    recent: tuple[Point, ...]
    asked: tuple[Point, ...] = ()
    question: str = ""

    def furthest(self, count: int) -> tuple[Point, ...]:
        """The records that are furthest from clean data, furthest first."""
        return tuple(sorted(self.recent, key=lambda point: -point.distance)[:count])


class _Group(NamedTuple):
    """Images that have no places yet: keys, standardised latents [n, d], labels, and distances to clean data."""

    keys: NDArray[np.int64] | NDArray[np.intp]
    latents: NDArray[np.float32] | NDArray[np.float64]
    labels: NDArray[np.int64]
    apart: NDArray[np.float64]

    def points(self, places: NDArray[np.float64]) -> tuple[Point, ...]:
        """Placed."""
        columns = self.keys.tolist(), places.round(3).tolist(), self.labels.tolist(), self.apart.round(3).tolist()
        return tuple(Point(key, x, y, label, distance) for key, (x, y), label, distance in zip(*columns, strict=True))


class _Sheet:
    """What of a map stays while records come: the plane, the clean images in it, and how far is far."""

    def __init__(self, hall: Hall) -> None:
        self.hall, reference = hall, hall.reference
        self.plane: Plane = fit_plane(hall.latents)
        self.near = NearestNeighbours(reference.features(reference.fit_early, reference.fit_latent))
        held = self.near.score(reference.features(reference.calibration_early, reference.calibration_latent))
        self.ordinary = float(np.quantile(held, ORDINARY))

        self._drawn: tuple[bytes, NDArray[np.float64]] = b"", np.empty((0, 2))
        self._drawing = threading.Lock()

    @cached_property
    def clean(self) -> _Group:
        """The clean images, or a part of them."""
        chosen = np.unique(np.linspace(0, len(self.hall.rows) - 1, REFERENCE).astype(int))
        apart = self.near.left_out()[self.hall.rows[chosen]]
        return _Group(chosen, self.hall.latents[chosen], self.hall.labels[chosen], apart)

    def records(self, keys: NDArray[np.int64], early: NDArray[np.float32], latent: NDArray[np.float32], labels: NDArray[np.int64]) -> _Group:
        """Records by their features."""
        reference = self.hall.reference
        return _Group(keys, reference.standard_latent(latent), labels, self.near.score(reference.features(early, latent)))

    def nothing(self) -> _Group:
        """No records."""
        return _Group(np.empty(0, np.int64), self.hall.latents[:0], np.empty(0, np.int64), np.empty(0))

    def place(self, groups: Sequence[_Group], layout: Layout) -> list[tuple[Point, ...]]:
        """The points of groups, all in one picture."""
        latents = np.concatenate([group.latents for group in groups])
        places = self.plane.place(latents) if layout == "plane" else self._beside_neighbours(latents)
        cuts = np.cumsum([len(group.keys) for group in groups])[:-1]
        return [group.points(part) for group, part in zip(groups, np.split(places, cuts), strict=True)]

    def _beside_neighbours(self, latents: NDArray[np.float64]) -> NDArray[np.float64]:
        """Takes seconds, so who asks for the same again gets the same; others wait meanwhile."""
        with self._drawing:
            told = latents.tobytes()
            if told != self._drawn[0]:
                self._drawn = told, lay_out(latents)
            return self._drawn[1]


class Atlas:
    """Maps by model version; of each, what does not change is worked out once."""

    def __init__(self) -> None:
        self._sheets: OrderedDict[str, _Sheet] = OrderedDict()
        self._lock = threading.Lock()

    def map(self, reception: Reception, layout: Layout = "plane") -> LatentMap | None:
        """The map as things stand; None where there are no clean images, or nothing is live. Beside neighbours it takes seconds."""
        pipeline, gallery = reception.board.live(), reception.gallery
        sheet = self._sheet(gallery, pipeline) if gallery is not None else None
        if sheet is None or gallery is None:
            return None
        asked = next((view for view in reception.board.questions() if view.kind == "labels"), None)
        hidden = {seq for view in reception.board.questions() for seq in view.items}
        recent = self._recent(reception, gallery, sheet, pipeline, hidden)
        waiting = self._asked(reception, gallery, sheet, asked, pipeline) if asked else sheet.nothing()
        clean, newest, open_ones = sheet.place((sheet.clean, recent, waiting), layout)
        question = asked.question if asked and len(waiting.keys) else ""
        return LatentMap(pipeline, sheet.hall.classes, sheet.plane.explained, sheet.ordinary, clean, newest, open_ones, question)

    def _sheet(self, gallery: Gallery, pipeline: str) -> _Sheet | None:
        with self._lock:
            hall = gallery.hall(pipeline)
            if hall is None or len(hall.rows) < 3:
                return None
            known = self._sheets.get(pipeline)
            if known is None or known.hall is not hall:
                known = self._sheets[pipeline] = _Sheet(hall)
                while len(self._sheets) > 4:
                    self._sheets.popitem(last=False)
            return known

    def _recent(self, reception: Reception, gallery: Gallery, sheet: _Sheet, pipeline: str, hidden: set[int]) -> _Group:
        try:
            records = reception.recent(RECENT)
        except InferenceError:
            return sheet.nothing()
        same = {version for version in set(records.version.tolist()) if gallery.same_classifier(version, pipeline)}
        rows = np.flatnonzero(np.isin(records.version, list(same))) if same else np.empty(0, np.intp)
        if not len(rows):
            return sheet.nothing()
        labels = np.where(np.isin(records.seqs[rows], list(hidden)), -1, records.label[rows])
        return sheet.records(records.seqs[rows], records.early[rows], records.latent[rows], labels)

    def _asked(self, reception: Reception, gallery: Gallery, sheet: _Sheet, view: QuestionView, pipeline: str) -> _Group:
        """Those of a question that nobody has labelled; what the model says of them is nobody's business before."""
        missing = [seq for seq in view.items if seq not in view.answers][:ASKED]
        images = {seq: image for seq, image in reception.kept(view.incident, missing).items() if image.ndim > 1}
        seen = gallery.look(pipeline, list(images.values())) if images else None
        if seen is None:
            return sheet.nothing()
        return sheet.records(np.array(list(images), np.int64), *seen, np.full(len(images), -1, np.int64))
