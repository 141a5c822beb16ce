"""A pipeline is a folder of ONNX files with a manifest; this loads one, checks it and answers with it.

    raw images -> classifier -> early, latent -> newest gate -> its part: filter (if any) -> adapted classifier (or the same) -> answer
                                                     `-> of the rest, the gate before its part: ...
                                                             `-> left by all: the first answer

A pipeline has as many routes as drifts that it serves, each with a gate, and the newest is asked first: a gate was
fitted to tell its drift from clean images and from the drifts before it, and knows nothing of those that came later (decision 0007).
A gate that is sure gives all or nothing, one in doubt a part (`models.blend`, decision 0010).

The folder holds `manifest.json`, the ONNX files that it names and `reference.npz`. Every file is listed with its SHA-256, so
a damaged or half-copied folder is refused before it can answer anything. This module needs numpy and onnxruntime, nothing
else: it runs inside the inference container.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.blend import Blend, part

Floats = NDArray[np.float32]

MANIFEST = "manifest.json"
TAIL = ("logits", "early", "latent")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")


class PipelineError(Exception):
    """A pipeline folder, or images given to a pipeline, are not what was expected. The message says what was."""


@dataclass(frozen=True)
class Route:
    """One way past the first answer; without a gate, for all images.

    `gate`, `filter` and `adapted` are file names; `drift` is the known drift of the reference that this route serves, such as "drift0".
    Images that the gate scores above the threshold are clearly its own: they count as routed. The route's part in an answer is
    sigmoid(score - gate_even); without that number it is all of it for routed images and nothing for others.
    """

    gate: str | None = None
    gate_threshold: float | None = None
    gate_even: float | None = None
    filter: str | None = None
    adapted: str | None = None
    drift: str | None = None

    def files(self) -> dict[str, str]:
        """Role to file name, for the files that this route has."""
        roles = {"gate": self.gate, "filter": self.filter, "adapted": self.adapted}
        return {role: file for role, file in roles.items() if file is not None}

    def check(self, key: str) -> None:
        """Raise `PipelineError` unless this is a route; `key` is where it stands in the manifest."""
        for role in ("gate", "filter", "adapted", "drift"):
            if getattr(self, role) is not None:
                _is_name(f"{key}.{role}", getattr(self, role))
        if (self.gate is None) != (self.gate_threshold is None):
            raise PipelineError(f"{MANIFEST}: gate and gate_threshold of {key} go together; got {self.gate!r} and {self.gate_threshold!r}")
        if self.gate_threshold is not None and (not isinstance(self.gate_threshold, int | float) or isinstance(self.gate_threshold, bool)):
            raise PipelineError(f"{MANIFEST}: gate_threshold of {key} is {self.gate_threshold!r}; expected a number")
        if self.gate_even is not None and (not isinstance(self.gate_even, int | float) or isinstance(self.gate_even, bool)):
            expected = "a number, or null for a gate that gives all or nothing"
            raise PipelineError(f"{MANIFEST}: gate_even of {key} is {self.gate_even!r}; expected {expected}")
        if self.filter is None and self.adapted is None:
            raise PipelineError(f"{MANIFEST}: {key} leads to a filter or an adapted classifier, and both are null")


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says. File names are plain names inside the folder; `files` maps each one to its SHA-256.

    `routes` stand in the order in which they were made, oldest first.
    """

    name: str
    version: str
    input: tuple[int, int, int]
    classes: tuple[str, ...]
    classifier: str
    routes: tuple[Route, ...]
    reference: str
    files: Mapping[str, str]
    parent: str | None
    remedy: str | None
    features: tuple[str, ...] | None = None
    """Names of the columns where it answers rows of a table: images of shape (features, 1, 1), of any finite numbers."""

    @classmethod
    def parse(cls, text: bytes) -> "Manifest":
        """Read the JSON text of a manifest; raises `PipelineError` that names the offending key."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise PipelineError(f"{MANIFEST} is not JSON ({error}); write it with models.pipeline.write_manifest(folder, ...)") from error
        data = _with_routes({"features": None} | data if isinstance(data, dict) else data)
        known = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or set(data) != known:
            got = set(data) if isinstance(data, dict) else set()
            wrong = f"missing keys {sorted(known - got)}, unknown keys {sorted(got - known)}"
            raise PipelineError(f"{MANIFEST}: {wrong}; expected {sorted(known)}")
        parsed = {"input": _shape(data["input"]), "classes": _classes(data["classes"]), "routes": _routes(data["routes"])}
        manifest = cls(**{**data, **parsed, "features": _features(data["features"], parsed["input"])})
        manifest._check()
        return manifest

    def _check(self) -> None:
        _is_name("name", self.name)
        _is_name("version", self.version)
        for key in ("parent", "remedy"):
            if getattr(self, key) is not None:
                _is_name(key, getattr(self, key))
        if not isinstance(self.files, dict):
            raise PipelineError(f"{MANIFEST}: files is {self.files!r}; expected a map of file name to SHA-256")
        for file, digest in self.files.items():
            _is_name("files", file)
            if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
                raise PipelineError(f"{MANIFEST}: files[{file!r}] is {digest!r}; expected 64 hexadecimal digits (SHA-256)")
        for key, file in self._roles().items():
            _is_name(key, file)
            if file not in self.files:
                raise PipelineError(f"{MANIFEST}: {key} is {file!r}, which has no digest in files {sorted(self.files)}")
        for number, route in enumerate(self.routes):
            route.check(f"routes[{number}]")
            if number and route.gate is None:
                raise PipelineError(f"{MANIFEST}: routes[{number}] has no gate, so those before it would never be asked; only the first may lack one")

    def _roles(self) -> dict[str, str]:
        """Role to file name, for the files that this pipeline has: classifier and reference always, and those of its routes."""
        routes = {f"routes[{n}].{role}": file for n, route in enumerate(self.routes) for role, file in route.files().items()}
        return {"classifier": self.classifier, "reference": self.reference, **routes}

    @property
    def gated(self) -> bool:
        """Whether images take another path than the classifier's, each through a gate."""
        return bool(self.routes) and all(route.gate is not None for route in self.routes)


