"""Tiny pipelines for tests, made with onnx.helper in milliseconds and understood at a glance.

The classifier sorts images by mean brightness into `CLASSES`: dark, middle and bright, centred at 0.1, 0.5 and 0.9.
`latent` is [brightness, contrast], `early` is the brightness of the upper and of the lower half.
"""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.pipeline import Route, write_manifest

CLASSES = ("dark", "middle", "bright")
CENTRES = (0.1, 0.5, 0.9)


def image(brightness: float, shape: tuple[int, int, int] = (1, 8, 8), count: int = 1) -> NDArray[np.float32]:
    """`count` grey images [count, c, h, w], float32, all of one brightness."""
    return np.full((count, *shape), brightness, np.float32)


def write_pipeline(
    folder: Path,
    name: str = "first",
    *,
    version: str | None = None,
    shape: tuple[int, int, int] = (1, 8, 8),
    remedy: Literal["filter", "adapted"] | None = None,
    gate_threshold: float | None = None,
    parent: str | None = None,
    rotate: int = 0,
) -> Path:
    """Write a pipeline folder and give it back.

    `remedy` "filter" inverts the image before it is classified; "adapted" answers the next class. A `gate_threshold` routes
    only images brighter than it. `rotate` makes the plain classifier answer that many classes further, so that two pipelines
    can be told apart by their answers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classifier.onnx").write_bytes(_classifier(shape, rotate))
    if remedy == "filter":
        (folder / "filter.onnx").write_bytes(_filter(shape))
    if remedy == "adapted":
        (folder / "adapted.onnx").write_bytes(_classifier(shape, rotate + 1))
    if gate_threshold is not None:
        (folder / "gate.onnx").write_bytes(_gate())
    (folder / "reference.npz").write_bytes(_reference())
    gate = None if gate_threshold is None else "gate.onnx"
    routes = () if remedy is None else (Route(gate=gate, gate_threshold=gate_threshold, **{remedy: f"{remedy}.onnx"}),)
    write_manifest(folder, name=name, version=version or f"{name}-1", input=shape, classes=CLASSES, routes=routes, parent=parent, remedy=remedy)
    return folder


def _reference() -> bytes:
    centres = np.repeat(np.array(CENTRES, np.float32), 20)
    jitter = np.linspace(-0.04, 0.04, 20, dtype=np.float32)
    latent = np.stack([centres + np.tile(jitter, 3), np.zeros(60, np.float32)], axis=1)
    labels, buffer = np.repeat(np.arange(3), 20), io.BytesIO()
    logits = -20 * (latent[:, :1] - np.array(CENTRES, np.float32)) ** 2
    np.savez(
        buffer, fit_early=latent, fit_latent=latent, fit_labels=labels, calibration_early=latent, calibration_latent=latent,
        calibration_logits=logits.astype(np.float32), calibration_labels=labels, clean_accuracy=np.float32(1.0),
    )  # fmt: skip
    return buffer.getvalue()


def _classifier(shape: tuple[int, int, int], rotate: int) -> bytes:
    node, top = helper.make_node, shape[1] // 2
    constants = {
        "centres": np.roll(np.array(CENTRES, np.float32), rotate)[None],
        "scale": np.array(-20.0, np.float32), "every": np.array([1, 2, 3]), "zero": np.array([0]), "half": np.array([top]),
        "end": np.array([shape[1]]), "height": np.array([2]),
    }  # fmt: skip
    nodes = [
        node("ReduceMean", ["images", "every"], ["mean4"]), node("Flatten", ["mean4"], ["mean"]),
        node("Sub", ["images", "mean4"], ["off"]), node("Mul", ["off", "off"], ["square"]),
        node("ReduceMean", ["square", "every"], ["var4"]), node("Flatten", ["var4"], ["var"]), node("Sqrt", ["var"], ["contrast"]),
        node("Concat", ["mean", "contrast"], ["latent"], axis=1),
        node("Slice", ["images", "zero", "half", "height"], ["upper"]), node("Slice", ["images", "half", "end", "height"], ["lower"]),
        node("ReduceMean", ["upper", "every"], ["upper4"]), node("ReduceMean", ["lower", "every"], ["lower4"]),
        node("Flatten", ["upper4"], ["u"]), node("Flatten", ["lower4"], ["l"]), node("Concat", ["u", "l"], ["early"], axis=1),
        node("Sub", ["mean", "centres"], ["d"]), node("Mul", ["d", "d"], ["d2"]), node("Mul", ["d2", "scale"], ["logits"]),
    ]  # fmt: skip
    outputs = {"logits": len(CLASSES), "early": 2, "latent": 2}
    return _model(nodes, {"images": ["n", *shape]}, {k: ["n", v] for k, v in outputs.items()}, constants)


def _filter(shape: tuple[int, int, int]) -> bytes:
    nodes = [helper.make_node("Sub", ["one", "images"], ["filtered"])]
    return _model(nodes, {"images": ["n", *shape]}, {"filtered": ["n", *shape]}, {"one": np.array(1.0, np.float32)})


def _gate() -> bytes:
    """Score = brightness, the first latent; `early` is an input that this gate ignores except for its first column times nought."""
    constants = {"pick": np.array([[1.0], [0.0]], np.float32), "none": np.zeros((2, 1), np.float32), "axis": np.array([1])}
    node = helper.make_node
    nodes = [
        node("MatMul", ["latent", "pick"], ["a"]), node("MatMul", ["early", "none"], ["b"]),
        node("Add", ["a", "b"], ["c"]), node("Squeeze", ["c", "axis"], ["score"]),
    ]  # fmt: skip
    return _model(nodes, {"early": ["n", 2], "latent": ["n", 2]}, {"score": ["n"]}, constants)


def _model(nodes: list, inputs: dict[str, list], outputs: dict[str, list], constants: dict[str, NDArray]) -> bytes:
    def values(shapes: dict[str, list]) -> list:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", values(inputs), values(outputs), initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())
