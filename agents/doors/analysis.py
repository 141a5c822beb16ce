"""Looks at records for the agents: keeps the evidence of an incident, measures a shift, compares pipelines side by side."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.doors.differences import differences
from agents.doors.evidence import Evidence
from agents.doors.likeness import Likenesses
from agents.doors.shelf import Shelf
from agents.doors.slices import SliceBook
from agents.messages import (
    AdoptChange, AnalyseWindow, ChangeAdopted, CompareRemedies, Elsewhere, Likeness, Message, RemediesCompared, WindowAnalysed,
)
from agents.switchboard import answer_to
from models.detectors.ks import KolmogorovSmirnov
from models.detectors.mmd import mmd
from models.estimators.confidence import Estimate, estimate_accuracy
from models.naming.imitate import mixed
from models.queries.random import random
from models.queries.typical import typical
from models.reference import Reference
from models.weaknesses.bias import FOUND
from workflows.inference import Inference, Records
from workflows.steps.window import Window

CHUNK = 2000
MOST_LOADED = 10
SILENCE = 10.0  # seconds without a record after which traffic counts as over, or more where records come slowly:
PAUSES = 20  # times the mean pause between the records so far
FEWEST = 20  # records of a slice with which one may begin to compare
SHIFT_SAMPLE = 500  # records that the kernel test compares; it is quadratic


class TooFewRecordsError(Exception):
    """Traffic did not bring the records that an analysis needs."""


class Analysis:
    """Doors for `AnalyseWindow`, `CompareRemedies` and `AdoptChange`.

    Parameters
    ----------
    inference : the service whose records are looked at.
    likenesses : what drifted records are compared with.
    wait : lets some traffic come by; False says that there will be no more.
    least : fewest records to work with.
    book : which records belong to which slice of the traffic.
    """

    def __init__(
        self, inference: Inference, shelf: Shelf, evidence: Evidence, likenesses: Likenesses, wait: Callable[[], bool], *, least: int,
        book: SliceBook,
    ) -> None:
        self._inference, self._shelf, self._evidence, self._likenesses = inference, shelf, evidence, likenesses
        self._wait, self._least, self._book = wait, least, book

    def analyse(self, request: Message) -> list[Message]:
        """Keep the window, name it, estimate the harm without labels, draw samples to ask about."""
        assert isinstance(request, AnalyseWindow)
        window, records = self._gather(request.first - 1, request.count, self._least, request.deadline, newest=False)
        path = self._evidence.keep(request.incident, "window", window)
        reference = Reference.load(self._shelf.reference(str(records.version[-1])))
        now, then = reference.features(window.early, window.latent), reference.features(reference.calibration_early, reference.calibration_latent)
        rng = np.random.default_rng(request.seed)
        kernel = mmd(_sample(then, rng), _sample(now, rng), seed=request.seed)
        gap = KolmogorovSmirnov(then).compare(now)
        likeness = self._likenesses.of(window.images)
        estimate = self._estimate(reference, window, likeness, str(records.version[-1]))
        audit = random(now, request.audit, request.seed)
        teaching = self._typical(now, request, audit, self._inside(request.slice, window, records, reference) if request.slice else None)
        asked = np.concatenate([audit, teaching]).astype(np.int64)
        return [
            answer_to(
                request, WindowAnalysed, "analysis", window=str(path), last=int(window.seqs[-1]), records=len(window.seqs),
                mmd=kernel.effect, mmd_p=kernel.p_value, ks=gap.effect, ks_p=gap.p_value,
                clean_accuracy=reference.clean_accuracy, estimated_accuracy=estimate.value, estimate_error=estimate.error,
                audit=_seqs(window, audit), teaching=_seqs(window, teaching),
                predicted=dict(zip(_seqs(window, asked), window.labels[asked].tolist(), strict=True)),
                classes=self._shelf.manifest(str(records.version[-1])).classes, likeness=likeness,
            )
        ]

    def _inside(
        self, slice_: str, window: Window, records: Records, reference: Reference
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows of a window lie in a slice, and which are better not asked about, since their true label has come by another way."""
        inside, _ = self._book.rows(slice_, records.log, window.seqs, window.latent, reference)
        return inside, self._book.is_labelled(records.log, window.seqs)

    def _typical(
        self, features: NDArray[np.float64], request: AnalyseWindow, audit: NDArray[np.int64],
        slice_: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None,
    ) -> NDArray[np.int64]:
        """Rows to learn from: typical ones; of a slice, where one fares worse, and there of records whose label has not come anyhow."""
        if slice_ is None:
            return typical(features, request.teaching, request.seed, exclude=audit)
        inside, labelled = slice_
        free = inside & ~labelled if (inside & ~labelled).sum() >= request.teaching else inside
        rows = np.setdiff1d(np.flatnonzero(free), audit)
        return rows[typical(features[rows], request.teaching, request.seed)] if len(rows) else rows

    def _estimate(self, reference: Reference, window: Window, likeness: Likeness | None, pipeline: str) -> Estimate:
        """Accuracy without labels: from confidences and, as far as the corruption has a name, counted on clean images spoiled alike."""
        confidences = estimate_accuracy(reference.calibration_logits, reference.calibration_labels, window.logits)
        if likeness is None or not likeness.known:
            return confidences
        named = self._likenesses.accuracy(likeness, self._shelf.folder(pipeline), reference.clean_accuracy)
        return mixed(named, likeness.confidence, confidences)

    def compare(self, request: Message) -> list[Message]:
        """Run all pipelines on the same newest records and draw, at random, some on which they differ; in a slice and elsewhere, too."""
        assert isinstance(request, CompareRemedies)
        names = (request.baseline, *request.candidates)
        self._load(names)
        least = min(self._least, request.count)
        window, records = self._gather(request.after, request.count, least, request.deadline, newest=True, slice_=request.slice)
        shadows = {name: self._inference.shadow(name, window.seqs) for name in names}
        seqs = np.array(sorted(set.intersection(*(set(one.seqs.tolist()) for one in shadows.values()))), np.int64)
        if not len(seqs):
            raise TooFewRecordsError("all images to compare on have left the ring meanwhile; slow the traffic or enlarge the image ring")
        said = {name: one.labels[np.searchsorted(one.seqs, seqs)] for name, one in shadows.items()}
        self._evidence.keep(request.incident, f"compared-after-{request.after}", window)
        here, elsewhere = self._told(request, window, records, seqs, said)
        return [
            answer_to(
                request, RemediesCompared, "analysis", **here, elsewhere=elsewhere,
                seconds_per_image={name: float(one.seconds_per_image) for name, one in shadows.items()},
                classes=self._shelf.manifest(request.baseline).classes,
            )
        ]

    def _told(
        self, request: CompareRemedies, window: Window, records: Records, seqs: NDArray[np.int64], said: dict[str, NDArray[np.int64]]
    ) -> tuple[dict[str, Any], Elsewhere | None]:
        """What is said of the compared records `seqs`: of all, or of a slice and of those that surely are not in it."""

        def of(rows: NDArray[np.intp], audit: int) -> dict[str, Any]:
            picked = {name: labels[rows] for name, labels in said.items()}
            return {"records": len(rows), **differences(seqs[rows], picked, request.baseline, request.candidates, audit, request.seed)._asdict()}

        everything = np.arange(len(seqs))
        if not request.slice or (request.slice.startswith(FOUND) and not (records.version == request.baseline).all()):
            return of(everything, request.audit), None  # found slices are parts of the latent space of one classifier
        reference = Reference.load(self._shelf.reference(request.baseline))
        at = window.positions(seqs)
        inside, known = self._book.rows(request.slice, records.log, seqs, window.latent[at], reference)
        others = np.flatnonzero(known & ~inside)
        if inside.sum() < FEWEST:
            raise TooFewRecordsError(
                f"{inside.sum()} of {len(seqs)} fresh records are known to be of {request.slice}, {FEWEST} are needed: "
                "hand in the attributes of records as they come, with or without labels"
            )
        ask = request.audit // 3 if len(others) else 0
        return of(np.flatnonzero(inside), request.audit - ask), Elsewhere(**of(others, ask)) if len(others) else None

    def adopt(self, request: Message) -> list[Message]:
        """Write a new reference in which the window's records are a known drift."""
        assert isinstance(request, AdoptChange)
        window = Window.load(Path(request.window))
        folder = self._shelf.folder(request.pipeline)
        reference = Reference.load(self._shelf.reference(request.pipeline)).with_component(window.early, window.latent)
        path = folder / f"adopted-{len(list(folder.glob('adopted-*.npz'))) + 1:04d}.npz"
        reference.save(path)
        return [answer_to(request, ChangeAdopted, "analysis", pipeline=request.pipeline, reference=str(path))]

    def _load(self, names: Sequence[str]) -> None:
        """Load what is not loaded yet, in place of what nobody needs any more."""
        stats, loaded = self._inference.stats(), dict(self._inference.pipelines())
        for name in set(loaded) - {*names, stats.active, stats.previous} if len(loaded) + len(names) > MOST_LOADED else ():
            self._inference.unload(name)
        for name in names:
            if name not in loaded:
                self._inference.load(self._shelf.folder(name))

    def _gather(self, after: int, count: int, least: int, deadline: float, *, newest: bool, slice_: str = "") -> tuple[Window, Records]:
        """`count` records after a sequence number with their images: the first ones, or the newest; fewer if traffic ends.

        `slice_`: the newest of which it is known whether they are in it.
        """
        last = self._let_come(after + count, 0.8 * deadline, slice_)
        after = max(after, self._inference.stats().first_image - 1)  # what has left the ring of images can teach nobody
        first = max(after, last - count) if newest else after
        parts: list[Records] = []
        at, end = first, min(last, first + count)
        while at < end:
            part = self._inference.records(at, min(CHUNK, end - at))
            if part.last < part.first:
                break
            parts.append(part)
            at = part.last
        if sum(len(part.seqs) for part in parts) < least:
            found = sum(len(part.seqs) for part in parts)
            raise TooFewRecordsError(
                f"{found} records came after record {after} within {0.8 * deadline:.0f} s, {least} are needed. "
                "Is there traffic? Where it is slow, a policy with a longer verification.deadline or a smaller detection.least helps"
            )
        return self._with_images(_joined(parts), least)

    def _let_come(self, enough: int, seconds: float, slice_: str) -> int:
        """Wait for record `enough`, but not for ever, nor where traffic has ceased; returns the last record."""
        last = self._newest(slice_)
        begun = grown = time.monotonic()
        silence = max(SILENCE, PAUSES * self._pause(last))
        while last < enough and self._wait():
            newest, now = self._newest(slice_), time.monotonic()
            if newest > last:
                last, grown = newest, now
            elif now - grown > silence or now - begun > seconds:
                break
        return last

    def _newest(self, slice_: str) -> int:
        """The newest record, or the newest of which the attribute of a slice is known."""
        stats, attribute = self._inference.stats(), slice_.partition("=")[0]
        return min(stats.last, self._book.newest(attribute, stats.log)) if attribute not in ("", FOUND) else stats.last

    def _pause(self, last: int) -> float:
        """Mean seconds between the newest records, as far as the log holds them."""
        newest = self._inference.records(max(0, last - CHUNK), CHUNK)
        return float(np.ptp(newest.time)) / max(1, len(newest.time) - 1) if len(newest.time) else 0.0

    def _with_images(self, records: Records, least: int) -> tuple[Window, Records]:
        images = self._inference.images(records.seqs)
        if len(images.seqs) < least:
            raise TooFewRecordsError(f"{len(images.seqs)} of the images are still in the ring, {least} are needed; enlarge the image ring")
        kept = np.searchsorted(records.seqs, images.seqs)
        window = Window(
            seqs=images.seqs, images=images.images, early=records.early[kept], latent=records.latent[kept], logits=records.logits[kept],
            labels=records.label[kept],
        )
        return window, records


def _joined(parts: Sequence[Records]) -> Records:
    names = ("seqs", "time", "version", "label", "routed", "logits", "early", "latent")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Records(log=parts[0].log, first=parts[0].first, last=parts[-1].last, lost=parts[0].lost, every=1, **columns)


def _sample(features: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return features[rng.permutation(len(features))[:SHIFT_SAMPLE]]


def _seqs(window: Window, positions: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(seq) for seq in window.seqs[positions])
