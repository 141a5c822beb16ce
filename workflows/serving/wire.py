"""Commands over ZeroMQ: msgpack in CURVE encryption, only known keys. The one module of the product that imports zmq.

A request is `(command, payload)` with a payload of plain values and NumPy arrays; the reply is a result or an error, as data.
Nothing is pickled. A connection with another key is refused before it can say anything, and counted.

    client (DEALER)                                server (ROUTER, its own thread)
      [id, msgpack [command, payload]]        ->     handler(command, payload)
      [id, msgpack {"result": ...}]           <-       returned
      [id, msgpack {"error": type, "message"}] <-      raised
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
import zmq
import zmq.utils.monitor
import zmq.utils.z85

log = logging.getLogger(__name__)

MAX_MESSAGE = 1 << 28  # bytes; a pipeline travels in one message
_ARRAY = 1  # msgpack extension code of an array
_PLAIN = frozenset("biufU")  # kinds of arrays that travel: numbers, truth values, text
_REFUSALS = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL

Handler = Callable[[str, dict[str, Any]], Any]


class WireError(Exception):
    """A command was not carried out, or its reply did not arrive."""


class WireTimeout(WireError):
    """No reply in time. Whether the command was carried out is not known."""


class WireRefused(WireError):
    """The server does not know this client's key."""


class RemoteError(WireError):
    """The server's handler raised. `kind` is the name of the exception's class there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class KeyPair(NamedTuple):
    """A CURVE key pair, each half 40 characters (Z85)."""

    public: str
    secret: str

    @classmethod
    def new(cls) -> Self:
        """A fresh pair."""
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


def encode(value: object) -> bytes:
    """Plain values, msgspec structs and arrays as msgpack.

    Examples
    --------
    >>> decode(encode({"seqs": np.arange(3), "names": np.array(["a", "bc"])}))
    {'seqs': array([0, 1, 2]), 'names': array(['a', 'bc'], dtype='<U2')}
    """
    return msgspec.msgpack.encode(value, enc_hook=_encode_other)


def decode(data: bytes) -> Any:
    """The value that `encode` was given; structs as dicts, arrays read-only; raises `msgspec.DecodeError`, `ValueError`."""
    return msgspec.msgpack.decode(data, ext_hook=_decode_extension)


def _encode_other(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in _PLAIN:
        head = msgspec.msgpack.encode((value.dtype.str, value.shape))
        return msgspec.msgpack.Ext(_ARRAY, len(head).to_bytes(2, "big") + head + value.tobytes())
    raise NotImplementedError(f"{type(value).__name__} {getattr(value, 'dtype', '')} cannot travel; expected plain values or their arrays")


def _decode_extension(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        raise ValueError(f"msgpack extension {code} is unknown; expected {_ARRAY}, an array")
    end = 2 + int.from_bytes(data[:2], "big")
    name, shape = msgspec.msgpack.decode(data[2:end], type=tuple[str, tuple[int, ...]])
    dtype = np.dtype(name)
    if dtype.kind not in _PLAIN:
        raise ValueError(f"an array of {dtype} arrived; expected numbers, truth values or text")
    return np.frombuffer(bytes(data[end:]), dtype).reshape(shape)


class WireServer:
    """Answers commands in a thread of its own, one at a time, until `close`.

    Parameters
    ----------
    handler : called with command and payload; what it returns or raises goes back to the client.
    bind : such as "tcp://127.0.0.1:*"; `address` then says the port.
    keys : the server's own.
    clients : public keys that may connect. May be asked for by `in` at any time, so a live set can grow.
    errors : exceptions whose message goes to the client as it is; any other is logged here and named there only as a failure.
    """

    def __init__(
        self, handler: Handler, bind: str, keys: KeyPair, clients: Collection[str], errors: tuple[type[Exception], ...] = ()
    ) -> None:
        self._handler, self._clients = handler, clients
        self._errors: tuple[type[Exception], ...] = (*errors, WireError)
        self.refused = 0
        # The authentication protocol (ZAP, RFC 27) has one handler per context, hence a context per server.
        self._context = zmq.Context()
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        self._router.maxmsgsize = MAX_MESSAGE
        self._router.heartbeat_ivl = 5000
        self._router.handshake_ivl = 5000
        self._router.curve_server = True
        self._router.curve_publickey, self._router.curve_secretkey = keys.public.encode(), keys.secret.encode()
        self._monitor = self._router.get_monitor_socket(_REFUSALS)
        self._stop, self._stopper = self._context.socket(zmq.PAIR), self._context.socket(zmq.PAIR)
        self._stop.bind("inproc://stop")
        self._stopper.connect("inproc://stop")
        try:
            self._router.bind(bind)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise WireError(f"cannot listen on {bind}: {error.strerror}; give another address") from error
        self.address = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._thread = threading.Thread(target=self._serve, name="wire", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port. The command in progress is finished first."""
        if self._thread.is_alive():
            self._stopper.send(b"")
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        for socket in (self._zap, self._monitor, self._stop, self._router):
            poller.register(socket, zmq.POLLIN)
        try:
            while True:
                ready = dict(poller.poll())
                if self._zap in ready:
                    self._admit()
                if self._monitor in ready:
                    zmq.utils.monitor.recv_monitor_message(self._monitor)
                    self.refused += 1
                if self._stop in ready:
                    return
                if self._router in ready:
                    self._answer()
        finally:
            self._router.disable_monitor()
            self._context.destroy(linger=0)  # with its sockets; `close` has sent its word and touches them no more

    def _admit(self) -> None:
        """Answer one question of ZAP: may this client key connect?"""
        version, request_id, *_, mechanism, key = self._zap.recv_multipart()
        known = mechanism == b"CURVE" and zmq.utils.z85.encode(key).decode() in self._clients
        status, text = (b"200", b"OK") if known else (b"400", b"unknown key")
        self._zap.send_multipart([version, request_id, status, text, b"", b""])

    def _answer(self) -> None:
        frames = self._router.recv_multipart()
        if len(frames) != 3:
            return  # no request of ours, so nobody waits for a reply
        client, number, body = frames
        reply: dict[str, Any]
        try:
            command, payload = msgspec.convert(decode(body), tuple[str, dict[str, Any]])
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            reply = {"error": "WireError", "message": f"the request cannot be read: {error}; expected msgpack [command, payload]"}
        else:
            reply = self._reply(command, payload)
        try:
            data = encode(reply)
        except (NotImplementedError, TypeError) as error:
            log.exception("the result of %s cannot be sent", command)
            data = encode({"error": "Failure", "message": f"the result cannot be sent: {error}"})
        self._router.send_multipart([client, number, data])

    def _reply(self, command: str, payload: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"result": self._handler(command, payload)}
        except self._errors as error:
            return {"error": type(error).__name__, "message": str(error)}
        except Exception:  # whatever a handler does, the server goes on and the client learns that it failed
            log.exception("the command %s failed", command)
            return {"error": "Failure", "message": f"the command {command!r} failed; the server's log says why"}


