"""Train first classifiers and store their weights in half precision: `python -m benchmarks.weights cifar10 --seeds 3`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.weights import weights_of
from models.networks.classifier import load_classifier, save_classifier
from models.training import look, train_classifier
from scenarios.datasets import load, shared_data


def main(
    dataset: str, seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3, first: Annotated[int, typer.Option(help="The first seed.")] = 0,
    root: Annotated[Path | None, typer.Option(help="Folder with the data sets; by default those beside the repository.")] = None,
) -> None:
    """Train the first classifier of DATASET on its train split for each seed, and print its accuracy on the test split."""
    root = root or shared_data()
    training, test = load(dataset, "train", root), load(dataset, "test", root)
    for seed in range(first, first + seeds):
        begun = time.process_time()
        classifier = train_classifier(training.images, training.labels, len(training.classes), seed=seed)
        seconds, file = time.process_time() - begun, weights_of(dataset, seed)
        save_classifier(classifier.half(), file)
        accuracy = (look(load_classifier(file), test.images).logits.argmax(1).numpy() == test.labels).mean()
        size = file.stat().st_size / 1e6
        typer.echo(f"{file.name}: accuracy {accuracy:.4f} on the test split, {seconds:.0f} s of processor time, {size:.2f} MB")


if __name__ == "__main__":
    typer.run(main)
