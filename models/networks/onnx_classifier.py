"""A classifier that is an ONNX file: it answers, and nothing can be trained through it.

`speak` writes the file anew so that it speaks the project's contract: images in [0, 1] are normalised in front of the graph, the latents are
led out of it, and the features of the picture are computed beside it. The graph itself stays as it is.
"""

import tempfile
import warnings
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper
from torch import Tensor, nn

from models.networks.any_classifier import AnyClassifier, Answer
from models.networks.brought import AUTO, WIDEST, BroughtError, Latent
from models.networks.picture import Picture
from models.networks.source import Source
from models.pipeline import TAIL, session

NAME = "picture.onnx"
MARK = "scanflow.brought"  # key in the file's metadata
NET, LOOK = "net/", "look/"  # before the names of the brought graph, and of the features of the picture
OLDEST, NEWEST = 11, 20  # operator sets that the picture's features can be written for at once; they are converted to newer ones
PASSED = ("Softmax", "LogSoftmax", "Add", "Identity", "Cast", "Flatten", "Squeeze", "Reshape", "Dropout", "Clip", "Normalizer")
PRODUCTS = ("Gemm", "MatMul", "LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier")
TINY = 1e-7

Floats = NDArray[np.float32]


class OnnxClassifier(AnyClassifier):
    """A classifier whose file `speak` has written.

    Parameters
    ----------
    content : of the file.
    """

    differentiable: ClassVar[bool] = False

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content
        dims = self._session.get_inputs()[0].shape[1:]
        self.shape = (int(dims[0]), int(dims[1]), int(dims[2]))
        self.classes = int(self._session.get_outputs()[0].shape[1])
        about = json.loads(self._session.get_modelmeta().custom_metadata_map[MARK])
        self.latent: str = about["latent"]
        self.features = tuple(about["features"]) if about["features"] else None
        self.refit = Source(**about["refit"]) if about["refit"] else None

    @cached_property
    def _session(self) -> Any:
        return session({"classifier.onnx": self.content}, "classifier.onnx", ("images",), TAIL)

    def answer(self, images: Tensor) -> tuple[Tensor, Tensor]:
        answer = self.forward(images)
        return answer.logits, answer.latent

    def forward(self, images: Tensor) -> Answer:
        found = self._session.run(None, {"images": np.ascontiguousarray(images.detach().numpy(), np.float32)})
        return Answer(*(torch.from_numpy(part) for part in found))

    def read_out(self) -> list[nn.Parameter]:
        raise ValueError("an ONNX file without its torch source has no layer that can be trained")

    def save(self, path: Path) -> None:
        path.with_suffix(".onnx").write_bytes(self.content)


def speak_rows(
    model: onnx.ModelProto, features: Sequence[str], classes: int, *, latent: str = AUTO, refit: Source | None = None
) -> tuple[OnnxClassifier, Latent, bool]:
    """As `speak`, for a model that takes rows of a table, float32 [n, features], such as a scikit-learn pipeline.

    The early features are the row itself; the latents of "auto" go into the last matrix product, linear model, support vectors or trees, and
    where none of these leads to the answer they are the row, too.

    Parameters
    ----------
    features : names of the columns, with their units.
    refit : what trains the model anew.

    Raises
    ------
    BroughtError
        As `speak`.
    """
    shape = (len(features), 1, 1)
    graph = compose.add_prefix(_any_batch(_without_maps(model)), NET)
    _rows_in_front(graph, len(features))
    answer, probabilities = _answer(graph, shape, classes)
    if latent != AUTO:
        place = NET + latent
        if place not in [name for node in graph.graph.node for name in node.output]:
            raise BroughtError(f'the graph has no value {latent!r}; write latent = "auto"')
    else:
        try:
            place = _before_last_product(graph, answer)
        except BroughtError:
            place = "images"
    width = _lead_out(graph, answer, place, shape, classes, probabilities=probabilities)
    graph.graph.node.append(helper.make_node("Flatten", ["images"], ["early"]))
    _early_second(graph, len(features))
    content = _marked(graph, latent, features, refit)
    where = Latent("row" if place == "images" else place.removeprefix(NET), "input" if latent == AUTO else "output", width)
    return OnnxClassifier(content), where, probabilities


def is_onnx_classifier(path: Path) -> bool:
    """Whether an ONNX file was written by `speak`."""
    if not path.is_file():
        return False
    props = onnx.load_model(path, load_external_data=False).metadata_props
    return any(one.key == MARK for one in props)


def speak(
    model: onnx.ModelProto, shape: tuple[int, int, int], classes: int, *, mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None, latent: str = AUTO,
) -> tuple[OnnxClassifier, Latent, bool]:
    """Make an ONNX model speak the contract; returns it, where its latents come from, and whether it answered with probabilities.

    Parameters
    ----------
    shape : channels, height and width of its images; a graph that takes channels last gets them so.
    mean, std : of each channel in [0, 1], by which images are normalised; by default they are not.
    latent : a value of the graph, or "auto" for the input of the last matrix product before the answer.

    Raises
    ------
    BroughtError
        The model takes something else than images of this shape, in batches, or has no such answer or value.
    """
    mean, std = mean or (0.0,) * shape[0], std or (1.0,) * shape[0]
    if len(mean) != shape[0] or len(std) != shape[0] or min(std) <= 0:
        raise BroughtError(f"mean {list(mean)} and std {list(std)}; expected {shape[0]} numbers each, one a channel, those of std above 0")
    graph = compose.add_prefix(_any_batch(model), NET)
    _put_in_front(graph, shape, mean, std)
    answer, probabilities = _answer(graph, shape, classes)
    place, side = (NET + latent, "output") if latent != AUTO else (_before_last_product(graph, answer), "input")
    known = [name for node in graph.graph.node for name in node.output]
    if place not in (*known, "images"):
        some = ", ".join(repr(name.removeprefix(NET)) for name in known[-12:])
        raise BroughtError(f'the graph has no value {latent!r}; its last ones are {some}. Or write latent = "auto"')
    width = _lead_out(graph, answer, place, shape, classes, probabilities=probabilities)
    _with_picture(graph, shape)
    content = _marked(graph, latent)
    return OnnxClassifier(content), Latent(place.removeprefix(NET), side, width), probabilities  # type: ignore[arg-type]


