"""The Open Inference Protocol, version 2: requests and answers as bytes. No HTTP, no server: bytes in, arrays out, and back.

A body is JSON, or JSON followed by raw little-endian tensors (the binary tensor extension); then the header
`Inference-Header-Content-Length` says how long the JSON is.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from workflows.inference import Answers

HEADER_LENGTH = "Inference-Header-Content-Length"
INPUT = "images"
INPUT_TYPES: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}
OUTPUT_TYPES = {"label": "INT64", "probabilities": "FP32", "trust": "FP32", "seq": "INT64"}
_OUTPUT_DTYPES: Mapping[str, np.dtype[Any]] = {"INT64": np.dtype("<i8"), "FP32": np.dtype("<f4")}


class ProtocolError(Exception):
    """A request that is refused: the HTTP status and a sentence saying what was expected."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request(NamedTuple):
    """A parsed inference request."""

    id: str | None
    images: NDArray[Any]  # float32 or uint8, of the shape that the client stated
    outputs: tuple[tuple[str, bool], ...]  # name, and whether it goes back as raw bytes


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: Any = None


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Body(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[_Output] | None = None


_decoder = msgspec.json.Decoder(_Body)


def parse_request(body: bytes, header_length: str | None = None) -> Request:
    """Read an inference request. Raises `ProtocolError`.

    Examples
    --------
    >>> text = b'{"inputs": [{"name": "images", "shape": [1, 1, 1, 2], "datatype": "UINT8", "data": [0, 255]}]}'
    >>> parse_request(text).images.tolist()
    [[[[0, 255]]]]
    """
    length = _json_length(header_length, len(body))
    try:
        request = _decoder.decode(body[:length])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        where = "" if header_length is None else f" in its first {length} bytes, as {HEADER_LENGTH} says"
        raise ProtocolError(400, f"the body is no inference request: {error}; expected a JSON object with a list inputs{where}") from error
    if [tensor.name for tensor in request.inputs] != [INPUT]:
        names = [tensor.name for tensor in request.inputs]
        raise ProtocolError(400, f"the inputs are {names}; expected exactly one, named {INPUT!r}")
    return Request(request.id, _images(request.inputs[0], body[length:]), _outputs(request))


def _json_length(header: str | None, total: int) -> int:
    if header is None:
        return total
    if not (header.isascii() and header.isdigit() and len(header) < 16 and int(header) <= total):
        raise ProtocolError(400, f"{HEADER_LENGTH} is {header[:40]!r}; expected the length of the JSON part, a number from 0 to {total}")
    return int(header)


def _images(tensor: _Tensor, tail: bytes) -> NDArray[Any]:
    dtype = INPUT_TYPES.get(tensor.datatype)
    if dtype is None:
        raise ProtocolError(400, f"{INPUT} has datatype {tensor.datatype!r}; expected one of {list(INPUT_TYPES)}")
    if len(tensor.shape) > 8 or any(side < 0 for side in tensor.shape):
        raise ProtocolError(400, f"{INPUT} has shape {tensor.shape[:9]}; expected [n, channels, height, width]")
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tail:
            raise ProtocolError(400, f"{len(tail)} bytes follow the JSON and {INPUT} has no binary_data_size; say how many belong to it")
        values = _from_json(tensor.data, dtype)
    elif tensor.data is not None:
        raise ProtocolError(400, f"{INPUT} has both data and binary_data_size; expected one of them")
    elif not isinstance(size, int) or isinstance(size, bool) or size != len(tail) or size % dtype.itemsize:
        raise ProtocolError(400, f"{INPUT} has binary_data_size {size!r} and {len(tail)} bytes follow the JSON; expected the same number")
    else:
        values = np.frombuffer(tail, dtype)  # of a copy of the tail, so that it is aligned
    if values.size != math.prod(tensor.shape):
        wanted = math.prod(tensor.shape)
        raise ProtocolError(400, f"{INPUT} has {values.size} values; its shape {tensor.shape} expects {wanted}")
    try:
        return values.reshape(tensor.shape)
    except (ValueError, OverflowError) as error:  # sides beyond what NumPy can count, as only an empty tensor can have them
        raise ProtocolError(400, f"{INPUT} has shape {tensor.shape}; expected [n, channels, height, width] of an image") from error


def _from_json(data: object, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not isinstance(data, list):
        raise ProtocolError(400, f"{INPUT} has no list data; expected numbers, flat or nested, or raw bytes with binary_data_size")
    try:
        values = np.array(data)
    except (ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError(400, f"{INPUT} has ragged data; expected numbers in equally long lists") from error
    if values.size and values.dtype.kind not in "iuf":
        raise ProtocolError(400, f"{INPUT} has data that are not all numbers; expected numbers only")
    if dtype == np.uint8 and values.size and (values.dtype.kind == "f" or values.min() < 0 or values.max() > 255):
        raise ProtocolError(400, f"{INPUT} is UINT8 and has data other than whole numbers from 0 to 255")
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite, and the service says so
        return values.astype(dtype)


def _outputs(request: _Body) -> tuple[tuple[str, bool], ...]:
    everywhere = request.parameters.get("binary_data_output") is True
    if request.outputs is None:
        return tuple((name, everywhere) for name in OUTPUT_TYPES)
    unknown = [output.name for output in request.outputs if output.name not in OUTPUT_TYPES]
    if unknown or not request.outputs:
        raise ProtocolError(400, f"outputs asks for {unknown}; expected some of {list(OUTPUT_TYPES)}, or no outputs at all for every one")
    if any(output.parameters.get("classification") for output in request.outputs):
        raise ProtocolError(400, "the classification extension is not offered; ask for the output 'label' instead")
    return tuple((output.name, output.parameters.get("binary_data", everywhere) is True) for output in request.outputs)


def build_response(model: str, request: Request, answers: Answers) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON part if raw tensors follow it."""
    arrays: dict[str, NDArray[Any]]
    arrays = {"label": answers.labels, "probabilities": answers.probabilities, "trust": answers.trust, "seq": answers.seqs}
    outputs: list[dict[str, Any]] = []
    tail: list[bytes] = []
    for name, binary in request.outputs:
        array, datatype = arrays[name], OUTPUT_TYPES[name]
        output: dict[str, Any] = {"name": name, "datatype": datatype, "shape": array.shape}
        if binary:
            raw = array.astype(_OUTPUT_DTYPES[datatype], copy=False).tobytes()
            output["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            output["data"] = array.ravel()
        outputs.append(output)
    head: dict[str, Any] = {"model_name": model, "model_version": answers.version, "outputs": outputs}
    if request.id is not None:
        head["id"] = request.id
    text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((text, *tail)), len(text)) if tail else (text, None)


def model_metadata(model: str, version: str, shape: tuple[int, int, int], classes: int) -> dict[str, Any]:
    """What `GET /v2/models/{name}` says; -1 stands for any number of images."""
    sizes = {"label": [-1], "probabilities": [-1, classes], "trust": [-1], "seq": [-1]}
    return {
        "name": model,
        "versions": [version],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, *shape]}],
        "outputs": [{"name": name, "datatype": OUTPUT_TYPES[name], "shape": size} for name, size in sizes.items()],
    }
