"""The control socket: the same contract over ZeroMQ, and keys, deadlines and errors as data."""

import contextlib
import socket

import numpy as np
import pytest

from tests.serving.inference_contract import CAPACITY, InferenceContract, ready
from tests.serving.tiny import image
from workflows.serving.control import serve_control
from workflows.serving.remote import RemoteInference
from workflows.serving.service import Service
from workflows.serving.wire import KeyPair, RemoteError, WireClient, WireError, WireRefused, WireServer, WireTimeout, decode, encode

SERVER, CLIENT, STRANGER = KeyPair.new(), KeyPair.new(), KeyPair.new()


@pytest.fixture
def service():
    return Service(records=CAPACITY, images=CAPACITY, max_images=CAPACITY)


@pytest.fixture
def control(service):
    with serve_control(service, "tcp://127.0.0.1:*", SERVER, CLIENT.public) as server:
        yield server


@pytest.fixture
def remote(control):
    client = RemoteInference(control.address, SERVER.public, CLIENT, timeout=20)
    yield client
    client.close()


class TestRemoteInference(InferenceContract):
    @pytest.fixture
    def inference(self, remote):
        return remote


def test_a_stranger_is_refused_at_once_and_counted_and_others_are_still_served(control, remote, tmp_path):
    ready(remote, tmp_path)
    with WireClient(control.address, SERVER.public, STRANGER, timeout=20) as stranger, pytest.raises(WireRefused, match="refused this key"):
        stranger.call("stats")
    assert remote.stats().refused_connections >= 1
    assert remote.infer(image(0.1)).seqs.tolist() == [1]


def test_a_client_that_expects_another_server_gets_nothing_and_is_counted(control, remote):
    with WireClient(control.address, STRANGER.public, CLIENT, timeout=0.5) as misled, pytest.raises(WireTimeout, match="with this key"):
        misled.call("stats")
    assert remote.stats().refused_connections >= 1


def test_bytes_that_are_no_zeromq_do_no_harm(control, remote):
    host, port = control.address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        with contextlib.suppress(ConnectionResetError):
            while plain.recv(1000):
                pass
    assert remote.pipelines() == ()


def test_without_a_server_the_client_says_so_in_time_and_works_once_it_is_there(service):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with WireClient(address, SERVER.public, CLIENT, timeout=0.2) as client:
        with pytest.raises(WireTimeout, match=r"no reply to 'stats' within 0.2 s; is the server running"):
            client.call("stats")
        client.timeout = 20
        with serve_control(service, address, SERVER, CLIENT.public):
            assert client.call("stats")["last"] == 0


def test_a_command_that_was_never_sent_is_not_delivered_late():
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with WireClient(address, SERVER.public, CLIENT, timeout=0.1) as client:
        with pytest.raises(WireTimeout):
            client.call("late")
        client.timeout = 20
        with WireServer(lambda command, _: seen.append(command), address, SERVER, {CLIENT.public}):
            client.call("now")
    assert seen == ["now"]


def test_unknown_commands_and_arguments_are_answered_with_those_that_exist(control):
    with WireClient(control.address, SERVER.public, CLIENT, timeout=20) as client:
        with pytest.raises(RemoteError, match=r"no command 'dance'; expected one of \['infer', 'records'"):
            client.call("dance")
        with pytest.raises(RemoteError, match=r"expected \['after', 'limit', 'spread'\]"):
            client.call("records", since=3)


def test_a_failing_handler_is_an_error_at_the_client_and_the_server_goes_on(caplog):
    def handler(command, _):
        if command == "fail":
            raise ZeroDivisionError("secret detail")
        return command

    with (
        WireServer(handler, "tcp://127.0.0.1:*", SERVER, {CLIENT.public}) as server,
        WireClient(server.address, SERVER.public, CLIENT, timeout=20) as client,
    ):
        with pytest.raises(RemoteError, match="'fail' failed; the server's log says why") as raised:
            client.call("fail")
        assert raised.value.kind == "Failure"
        assert client.call("go on") == "go on"
    assert "secret detail" in caplog.text


def test_an_address_in_use_is_refused_with_a_sentence(control, service):
    with pytest.raises(WireError, match="cannot listen on"):
        serve_control(service, control.address, SERVER, CLIENT.public)


def test_a_closed_server_frees_its_port(service):
    server = serve_control(service, "tcp://127.0.0.1:*", SERVER, CLIENT.public)
    server.close()
    server.close()
    serve_control(service, server.address, SERVER, CLIENT.public).close()


def test_long_shadows_are_asked_in_parts(tmp_path):
    service = Service()
    with serve_control(service, "tcp://127.0.0.1:*", SERVER, CLIENT.public) as server:
        remote = RemoteInference(server.address, SERVER.public, CLIENT, timeout=20)
        ready(remote, tmp_path).infer(image(0.9, count=600))
        shadow = remote.shadow("first", np.arange(1, 601))
        remote.close()
    assert shadow.seqs.tolist() == list(range(1, 601))
    assert (shadow.labels == 2).all()


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, "text", b"bytes", [1, [2]], {"a": {"b": None}}],
)
def test_plain_values_arrive_as_they_were_sent(value):
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "array",
    [np.arange(6).reshape(2, 3), np.zeros((0, 4), np.float32), np.array(3.5), np.array([True, False]), np.array(["a", "long"]), np.arange(6)[::2]],
    ids=str,
)
def test_arrays_arrive_with_their_shape_and_dtype(array):
    got = decode(encode(array))
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(got, array)


def test_objects_never_travel():
    with pytest.raises(NotImplementedError, match="cannot travel"):
        encode(np.array([object()]))
    forged = encode(np.arange(1)).replace(b"<i8", b"|O8")
    with pytest.raises(ValueError, match="expected numbers"):
        decode(forged)
