"""From torch modules to a pipeline folder that a server without torch can answer with, and back to the modules."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.networks.classifier import Classifier, load_classifier, save_classifier
from models.networks.filter import Filter, load_filter, save_filter
from models.pipeline import Manifest, Pipeline, write_manifest
from models.reference import Reference
from models.remedies.gate import Gate

OPSET = 20
TOLERANCE = 1e-3  # of logits, between torch and onnxruntime


class ExportError(Exception):
    """The exported pipeline does not answer as the modules do."""


class Modules(NamedTuple):
    """The torch modules of a pipeline, frozen, as training continues from them."""

    classifier: Classifier
    filter: Filter | None
    adapted: Classifier | None
    gate: nn.Module | None


def save_pipeline(
    folder: Path, classifier: Classifier, *, reference: Reference, name: str, version: str, classes: tuple[str, ...],
    filter: Filter | None = None, adapted: Classifier | None = None, gate: nn.Module | None = None,  # noqa: A002 - the manifest's word
    gate_threshold: float | None = None, parent: str | None = None, remedy: str | None = None,
) -> Manifest:
    """Write a pipeline: ONNX files with a dynamic batch, safetensors beside them, reference and manifest.

    Raises
    ------
    ExportError
        When onnxruntime answers otherwise than torch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (classifier.channels, classifier.size, classifier.size)
    images = torch.rand(3, *shape)
    for role, network in (("classifier", classifier), ("adapted", adapted)):
        if network is not None:
            save_classifier(network, folder / f"{role}.safetensors")
            _export(network, (images,), folder / f"{role}.onnx", ["images"], ["logits", "early", "latent"])
    if filter is not None:
        save_filter(filter, folder / "filter.safetensors")
        _export(filter, (images,), folder / "filter.onnx", ["images"], ["filtered"])
    if gate is not None:
        with torch.no_grad():
            answer = classifier(images)
        save_file({key: value.contiguous() for key, value in gate.state_dict().items()}, folder / "gate.safetensors")
        _export(gate, (answer.early, answer.latent), folder / "gate.onnx", ["early", "latent"], ["score"])
    reference.save(folder / "reference.npz")
    manifest = write_manifest(
        folder, name=name, version=version, input=shape, classes=classes, filter="filter.onnx" if filter is not None else None,
        adapted="adapted.onnx" if adapted is not None else None, gate="gate.onnx" if gate is not None else None,
        gate_threshold=gate_threshold, parent=parent, remedy=remedy,
    )
    _check_parity(folder, Modules(classifier, filter, adapted, gate), gate_threshold, images)
    return manifest


def load_modules(folder: Path) -> Modules:
    """Read the torch modules of a pipeline folder. Raises OSError or ValueError when the safetensors are missing or damaged."""
    filter_, adapted, gate = (folder / f"{role}.safetensors" for role in ("filter", "adapted", "gate"))
    return Modules(
        load_classifier(folder / "classifier.safetensors"), load_filter(filter_) if filter_.exists() else None,
        load_classifier(adapted) if adapted.exists() else None, _load_gate(gate) if gate.exists() else None,
    )


def _load_gate(path: Path) -> nn.Module:
    state = load_file(path)
    gate = Gate(state["mean"], state["spread"])
    gate.load_state_dict(state)
    return gate.eval().requires_grad_(requires_grad=False)


def _export(module: nn.Module, arguments: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str]) -> None:
    module.eval()
    with warnings.catch_warnings():
        # The exporter that traces warns that it is the older one; on these small nets it is ten times faster than the newer one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, arguments, str(path), input_names=inputs, output_names=outputs, opset_version=OPSET, dynamo=False,
            dynamic_axes={name: {0: "n"} for name in (*inputs, *outputs)},
        )


@torch.no_grad()
def _check_parity(folder: Path, modules: Modules, threshold: float | None, images: Tensor) -> None:
    raw = modules.classifier(images)
    shown = images if modules.filter is None else modules.filter(images)
    routed = (modules.adapted or modules.classifier)(shown).logits
    inside = torch.ones(len(images), dtype=torch.bool)
    if modules.gate is not None and threshold is not None:
        inside = modules.gate(raw.early, raw.latent) > threshold
    expected = torch.where(inside[:, None], routed, raw.logits).numpy()
    found = Pipeline.load(folder).run(np.ascontiguousarray(images.numpy())).logits
    off = float(np.abs(found - expected).max())
    if off > TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ExportError(f"{folder.name}: onnxruntime and torch differ by {off:.2g} in the logits; expected less than {TOLERANCE}")
