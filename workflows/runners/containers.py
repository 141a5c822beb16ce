"""What steps need of a container engine, as a small protocol, and its twin in this process for tests.

The real one is `workflows.runners.docker_containers`; both pass the same tests.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from workflows.runners.runner import RunnerError

Say = Callable[[str], None]


class Bind(NamedTuple):
    """A file or folder of the machine, and where the container sees it."""

    source: Path
    target: str
    writable: bool = False


class Spec(NamedTuple):
    """What a container is made from. Not in it, because all have it: no capability, no new privileges, a read-only root, an own /tmp."""

    image: str
    command: tuple[str, ...]
    variables: Mapping[str, str]
    binds: tuple[Bind, ...]
    folder: str
    user: str  # "uid:gid"
    labels: Mapping[str, str]
    cpus: float = 0.0
    memory: int = 0
    gpus: int = 0
    network: str = "none"


class Exit(NamedTuple):
    """How a container ended."""

    code: int
    out_of_memory: bool


class Containers(Protocol):
    """A container engine. All raise `RunnerError` if it does not answer, or refuses."""

    def image(self, name: str, say: Say) -> str:
        """The id of an image; pulled if it is not there."""

    def base(self, name: str, say: Say) -> tuple[str, str]:
        """An image with Python, and which one ("3.11"); `name` empty: that of the running Python, made here where it cannot be pulled."""

    def built(self, tag: str) -> str:
        """The id of an image that was built here; empty if there is none."""

    def build(self, tag: str, context: Path, arguments: Mapping[str, str], dockerfile: str, network: str, say: Say) -> str:
        """Build an image from the folder `context`, and its id."""

    def start(self, spec: Spec) -> str:
        """Start a container, and its id. One whose program is not there ends with exit code 127."""

    def output(self, container: str) -> Iterator[tuple[int, bytes]]:
        """What it prints, in blocks, each with the number of its stream, until it has ended. Asked for once."""

    def exit(self, container: str) -> Exit:
        """How it ended; waits for that."""

    def stop(self, container: str, grace: int) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; quiet if it has ended."""

    def remove(self, container: str) -> None:
        """End it at once and remove it; quiet if it is gone."""

    def find(self, label: str) -> dict[str, str]:
        """The containers that bear a label, running or not, with its value."""


class ContainersTwin:
    """An engine of this process: a container is a child process, in whose command and variables the targets of its binds are replaced.

    It holds nothing to any limit and hides nothing. `images`: the names that are known; those that were built join them. A try that declares
    less memory than `memory` bytes and fails has run out of it.
    """

    def __init__(self, images: tuple[str, ...] = (), memory: int = 0) -> None:
        self.images = {name: f"id of {name}" for name in images}
        self.specs: dict[str, Spec] = {}
        self._memory = memory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._roots: dict[str, Path] = {}
        self._lock = threading.Lock()

    def image(self, name: str, say: Say) -> str:
        if name not in self.images:
            say(f"pulling the image {name}")
            raise RunnerError(f"the image {name!r} is not here and cannot be pulled")
        return self.images[name]

    def base(self, name: str, say: Say) -> tuple[str, str]:
        del say
        return f"id of {name or 'base'}", f"{sys.version_info[0]}.{sys.version_info[1]}"

    def built(self, tag: str) -> str:
        return self.images.get(tag, "")

    def build(self, tag: str, context: Path, arguments: Mapping[str, str], dockerfile: str, network: str, say: Say) -> str:
        del arguments, network
        say(f"building {tag}")
        if "FROM" not in (context / dockerfile).read_text(encoding="utf-8"):
            raise RunnerError("the image cannot be built: no build stage in current context")
        self.images[tag] = f"id of {tag}"
        return self.images[tag]

    def start(self, spec: Spec) -> str:
        root = Path(tempfile.mkdtemp())
        for bind in sorted(spec.binds, key=lambda one: one.target):
            place = root / bind.target.lstrip("/")
            if not place.parent.is_relative_to(place.parent.resolve()):
                continue  # it lies in a folder that another bind shows
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(bind.source)
        tops = sorted({bind.target for bind in spec.binds} | {f"/{bind.target.split('/')[1]}" for bind in spec.binds}, key=len)

        def here(word: str) -> str:
            parts = word.split(os.pathsep) if not word.startswith("--") else [word]
            return os.pathsep.join(f"{root}{part}" if any(part == top or part.startswith(f"{top}/") for top in tops) else part for part in parts)

        command = [here(word) for word in spec.command]
        variables = {name: here(value) for name, value in spec.variables.items() if name not in {"HOME"}}
        if command[0] == "python3":
            command[0] = sys.executable
        if shutil.which(command[0], path=os.environ["PATH"]) is None:
            command = ["sh", "-c", "exit 127"]
        child = subprocess.Popen(
            command, cwd=here(spec.folder), env={"PATH": os.environ["PATH"], **variables}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        name = uuid.uuid4().hex
        with self._lock:
            self.specs[name], self._running[name], self._roots[name] = spec, child, root
        return name

    def output(self, container: str) -> Iterator[tuple[int, bytes]]:
        stream = self._running[container].stdout
        assert stream is not None
        while block := os.read(stream.fileno(), 1 << 16):
            yield 1, block

    def exit(self, container: str) -> Exit:
        code = self._running[container].wait()
        return Exit(code if code >= 0 else 128 - code, bool(code) and 0 < self.specs[container].memory < self._memory)

    def stop(self, container: str, grace: int) -> None:
        child = self._running.get(container)
        if child is not None and child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(grace)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)

    def remove(self, container: str) -> None:
        with self._lock:
            child, root = self._running.pop(container, None), self._roots.pop(container, None)
        if child is None or root is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
        shutil.rmtree(root)

    def find(self, label: str) -> dict[str, str]:
        with self._lock:
            return {name: self.specs[name].labels[label] for name in self._running if label in self.specs[name].labels}
