"""The HTTP face: the Open Inference Protocol as a client sees it, and what it is told when it errs."""

import gzip
import json
import re

import numpy as np
import pytest

from tests.serving.asgi import AsgiClient
from tests.serving.tiny import image, write_pipeline
from workflows.serving.app import make_app
from workflows.serving.service import Service

LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/default/infer"


@pytest.fixture
def service(tmp_path):
    service = Service(records=100, images=50, max_images=8)
    service.activate(service.load(write_pipeline(tmp_path)))
    return service


@pytest.fixture
def client(service):
    return AsgiClient(make_app(service))


def tensor(images, **changes):
    datatype = "UINT8" if images.dtype == np.uint8 else "FP32"
    return {"name": "images", "shape": list(images.shape), "datatype": datatype, "data": images.ravel().tolist()} | changes


def binary(images, head=None, **changes):
    inputs = [{k: v for k, v in tensor(images).items() if k != "data"} | {"parameters": {"binary_data_size": images.nbytes}} | changes]
    text = json.dumps({"inputs": inputs} | (head or {})).encode()
    return {"content": text + images.tobytes(), "headers": {LENGTH: str(len(text))}}


def outputs(reply):
    assert reply.status_code == 200, reply.text
    return {output["name"]: output for output in reply.json()["outputs"]}


def test_a_server_without_a_pipeline_lives_but_is_not_ready():
    client = AsgiClient(make_app(Service()))
    assert client.get("/v2/health/live").json() == {"live": True}
    for path in ("/v2/health/ready", "/v2/models/default", "/v2/models/default/ready"):
        assert client.get(path).status_code == 503
    assert client.post(INFER, json={"inputs": [tensor(image(0.1))]}).status_code == 503


def test_server_and_model_say_what_they_are(client):
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2").json() == {"name": "scanflow-agents", "version": "2", "extensions": ["binary_tensor_data"]}
    assert client.get("/v2/models/default/ready").json() == {"name": "default", "ready": True}
    model = client.get("/v2/models/default").json()
    assert model == client.get("/v2/models/default/versions/first-1").json()
    assert model["versions"] == ["first-1"]
    assert model["inputs"] == [{"name": "images", "datatype": "FP32", "shape": [-1, 1, 8, 8]}]
    assert [(o["name"], o["datatype"], o["shape"]) for o in model["outputs"]] == [
        ("label", "INT64", [-1]), ("probabilities", "FP32", [-1, 3]), ("trust", "FP32", [-1]), ("seq", "INT64", [-1]),
    ]  # fmt: skip


def test_json_in_json_out(client):
    images = np.concatenate([image(0.1), image(0.9)])
    reply = client.post(INFER, json={"id": "7", "inputs": [tensor(images)]})
    got = outputs(reply)
    assert (reply.json()["id"], reply.json()["model_name"], reply.json()["model_version"]) == ("7", "default", "first-1")
    assert got["label"] == {"name": "label", "datatype": "INT64", "shape": [2], "data": [0, 2]}
    assert got["probabilities"]["shape"] == [2, 3]
    assert got["seq"]["data"] == [1, 2]


def test_nested_json_data_are_the_same_as_flat_ones(client):
    got = outputs(client.post(INFER, json={"inputs": [tensor(image(0.9), data=image(0.9).tolist())]}))
    assert got["label"]["data"] == [2]


def test_only_the_requested_outputs_come_back_in_the_order_asked(client):
    wanted = [{"name": "seq"}, {"name": "label"}]
    assert list(outputs(client.post(INFER, json={"inputs": [tensor(image(0.1))], "outputs": wanted}))) == ["seq", "label"]