class WireClient:
    """Sends commands to one server. Thread-safe; one command at a time. Reconnects by itself when the server comes back.

    Parameters
    ----------
    address : such as "tcp://127.0.0.1:9001".
    server_key : the server's public key; no other server is talked to.
    keys : the client's own pair.
    timeout : seconds to wait for each reply.
    """

    def __init__(self, address: str, server_key: str, keys: KeyPair, timeout: float = 10.0) -> None:
        self.address, self._server_key, self._keys, self.timeout = address, server_key, keys, timeout
        self._lock = threading.Lock()
        self._context = zmq.Context()
        self._number = 0
        self._sockets: tuple[zmq.Socket[bytes], zmq.Socket[bytes]] | None = None  # the connection, and the monitor of its events

    def call(self, command: str, **payload: Any) -> Any:
        """Send one command and give its result. Raises `RemoteError`, `WireTimeout`, `WireRefused`."""
        body = encode((command, payload))
        with self._lock:
            deadline = time.monotonic() + self.timeout
            try:
                reply = decode(self._exchange(body, deadline, command))
            except WireError:
                self._disconnect()  # so that nothing unsent is delivered late, to a server that comes back
                raise
        if "error" in reply:
            raise RemoteError(reply["error"], reply["message"])
        return reply["result"]

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._disconnect()
            self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, body: bytes, deadline: float, command: str) -> bytes:
        socket, monitor = self._sockets = self._sockets or self._connect()
        self._number += 1
        number = self._number.to_bytes(8, "big")
        self._await(socket, monitor, zmq.POLLOUT, deadline, command)
        socket.send_multipart([number, body])
        while True:
            self._await(socket, monitor, zmq.POLLIN, deadline, command)
            got, data = socket.recv_multipart()
            if got == number:
                return data

    def _await(
        self, socket: "zmq.Socket[bytes]", monitor: "zmq.Socket[bytes]", event: int, deadline: float, command: str
    ) -> None:
        poller = zmq.Poller()
        poller.register(socket, event)
        poller.register(monitor, zmq.POLLIN)
        while True:
            left = deadline - time.monotonic()
            ready = dict(poller.poll(max(0, round(left * 1000))))
            if socket in ready:
                return
            if monitor in ready:
                raise WireRefused(f"{self.address} refused this key; use the pair that the deployment made for its clients")
            if left <= 0:
                said = f"{self.address} gave no reply to {command!r} within {self.timeout:g} s"
                raise WireTimeout(f"{said}; is the server running, with this key?")

    def _connect(self) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
        socket: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.immediate = True
        socket.maxmsgsize = MAX_MESSAGE
        socket.reconnect_ivl, socket.reconnect_ivl_max = 20, 500
        socket.heartbeat_ivl = 5000
        socket.curve_serverkey = self._server_key.encode()
        socket.curve_publickey, socket.curve_secretkey = self._keys.public.encode(), self._keys.secret.encode()
        monitor: zmq.Socket[bytes] = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        socket.connect(self.address)
        return socket, monitor

    def _disconnect(self) -> None:
        if self._sockets is not None:
            socket, monitor = self._sockets
            socket.disable_monitor()
            monitor.close(0)
            socket.close(0)
            self._sockets = None
