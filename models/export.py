"""From torch modules to a pipeline folder that a server without torch can answer with, and back to the modules."""

import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.networks.any_classifier import AnyClassifier
from models.networks.brought import is_brought, load_brought
from models.networks.classifier import load_classifier
from models.networks.filter import load_filter, save_filter
from models.networks.onnx_classifier import OnnxClassifier, is_onnx_classifier
from models.networks.route import RouteModules, routed
from models.pipeline import MANIFEST, Manifest, Pipeline, Route, write_manifest
from models.reference import Reference
from models.remedies.gate import Gate

OPSET = 20
TOLERANCE = 1e-3  # of logits, between torch and onnxruntime


class ExportError(Exception):
    """The exported pipeline does not answer as the modules do."""


class Modules(NamedTuple):
    """The torch modules of a pipeline, frozen, as training continues from them."""

    classifier: AnyClassifier
    routes: tuple[RouteModules, ...] = ()


def save_pipeline(
    folder: Path, classifier: AnyClassifier, *, reference: Reference, name: str, version: str, classes: tuple[str, ...],
    routes: tuple[RouteModules, ...] = (), parent: str | None = None, remedy: str | None = None,
) -> Manifest:
    """Write a pipeline: ONNX files with a dynamic batch, safetensors beside them, reference and manifest.

    Parameters
    ----------
    routes : oldest first; the newest that takes an image answers it.

    Raises
    ------
    ExportError
        When onnxruntime answers otherwise than torch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = torch.rand(3, *classifier.shape)
    _save_classifier(classifier, images, folder / "classifier.onnx")
    written = tuple(_save_route(folder, number, route, classifier, images) for number, route in enumerate(routes, 1))
    reference.save(folder / "reference.npz")
    manifest = write_manifest(
        folder, name=name, version=version, input=classifier.shape, classes=classes, routes=written, parent=parent, remedy=remedy,
        features=classifier.features,
    )
    _check_parity(folder, Modules(classifier, routes), images)
    return manifest


def load_modules(folder: Path) -> Modules:
    """Read the torch modules of a pipeline folder.

    Raises OSError or ValueError when the safetensors are missing or damaged, `PipelineError` when the manifest is.
    """
    manifest = Manifest.parse((folder / MANIFEST).read_bytes())
    return Modules(_load_classifier(folder, manifest.classifier), tuple(_load_route(folder, route) for route in manifest.routes))


def _save_classifier(classifier: AnyClassifier, images: Tensor, path: Path) -> None:
    classifier.save(path.with_suffix(".safetensors"))
    if isinstance(classifier, OnnxClassifier):
        return  # it is the file already
    _export(classifier, (images,), path, ["images"], ["logits", "early", "latent"])


def _load_classifier(folder: Path, file: str) -> AnyClassifier:
    path = _weights(folder, file)
    if not path.exists() and is_onnx_classifier(folder / file):
        return OnnxClassifier((folder / file).read_bytes())
    return load_brought(path) if is_brought(path) else load_classifier(path)


def _save_route(folder: Path, number: int, route: RouteModules, classifier: AnyClassifier, images: Tensor) -> Route:
    filter_, adapted, gate = (f"{role}-{number}.onnx" for role in ("filter", "adapted", "gate"))
    if route.filter is not None:
        save_filter(route.filter, _weights(folder, filter_))
        _export(route.filter, (images,), folder / filter_, ["images"], ["filtered"])
    if route.adapted is not None:
        _save_classifier(route.adapted, images, folder / adapted)
    if route.gate is not None:
        with torch.no_grad():
            answer = classifier(images)
        save_file({key: value.contiguous() for key, value in route.gate.state_dict().items()}, _weights(folder, gate))
        _export(route.gate, (answer.early, answer.latent), folder / gate, ["early", "latent"], ["score"])
    return Route(
        gate=gate if route.gate else None, gate_threshold=route.gate_threshold,
        gate_even=route.gate_even, filter=filter_ if route.filter else None,
        adapted=adapted if route.adapted else None, drift=route.drift,
    )


def _load_route(folder: Path, route: Route) -> RouteModules:
    return RouteModules(
        load_filter(_weights(folder, route.filter)) if route.filter else None,
        _load_classifier(folder, route.adapted) if route.adapted else None,
        _load_gate(_weights(folder, route.gate)) if route.gate else None, route.gate_threshold, route.gate_even, route.drift,
    )


def _weights(folder: Path, file: str) -> Path:
    """Where the weights of an ONNX file's module stand."""
    return (folder / file).with_suffix(".safetensors")


def _load_gate(path: Path) -> nn.Module:
    state = load_file(path)
    gate = Gate(state["mean"], state["spread"])
    gate.load_state_dict(state)
    return gate.eval().requires_grad_(requires_grad=False)


def _export(module: nn.Module, arguments: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str]) -> None:
    """Write a module as ONNX. Raises `ExportError` where no exporter can."""
    module.eval()
    with warnings.catch_warnings(), redirect_stdout(StringIO()):  # when it fails, the exporter that traces prints the whole graph
        # That exporter warns that it is the older one; on these small nets it is ten times faster than the newer one, and knows less.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module, arguments, str(path), input_names=inputs, output_names=outputs, opset_version=OPSET, dynamo=False,
                dynamic_axes={name: {0: "n"} for name in (*inputs, *outputs)},
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            _export_newly(module, arguments, path, inputs, outputs, error)


def _export_newly(
    module: nn.Module, arguments: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str], before: Exception
) -> None:
    rows = {0: torch.export.Dim("n", min=1, max=4096)}
    try:
        torch.onnx.export(
            module, arguments, str(path), input_names=inputs, output_names=outputs, opset_version=OPSET, dynamo=True, verbose=False,
            dynamic_shapes=tuple(rows for _ in arguments), external_data=False,
        )
    except Exception as error:
        raise ExportError(
            f"{type(module).__name__} cannot be exported to ONNX, neither by tracing ({_short(before)}) nor by torch.export ({_short(error)}); "
            "export it yourself, and bring the ONNX file"
        ) from error


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()[:200]}"


@torch.no_grad()
def _check_parity(folder: Path, modules: Modules, images: Tensor) -> None:
    expected = routed(modules.classifier, modules.routes, images).numpy()
    found = Pipeline.load(folder).run(np.ascontiguousarray(images.numpy())).logits
    off = float(np.abs(found - expected).max())
    if off > TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise ExportError(f"{folder.name}: onnxruntime and torch differ by {off:.2g} in the logits; expected less than {TOLERANCE}")
