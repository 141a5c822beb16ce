"""One supervised inference service: what it shall be is saved, what it is is asked for, and the two are brought together.

The *target* (`deployment.json` in the state folder) says where the service runs, on which ports and which pipelines it has. The
*actual* state is never saved: it is read back from the engine and from the service itself. So after a crash of either side,
`reconcile` knows what to do.
"""

import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import httpx
import msgspec
import structlog

from models.pipeline import MANIFEST, Manifest, PipelineError
from workflows.runners.process import CONFIG, LOG, ProcessRunner
from workflows.runners.runner import Handle, Limits, Runner, RunnerError
from workflows.serving.config import Config
from workflows.serving.remote import RemoteInference
from workflows.serving.wire import KeyPair, WireTimeout

Runtime = Literal["container", "process", "auto"]

TARGET = "deployment.json"
KEPT = 2  # folders in the target: the active pipeline and the one before, to which `undo` goes back
PATIENCE = 60.0  # seconds until a started server must answer
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for HTTP on this machine; by default each question would read all certificates first
_log = structlog.get_logger(__name__)


class DeploymentError(Exception):
    """The service cannot be started, reached or changed. The message says why and what to do."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where a running service is found."""

    url: str  # for its clients: Open Inference Protocol
    control: str  # for its agents: ZeroMQ
    model: str
    runtime: Literal["container", "process"]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment shall be, and the handle by which its server is found."""

    name: str
    runtime: Literal["container", "process"]
    port: int
    control_port: int
    server: KeyPair
    client: KeyPair
    handle: Handle
    folders: tuple[str, ...] = ()  # of the pipelines activated last, oldest first; the last one is the active one


class Deployment:
    """A supervised inference service.

    Parameters
    ----------
    name : letters, digits and dashes; also the name of the container.
    state : folder for the target, the keys in it (readable by their owner only) and the log of a plain process.
    runtime : where it runs; "auto" takes a container where an engine can run one, else a process, and says so.
    base_image : of the container; see `workflows.runners.container.ContainerRunner`.
    model : name under which clients find it.
    limits : of the container.
    say : takes one line about what was chosen or built; the log by default.
    records, images, max_images : see `workflows.serving.service.Service`.
    """

    def __init__(
        self,
        name: str,
        state: Path,
        runtime: Runtime = "auto",
        *,
        base_image: str = "python:3.11-slim",
        model: str = "default",
        limits: Limits | None = None,
        say: Callable[[str], object] = _log.info,
        records: int = 50_000,
        images: int = 10_000,
        max_images: int = 1024,
    ) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name):
            raise DeploymentError(f"the deployment's name is {name!r}; expected up to 41 small letters, digits and dashes")
        self.name, self.state, self.runtime, self.model, self.say = name, state, runtime, model, say
        self._base_image, self._limits = base_image, limits or Limits()
        self._sizes = records, images, max_images
        self._lock = threading.RLock()
        self._runners: dict[str, Runner] = {}

    def start(self, pipeline: Path) -> Endpoint:
        """Start the service with this pipeline active and wait until it answers.

        If it runs already, or its target says that it should, that is reconciled instead, and the target's pipelines stay.
        Raises `DeploymentError`, `PipelineError`.
        """
        with self._lock:
            _name_of(pipeline)  # a bad folder is refused before anything is started
            target = self.target()
            if target is not None and self.runtime in {"auto", target.runtime}:
                self.reconcile()
                return self.endpoint()
            folders = target.folders if target is not None else (str(pipeline.resolve()),)
            self.stop()  # a target for another runtime than the one asked for now
            self._save(self._start_new(folders))
            try:
                self.reconcile()
            except BaseException:
                self.stop()
                raise
            return self.endpoint()

    def apply(self, pipeline: Path) -> str:
        """Load a pipeline folder, activate it and make it the target; says its name. The one before stays for `undo`.

        Raises `PipelineError`, `InferenceError`, `WireError`; then the one before stays active, and the target as it was.
        """
        with self._lock:
            target, name = self._must(), _name_of(pipeline)
            with _Talk(target) as service:
                if service.load(pipeline) != name:
                    raise DeploymentError(f"{pipeline} changed while it was loaded; apply it again")
                if service.stats().active == name:
                    return name
                service.activate(name)
            folders = (*target.folders, str(pipeline.resolve()))[-KEPT:]
            self._save(msgspec.structs.replace(target, folders=folders))
            return name

    def undo(self) -> str:
        """Go back to the pipeline before, and make that the target; says its name."""
        with self._lock:
            target = self._must()
            with _Talk(target) as service:
                name = service.undo()
            self._save(msgspec.structs.replace(target, folders=target.folders[:-1]))
            return name

    def reconcile(self) -> tuple[str, ...]:
        """Bring the actual state to the target, and say what was done; empty if nothing had to be. Raises `DeploymentError`."""
        with self._lock:
            target, done = self._must(), []
            runner = self._runner(target.runtime)
            if not self._alive(runner, target):
                runner.stop(target.handle)
                try:
                    target = msgspec.structs.replace(target, handle=runner.start(self.name, self._config(target), self.state))
                except RunnerError as error:
                    raise DeploymentError(str(error)) from error
                self._save(target)
                done.append(f"started the {target.runtime} again")
            self._await(target)
            names = [_name_of(Path(folder)) for folder in target.folders]
            with _Talk(target) as service:
                loaded = {name for name, _ in service.pipelines()}
                for folder, name in zip(target.folders, names, strict=True):
                    if name not in loaded:
                        service.load(Path(folder))
                        loaded.add(name)
                        done.append(f"loaded {name}")
                active = service.stats().active
                if names and active != names[-1]:
                    # After a start, in the order of before, so that undo finds what it did then.
                    for name in names if active is None else names[-1:]:
                        service.activate(name)
                    done.append(f"activated {names[-1]}")
            for line in done:
                self.say(f"deployment {self.name}: {line}")
            return tuple(done)

    def stop(self) -> None:
        """End the service and remove everything that belongs to it: container or process, ports, keys, target."""
        with self._lock:
            target = self.target()
            if target is None:
                return
            try:
                self._runner(target.runtime).stop(target.handle)
            except RunnerError as error:
                raise DeploymentError(str(error)) from error
            for file in (TARGET, CONFIG, LOG):
                (self.state / file).unlink(missing_ok=True)

    def inference(self, timeout: float = 10.0) -> RemoteInference:
        """A client of the running service. To change which pipeline is active, use `apply` and `undo`: they keep the target."""
        target = self._must()
        return RemoteInference(_control(target), target.server.public, target.client, timeout)

    def endpoint(self) -> Endpoint:
        """Where the service is found. Raises `DeploymentError` if it was not started."""
        target = self._must()
        return Endpoint(f"http://127.0.0.1:{target.port}", _control(target), self.model, target.runtime)

    def alive(self) -> bool:
        """Whether its container or process runs now; False if it was not started."""
        target = self.target()
        return target is not None and self._alive(self._runner(target.runtime), target)

    def target(self) -> Target | None:
        """The saved target; None if the service was not started, or was stopped. Raises `DeploymentError`."""
        file = self.state / TARGET
        try:
            return msgspec.json.decode(file.read_bytes(), type=Target)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, OSError) as error:
            raise DeploymentError(f"{file} cannot be read: {error}; if no server runs any more, remove it") from error

    def _must(self) -> Target:
        target = self.target()
        if target is None:
            raise DeploymentError(f"the deployment {self.name!r} was not started; start it with a pipeline folder")
        if target.name != self.name:
            raise DeploymentError(f"{self.state} holds the deployment {target.name!r}; give {self.name!r} a state folder of its own")
        return target

    def _save(self, target: Target) -> None:
        draft = self.state / f".{TARGET}.new"
        draft.touch(mode=0o600)
        with draft.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(target)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.state / TARGET)

    def _start_new(self, folders: tuple[str, ...]) -> Target:
        self.state.mkdir(parents=True, exist_ok=True)
        runner = self._choose()
        for attempt in range(3):
            port, control = _free_ports(2)
            target = Target(self.name, runner.kind, port, control, KeyPair.new(), KeyPair.new(), Handle(runner.kind, "0", ""), folders)
            try:
                return msgspec.structs.replace(target, handle=runner.start(self.name, self._config(target), self.state))
            except RunnerError as error:
                if "port is already allocated" in str(error) and attempt < 2:
                    continue  # another program took it in between
                if self.runtime != "auto" or runner.kind == "process":
                    raise DeploymentError(str(error)) from error
                runner = self._fall_back(error)
        raise AssertionError("the loop returns or raises")

    def _choose(self) -> Runner:
        """The runner for `runtime`, ready to start."""
        if self.runtime == "process":
            self.say(f"deployment {self.name}: runs as a plain process")
            return self._runner("process")
        try:
            runner = self._runner("container")
            begin = time.perf_counter()
            runner.prepare()
        except RunnerError as error:
            if self.runtime == "container":
                raise DeploymentError(str(error)) from error
            return self._fall_back(error)
        self.say(f"deployment {self.name}: runs in a container (image ready after {time.perf_counter() - begin:.1f} s)")
        return runner

    def _fall_back(self, error: RunnerError) -> Runner:
        self.say(f"deployment {self.name}: runs as a plain process, not in a container: {error}")
        return self._runner("process")

    def _runner(self, kind: Literal["container", "process"]) -> Runner:
        if kind not in self._runners:
            if kind == "process":
                self._runners[kind] = ProcessRunner()
            else:
                from workflows.runners.container import ContainerRunner  # docker is imported only where it is used

                self._runners[kind] = ContainerRunner(self._base_image, self._limits)
        return self._runners[kind]

    def _alive(self, runner: Runner, target: Target) -> bool:
        try:
            return runner.alive(target.handle)
        except RunnerError as error:
            raise DeploymentError(str(error)) from error

    def _config(self, target: Target) -> Config:
        records, images, max_images = self._sizes
        return Config(
            server_public=target.server.public, server_secret=target.server.secret, client_public=target.client.public, port=target.port,
            control=_control(target), model=self.model, records=records, images=images, max_images=max_images,
        )  # fmt: skip

    def _await(self, target: Target) -> None:
        """Wait until the server answers on both sides. ZeroMQ connects as soon as it listens, so nothing is asked again and again."""
        runner, deadline = self._runner(target.runtime), time.monotonic() + PATIENCE
        with _Talk(target, timeout=1.0) as service:
            while True:
                try:
                    service.stats()
                    if httpx.get(f"http://127.0.0.1:{target.port}/v2/health/live", timeout=5, verify=PLAIN).status_code == httpx.codes.OK:
                        return
                except (WireTimeout, httpx.TransportError) as error:
                    if time.monotonic() < deadline and self._alive(runner, target):
                        continue
                    said = runner.log(target.handle, self.state)
                    raise DeploymentError(f"the server does not answer ({error}). The end of its log: {said or 'nothing'}") from error


class _Talk:
    """A short conversation with the service of a target."""

    def __init__(self, target: Target, timeout: float = 30.0) -> None:
        self._service = RemoteInference(_control(target), target.server.public, target.client, timeout)

    def __enter__(self) -> RemoteInference:
        return self._service

    def __exit__(self, *_: object) -> None:
        self._service.close()


def _control(target: Target) -> str:
    return f"tcp://127.0.0.1:{target.control_port}"


def _name_of(pipeline: Path) -> str:
    try:
        return Manifest.parse((pipeline / MANIFEST).read_bytes()).name
    except OSError as error:
        raise PipelineError(f"{pipeline} is no pipeline folder: {MANIFEST} cannot be read ({error.strerror})") from error


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now; all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports
