"""What a cluster supervises: a data set of the package with a model trained on it, or a model and data that its owner brings."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agents.doors.likeness import Likenesses
from agents.options import OptionError
from agents.policy import Policy
from agents.remedies import sort_out
from agents.state import State
from models.pipeline import MANIFEST
from models.remedies.catalogue import learns_from_labels
from models.weaknesses import catalogue as weaknesses
from workflows.brought import DeploymentFile
from workflows.runners.runner import Limits
from workflows.steps.bring import first_pipeline, gather_data
from workflows.steps.train import train

LIKENESS = "likeness"  # folder of what is known of corruptions
BROUGHT = "brought.json"  # beside a brought pipeline: what it was made from, and what it cannot have
RECORDS, IMAGES, FEWEST_IMAGES = 50_000, 10_000, 2_000
IMAGE_BYTES = 1 << 28  # for the ring of images, where that holds enough of them
LOADED = 24  # classifiers in the memory of the server at once: ten pipelines, most with a second one, and what onnxruntime adds


class Subject(NamedTuple):
    """What is supervised. `dataset` names its data, `root` is their folder, None for the default one; `first` names its first pipeline."""

    name: str
    dataset: str
    root: Path | None
    policy: Policy
    impossible: dict[str, str]
    """Remedies that the model cannot have, with reasons."""
    limits: Limits
    images: int
    """How many images the server keeps."""
    features: tuple[str, ...] = ()
    """Names of the columns, where rows of a table are answered in place of images."""

    @property
    def first(self) -> str:
        return f"{self.name}-first"


def of_dataset(
    name: str, dataset: str, policy: Policy, state: State, say: Callable[[str], object], log: Callable[[dict[str, Any]], None]
) -> Subject:
    """A data set of the package; its first model is trained if there is none, and `log` gets its metrics."""
    subject = Subject(name, dataset, None, policy, {}, Limits(), IMAGES)
    folder = state.pipeline(subject.first)
    if not (folder / MANIFEST).exists():
        say(f"training the first model on {dataset}")
        metrics = train(dataset, folder, name=subject.first, threads=2)
        log(metrics)
        say(f"it is right on {metrics['accuracy_clean']:.1%} of held-out clean images, after {metrics['seconds']:.0f} s")
    return subject


def of_file(wanted: DeploymentFile, policy: Policy, state: State, say: Callable[[str], object], log: Callable[[dict[str, Any]], None]) -> Subject:
    """A model that its owner brings; its first pipeline is made if there is none, and `log` gets its metrics.

    Raises
    ------
    OptionError
        The state folder holds a pipeline that was made from another model.
    BringError, DataError
        As `workflows.steps.bring.first_pipeline`.
    """
    name, root = f"{wanted.name}-first", state.folder / "data"
    folder = state.pipeline(name)
    gather_data(wanted, root, say)
    digest = _digest(wanted)
    if not (folder / BROUGHT).exists():  # written last
        metrics = first_pipeline(wanted, folder, name=name, root=root, say=say)
        if wanted.model.features is None:
            say("learning how known corruptions change these images, to name a drift by; once, some minutes for large images")
            if not Likenesses(state.folder / LIKENESS, wanted.name, root).learn():
                say("a drift will have no name here: the images are too large, or too few")
        (folder / BROUGHT).write_text(json.dumps({"model": digest, "impossible": metrics.pop("impossible")}), encoding="utf-8")
        log(metrics)
        say(f"it is right on {metrics['accuracy_clean']:.1%} of held-out clean data; looked at in {metrics['seconds']:.0f} s")
    known = json.loads((folder / BROUGHT).read_text(encoding="utf-8"))
    if known["model"] != digest:
        raise OptionError(f"{state.folder} supervises another model of this name: [model] or its file of weights has changed; give a new --state")
    possible, refused = sort_out(policy.remedies.prepare, known["impossible"])
    for remedy, reason in refused.items():
        say(f"no {remedy} for this model: {reason}")
    say(f"remedies: {', '.join(possible)}" if possible else "this model is monitored; no remedy of the policy can mend it")
    limits, images = _sizes(folder, wanted.model.shape)
    reduced = reduce(policy, known["impossible"])
    return Subject(wanted.name, wanted.name, root, reduced, known["impossible"], limits, images, wanted.model.features or ())


def reduce(policy: Policy, impossible: dict[str, str]) -> Policy:
    """The policy for a model that cannot have some remedies: nobody is asked to teach where nothing learns from it.

    >>> reduce(Policy(), {}) == Policy()
    True
    """
    of_checks = [remedy for check in policy.checks for remedy in weaknesses.remedies(check)]
    possible, _ = sort_out([*policy.remedies.prepare, *of_checks], impossible)
    learns = any(learns_from_labels(one) for one in possible)
    return policy if learns or not impossible else msgspec.structs.replace(policy, labels=msgspec.structs.replace(policy.labels, teaching=0))


def _digest(wanted: DeploymentFile) -> str:
    """Of the model's table and of its file of weights; its code may change as long as it takes the weights."""
    digest = hashlib.sha256(msgspec.json.encode(wanted.model))
    for file in (wanted.model.weights, wanted.model.onnx):
        if file is not None and (path := Path(wanted.folder) / file).is_file():
            digest.update(path.read_bytes())
            for part in _external(path) if file == wanted.model.onnx else ():
                digest.update(part.read_bytes())
    return digest.hexdigest()


def _external(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold its larger weights."""
    import onnx

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception:  # noqa: BLE001 - of the library beneath, which has no types; bringing the model tells what is wrong with it
        return []
    places = {entry.value for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location"}
    return [part for part in (path.parent / place for place in sorted(places)) if part.is_file()]


def _sizes(pipeline: Path, shape: tuple[int, int, int]) -> tuple[Limits, int]:
    """What the server of a brought model may take, and how many images it keeps."""
    pixels = math.prod(shape)
    images = max(FEWEST_IMAGES, min(IMAGES, IMAGE_BYTES // pixels))
    from models.reference import Reference

    known = Reference.load(pipeline / "reference.npz")
    record = 4 * (known.fit_early.shape[1] + known.fit_latent.shape[1] + known.calibration_logits.shape[1])
    needed = (1 << 28) + images * pixels + RECORDS * record + LOADED * (pipeline / "classifier.onnx").stat().st_size
    return Limits(memory=max(Limits().memory, needed)), images
