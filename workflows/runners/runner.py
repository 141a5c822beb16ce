"""What a runner of the inference server must be able to do, and what it needs to know."""

from pathlib import Path
from typing import Literal, Protocol

import msgspec

from workflows.serving.config import Config


class RunnerError(Exception):
    """A server could not be started, found or stopped. The message says why, with the end of the server's own log."""


class Limits(msgspec.Struct, frozen=True):
    """What one server may take: bytes of memory, and processors (1.5 is one and a half). A plain process is not held to them."""

    memory: int = 1 << 29
    cpus: float = 1.0


class Handle(msgspec.Struct, frozen=True):
    """How to find a started server again, also from another process."""

    kind: Literal["process", "container"]
    id: str  # process number, or container id
    born: str  # start time of the process, so that a number used again is not taken for it; empty for a container


class Runner(Protocol):
    """Starts servers, finds them again, and leaves nothing behind of them."""

    @property
    def kind(self) -> Literal["process", "container"]:
        """What it starts."""

    def prepare(self) -> None:
        """Make ready what every start needs (an image). Raises `RunnerError`."""

    def start(self, name: str, config: Config, folder: Path) -> Handle:
        """Start a server that listens on the ports in `config` on 127.0.0.1; `folder` is for its files. Raises `RunnerError`."""

    def alive(self, handle: Handle) -> bool:
        """Whether that server runs now (or is being restarted by the engine)."""

    def stop(self, handle: Handle) -> None:
        """End that server and remove all that belongs to it; quiet if it is gone already."""

    def log(self, handle: Handle, folder: Path) -> str:
        """The end of what it printed, for an error message."""
