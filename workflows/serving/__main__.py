"""The inference server: HTTP for its clients, ZeroMQ for its agents, in one process.

    python -m workflows.serving --config FILE

Prints one line of JSON (`workflows.serving.config.Ready`) once it answers, and ends cleanly on SIGTERM and SIGINT.
"""

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvicorn

from workflows.serving.app import make_app
from workflows.serving.config import Config, ConfigError, Ready
from workflows.serving.control import serve_control
from workflows.serving.service import Service
from workflows.serving.wire import KeyPair, WireError

SWITCH = 0.0005  # seconds; how long the control thread may keep the interpreter from a waiting request (Python's default: 0.005)


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Ready) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(msgspec.json.encode(self._ready).decode(), flush=True)


def serve(config: Config) -> None:
    """Serve until a signal ends it. Raises `WireError`, `OSError` if an address is taken."""
    sys.setswitchinterval(SWITCH)
    service = Service(records=config.records, images=config.images, max_images=config.max_images)
    keys = KeyPair(config.server_public, config.server_secret)
    with (
        socket.create_server((config.host, config.port), backlog=2048) as listener,
        serve_control(service, config.control, keys, config.client_public) as control,
    ):
        # uvicorn ends cleanly on these signals, then raises them once more; that second time must not end the process with an error.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        host, port = listener.getsockname()[:2]
        options = uvicorn.Config(make_app(service, config.model), log_level="warning", access_log=False, timeout_graceful_shutdown=5)
        _Server(options, Ready(f"http://{host}:{port}", control.address, os.getpid())).run(sockets=[listener])


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and serve; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workflows.serving", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="JSON file, see workflows.serving.config.Config")
    parsed = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(Config.read(parsed.config))
    except (ConfigError, WireError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