def _any_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that takes any number of images, whatever its first dimension was written as; a probe tells whether it can."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    weights = {one.name for one in copy.graph.initializer}
    inputs = [one for one in copy.graph.input if one.name not in weights]
    if len(inputs) != 1:
        raise BroughtError(f"the graph has the inputs {[one.name for one in inputs]}; expected one, of images")
    for value in (*inputs, *copy.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"
    del copy.graph.input[:]
    copy.graph.input.extend(inputs)
    del copy.graph.value_info[:]
    return copy


def _put_in_front(model: onnx.ModelProto, shape: tuple[int, int, int], mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Let the graph begin with images [n, c, h, w] in [0, 1], normalised, in the order and number format that it takes."""
    graph, old = model.graph, model.graph.input[0]
    dims = [dim.dim_value or None for dim in old.type.tensor_type.shape.dim]
    orders = (shape, (*shape[1:], shape[0])) if len(dims) == 4 else ()
    fits = [order for order in orders if all(a in (None, b) for a, b in zip(dims[1:], order, strict=True))]
    if not fits:
        raise BroughtError(f"the graph takes {dims} and [model] input is {list(shape)} (channels, height, width); they must agree")
    for name, values in (("mean", mean), ("std", std)):
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.float32).reshape(1, -1, 1, 1), name))
    nodes = [helper.make_node("Sub", ["images", "mean"], ["centred"]), helper.make_node("Div", ["centred", "std"], ["normalised"])]
    last = "normalised"
    if fits[0] != shape:
        nodes.append(helper.make_node("Transpose", [last], ["channels_last"], perm=[0, 2, 3, 1]))
        last = "channels_last"
    if (kind := old.type.tensor_type.elem_type) != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [last], ["cast"], to=kind))
        last = "cast"
    nodes.append(helper.make_node("Identity", [last], [old.name]))
    for node in reversed(nodes):
        graph.node.insert(0, node)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", *shape]))


def _answer(model: onnx.ModelProto, shape: tuple[int, int, int], classes: int) -> tuple[str, bool]:
    """The output that holds a value for each class, found by running the graph; and whether these are probabilities."""
    found = _run(model, shape)
    fitting = {name: value for name, value in found.items() if value.shape == (3, classes) and value.dtype.kind == "f"}
    if not fitting:
        said = {name.removeprefix(NET): list(value.shape) for name, value in found.items()}
        wanted = f"an output with a value for each of {classes} classes, [3, {classes}]"
        raise BroughtError(f"for 3 images the graph answers {said}; expected {wanted}")
    name, value = next(((one, fitting[one]) for one in fitting if "logit" in one.lower()), next(iter(fitting.items())))
    if not np.isfinite(value).all():
        raise BroughtError("the graph answers with numbers that are not finite; is its normalisation right?")
    return name, bool((value >= 0).all() and (np.abs(value.sum(1) - 1) < 1e-3).all())


def _before_last_product(model: onnx.ModelProto, answer: str) -> str:
    """The input of the last matrix product on the way to the answer."""
    made = {name: node for node in model.graph.node for name in node.output}
    weights = {one.name for one in model.graph.initializer}
    at = answer
    while (node := made.get(at)) is not None:
        given = [name for name in node.input if name and name not in weights]
        if node.op_type in PRODUCTS:
            return given[0]
        if node.op_type not in PASSED or not given:
            break
        at = given[0]
    kinds = "nothing" if node is None else f"{node.op_type} ({at.removeprefix(NET)!r})"
    raise BroughtError(f"no matrix product leads to the answer, but {kinds}; name a value of the graph as latent")


def _lead_out(model: onnx.ModelProto, answer: str, place: str, shape: tuple[int, int, int], classes: int, *, probabilities: bool) -> int:
    """Make `logits` and `latent` the graph's outputs; returns how wide the latents are before they are projected."""
    graph = model.graph
    del graph.output[:]
    graph.output.extend([helper.make_empty_tensor_value_info(answer), helper.make_empty_tensor_value_info(place)])
    seen = _run(model, shape)[place]
    if len(seen) != 3 or seen.ndim < 2 or seen.dtype.kind != "f":
        found = f"{place.removeprefix(NET)!r} is {seen.dtype} {list(seen.shape)} for 3 images"
        raise BroughtError(f"the value {found}; name one with a row of numbers for each")
    add, last = graph.node.append, place
    add(helper.make_node("Cast", [last], ["latent/float"], to=TensorProto.FLOAT))
    last = "latent/float"
    if seen.ndim == 3:  # tokens [n, t, d]: the mean over t
        add(helper.make_node("Transpose", [last], ["latent/turned"], perm=[0, 2, 1]))
        last = "latent/turned"
    if seen.ndim in (3, 4):
        add(helper.make_node("GlobalAveragePool", [last], ["latent/mean"]))
        last = "latent/mean"
    width = seen.shape[2] if seen.ndim == 3 else seen.shape[1] if seen.ndim == 4 else int(np.prod(seen.shape[1:]))
    add(helper.make_node("Flatten", [last], ["latent/flat"]))
    last = "latent/flat"
    if width > WIDEST:
        draw = np.random.default_rng(0).normal(size=(width, WIDEST)) / WIDEST**0.5
        graph.initializer.append(numpy_helper.from_array(draw.astype(np.float32), "projection"))
        add(helper.make_node("MatMul", [last, "projection"], ["latent/projected"]))
        last = "latent/projected"
    add(helper.make_node("Identity", [last], ["latent"]))
    add(helper.make_node("Cast", [answer], ["logits/float"], to=TensorProto.FLOAT))
    if probabilities:
        graph.initializer.append(numpy_helper.from_array(np.array(TINY, np.float32), "tiny"))
        add(helper.make_node("Max", ["logits/float", "tiny"], ["logits/positive"]))
        add(helper.make_node("Log", ["logits/positive"], ["logits"]))
    else:
        add(helper.make_node("Identity", ["logits/float"], ["logits"]))
    del graph.output[:]
    graph.output.extend([
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes]),
        helper.make_tensor_value_info("latent", TensorProto.FLOAT, ["n", min(width, WIDEST)]),
    ])
    return width


