"""Train the first model of a deployment and leave it as a pipeline folder.

As a program: `python -m workflows.steps.train digits --out FOLDER`.
"""

import time
from pathlib import Path
from typing import Any

import typer

from models.export import save_pipeline
from models.training import make_reference, train_classifier
from scenarios.corruptions import corruptions_for
from scenarios.datasets import load


def train(dataset: str, folder: Path, *, name: str, root: Path | None = None, seed: int = 0, threads: int = 1) -> dict[str, Any]:
    """Train on the train split, describe clean data by the calibration split; returns metrics (accuracy in [0, 1], seconds)."""
    begun = time.monotonic()
    training, calibration = load(dataset, "train", root), load(dataset, "calibration", root)
    classifier = train_classifier(training.images, training.labels, len(training.classes), seed=seed, threads=threads)
    clean = (training.images, training.labels), (calibration.images, calibration.labels)
    reference = make_reference(classifier, *clean, corruptions=corruptions_for(training.images))
    save_pipeline(folder, classifier, reference=reference, name=name, version=name, classes=training.classes)
    return {"accuracy_clean": reference.clean_accuracy, "seconds": time.monotonic() - begun, "images": len(training.labels)}


def main(dataset: str, out: Path, name: str = "first", seed: int = 0, root: Path | None = None) -> None:
    """Train the first classifier of DATASET into the pipeline folder OUT."""
    metrics = train(dataset, out, name=name, root=root, seed=seed)
    typer.echo(f"{out}: accuracy {metrics['accuracy_clean']:.4f} on held-out clean data, {metrics['seconds']:.0f} s")


if __name__ == "__main__":
    typer.run(main)
