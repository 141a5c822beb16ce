"""Prepare one remedy: from a live pipeline and the evidence of an incident to a new pipeline folder, measured on clean data."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.exemplars import Exemplars, chosen, load_exemplars, save_exemplars
from models.export import load_modules, save_pipeline
from models.naming.imitate import imitate
from models.pipeline import Pipeline
from models.reference import Reference
from models.remedies.catalogue import remedies
from models.remedies.context import RemedyContext
from models.training import look, make_reference
from scenarios.corruptions import corruptions_for
from scenarios.datasets import Dataset, load, to_float
from workflows.steps.heritage import Heritage
from workflows.steps.window import Window

CLEAN_IMAGES = 30_000
SMALL_CALIBRATION = 2000  # below it there is too little clean data to keep a part of it for the measurement alone
LATENCY_ROUNDS = 30
IMITATION_SEED = 1
Z = 1.96


def prepare(
    *, remedy: str, base: Path, folder: Path, name: str, window: Path, reference: Path, teaching: list[int], labels: list[int], dataset: str,
    root: Path | None, seed: int, named: tuple[str, float | None] | None = None, budget: float = 80.0,
) -> dict[str, Any]:
    """Prepare `remedy` for the pipeline in `base` and write it to `folder`.

    `teaching` are sequence numbers of `window` with the class indices `labels` that a person gave; `named` is the corruption that
    its images resemble, with its severity. What `base` knew of earlier drifts stays: its routes beside the new one, or, where the remedy
    replaces the classifier, what that learned. Returns what `measure` returns, and notes.
    """
    begun = time.monotonic()
    drift = Window.load(window)
    training, calibration = load(dataset, "train", root), load(dataset, "calibration", root)
    kept, _ = _split(calibration)
    live = load_modules(base)
    heritage = Heritage(live.routes, Reference.load(reference), load_exemplars(base))
    # The half that clean accuracy is measured on must not have set the threshold of a gate.
    if np.array_equal(heritage.reference.calibration_labels, calibration.labels):  # its rows are these images, in their order
        half = heritage.reference.calibrated_on(kept)
    else:
        half = make_reference(live.classifier, (training.images, training.labels), (calibration.images[kept], calibration.labels[kept]))
    context = RemedyContext(
        classifier=live.classifier, clean_images=training.images[:CLEAN_IMAGES], clean_labels=training.labels[:CLEAN_IMAGES],
        reference=replace(half, drifts=heritage.reference.drifts), exemplars=heritage.exemplars,
        drifted=drift.images, calibration_images=calibration.images[kept], teaching=drift.positions(np.array(teaching, np.int64)),
        teaching_labels=np.array(labels, np.int64), named=named, seed=seed, threads=1, budget=budget,
    )
    candidate = remedies()[remedy](context)
    seen = drift.early, drift.latent
    if candidate.classifier is not None:
        clean = (training.images, training.labels), (calibration.images, calibration.labels)
        heritage = heritage.replaced_by(candidate.classifier, make_reference(candidate.classifier, *clean, corruptions=corruptions_for(drift.images)))
        answer = look(candidate.classifier, drift.images)
        seen = answer.early.numpy(), answer.latent.numpy()
    heritage, gone = heritage.joined_by(candidate.routes)
    save_pipeline(
        folder, candidate.classifier or live.classifier, routes=heritage.routes, reference=heritage.reference.with_component(*seen), name=name,
        version=name, classes=training.classes, parent=Pipeline.load(base).name, remedy=remedy,
    )
    shown = chosen(drift.images, seed)
    new = Exemplars(shown, _answers(Pipeline.load(folder), to_float(shown)))
    save_exemplars(folder, {**heritage.exemplars, f"drift{len(heritage.reference.drifts)}": new})
    return measure(base, folder, window, dataset, root, named) | {"notes": [*candidate.notes, *gone], "seconds": time.monotonic() - begun}


def measure(
    base: Path, folder: Path, window: Path, dataset: str, root: Path | None, named: tuple[str, float | None] | None = None
) -> dict[str, Any]:
    """Measure the pipeline in `folder` against `base` on clean images kept for this, and on drifted ones.

    Returns accuracy_clean, clean_loss (against `base`, on the same clean images), latency_added (seconds a request of one drifted image),
    seconds, and imitated: the 95 % interval of its gain on these clean images, spoiled as `named` says; None without a name.
    """
    begun = time.monotonic()
    before, after = Pipeline.load(base), Pipeline.load(folder)
    calibration, drifted = load(dataset, "calibration", root), Window.load(window).images
    _, kept = _split(calibration)
    images, labels = to_float(calibration.images[kept]), calibration.labels[kept]
    accuracy_before, accuracy_after = (float(_right(one, images, labels).mean()) for one in (before, after))
    imitated = None
    if named is not None:
        spoiled = to_float(imitate(calibration.images[kept], *named, seed=IMITATION_SEED))
        gain = _right(after, spoiled, labels).astype(float) - _right(before, spoiled, labels)
        error = Z * float(np.sqrt(max(gain.var(), 1 / len(gain)) / len(gain)))
        imitated = (float(gain.mean()) - error, float(gain.mean()) + error)
    return {
        "accuracy_clean": accuracy_after, "clean_loss": accuracy_before - accuracy_after,
        "latency_added": _latency(after, drifted) - _latency(before, drifted), "imitated": imitated, "seconds": time.monotonic() - begun,
    }


def _split(calibration: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions for preparing (gate thresholds) and for measuring clean accuracy; the same ones where there are few."""
    everything = np.arange(len(calibration.labels))
    if len(everything) < SMALL_CALIBRATION:
        return everything, everything
    half = len(everything) // 2
    return everything[:half], everything[half:]


def _right(pipeline: Pipeline, images: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(_answers(pipeline, images) == labels)


def _answers(pipeline: Pipeline, images: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.concatenate([pipeline.run(images[at : at + 256]).logits.argmax(1) for at in range(0, len(images), 256)])


def _latency(pipeline: Pipeline, images: NDArray[np.uint8]) -> float:
    """Median seconds for one image."""
    one = to_float(images[:LATENCY_ROUNDS])
    seconds = []
    for image in one:
        begun = time.perf_counter()
        pipeline.run(image[None])
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds))