@dataclass(frozen=True)
class Output:
    """Answers to n images. `early` and `latent` are those of the raw image; `final_latent` is of the path that answered."""

    logits: Floats  # [n, k]
    early: Floats  # [n, e]
    latent: Floats  # [n, d]
    final_latent: Floats  # [n, d]
    routed: NDArray[np.bool_]  # [n]


class _Path:
    """The loaded networks of one route."""

    def __init__(self, files: Mapping[str, bytes], route: Route, classifier: Any) -> None:
        self.route = route
        self.gate = session(files, route.gate, ("early", "latent"), ("score",)) if route.gate else None
        self.filter = session(files, route.filter, ("images",), ("filtered",)) if route.filter else None
        self.adapted = session(files, route.adapted, ("images",), TAIL) if route.adapted else None
        self._classifier = self.adapted or classifier

    def weigh(self, early: Floats, latent: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """The part that this route has in the answer to each image, [n] in [0, 1], and whether the image is clearly its own, [n]."""
        if self.gate is None:
            return np.ones(len(early), np.float32), np.ones(len(early), bool)
        (score,) = self.gate.run(None, {"early": early, "latent": latent})
        clearly = np.asarray(score > self.route.gate_threshold)
        return clearly.astype(np.float32) if self.route.gate_even is None else part(score, self.route.gate_even), clearly

    def answer(self, images: Floats) -> tuple[Floats, Floats]:
        """Logits [n, k] and latents [n, d] of images that take this route."""
        if self.filter is not None:
            (images,) = self.filter.run(None, {"images": images})
        logits, _, latent = self._classifier.run(None, {"images": images})
        return logits, latent

    def probe(self, images: Floats, early: Floats, latent: Floats, logits: Floats) -> None:
        """Raise `PipelineError` unless the networks fit two images and the classifier's answer to them."""
        if self.gate is not None:
            (score,) = self.gate.run(None, {"early": early, "latent": latent})
            _has_shape(str(self.route.gate), "score", score, (2,))
        if self.filter is not None:
            (filtered,) = self.filter.run(None, {"images": images})
            _has_shape(str(self.route.filter), "filtered", filtered, images.shape)
        if self.adapted is not None:
            new_logits, _, new_latent = self.adapted.run(None, {"images": images})
            _has_shape(str(self.route.adapted), "logits", new_logits, logits.shape)
            _has_shape(str(self.route.adapted), "latent", new_latent, latent.shape)


class Pipeline:
    """A loaded pipeline: answers images. Safe to call from several threads at once; it never changes after loading."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Take the folder's files by name. Raises `PipelineError`; afterwards one probe run has shown that all parts fit."""
        if MANIFEST not in files:
            raise PipelineError(f"no {MANIFEST} among {sorted(files)}; a pipeline folder is written by models.pipeline.write_manifest")
        self.manifest = Manifest.parse(files[MANIFEST])
        self.digest = hashlib.sha256(files[MANIFEST]).hexdigest()
        for file, expected in self.manifest.files.items():
            if file not in files:
                raise PipelineError(f"pipeline {self.name!r} lacks the file {file!r} that its manifest lists; copy the whole folder again")
            if (got := hashlib.sha256(files[file]).hexdigest()) != expected:
                wrong = f"SHA-256 {got[:12]}..., its manifest says {expected[:12]}...; copy the folder again"
                raise PipelineError(f"{file!r} of pipeline {self.name!r} is damaged: {wrong}")
        m = self.manifest
        self._classifier = session(files, m.classifier, ("images",), TAIL)
        self._newest_first = tuple(_Path(files, route, self._classifier) for route in reversed(m.routes))
        self.fit_latent, self.fit_labels = _reference(files[m.reference], m.reference)
        self._probe()

    @classmethod
    def load(cls, folder: Path | str) -> "Pipeline":
        """Load a pipeline folder, checking every digest. Raises `PipelineError` that says which file is wrong and how."""
        return cls(read_files(folder))

    @property
    def name(self) -> str:
        """Unique among the pipelines of one deployment."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The version that answers carry."""
        return self.manifest.version

    def run(self, images: Floats) -> Output:
        """Answer `images`, float32 [n, c, h, w] in [0, 1] with n >= 1. Raises `PipelineError` on any other shape or dtype."""
        if images.ndim != 4 or images.shape[1:] != self.manifest.input or images.dtype != np.float32 or not len(images):
            expected = ["n >= 1", *self.manifest.input]
            raise PipelineError(f"images are {images.dtype} {list(images.shape)}; pipeline {self.name!r} expects float32 {expected}")
        logits, early, latent = self._classifier.run(None, {"images": images})
        blend, routed = Blend(*logits.shape), np.zeros(len(images), bool)
        for path in self._newest_first:
            parts, clearly = path.weigh(early, latent)
            parts, routed = parts * (blend.left > 0), routed | clearly
            if (inside := parts > 0).any():
                blend.add(parts, *path.answer(images[inside]))
        final_logits, final_latent = blend.rest(logits, latent)
        return Output(final_logits, early, latent, final_latent, routed)

    def takes(self, early: Floats, latent: Floats) -> NDArray[np.bool_]:
        """Which images count as routed, bool [n], by the classifier's features of the raw images, float32 [n, e] and [n, d]."""
        return np.any([path.weigh(early, latent)[1] for path in self._newest_first] or [np.zeros(len(early), bool)], axis=0)

    def filtered(self, images: Floats) -> Floats | None:
        """What the newest route's filter makes of images, float32 [n, c, h, w], clipped to [0, 1]; None where it has none."""
        path = next(iter(self._newest_first), None)
        if path is None or path.filter is None:
            return None
        (filtered,) = path.filter.run(None, {"images": images})
        return np.asarray(filtered, np.float32).clip(0, 1)

    def _probe(self) -> None:
        """Run every part once on two grey images, so that parts that do not fit are found now and not by a client."""
        images = np.full((2, *self.manifest.input), 0.5, np.float32)
        k, d = len(self.manifest.classes), self.fit_latent.shape[1]
        try:
            logits, early, latent = self._classifier.run(None, {"images": images})
            _has_shape(self.manifest.classifier, "logits", logits, (2, k))
            _has_shape(self.manifest.classifier, "early", early, (2, early.shape[-1]))
            _has_shape(self.manifest.classifier, "latent", latent, (2, d))
            for path in self._newest_first:
                path.probe(images, early, latent, logits)
        except PipelineError:
            raise
        except Exception as error:  # onnxruntime raises a family of its own classes, all directly under Exception
            expected = f"a batch of {list(self.manifest.input)} images"
            raise PipelineError(f"pipeline {self.name!r} fails on {expected}: {error}") from error


def read_files(folder: Path | str) -> dict[str, bytes]:
    """Read the files that a pipeline folder's manifest names (and the manifest): what `Pipeline` takes and the wire carries."""
    folder = Path(folder)
    try:
        manifest = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise PipelineError(f"{folder} is no pipeline folder: {MANIFEST} cannot be read ({error.strerror})") from error
    files = {MANIFEST: manifest}
    for file in Manifest.parse(manifest).files:
        try:
            files[file] = (folder / file).read_bytes()
        except OSError as error:
            wrong = f"{folder} lacks {file!r}, which its manifest lists ({error.strerror})"
            raise PipelineError(f"{wrong}; copy the whole folder again") from error
    return files


def write_manifest(
    folder: Path | str,
    *,
    name: str, version: str,
    input: tuple[int, int, int],  # noqa: A002 - the manifest's own key
    classes: tuple[str, ...],
    classifier: str = "classifier.onnx",
    routes: tuple[Route, ...] = (),
    reference: str = "reference.npz",
    parent: str | None = None, remedy: str | None = None, features: tuple[str, ...] | None = None,
) -> Manifest:
    """Write `manifest.json` over the files already in `folder`, computing their digests; atomic. Raises `PipelineError`.

    `input` is [channels, height, width]; `parent` is the name of the pipeline that this one was made from by `remedy`.
    """
    folder, digests = Path(folder), {}
    for file in (classifier, reference, *(file for route in routes for file in route.files().values())):
        try:
            digests[file] = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        except OSError as error:
            raise PipelineError(f"write {folder / file} before its manifest ({error.strerror})") from error
    manifest = Manifest(
        name=name, version=version, input=_shape(input), classes=_classes(classes), classifier=classifier, routes=routes,
        reference=reference, files=digests, parent=parent, remedy=remedy, features=_features(features, input),
    )  # fmt: skip
    manifest._check()  # noqa: SLF001 - same module
    text = json.dumps({key: value for key, value in asdict(manifest).items() if key != "features" or value is not None}, indent=1)
    draft = folder / f".{MANIFEST}.{os.getpid()}"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(folder / MANIFEST)
    return manifest


def session(files: Mapping[str, bytes], file: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Any:
    """Open one of the ONNX files, given by name and content. Raises `PipelineError` unless it has these inputs and outputs."""
    options = onnxruntime.SessionOptions()
    # More threads lose on small machines as soon as anything else runs: a spinning pool waits for a descheduled peer.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(files[file], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as in _probe
        raise PipelineError(f"{file!r} is no ONNX model that onnxruntime {onnxruntime.__version__} can load: {error}") from error
    got = tuple(i.name for i in session.get_inputs()), tuple(o.name for o in session.get_outputs())
    if set(got[0]) != set(inputs) or got[1] != outputs:
        raise PipelineError(f"{file!r} has inputs {got[0]} and outputs {got[1]}; expected {inputs} and {outputs}, in this order")
    return session


def _reference(content: bytes, file: str) -> tuple[Floats, NDArray[np.int64]]:
    """`fit_latent` float32 [m, d] and `fit_labels` int64 [m] of the reference file."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            latent, labels = arrays["fit_latent"].astype(np.float32), arrays["fit_labels"].astype(np.int64)
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise PipelineError(f"{file!r} is no reference: {error}; expected .npz arrays fit_latent [m, d] and fit_labels [m]") from error
    if latent.ndim != 2 or labels.shape != latent.shape[:1] or not len(labels):
        raise PipelineError(f"{file!r} has fit_latent {latent.shape} and fit_labels {labels.shape}; expected [m, d] and [m] with m >= 1")
    return latent, labels


def _has_shape(file: str, output: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != np.float32:
        raise PipelineError(f"{file!r} gives {output} {array.dtype} {list(array.shape)} for two images; expected float32 {list(shape)}")


def _is_name(key: str, value: object) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise PipelineError(f"{MANIFEST}: {key} is {value!r}; expected 1 to 128 letters, digits and . _ + - (a plain name, no folder)")


def _with_routes(data: object) -> object:
    """Read a manifest from before there were routes: its one gate, filter and adapted classifier are one."""
    before = {"gate", "gate_threshold", "filter", "adapted"}
    if not isinstance(data, dict) or "routes" in data or not before <= set(data):
        return data
    route = {key: data[key] for key in before} | {"drift": None}
    is_one = route["filter"] is not None or route["adapted"] is not None
    return {key: value for key, value in data.items() if key not in before} | {"routes": [route] if is_one else []}


def _routes(value: object) -> tuple[Route, ...]:
    known = {field.name for field in fields(Route)}
    if isinstance(value, list):  # routes from before there were parts do not say so
        value = [{"gate_even": None, **one} if isinstance(one, dict) else one for one in value]
    if not isinstance(value, list) or not all(isinstance(one, dict) and set(one) == known for one in value):
        raise PipelineError(f"{MANIFEST}: routes is {value!r}; expected a list (perhaps empty) of objects with the keys {sorted(known)}")
    return tuple(Route(**one) for one in value)


def _features(value: object, shape: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value) and shape == (len(value), 1, 1):
        return tuple(value)
    raise PipelineError(f"{MANIFEST}: features is {value!r} and input {shape!r}; expected as many names as channels, and images of 1x1 pixel")


def _shape(value: object) -> tuple[int, int, int]:
    if isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(v, int) and v > 0 for v in value):
        return value[0], value[1], value[2]
    raise PipelineError(f"{MANIFEST}: input is {value!r}; expected [channels, height, width], three positive integers")


def _classes(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and len(value) >= 2 and all(isinstance(v, str) for v in value) and len(set(value)) == len(value):
        return tuple(value)
    raise PipelineError(f"{MANIFEST}: classes is {value!r}; expected a list of two or more different strings")
