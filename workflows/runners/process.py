"""Runs the inference server as a plain process, where there is no container engine."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

import workflows
from workflows.runners.runner import Handle, RunnerError
from workflows.serving.config import Config

CONFIG, LOG = "server.json", "server.log"
GRACE = 10.0  # seconds that a server has to end by itself
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}


class ProcessRunner:
    """Implements `workflows.runners.runner.Runner` with child processes. They outlive the parent, which finds them again by handle."""

    kind: Literal["process"] = "process"

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}  # those of this process must be reaped by it

    def prepare(self) -> None:
        """Nothing is needed."""

    def start(self, name: str, config: Config, folder: Path) -> Handle:
        """See `Runner.start`. Writes the configuration and the log into `folder`, readable by their owner only."""
        del name
        file = folder / CONFIG
        file.touch(mode=0o600)
        file.write_bytes(msgspec.json.encode(config))
        root = Path(next(iter(workflows.__path__))).parent
        environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(root)}
        command = [sys.executable, "-m", "workflows.serving", "--config", str(file)]
        with (folder / LOG).open("wb") as log:
            # Its own session: Ctrl-C in the terminal is for us, and we end the server in order.
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
        self._children[child.pid] = child
        born = _born(child.pid)
        if born is None:
            raise RunnerError(f"the server ended at once: {self.log(Handle('process', str(child.pid), ''), folder)}")
        return Handle("process", str(child.pid), born)

    def alive(self, handle: Handle) -> bool:
        """See `Runner.alive`."""
        number = int(handle.id)
        if (child := self._children.get(number)) is not None and child.poll() is not None:
            return False
        return _born(number) == handle.born

    def stop(self, handle: Handle) -> None:
        """See `Runner.stop`: SIGTERM, and SIGKILL after `GRACE` seconds."""
        number = int(handle.id)
        try:
            descriptor = os.pidfd_open(number)
        except ProcessLookupError:
            return
        try:
            if _born(number) != handle.born:  # checked after the descriptor is held, so the number cannot change hands in between
                return
            for sign in (signal.SIGTERM, signal.SIGKILL):
                signal.pidfd_send_signal(descriptor, sign)
                if select.select([descriptor], [], [], GRACE)[0]:
                    break
        except ProcessLookupError:
            return
        finally:
            os.close(descriptor)
            if (child := self._children.pop(number, None)) is not None:
                child.wait(GRACE)

    def log(self, handle: Handle, folder: Path) -> str:
        """See `Runner.log`."""
        del handle
        try:
            return (folder / LOG).read_text(errors="replace")[-1000:].strip()
        except FileNotFoundError:
            return ""


def _born(number: int) -> str | None:
    """When process `number` started, in clock ticks since boot; None if there is none, or only its remains."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in "ZX" else fields[19]
