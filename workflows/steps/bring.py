"""Make the first pipeline of a deployment from a model that its owner brings; as `train` does from a data set alone."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from safetensors.torch import load_file

from models.export import ExportError, save_pipeline
from models.networks.any_classifier import AnyClassifier
from models.networks.brought import BroughtError, Latent, bring
from models.networks.onnx_classifier import speak, speak_rows
from models.networks.source import Source, SourceError
from models.remedies.possible import impossible
from models.training import make_reference
from scenarios import brought
from scenarios.corruptions import corruptions_for
from scenarios.datasets import load
from workflows.brought import DeploymentFile

__all__ = ["BringError", "bring_model", "first_pipeline", "gather_data"]

LARGEST_DIRECTED = 96 * 96
"""Pixels beyond which the directions of known corruptions are left out: some take seconds for one image then."""

POOR = 1.5  # times the accuracy of guessing; below, model and data hardly belong together


class BringError(ValueError):
    """The model and the data do not fit each other, or what was said of them. The message says what was found and what to change."""


def gather_data(wanted: DeploymentFile, root: Path, say: Callable[[str], object]) -> tuple[str, ...]:
    """Read the data that a deployment file names into `root`; returns the names of the classes. Raises `scenarios.errors.DataError`."""
    return brought.gather(wanted.data, Path(wanted.folder), root / wanted.name, wanted.model.shape, wanted.classes, say, wanted.model.features)


def bring_model(wanted: DeploymentFile, classes: int, say: Callable[[str], object]) -> AnyClassifier:
    """Load the model that a deployment file names and find its latents. Raises `BringError`."""
    model = wanted.model
    if model.onnx is not None:
        return _bring_onnx(wanted, Path(wanted.folder) / model.onnx, classes, say)
    assert model.torch is not None
    assert model.input is not None
    source = Source(model.torch, wanted.folder, model.arguments)
    try:
        network = source.build()
        if model.weights is not None:
            _load_weights(network, Path(wanted.folder) / model.weights)
        classifier = bring(network, source, model.input, classes, mean=model.mean, std=model.std, latent=model.latent)
    except (SourceError, BroughtError) as error:
        raise BringError(f"[model] {error}") from error
    _tell(classifier.spec.latent, probabilities=classifier.spec.probabilities, say=say)
    return classifier


def _bring_onnx(wanted: DeploymentFile, path: Path, classes: int, say: Callable[[str], object]) -> AnyClassifier:
    model = wanted.model
    if not path.is_file():
        raise BringError(f"[model] there is no file {path}")
    try:
        graph = onnx.load(path)
    except Exception as error:  # of the library beneath, which has no types
        raise BringError(f"[model] {path} is no ONNX file that can be read: {str(error)[:300]}") from error
    try:
        if model.features is not None:
            refit = Source(model.refit, wanted.folder) if model.refit else None
            if refit is not None:
                refit.find()  # that it is there is seen now, not when it is needed
            classifier, latent, probabilities = speak_rows(graph, model.features, classes, latent=model.latent, refit=refit)
        else:
            classifier, latent, probabilities = speak(graph, model.shape, classes, mean=model.mean, std=model.std, latent=model.latent)
    except (BroughtError, SourceError) as error:
        raise BringError(f"[model] {path.name}: {error}") from error
    _tell(latent, probabilities=probabilities, say=say)
    if model.features is None:
        say("an ONNX file cannot be trained, and gives no gradients: it is monitored, and mended by filters that are learned without it")
    return classifier


def _tell(latent: Latent, *, probabilities: bool, say: Callable[[str], object]) -> None:
    say(f"latents come from {latent}")
    if probabilities:
        say("the model answers with probabilities; their logarithms count as its logits")


def first_pipeline(wanted: DeploymentFile, folder: Path, *, name: str, root: Path, say: Callable[[str], object] = print) -> dict[str, Any]:
    """Bring a model and its data, and leave them as a pipeline folder; returns metrics (accuracy in [0, 1], seconds),
    and as `impossible` the remedies that the model cannot have.

    Raises
    ------
    BringError
        The model fails, its parts do not fit, or it is hardly better than guessing on the data.
    scenarios.errors.DataError
        The data cannot be used.
    """
    begun = time.monotonic()
    classes = gather_data(wanted, root, say)
    classifier = bring_model(wanted, len(classes), say)
    training, calibration = load(wanted.name, "train", root), load(wanted.name, "calibration", root)
    say("looking at clean data through the model")
    clean = (training.images, training.labels), (calibration.images, calibration.labels)
    reference = make_reference(classifier, *clean)
    if reference.clean_accuracy < min(0.5, POOR / len(classes)):
        raise BringError(
            f"the model is right on {reference.clean_accuracy:.1%} of held_out, hardly better than guessing among {len(classes)} classes; "
            "are the classes in the order of its outputs, its weights loaded, and mean and std those that it was trained with?"
        )
    if math.prod(wanted.model.shape[1:]) <= LARGEST_DIRECTED:
        reference = make_reference(classifier, *clean, corruptions=corruptions_for(training.images))
    try:
        save_pipeline(folder, classifier, reference=reference, name=name, version=name, classes=classes)
    except ExportError as error:
        raise BringError(f"[model] {error}") from error
    return {
        "accuracy_clean": reference.clean_accuracy, "seconds": time.monotonic() - begun, "images": len(training.labels),
        "impossible": impossible(classifier),
    }


def _load_weights(network: torch.nn.Module, path: Path) -> None:
    if not path.is_file():
        raise BringError(f"[model] there is no file of weights at {path}")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BringError(f"[model] {path} holds no weights that can be read ({type(error).__name__}: {error}); save model.state_dict()") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict):
        raise BringError(f"[model] {path} holds a {type(state).__name__}; save model.state_dict()")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise BringError(f"[model] the weights in {path} are not those of this network: {str(error)[:500]}") from error
