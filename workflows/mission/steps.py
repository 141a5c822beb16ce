"""The steps of the mission's workflows: each port is a path, the other arguments are parameters, what is returned are metrics."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arrays import save_npz
from models.pipeline import Output, Pipeline
from scenarios.corruptions import corrupt
from scenarios.datasets import load, to_float
from workflows.step import step
from workflows.steps.prepare import prepare
from workflows.steps.train import train as train_first
from workflows.steps.window import Window

NAME = "model"
PATIENCE = 3600.0
"""Processor seconds that training may take: so many that only its steps count, and equal seeds make equal weights on slow machines, too."""


@step(outputs={"pipeline": "pipeline"})
def train(pipeline: Path, *, dataset: str, seed: int) -> dict[str, float]:
    """Train the first model of a deployment."""
    found = train_first(dataset, pipeline, name=NAME, seed=seed)
    return {"accuracy": found["accuracy_clean"], "images": found["images"]}


@step(outputs={"seen": "npz", "held": "npz"})
def sample(seen: Path, held: Path, *, dataset: str, corruption: str, severity: int, seed: int, count: int) -> None:
    """Test images under a corruption ("none" for clean ones): half of them as a stream, half to measure on, these as they were, too."""
    test = load(dataset, "test")
    chosen = np.random.default_rng(seed).permutation(len(test))[: 2 * count]
    clean, labels = test.images[chosen], test.labels[chosen]
    images = clean if corruption == "none" else corrupt(clean, corruption, severity, seed=seed)
    half = len(chosen) // 2
    save_npz(seen, {"images": images[:half]})
    save_npz(held, {"images": images[half:], "clean": clean[half:], "labels": labels[half:]})


@step(inputs={"pipeline": "pipeline", "held": "npz"}, outputs={"report": "text"})
def evaluate(pipeline: Path, held: Path, report: Path) -> dict[str, float]:
    """Accuracy on the images that were kept to measure on, and on the same images as they were."""
    found = _accuracy(pipeline, held)
    report.write_text("".join(f"{name}: {value:.4f}\n" for name, value in found.items()), encoding="utf-8")
    return found


@step(inputs={"pipeline": "pipeline", "seen": "npz"}, outputs={"answers": "npz"})
def infer(pipeline: Path, seen: Path, answers: Path) -> dict[str, float]:
    """Answer images: a label and its probability for each, and whether a route took it."""
    output = _run(pipeline, _load(seen)["images"])
    odds = np.exp(output.logits - output.logits.max(1, keepdims=True))
    probability = (odds / odds.sum(1, keepdims=True)).max(1)
    save_npz(answers, {"labels": output.logits.argmax(1), "probability": probability, "routed": output.routed})
    return {"images": len(probability), "confidence": float(probability.mean()), "routed": float(output.routed.mean())}


@step(inputs={"base": "pipeline", "seen": "npz"}, outputs={"pipeline": "pipeline", "window": "npz"})
def mend(base: Path, seen: Path, pipeline: Path, window: Path, *, remedy: str, dataset: str, seed: int) -> dict[str, float]:
    """Prepare a remedy from the images of a stream, none of them labelled."""
    images = _load(seen)["images"]
    output = _run(base, images)
    numbers = np.arange(1, len(images) + 1)
    Window(numbers, images, output.early, output.latent, output.logits, output.logits.argmax(1)).save(window)
    found = prepare(
        remedy=remedy, base=base, folder=pipeline, name=f"{NAME}-{remedy}", window=window, reference=base / "reference.npz", teaching=[], labels=[],
        dataset=dataset, root=None, seed=seed, budget=PATIENCE,
    )
    return {"accuracy_clean": found["accuracy_clean"], "clean_lost": found["clean_loss"]}


@step(inputs={"base": "pipeline", "pipelines": "list[pipeline]", "held": "npz"}, outputs={"best": "pipeline"})
def choose(base: Path, pipelines: Path, held: Path, best: Path) -> dict[str, float]:
    """Keep the pipeline that is right most often on the images kept to measure on; the base, if no other is better."""
    before = _accuracy(base, held)
    scores = {base: before} | {path: _accuracy(path, held) for path in sorted(pipelines.iterdir(), key=lambda one: int(one.name))}
    chosen = max(scores, key=lambda path: scores[path]["accuracy"])
    for path, found in scores.items():
        kept = " <- kept" if path == chosen else ""
        print(f"{Pipeline.load(path).name}: {found['accuracy']:.4f} drifted, {found['accuracy_clean']:.4f} clean{kept}")
    shutil.copytree(chosen, best)
    return scores[chosen] | {"gain": scores[chosen]["accuracy"] - before["accuracy"]}


def _accuracy(pipeline: Path, held: Path) -> dict[str, float]:
    kept = _load(held)
    shown = {"accuracy": kept["images"], "accuracy_clean": kept["clean"]}
    return {name: float((_run(pipeline, images).logits.argmax(1) == kept["labels"]).mean()) for name, images in shown.items()}


def _run(pipeline: Path, images: NDArray[np.uint8]) -> Output:
    return Pipeline.load(pipeline).run(to_float(images))


def _load(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)
