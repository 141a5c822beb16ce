"""A real server process, asked by real clients."""

import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.serving.running import ROOT, server
from tests.serving.tiny import image, write_pipeline
from workflows.serving.__main__ import main
from workflows.serving.wire import KeyPair

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; by default each client would read all certificates first


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with server(folder) as running:
        running.inference.activate(running.inference.load(write_pipeline(folder / "first")))
        running.inference.load(write_pipeline(folder / "second", "second", rotate=1))
        yield running


@pytest.fixture
def client(running):
    client = triton.InferenceServerClient(running.ready.url.removeprefix("http://"))
    yield client
    client.close()


def test_triton_client_finds_server_and_model_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("default")
    assert client.is_model_ready("default", "first-1")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.get_model_metadata("default")["inputs"][0]["shape"] == [-1, 1, 8, 8]


@pytest.mark.parametrize("raw_in", [True, False], ids=["bytes in", "JSON in"])
@pytest.mark.parametrize("raw_out", [True, False], ids=["bytes out", "JSON out"])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_triton_client_gets_its_answers(client, raw_in, raw_out, dtype):
    images = np.concatenate([image(0.1), image(0.5), image(0.9)])
    images = images if dtype is np.float32 else (images * 255).astype(np.uint8)
    tensor = triton.InferInput("images", list(images.shape), "FP32" if dtype is np.float32 else "UINT8")
    tensor.set_data_from_numpy(images, binary_data=raw_in)
    wanted = [triton.InferRequestedOutput(name, binary_data=raw_out) for name in ("label", "probabilities", "trust", "seq")]
    result = client.infer("default", [tensor], outputs=wanted, request_id="mine")
    assert result.as_numpy("label").tolist() == [0, 1, 2]
    assert result.as_numpy("probabilities").shape == (3, 3)
    assert (result.as_numpy("trust") > 0.9).all()
    assert np.diff(result.as_numpy("seq")).tolist() == [1, 1]
    assert (result.get_response()["id"], result.get_response()["model_version"]) == ("mine", "first-1")


def test_triton_client_without_requested_outputs_gets_all_of_them(client):
    tensor = triton.InferInput("images", [1, 1, 8, 8], "FP32")
    tensor.set_data_from_numpy(image(0.9))
    assert client.infer("default", [tensor]).as_numpy("label").tolist() == [2]


def test_triton_client_shows_the_sentence_of_an_error(client):
    tensor = triton.InferInput("images", [1, 1, 8, 9], "FP32")
    tensor.set_data_from_numpy(image(0.1, (1, 8, 9)))
    with pytest.raises(InferenceServerException, match=r"shape \[1, 1, 8, 9\]; expected \[n, 1, 8, 8\]"):
        client.infer("default", [tensor])


def test_swapping_under_load_loses_no_request_and_every_answer_is_of_one_version(running):
    expected, failed, versions, stop = {"first-1": 0, "second-1": 1}, [], set(), threading.Event()
    body = {"inputs": [{"name": "images", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": image(0.1).ravel().tolist()}]}

    def ask():
        with httpx.Client(base_url=running.ready.url, verify=PLAIN) as http:
            while not stop.is_set():
                reply = http.post("/v2/models/default/infer", json=body)
                answer = reply.json()
                if reply.status_code != 200 or answer["outputs"][0]["data"] != [expected[answer["model_version"]]]:
                    failed.append(reply.text)
                    return
                versions.add(answer["model_version"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    before = running.inference.stats().requests
    for thread in threads:
        thread.start()
    swaps = 0
    while swaps < 10 or (len(versions) < 2 and not failed):
        running.inference.activate("second")
        seen = running.inference.stats().requests
        while not failed and running.inference.stats().requests < seen + 5:
            pass  # each round is a command answered by the server, so this waits on it and does not spin
        running.inference.undo()
        swaps += 1
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert versions == {"first-1", "second-1"}
    assert running.inference.stats().requests >= before + 50


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_the_server_cleanly_and_frees_its_ports(tmp_path, number):
    with server(tmp_path) as running:
        running.process.send_signal(number)
        assert running.process.wait(20) == 0
        assert running.process.stderr.read() == ""
        port = int(running.ready.url.rsplit(":", 1)[1])
        control = running.ready.control
    (tmp_path / "again").mkdir()
    with server(tmp_path / "again", port=port, control=control) as again:
        assert again.ready.url == running.ready.url


def settings(folder, **changes):
    keys = KeyPair.new()
    file = folder / "config.json"
    file.write_text(json.dumps({"server_public": keys.public, "server_secret": keys.secret, "client_public": keys.public} | changes))
    return ["--config", str(file)]


def test_a_busy_port_is_one_sentence_and_exit_status_2(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert main(settings(tmp_path, port=port)) == 2
        assert main(settings(tmp_path, control=f"tcp://127.0.0.1:{port}")) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "in use" in first
    assert "cannot listen on" in second


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"colour": 1}, "colour"), ({"server_public": 3}, r"config.json: .*\$.server_public"), ({"max_images": 0}, "max_images is 0")],
)
def test_a_bad_configuration_is_one_sentence_and_exit_status_2(tmp_path, capsys, changes, said):
    assert main(settings(tmp_path, **changes)) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert re.search(said, line)


def test_a_missing_configuration_is_one_sentence_and_exit_status_2(tmp_path, capsys):
    assert main(["--config", str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json cannot be read" in capsys.readouterr().err


def test_the_server_needs_no_torch_no_ray_and_no_training_library():
    code = """
import sys, workflows.serving.__main__
heavy = {"torch", "torchvision", "ray", "sklearn", "scipy", "mlflow", "docker", "pandas", "onnx", "sqlalchemy"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
