"""What the inference container costs, and what supervision costs it.

    python -m benchmarks.serving            # about four minutes
    python -m benchmarks.serving --quick    # about two

Two containers answer with the same pipeline. One belongs to a cluster that runs with its Ray, its agents and its ledger; nobody reads
the other's log. Clean images go to the one and to the other in turn. Client, servers and agents share this machine's processors, so
absolute figures say little; ratios come from these interleaved rounds.
"""

import http.client
import io
import json
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import typer
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table

from models.pipeline import write_manifest
from scenarios.datasets import load
from workflows.deployment import Deployment, Runtime
from workflows.inference import Inference

RESULTS = Path(__file__).parent / "results"
BATCH, CLIENTS = 16, 2
START = 180.0  # seconds that a cluster may take to come up


def write_network(folder: Path, name: str) -> Path:
    """A pipeline of the usual size for 28x28 images (three convolutions, 64-d latent), with random weights."""
    rng, node = np.random.default_rng(0), helper.make_node
    weights, nodes, above = {}, [], "images"
    for i, (a, b) in enumerate(((1, 32), (32, 64), (64, 64))):
        weights[f"k{i}"] = rng.normal(0, (2 / (9 * a)) ** 0.5, (b, a, 3, 3)).astype(np.float32)
        nodes += [
            node("Conv", [above, f"k{i}"], [f"c{i}"], pads=[1, 1, 1, 1]), node("Relu", [f"c{i}"], [f"r{i}"]),
            node("MaxPool", [f"r{i}"], [f"p{i}"], kernel_shape=[2, 2], strides=[2, 2]),
        ]  # fmt: skip
        above = f"p{i}"
    weights |= {
        "w": rng.normal(0, 0.05, (576, 64)).astype(np.float32),
        "v": rng.normal(0, 0.1, (64, 10)).astype(np.float32),
    }
    nodes += [
        node("GlobalAveragePool", ["r0"], ["g"]), node("Flatten", ["g"], ["early"]), node("Flatten", [above], ["f"]),
        node("MatMul", ["f", "w"], ["latent"]), node("MatMul", ["latent", "v"], ["logits"]),
    ]  # fmt: skip

    def values(shapes: dict[str, list[Any]]) -> list[Any]:
        return [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in shapes.items()]

    outputs = values({"logits": ["n", 10], "early": ["n", 32], "latent": ["n", 64]})
    constants = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    graph = helper.make_graph(nodes, name, values({"images": ["n", 1, 28, 28]}), outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    folder.mkdir()
    (folder / "classifier.onnx").write_bytes(model.SerializeToString())
    reference = io.BytesIO()
    np.savez(reference, fit_latent=rng.normal(size=(2000, 64)).astype(np.float32), fit_labels=np.arange(2000) % 10)
    (folder / "reference.npz").write_bytes(reference.getvalue())
    write_manifest(folder, name=name, version=f"{name}-1", input=(1, 28, 28), classes=tuple("0123456789"))
    return folder


class Load:
    """`clients` threads that ask for `batch` images at a time, over kept connections with raw bytes, while it is entered."""

    def __init__(self, url: str, clients: int = CLIENTS, batch: int = BATCH) -> None:
        clean = load("digits", "test").images
        self._bodies = [self._body(clean[np.random.default_rng(seed).integers(0, len(clean), batch), None]) for seed in range(50)]
        self._address, self._batch = url.removeprefix("http://"), batch
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        self.seconds: list[float] = []
        self.failed = 0

    def _body(self, images: NDArray[np.uint8]) -> tuple[bytes, dict[str, str]]:
        tensor = {"name": "images", "shape": images.shape, "datatype": "UINT8", "parameters": {"binary_data_size": images.nbytes}}
        head = json.dumps({"inputs": [tensor], "outputs": [{"name": "label", "parameters": {"binary_data": True}}]}).encode()
        return head + images.tobytes(), {"Inference-Header-Content-Length": str(len(head))}

    def __enter__(self) -> Self:
        self._begin = time.perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.rate = len(self.seconds) * self._batch / (time.perf_counter() - self._begin)

    def _ask(self) -> None:
        with closing(http.client.HTTPConnection(self._address, timeout=30)) as connection:
            while not self._stop.is_set():
                body, headers = self._bodies[len(self.seconds) % len(self._bodies)]
                begin = time.perf_counter()
                try:
                    connection.request("POST", "/v2/models/default/infer", body, headers)
                    reply = connection.getresponse()
                    reply.read()
                    self.failed += reply.status != http.client.OK
                except (OSError, http.client.HTTPException):
                    self.failed += 1
                    connection.close()
                self.seconds.append(time.perf_counter() - begin)


@contextmanager
def cluster(state: Path, runtime: Runtime) -> Iterator[str]:
    """A whole cluster on digits, as a user starts it; yields the URL of its inference service."""
    command = [sys.executable, "-u", "-m", "agents.cluster", "--dataset", "digits", "--runtime", runtime, "--state", str(state)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    told: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in process.stdout or ():
            told.put(line)
        told.put("")  # it has ended

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        while "inference answers at" not in (line := told.get(timeout=START)):
            if not line:
                raise RuntimeError(f"the cluster ended before it was up, with exit code {process.wait()}")
        yield line.split("inference answers at ")[1].split(";")[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START)
        listener.join()


def measure_supervision(watched: str, alone: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Images per second of the service with agents and of the one without, in turn."""
    rates: dict[str, list[float]] = {watched: [], alone: []}
    failed = 0
    for turn in range(rounds):
        for url in (watched, alone) if turn % 2 else (alone, watched):
            with Load(url) as asking:
                threading.Event().wait(seconds)
            failed += asking.failed
            rates[url].append(asking.rate)
    ratios = [b / a for a, b in zip(rates[alone], rates[watched], strict=True)]
    return {
        "alone": statistics.median(rates[alone]), "watched": statistics.median(rates[watched]), "ratio": statistics.median(ratios),
        "ratio_of_sums": sum(rates[watched]) / sum(rates[alone]), "ratios": ratios, "failed": failed,
    }  # fmt: skip


def measure_swaps(url: str, inference: Inference, second: Path, swaps: int) -> dict[str, Any]:
    """Requests that fail, and how long they take, while pipelines are loaded, activated, undone and unloaded."""
    took = []
    with Load(url, clients=4, batch=1) as asking:
        for _ in range(swaps):
            begin = time.perf_counter()
            name = inference.load(second)
            inference.activate(name)
            took.append(time.perf_counter() - begin)
            threading.Event().wait(0.1)
            inference.undo()
            inference.unload(name)
    times = {"swap": statistics.median(took), "p50": statistics.median(asking.seconds), "max": max(asking.seconds)}
    return {"swaps": swaps, "requests": len(asking.seconds), "failed": asking.failed, **times}


def measure_latency(url: str, batch: int, seconds: float) -> float:
    """Median seconds of one client's requests."""
    with Load(url, clients=1, batch=batch) as asking:
        threading.Event().wait(seconds)
    return statistics.median(asking.seconds)


def main(
    quick: Annotated[bool, typer.Option(help="Fewer and shorter rounds.")] = False,
    runtime: Annotated[Runtime, typer.Option(help="Where the server runs.")] = "auto",
) -> None:
    """Measure throughput with and without supervision, swaps under load, and how long things take to start."""
    console, rounds, seconds = Console(), 6 if quick else 15, 1.5 if quick else 3.0
    with tempfile.TemporaryDirectory() as place:
        first, second = write_network(Path(place) / "first", "first"), write_network(Path(place) / "second", "second")
        deployment = Deployment("bench", Path(place) / "state", runtime, say=console.print)
        try:
            begin = time.perf_counter()
            endpoint = deployment.start(first)
            started = time.perf_counter() - begin
            deployment.stop()
            begin = time.perf_counter()
            deployment.start(first)
            again, url = time.perf_counter() - begin, deployment.endpoint().url
            with closing(deployment.inference(timeout=30)) as inference:
                measure_latency(url, 1, 0.5)
                result: dict[str, Any] = {
                    "runtime": endpoint.runtime,
                    "seconds_first_start": started,
                    "seconds_second_start": again,
                    "latency": {str(batch): measure_latency(url, batch, seconds) for batch in (1, 32)},
                    "swaps": measure_swaps(url, inference, second, 10),
                }
            deployment.stop()
            with cluster(Path(place) / "cluster", endpoint.runtime) as watched:
                alone = deployment.start(Path(place) / "cluster" / "pipelines" / "digits-first").url
                result["supervision"] = measure_supervision(watched, alone, rounds, seconds)
        finally:
            deployment.stop()
    _show(console, result)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "serving.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _show(console: Console, result: dict[str, Any]) -> None:
    watched, swaps = result["supervision"], result["swaps"]
    table = Table("serving", "measured", "must hold", title=f"in a {result['runtime']}")
    table.add_row("throughput, agents attached / without", f"{watched['ratio']:.3f}", "at least 0.95")
    table.add_row("images per second, without / with", f"{watched['alone']:.0f} / {watched['watched']:.0f}", "")
    table.add_row(f"failed requests of {swaps['requests']} in {swaps['swaps']} swaps", str(swaps["failed"]), "0")
    table.add_row("load and activate under load, ms", f"{1000 * swaps['swap']:.1f}", "")
    table.add_row("request under load, median / slowest, ms", f"{1000 * swaps['p50']:.1f} / {1000 * swaps['max']:.0f}", "")
    table.add_row("request of 1 / 32 images, median, ms", " / ".join(f"{1000 * value:.2f}" for value in result["latency"].values()), "")
    table.add_row("first start (with image) / second, s", f"{result['seconds_first_start']:.1f} / {result['seconds_second_start']:.1f}", "")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
