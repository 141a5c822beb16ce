"""The inference service itself, in memory: no HTTP, no ZeroMQ. It is also the twin of `RemoteInference` for tests."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.pipeline import Output, Pipeline, read_files
from workflows.inference import (
    Answers,
    BadImages,
    CursorAhead,
    Images,
    InferenceError,
    NoPipeline,
    NothingToUndo,
    PipelineConflict,
    Records,
    Shadow,
    Stats,
    UnknownPipeline,
)
from workflows.serving.log import Ring
from workflows.serving.trust import Trust

SHADOW_BATCH = 16  # images that a shadow runs at once: small, so that requests get the processor in between
MARGIN = 1e-3  # how far a float image may leave [0, 1]: resampling overshoots by rounding


class _Loaded(NamedTuple):
    """One loaded pipeline. Requests read `Service._active` once, so a swap is seen whole or not at all."""

    pipeline: Pipeline
    trust: Trust
    code: int  # stands for the version in the log
    ring: Ring
    images: Ring


class Service:
    """Pipelines, the active one, and the bounded log of what was answered. Thread-safe.

    Parameters
    ----------
    records, images : how many of the newest records and images are kept; memory is taken once, when the first pipeline is loaded.
    max_images : the most images in one request.
    max_pipelines : the most pipelines loaded at once.
    clock : UTC seconds.

    Implements `workflows.inference.Inference`; see there for what each method does and raises.
    """

    def __init__(
        self,
        *,
        records: int = 50_000,
        images: int = 10_000,
        max_images: int = 1024,
        max_pipelines: int = 16,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 1 <= max_images <= min(records, images):
            raise ValueError(f"max_images is {max_images}; one request must fit the log: between 1 and {min(records, images)} here")
        self.max_images, self.max_pipelines = max_images, max_pipelines
        self._capacity = records, images
        self._clock, self._started = clock, clock()
        self._log_id = secrets.token_hex(8)
        self._lock = threading.Lock()  # guards the rings and the counters; held for copies only, never while a model runs
        self._admin = threading.Lock()  # one load, activate, undo or unload at a time; requests never wait for it
        self._loaded: dict[str, _Loaded] = {}
        self._history: list[str] = []  # names activated before the active one, oldest first
        self._active: _Loaded | None = None
        self._versions: list[str] = []
        self._ring: Ring | None = None
        self._images: Ring | None = None
        self._requests, self._rejected, self._seconds = 0, 0, 0.0

    # Answering

    def infer(self, images: NDArray[Any], *, version: str | None = None) -> Answers:
        """See `Inference.infer`. With a `version`, only that one may answer; else raises `UnknownPipeline`."""
        begin = time.perf_counter()
        active = self._active
        if active is None:
            raise NoPipeline("no pipeline is active yet; load one and activate it, then ask again")
        if version is not None and version != active.pipeline.version:
            raise UnknownPipeline(f"version {version!r} does not answer; the active one is {active.pipeline.version!r}")
        try:
            floats, pixels = self._check(images, active.pipeline)
        except BadImages:
            with self._lock:
                self._rejected += 1
            raise
        output = active.pipeline.run(floats)
        labels = output.logits.argmax(1)
        trust = active.trust(output.final_latent, labels)
        probabilities = softmax(output.logits)
        first = self._keep(active, output, labels, pixels, begin)
        seqs = np.arange(first, first + len(labels))
        return Answers(seqs, labels, probabilities, trust, active.pipeline.version, output.routed)

    def _check(self, images: NDArray[Any], pipeline: Pipeline) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """The images as float32 in [0, 1] and as uint8, both [n, c, h, w]."""
        shape = pipeline.manifest.input
        if pipeline.manifest.features is not None:
            return self._check_rows(images, pipeline.manifest.features)
        if images.ndim != 4 or images.shape[1:] != shape:
            expected = f"[n, {', '.join(map(str, shape))}]: number, channels, height, width"
            raise BadImages(f"the images have shape {list(images.shape)}; expected {expected}")
        if not 1 <= len(images) <= self.max_images:
            raise BadImages(f"the request has {len(images)} images; expected between 1 and {self.max_images}")
        if images.dtype == np.uint8:
            return images.astype(np.float32) * np.float32(1 / 255), images
        if images.dtype != np.float32:
            raise BadImages(f"the images are {images.dtype}; expected float32 in [0, 1] or uint8")
        low, high = float(images.min()), float(images.max())
        if not (low >= -MARGIN and high <= 1 + MARGIN):  # false for NaN too
            found = f"values from {low:g} to {high:g}" if np.isfinite(images).all() else "NaN or infinite values"
            raise BadImages(f"the images have {found}; expected float32 in [0, 1]")
        scaled = images * np.float32(255)
        return images, np.rint(scaled, out=scaled).clip(0, 255, out=scaled).astype(np.uint8)

    def _check_rows(self, rows: NDArray[Any], features: tuple[str, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows of a table [n, features] or [n, features, 1, 1], as they are: of float32, finite."""
        whole = rows[:, :, None, None] if rows.ndim == 2 else rows
        if whole.shape[1:] != (len(features), 1, 1):
            raise BadImages(f"the rows have shape {list(rows.shape)}; expected [n, {len(features)}]: {', '.join(features)}")
        if not 1 <= len(whole) <= self.max_images:
            raise BadImages(f"the request has {len(whole)} rows; expected between 1 and {self.max_images}")
        if whole.dtype != np.float32:
            raise BadImages(f"the rows are {whole.dtype}; expected float32")
        if not np.isfinite(whole).all():
            bad = features[int(np.flatnonzero(~np.isfinite(whole).all((0, 2, 3)))[0])]
            raise BadImages(f"{bad!r} has NaN or infinite values; expected finite numbers")
        return whole, whole

    def _keep(self, active: _Loaded, output: Output, labels: NDArray[np.int64], pixels: NDArray[Any], begin: float) -> int:
        n = len(labels)
        with self._lock:
            first = active.ring.extend({
                "time": np.full(n, self._clock()), "version": np.full(n, active.code), "label": labels, "routed": output.routed,
                "logits": output.logits, "early": output.early, "latent": output.latent,
            })  # fmt: skip
            active.images.extend({"images": pixels})
            self._requests += 1
            self._seconds += time.perf_counter() - begin
        return first

    # Reading

    def records(self, after: int, limit: int = 1000, *, spread: bool = False) -> Records:
        """See `Inference.records`."""
        if after < 0 or limit < 1:
            raise InferenceError(f"records after {after}, at most {limit}; expected after >= 0 and a limit >= 1")
        with self._lock:
            ring = self._ring or Ring(1, _columns(0, 0, 0))
            if after > ring.last:
                raise CursorAhead(f"records after {after} were asked for, and the log ends at {ring.last}: it began anew; start from 0")
            first = max(after + 1, ring.first)
            every = max(1, -(-(ring.last - first + 1) // limit)) if spread else 1
            seqs = np.arange(first + every - 1, ring.last + 1, every)[:limit]
            rows = ring.gather(seqs)
        last = int(seqs[-1]) if len(seqs) else first - 1
        codes = rows.pop("version")
        version = np.array(self._versions or [""])[codes]
        lost = (after + 1, first - 1) if first > after + 1 else None
        return Records(log=self._log_id, first=first, last=last, lost=lost, seqs=seqs, version=version, every=every, **rows)

    def images(self, seqs: NDArray[np.int64]) -> Images:
        """See `Inference.images`."""
        kept, pixels = self._gather(seqs)
        if pixels.dtype == np.float32:
            return Images(kept, pixels[:, :, 0, 0])
        return Images(kept, pixels[:, 0] if pixels.shape[1] == 1 else np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))

    def _gather(self, seqs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Those of `seqs` still in the image ring, and their pixels [n, c, h, w]."""
        seqs = np.asarray(seqs, np.int64).reshape(-1)
        with self._lock:
            ring = self._images or Ring(1, {"images": ((1, 1, 1), np.uint8)})
            seqs = seqs[(seqs >= ring.first) & (seqs <= ring.last)]
            if len(seqs) > ring.capacity:
                raise InferenceError(f"{len(seqs)} images were asked for; expected at most {ring.capacity}, as many as are kept")
            return seqs, ring.gather(seqs)["images"]

    def shadow(self, name: str, seqs: NDArray[np.int64]) -> Shadow:
        """See `Inference.shadow`."""
        pipeline = self._named(name).pipeline
        kept, pixels = self._gather(seqs)
        labels, confidence = np.zeros(len(kept), np.int64), np.zeros(len(kept), np.float32)
        spent = 0.0
        for at in range(0, len(kept), SHADOW_BATCH):
            part = slice(at, at + SHADOW_BATCH)
            begin = time.perf_counter()
            shown = pixels[part] if pixels.dtype == np.float32 else pixels[part].astype(np.float32) * np.float32(1 / 255)
            logits = pipeline.run(shown).logits
            spent += time.perf_counter() - begin
            labels[part], confidence[part] = logits.argmax(1), softmax(logits).max(1)
        return Shadow(kept, labels, confidence, spent / max(1, len(kept)))

    def stats(self) -> Stats:
        """See `Inference.stats`."""
        with self._admin, self._lock:
            active = self._active.pipeline if self._active else None
            ring, images = self._ring, self._images
            return Stats(
                log=self._log_id, started=self._started, first=ring.first if ring else 1, last=ring.last if ring else 0,
                first_image=images.first if images else 1, requests=self._requests, rejected=self._rejected, seconds=self._seconds,
                active=active.name if active else None, previous=self._history[-1] if self._history else None,
                version=active.version if active else None,
            )  # fmt: skip

    # Pipelines

    def active(self) -> Pipeline | None:
        """The pipeline that answers now."""
        return self._active.pipeline if self._active else None

    def pipelines(self) -> tuple[tuple[str, bool], ...]:
        """See `Inference.pipelines`."""
        with self._admin:
            active = self._active.pipeline.name if self._active else None
            return tuple((name, name == active) for name in self._loaded)

    def load(self, folder: Path) -> str:
        """See `Inference.load`."""
        return self.load_files(read_files(folder))

    def load_files(self, files: Mapping[str, bytes]) -> str:
        """As `load`, from the files' contents by name: what arrives over the wire."""
        pipeline = Pipeline(files)
        output = pipeline.run(np.zeros((1, *pipeline.manifest.input), np.float32))
        trust = Trust(pipeline.fit_latent, pipeline.fit_labels, len(pipeline.manifest.classes))
        with self._admin:
            known = self._loaded.get(pipeline.name)
            if known is not None and known.pipeline.digest == pipeline.digest:
                return pipeline.name
            if known is not None:
                raise PipelineConflict(f"another pipeline named {pipeline.name!r} is loaded; give this one its own name or unload that one")
            if len(self._loaded) >= self.max_pipelines:
                raise PipelineConflict(f"{len(self._loaded)} pipelines are loaded, the most allowed; unload one of {list(self._loaded)}")
            ring, images = self._fit_rings(pipeline, output)
            if pipeline.version not in self._versions:
                self._versions = [*self._versions, pipeline.version]
            self._loaded[pipeline.name] = _Loaded(pipeline, trust, self._versions.index(pipeline.version), ring, images)
        return pipeline.name

    def _fit_rings(self, pipeline: Pipeline, output: Output) -> tuple[Ring, Ring]:
        """The rings of records and images: made for the first pipeline; any later one must fit them."""
        columns = _columns(output.logits.shape[1], output.early.shape[1], output.latent.shape[1])
        layout = (pipeline.manifest.input, *(columns[name][0] for name in ("logits", "early", "latent")))
        if self._ring is None or self._images is None:
            with self._lock:
                self._ring = Ring(self._capacity[0], columns)
                self._images = Ring(self._capacity[1], {"images": (pipeline.manifest.input, np.float32 if pipeline.manifest.features else np.uint8)})
            self._layout = layout
        if layout != self._layout:
            wrong = f"pipeline {pipeline.name!r} has images, logits, early and latent of {layout}; this deployment keeps {self._layout}"
            raise PipelineConflict(f"{wrong}. Start another deployment for it")
        return self._ring, self._images

    def activate(self, name: str) -> None:
        """See `Inference.activate`."""
        with self._admin:
            chosen = self._named(name)
            before = self._active
            if chosen is before:
                return
            chosen.pipeline.run(np.zeros((1, *chosen.pipeline.manifest.input), np.float32))  # warm: the first run of a session is slow
            if before is not None:
                self._history.append(before.pipeline.name)
            self._active = chosen

    def undo(self) -> str:
        """See `Inference.undo`."""
        with self._admin:
            if not self._history:
                raise NothingToUndo("no pipeline was active before this one; activate one by name")
            self._active = self._loaded[self._history.pop()]
            return self._active.pipeline.name

    def unload(self, name: str) -> None:
        """See `Inference.unload`."""
        with self._admin:
            if self._named(name) is self._active:
                raise PipelineConflict(f"{name!r} is the active pipeline; activate another one or undo before unloading it")
            del self._loaded[name]
            self._history = [n for n in self._history if n != name]

    def _named(self, name: str) -> _Loaded:
        try:
            return self._loaded[name]
        except KeyError:
            raise UnknownPipeline(f"no pipeline named {name!r} is loaded; loaded are {list(self._loaded)}") from None


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities [n, k] of `logits` [n, k]."""
    powers: NDArray[np.float32] = np.exp(logits - logits.max(1, keepdims=True))
    powers /= powers.sum(1, keepdims=True)
    return powers


def _columns(classes: int, early: int, latent: int) -> dict[str, tuple[tuple[int, ...], type[np.generic]]]:
    return {
        "time": ((), np.float64), "version": ((), np.int32), "label": ((), np.int64), "routed": ((), np.bool_),
        "logits": ((classes,), np.float32), "early": ((early,), np.float32), "latent": ((latent,), np.float32),
    }  # fmt: skip