def _with_picture(model: onnx.ModelProto, shape: tuple[int, int, int]) -> None:
    """Compute the features of the picture beside the graph, as its second output."""
    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if opset < OLDEST:
        raise BroughtError(f"the file is written for operator set {opset}; convert it to {OLDEST} or newer with onnx.version_converter")
    picture = compose.add_prefix(_picture(shape, min(opset, NEWEST)), LOOK)
    if opset > NEWEST:
        from onnx import version_converter

        picture = version_converter.convert_version(picture, opset)
    graph = model.graph
    graph.node.append(helper.make_node("Identity", ["images"], [f"{LOOK}images"]))
    graph.node.extend(picture.graph.node)
    graph.initializer.extend(picture.graph.initializer)
    graph.node.append(helper.make_node("Identity", [f"{LOOK}early"], ["early"]))
    _early_second(model, 12 * shape[0] + 22)
    model.ir_version = max(model.ir_version, picture.ir_version)


def _early_second(model: onnx.ModelProto, width: int) -> None:
    """Make `early` the output between logits and latent."""
    logits, latent = model.graph.output
    early = helper.make_tensor_value_info("early", TensorProto.FLOAT, ["n", width])
    outputs = [one.SerializeToString() for one in (logits, early, latent)]
    del model.graph.output[:]
    model.graph.output.extend([onnx.ValueInfoProto.FromString(one) for one in outputs])


def _marked(model: onnx.ModelProto, latent: str, features: Sequence[str] = (), refit: Source | None = None) -> bytes:
    """The file's content, with what is known of the model in its metadata."""
    helper.set_model_props(model, {MARK: json.dumps({"latent": latent, "features": list(features), "refit": msgspec.to_builtins(refit)})})
    return bytes(model.SerializeToString())


def _without_maps(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which probabilities are a matrix: converters of scikit-learn make maps of them by default."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    maps = {node.output[0]: node.input[0] for node in copy.graph.node if node.op_type == "ZipMap"}
    outputs = [
        helper.make_tensor_value_info(maps[one.name], TensorProto.FLOAT, None) if one.name in maps else one for one in copy.graph.output
    ]
    kept = [node for node in copy.graph.node if node.op_type != "ZipMap"]
    saved = [one.SerializeToString() for one in outputs], [one.SerializeToString() for one in kept]
    del copy.graph.output[:], copy.graph.node[:]
    copy.graph.output.extend([onnx.ValueInfoProto.FromString(one) for one in saved[0]])
    copy.graph.node.extend([onnx.NodeProto.FromString(one) for one in saved[1]])
    return copy


def _rows_in_front(model: onnx.ModelProto, count: int) -> None:
    """Let the graph begin with rows as images [n, features, 1, 1]."""
    graph, old = model.graph, model.graph.input[0]
    dims = [dim.dim_value or None for dim in old.type.tensor_type.shape.dim]
    if len(dims) != 2 or dims[1] not in (None, count):
        raise BroughtError(f"the graph takes {dims} and there are {count} features; expected one matrix of rows, [n, {count}]")
    nodes = [
        helper.make_node("Flatten", ["images"], ["rows"]),
        helper.make_node("Cast", ["rows"], [old.name], to=old.type.tensor_type.elem_type),
    ]
    for node in reversed(nodes):
        graph.node.insert(0, node)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", count, 1, 1]))


def _picture(shape: tuple[int, int, int], opset: int) -> onnx.ModelProto:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # see models.export
        torch.onnx.export(
            Picture(*shape[1:]).eval(), (torch.rand(3, *shape),), str(Path(folder, NAME)),
            input_names=["images"], output_names=["early"], opset_version=opset,
            dynamo=False, dynamic_axes={"images": {0: "n"}, "early": {0: "n"}},
        )
        return onnx.load(Path(folder, NAME))


def _run(model: onnx.ModelProto, shape: tuple[int, int, int]) -> Mapping[str, NDArray[Any]]:
    """Run the graph on three images: its outputs by name."""
    images = np.concatenate([np.full((2, *shape), 0.5, np.float32), np.random.default_rng(0).random((1, *shape)).astype(np.float32)])
    try:
        opened = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [one.name for one in opened.get_outputs()]
        together = opened.run(None, {"images": images})
    except Exception as error:  # onnxruntime raises a family of its own classes, all directly under Exception
        raise BroughtError(
            f"the graph fails on a batch of 3 images of {list(shape)}: {str(error)[:300]}. A file with a fixed batch must be exported anew, "
            "with a batch of any size"
        ) from error
    return dict(zip(names, (np.asarray(one) for one in together), strict=True))