def test_raw_bytes_in_and_out(client):
    images = np.concatenate([image(0.1), image(0.9)])
    raw = {"parameters": {"binary_data": True}}
    wanted = [{"name": "label"} | raw, {"name": "seq"}, {"name": "trust"} | raw]
    reply = client.post(INFER, **binary(images, {"outputs": wanted}))
    length = int(reply.headers[LENGTH])
    label, seq, trust = json.loads(reply.content[:length])["outputs"]
    assert label["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(reply.content[length:][:16], "<i8").tolist() == [0, 2]
    assert seq["data"] == [1, 2]
    assert (np.frombuffer(reply.content[length:][16:], "<f4") > 0.9).all()
    assert trust["shape"] == [2]


def test_raw_bytes_for_every_output_can_be_asked_for_at_once(client):
    reply = client.post(INFER, **binary((image(0.9) * 255).astype(np.uint8), {"parameters": {"binary_data_output": True}}))
    head = json.loads(reply.content[: int(reply.headers[LENGTH])])
    assert [o["parameters"]["binary_data_size"] for o in head["outputs"]] == [8, 12, 4, 8]


def test_a_path_with_the_active_version_answers_and_any_other_says_which_one_is_active(client):
    assert client.post("/v2/models/default/versions/first-1/infer", json={"inputs": [tensor(image(0.1))]}).status_code == 200
    reply = client.post("/v2/models/default/versions/9/infer", json={"inputs": [tensor(image(0.1))]})
    assert (reply.status_code, reply.json()["error"]) == (404, "version '9' of 'default' does not answer; the active one is 'first-1'")


ONE = image(0.1)
BAD = {
    "malformed JSON": (400, "expected a JSON object", {"content": b"{"}),
    "not an object": (400, "Expected `object`", {"content": b"[1]"}),
    "deep nesting": (400, "no inference request", {"content": b'{"inputs":' + b"[" * 40_000}),
    "not UTF-8": (400, "no inference request", {"content": b'{"inputs": "\xff\xfe"}'}),
    "empty body": (400, "the body is empty", {"content": b""}),
    "no inputs": (400, "missing required field `inputs`", {"json": {}}),
    "no input": (400, r"expected exactly one, named 'images'", {"json": {"inputs": []}}),
    "two inputs": (400, "expected exactly one", {"json": {"inputs": [tensor(ONE), tensor(ONE)]}}),
    "another name": (400, r"\['pictures'\]", {"json": {"inputs": [tensor(ONE, name="pictures")]}}),
    "wrong shape": (400, r"expected \[n, 1, 8, 8\]", {"json": {"inputs": [tensor(image(0.1, (1, 8, 9)))]}}),
    "shape and data differ": (400, "64 values; its shape .* expects 128", {"json": {"inputs": [tensor(ONE, shape=[2, 1, 8, 8])]}}),
    "negative shape": (400, r"shape \[-1", {"json": {"inputs": [tensor(ONE, shape=[-1, 1, 8, 8])]}}),
    "endless shape": (400, r"expected \[n, channels", {"json": {"inputs": [tensor(ONE, shape=[1] * 1000)]}}),
    "huge shape": (400, "expects", {"json": {"inputs": [tensor(ONE, shape=[2**40, 2**40, 8, 8])]}}),
    "uncountable shape": (400, r"expected \[n, channels", {"json": {"inputs": [tensor(ONE, shape=[0, 2**62, 4], data=[])]}}),
    "wrong dtype": (400, r"'FP64'; expected one of \['FP32', 'UINT8'\]", {"json": {"inputs": [tensor(ONE, datatype="FP64")]}}),
    "text as data": (400, "numbers only", {"json": {"inputs": [tensor(ONE, data=["0.1"] * 64)]}}),
    "null as data": (400, "numbers only", {"json": {"inputs": [tensor(ONE, data=[None] * 64)]}}),
    "no data": (400, "no list data", {"json": {"inputs": [tensor(ONE, data=None)]}}),
    "ragged data": (400, "ragged", {"json": {"inputs": [tensor(ONE, data=[[0.1], [0.1, 0.2]])]}}),
    "UINT8 below 0": (400, "0 to 255", {"json": {"inputs": [tensor(ONE, datatype="UINT8", data=[-1] * 64)]}}),
    "UINT8 fractions": (400, "0 to 255", {"json": {"inputs": [tensor(ONE, datatype="UINT8")]}}),
    "NaN literal": (400, "no inference request", {"content": json.dumps({"inputs": [tensor(image(float("nan")))]}).encode()}),
    "NaN": (400, "NaN", binary(image(float("nan")))),
    "out of range": (400, r"expected float32 in \[0, 1\]", binary(image(200.0))),
    "too large for float32": (400, "NaN or infinite", {"json": {"inputs": [tensor(ONE, data=[1e300] * 64)]}}),
    "empty batch": (400, "0 images; expected between 1 and 8", binary(image(0.1, count=0))),
    "too many images": (400, "9 images; expected between 1 and 8", binary(image(0.1, count=9))),
    "header no number": (400, "a number from 0 to", {"content": b"{}", "headers": {LENGTH: "x"}}),
    "header negative": (400, "a number from 0 to", {"content": b"{}", "headers": {LENGTH: "-1"}}),
    "header too long": (400, "a number from 0 to", {"content": b"{}", "headers": {LENGTH: "999"}}),
    "header endless": (400, "a number from 0 to", {"content": b"{}", "headers": {LENGTH: "9" * 9000}}),
    "header cuts JSON": (400, "in its first 9 bytes", binary(ONE) | {"headers": {LENGTH: "9"}}),
    "bytes nobody wants": (400, "no binary_data_size", binary(ONE, parameters={})),
    "bytes too few": (400, "expected the same number", binary(ONE, parameters={"binary_data_size": 8})),
    "size no number": (400, "expected the same number", binary(ONE, parameters={"binary_data_size": "256"})),
    "data and bytes": (400, "expected one of them", binary(ONE, data=[1])),
    "unknown output": (400, r"\['colour'\]; expected some of", {"json": {"inputs": [tensor(ONE)], "outputs": [{"name": "colour"}]}}),
    "classification": (
        400, "ask for the output 'label'",
        {"json": {"inputs": [tensor(ONE)], "outputs": [{"name": "label", "parameters": {"classification": 2}}]}},
    ),
    "body too large": (413, "send fewer images", {"content": b" " * 200_000}),
    "compressed": (415, "identity", {"content": gzip.compress(b"{}"), "headers": {"Content-Encoding": "gzip"}}),
}  # fmt: skip


@pytest.mark.parametrize(("status", "said", "request_"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence_and_makes_no_record(client, service, status, said, request_):
    reply = client.post(INFER, **request_)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert "Traceback" not in reply.text
    assert re.search(said, reply.json()["error"]), reply.json()["error"]
    assert service.stats().last == 0
    assert client.post(INFER, json={"inputs": [tensor(ONE)]}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", INFER, 405, "GET is not possible here; expected POST"),
        ("POST", "/v2/health/live", 405, "POST is not possible here; expected GET, HEAD"),
        ("DELETE", "/v2/models/default", 405, "DELETE is not possible"),
        ("GET", "/v2/models/nobody", 404, "there is no model 'nobody'; expected 'default'"),
        ("POST", "/v2/models/nobody/infer", 404, "there is no model 'nobody'; expected 'default'"),
        ("GET", "/v2/models/default/versions/9/ready", 404, "the active one is 'first-1'"),
        ("GET", "/elsewhere", 404, "there is nothing at '/elsewhere'; expected /v2"),
    ],
)
def test_wrong_methods_and_paths_say_what_is_possible(client, method, path, status, said):
    reply = client.request(method, path)
    assert reply.status_code == status
    assert said in reply.json()["error"]


def test_a_failure_inside_gives_500_without_a_trace_and_the_server_goes_on(client, service, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(service, "infer", lambda images, version: 1 / 0)
        reply = client.post(INFER, json={"inputs": [tensor(ONE)]})
    assert reply.status_code == 500
    assert list(reply.json()) == ["error"]
    assert "division" not in reply.text
    assert client.post(INFER, json={"inputs": [tensor(ONE)]}).status_code == 200


@pytest.mark.parametrize("inline", [0.0, 1e9])
def test_answers_are_the_same_in_the_loop_and_in_the_worker_thread(service, inline):
    client = AsgiClient(make_app(service, inline=inline))
    for _ in range(3):
        assert outputs(client.post(INFER, json={"inputs": [tensor(image(0.9))]}))["label"]["data"] == [2]


def test_the_model_has_the_name_that_it_was_given(service):
    assert AsgiClient(make_app(service, "digits")).get("/v2/models/digits/ready").status_code == 200


def test_metrics_count_what_was_answered_and_refused(client):
    client.post(INFER, json={"inputs": [tensor(image(0.1, count=3))]})
    client.post(INFER, **binary(image(200.0)))
    text = client.get("/metrics").text
    assert "scanflow_images_total 3\n" in text
    assert "scanflow_requests_rejected_total 1\n" in text
    assert 'scanflow_pipeline_info{version="first-1"} 1\n' in text


def test_more_bytes_at_once_than_there_is_room_for_are_put_off_and_the_room_is_given_back(service):
    body = {"json": {"inputs": [tensor(ONE)]}}
    narrow = AsgiClient(make_app(service, bodies=100))
    assert "send this one again" in narrow.post(INFER, **body).json()["error"]
    assert narrow.post(INFER, **body).status_code == 503
    enough = AsgiClient(make_app(service, bodies=10_000))
    assert [enough.post(INFER, **body).status_code for _ in range(20)] == [200] * 20
