"""The commands of the control socket: what the agents may ask of the service beside the requests of its clients."""

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from models.pipeline import PipelineError
from workflows.inference import InferenceError, Stats
from workflows.serving.service import Service
from workflows.serving.wire import Handler, KeyPair, WireError, WireServer


def make_handler(service: Service, refused: Callable[[], int] = lambda: 0) -> Handler:
    """Commands and their payloads as calls of `service`. `refused` counts the connections turned away."""

    def stats() -> Stats:
        return msgspec.structs.replace(service.stats(), refused_connections=refused())

    commands: dict[str, Callable[..., Any]] = {
        "infer": service.infer,
        "records": service.records,
        "images": service.images,
        "load": service.load_files,
        "activate": service.activate,
        "undo": service.undo,
        "unload": service.unload,
        "pipelines": service.pipelines,
        "shadow": service.shadow,
        "stats": stats,
    }
    signatures = {name: inspect.signature(function) for name, function in commands.items()}

    def handle(command: str, payload: dict[str, Any]) -> Any:
        if command not in commands:
            raise WireError(f"there is no command {command!r}; expected one of {list(commands)}")
        try:
            signatures[command].bind(**payload)
        except TypeError as error:
            raise WireError(f"{command} got {list(payload)}: {error}; expected {list(signatures[command].parameters)}") from error
        return commands[command](**payload)

    return handle


def serve_control(service: Service, bind: str, keys: KeyPair, client: str) -> WireServer:
    """Start answering commands for `service` to the one client with the public key `client`."""
    server: WireServer
    handler = make_handler(service, lambda: server.refused)
    server = WireServer(handler, bind, keys, frozenset({client}), (InferenceError, PipelineError))
    return server
