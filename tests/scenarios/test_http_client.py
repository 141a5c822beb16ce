import json
import struct

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from scenarios import command
from scenarios.brought import Brought, gather
from scenarios.client import ClientError, HttpClient

HEADER = "Inference-Header-Content-Length"
IMAGES = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)


class Service:
    """An Open Inference Protocol service that answers label 3 and counts records, with binary tensors or JSON ones."""

    def __init__(self, *, binary=True):
        self.binary, self.requests, self.records = binary, [], 0

    def __call__(self, request):
        self.requests.append(request)
        if request.method == "GET":
            return httpx.Response(200)
        length = int(request.headers[HEADER])
        shape = json.loads(request.content[:length])["inputs"][0]["shape"]
        seqs = [self.records + k + 1 for k in range(shape[0])]
        self.records += shape[0]
        labels = [3] * shape[0]
        if not self.binary:
            outputs = [{"name": n, "datatype": "INT64", "shape": [shape[0]], "data": v} for n, v in (("seq", seqs), ("label", labels))]
            return httpx.Response(200, json={"model_name": "m", "model_version": "v9", "outputs": outputs})
        tail = struct.pack(f"<{2 * shape[0]}q", *seqs, *labels)
        outputs = [
            {"name": n, "datatype": "INT64", "shape": [shape[0]], "parameters": {"binary_data_size": 8 * shape[0]}} for n in ("seq", "label")
        ]
        head = json.dumps({"model_name": "m", "model_version": "v9", "outputs": outputs}).encode()
        return httpx.Response(200, content=head + tail, headers={HEADER: str(len(head))})


def client_of(handler, **more):
    return HttpClient("http://service/", transport=httpx.MockTransport(handler), **more)


@pytest.mark.parametrize("binary", [True, False])
def test_answers_are_read_from_binary_and_from_json_tensors(binary):
    with client_of(Service(binary=binary)) as client:
        answers = client.infer(IMAGES)
        assert answers.seqs.tolist() == [1, 2] and answers.labels.tolist() == [3, 3]
        assert answers.version == "v9" and answers.seconds > 0
        assert answers.seqs.dtype == answers.labels.dtype == np.int64
        assert client.infer(IMAGES).seqs.tolist() == [3, 4]


def test_images_travel_as_raw_float32_nchw_after_a_json_header():
    service = Service()
    with client_of(service, model="digits") as client:
        client.infer(IMAGES)
    [request] = service.requests
    assert request.url == "http://service/v2/models/digits/infer"
    length = int(request.headers[HEADER])
    [tensor] = json.loads(request.content[:length])["inputs"]
    assert tensor == {"name": "images", "shape": [2, 1, 4, 5], "datatype": "FP32", "parameters": {"binary_data_size": 160}}
    sent = np.frombuffer(request.content[length:], "<f4").reshape(2, 1, 4, 5)
    assert np.allclose(sent[:, 0] * 255, IMAGES)


def test_colour_images_travel_channels_first():
    service = Service()
    with client_of(service) as client:
        client.infer(np.zeros((3, 8, 9, 3), np.uint8))
    length = int(service.requests[0].headers[HEADER])
    assert json.loads(service.requests[0].content[:length])["inputs"][0]["shape"] == [3, 3, 8, 9]


def refuse(_):
    raise httpx.ConnectError("refused")


def too_late(_):
    raise httpx.ReadTimeout("timed out")


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (refuse, "http://service does not answer .*refused.*Is the service running"),
        (too_late, "does not answer .*ReadTimeout"),
        (lambda _: httpx.Response(400, json={"error": "expected FP32"}), "answered 400: .*expected FP32"),
        (lambda _: httpx.Response(200, content=b"<html>"), "not an Open Inference Protocol response"),
        (lambda _: httpx.Response(200, json={"outputs": []}), "not an Open Inference Protocol response"),
        (lambda _: httpx.Response(200, json=[1]), "not an Open Inference Protocol response"),
        (lambda _: httpx.Response(200, json={"outputs": [{"name": "label", "datatype": "BYTES"}]}), "not an Open Inference Protocol response"),
        (lambda _: httpx.Response(200, content=b"{}", headers={HEADER: "many"}), "not an Open Inference Protocol response"),
        (
            lambda _: httpx.Response(200, json={"outputs": [{"name": n, "datatype": "INT64", "shape": [1], "data": [1]} for n in ("label", "seq")]}),
            r"answered \[1\] labels and \[1\] sequence numbers for 2 images",
        ),
    ],
)
def test_whatever_goes_wrong_is_one_kind_of_error_that_says_what(handler, told):
    with client_of(handler) as client, pytest.raises(ClientError, match=told):
        client.infer(IMAGES)


@pytest.fixture
def typed(monkeypatch):
    """Run the command line against a service in memory."""

    def run(handler, *arguments):
        def connect(url, model):
            return HttpClient(url, model, transport=httpx.MockTransport(handler))

        monkeypatch.setattr(command, "HttpClient", connect)
        return CliRunner().invoke(command.application(), list(arguments))

    return run


def test_the_command_sends_a_scenario_and_prints_accuracy_per_segment(typed):
    service = Service()
    result = typed(service, "sudden_stripe", "--rate", "0", "--at-most", "60")
    assert result.exit_code == 0, result.output
    assert service.records == 500 + 60 + 60
    lines = result.stdout.splitlines()
    assert lines[1].split()[:5] == ["segment", "1", "clean", "500", "images"]
    assert "stripe" in lines[2] and "v9" in lines[2]


def test_the_command_sends_data_of_ones_own(typed, tmp_path):
    images, labels = np.arange(200 * 25, dtype=np.uint8).reshape(200, 5, 5), np.arange(200) % 4
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    data = Brought(train="own.npz", held_out="own.npz")
    gather(data, tmp_path, tmp_path / "data" / "mine", (1, 5, 5), list("abcd"), lambda _text: None)
    service = Service()
    result = typed(service, "clean", "--dataset", "mine", "--data", str(tmp_path / "data"), "--rate", "0")
    assert result.exit_code == 0, result.output
    assert service.records > 0
    head = json.loads(service.requests[-1].content[: int(service.requests[-1].headers[HEADER])])
    assert head["inputs"][0]["shape"][1:] == [1, 5, 5]
    without = typed(Service(), "clean", "--dataset", "mine")
    assert without.exit_code == 2 and "no data set 'mine'" in without.output and "--data" in without.output


def test_the_command_ends_with_1_if_a_request_failed(typed):
    service = Service()

    def shaky(request):
        return httpx.Response(503) if len(service.requests) == 3 and not service.requests.append(request) else service(request)

    result = typed(shaky, "sudden_stripe", "--rate", "0", "--at-most", "20")
    assert result.exit_code == 1
    assert "20 images without an answer; the latest reason: " in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["sudden_strip"], "Did you mean sudden_stripe?"), (["sudden_stripe", "--dataset", "minst"], "no data set 'minst'")],
)
def test_the_command_ends_with_2_and_a_sentence_if_its_arguments_are_wrong(typed, arguments, told):
    result = typed(Service(), *arguments)
    assert result.exit_code == 2
    assert told in result.output and "Traceback" not in result.output
    assert result.output.startswith("error: ")  # as all commands of the project


def test_the_command_ends_with_2_if_nobody_answers(typed):
    result = typed(refuse, "clean")
    assert result.exit_code == 2 and "does not answer" in result.output


def test_the_help_lists_the_suite(typed):
    result = typed(Service(), "--help")
    assert result.exit_code == 0 and "sudden_fog" in result.output
