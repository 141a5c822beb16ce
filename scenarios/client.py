"""Clients: how traffic reaches an inference service. `HttpClient` speaks the Open Inference Protocol v2 with binary tensors.

https://github.com/kserve/open-inference-protocol, and Triton's binary tensor data extension.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

from scenarios.datasets import to_float

_HEADER_LENGTH = "Inference-Header-Content-Length"
_DTYPES: dict[str, np.dtype[Any]] = {"INT64": np.dtype("<i8"), "FP32": np.dtype("<f4")}


class ClientError(Exception):
    """A request failed: no connection, no answer in time, an error from the service, or an answer that does not fit the request."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What came back for n images: sequence numbers int64 [n], labels int64 [n], the answering version, and seconds for the request."""

    seqs: NDArray[np.int64]
    labels: NDArray[np.int64]
    version: str
    seconds: float


class Client(Protocol):
    """Sends uint8 images [n, h, w] or [n, h, w, 3] to a service. Raises ClientError if the request fails."""

    def infer(self, images: NDArray[np.uint8]) -> Answers: ...


class HttpClient:
    """Open Inference Protocol v2 over HTTP; keeps its connection. A context manager; else call `close`.

    Parameters
    ----------
    url : of the service, such as "http://127.0.0.1:8000".
    model : name of the model there.
    timeout : seconds to wait for one answer.
    transport : in place of a network, for tests.
    """

    def __init__(self, url: str, model: str = "default", *, timeout: float = 30.0, transport: httpx.BaseTransport | None = None) -> None:
        self.url, self.model = url.rstrip("/"), model
        encrypted = self.url.lower().startswith("https:")  # only then are certificates needed, and to read all of them takes a while
        self._http = httpx.Client(base_url=self.url, timeout=timeout, transport=transport, verify=encrypted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def check_ready(self) -> None:
        """Raise ClientError unless the service says that the model is ready."""
        self._request("GET", f"/v2/models/{self.model}/ready")

    def infer(self, images: NDArray[np.uint8]) -> Answers:
        """Send uint8 images [n, h, w] or [n, h, w, 3] in one request. Raises ClientError."""
        tensor = np.ascontiguousarray(to_float(images), "<f4")
        header = msgspec.json.encode(
            {
                "inputs": [
                    {"name": "images", "shape": tensor.shape, "datatype": "FP32", "parameters": {"binary_data_size": tensor.nbytes}},
                ],
                "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in ("label", "seq")],
            },
        )
        headers = {_HEADER_LENGTH: str(len(header)), "Content-Type": "application/octet-stream"}
        before = perf_counter()
        response = self._request("POST", f"/v2/models/{self.model}/infer", content=header + tensor.tobytes(), headers=headers)
        seconds = perf_counter() - before
        try:
            tensors, version = _decode(response.content, response.headers.get(_HEADER_LENGTH))
            labels, seqs = tensors["label"].astype(np.int64), tensors["seq"].astype(np.int64)
        except (msgspec.DecodeError, KeyError, ValueError, TypeError) as error:
            msg = f"{self.url} answered something that is not an Open Inference Protocol response with label and seq: {error!r}."
            raise ClientError(msg) from error
        if labels.shape != (len(images),) or seqs.shape != (len(images),):
            msg = f"{self.url} answered {list(labels.shape)} labels and {list(seqs.shape)} sequence numbers for {len(images)} images."
            raise ClientError(msg)
        return Answers(seqs, labels, version, seconds)

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            msg = f"{self.url} does not answer ({type(error).__name__}: {error}). Is the service running, and is that its address?"
            raise ClientError(msg) from error
        if response.status_code != httpx.codes.OK:
            msg = f"{self.url}{path} answered {response.status_code}: {response.text[:500]}"
            raise ClientError(msg)
        return response


def _decode(body: bytes, header_length: str | None) -> tuple[Mapping[str, NDArray[Any]], str]:
    """Tensors by name, and the version, of a response whose tensors are JSON, binary or both."""
    length = len(body) if header_length is None else int(header_length)
    header = msgspec.json.decode(body[:length], type=dict[str, Any])
    tensors, start = {}, length
    for output in header["outputs"]:
        dtype = _DTYPES[output["datatype"]]
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            flat = np.asarray(output["data"], dtype)
        else:
            flat = np.frombuffer(body[start : start + size], dtype)
            start += size
        tensors[output["name"]] = flat.reshape(output["shape"])
    version = header.get("model_version") or header.get("parameters", {}).get("version", "")
    return tensors, str(version)
