"""Runs the inference server in a container. The door to Docker, with `workflows.runners.docker_containers`.

The container gets no right that it does not need: not root, a read-only file system, no capability, no new privileges, limits on
memory, processor and processes, and ports on 127.0.0.1 only. Its configuration, with its secret key, is copied into a volume of its
own, so the host's paths need not be visible to the engine, and nothing secret stands in the image or in the environment.
"""

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Literal

import docker
import docker.errors
import docker.models.containers
import docker.models.images
import msgspec

from workflows.runners import debian, image
from workflows.runners.docker_containers import FAILURES, PROJECT, brief, name_and_tag
from workflows.runners.runner import Handle, Limits, RunnerError
from workflows.serving.config import Config

DEFAULT_BASE = "python:3.11-slim"
CONFIG = "/run/scanflow"
GRACE = 10  # seconds that a server has to end by itself
RESTARTS = 5


class ContainerRunner:
    """Implements `workflows.runners.runner.Runner` with a container engine.

    Parameters
    ----------
    base_image : with Python 3.11 to 3.13 as `python3`; pulled if it is not there. Without a registry a base is made from Debian's files.
    limits : of each container.
    """

    kind: Literal["container"] = "container"

    def __init__(self, base_image: str = DEFAULT_BASE, limits: Limits | None = None) -> None:
        self.base_image, self.limits = base_image, limits or Limits()
        self._image = ""
        self.seconds: dict[str, float] = {}  # what `prepare` spent on what; empty if there was nothing to build
        try:
            self._engine = docker.from_env(timeout=120)
            self._engine.ping()
        except FAILURES as error:
            raise RunnerError(f"no container engine answers ({brief(error)}); start one, or use the runtime 'process'") from error

    def prepare(self) -> None:
        """See `Runner.prepare`: finds or builds the image. Running Python in the base also shows that the engine can run containers."""
        try:
            base = self._find_base()
            python = self._python_of(base)
            tag = f"scanflow-serving:{image.digest(base.id, python)}"
            self._image = tag
            if not self._engine.images.list(name=tag):
                self._build(tag, base, python)
        except FAILURES as error:
            raise RunnerError(f"the container image cannot be made: {brief(error)}") from error

    def start(self, name: str, config: Config, folder: Path) -> Handle:
        """See `Runner.start`."""
        if not self._image:
            self.prepare()
        mine = _labels(name, folder)
        everywhere = "0.0.0.0"  # noqa: S104 - inside the container; only the host's 127.0.0.1 leads there
        inside = msgspec.structs.replace(config, host=everywhere, port=image.HTTP, control=f"tcp://{everywhere}:{image.CONTROL}")
        control = int(config.control.rpartition(":")[2])
        limits = self.limits
        try:
            self._remove_all(mine)
            container = self._engine.containers.create(
                self._image, ["--config", f"{CONFIG}/config.json"], name=f"scanflow-{name}-{mine['scanflow.state']}", labels=mine,
                ports={f"{image.HTTP}/tcp": ("127.0.0.1", config.port), f"{image.CONTROL}/tcp": ("127.0.0.1", control)},
                user=image.USER, read_only=True, tmpfs={"/tmp": "size=16m,mode=1777"}, volumes=[CONFIG],  # noqa: S108 - its own, in memory
                cap_drop=["ALL"], security_opt=["no-new-privileges:true"], mem_limit=limits.memory, memswap_limit=limits.memory,
                # Not nano_cpus: a container made with that cannot be given another limit later.
                cpu_period=100_000, cpu_quota=int(limits.cpus * 100_000), pids_limit=64,
                restart_policy={"Name": "on-failure", "MaximumRetryCount": RESTARTS}, detach=True,
            )  # fmt: skip
            container.put_archive(CONFIG, image.pack("config.json", msgspec.json.encode(inside)))
            container.start()
        except FAILURES as error:
            self._remove_all(mine)
            raise RunnerError(f"the container cannot be started: {brief(error)}") from error
        return Handle("container", str(container.id), "")

    def alive(self, handle: Handle) -> bool:
        """See `Runner.alive`."""
        container = self._find(handle)
        return container is not None and container.status in {"running", "restarting"}

    def stop(self, handle: Handle) -> None:
        """See `Runner.stop`. The image stays, for the next start."""
        container = self._find(handle)
        try:
            if container is not None:
                container.stop(timeout=GRACE)
                container.remove(v=True, force=True)
        except docker.errors.NotFound:
            return
        except FAILURES as error:
            short = handle.id[:12]
            raise RunnerError(f"the container {short} cannot be removed: {brief(error)}; try: docker rm -f -v {short}") from error

    def log(self, handle: Handle, folder: Path) -> str:
        """See `Runner.log`."""
        del folder
        container = self._find(handle)
        return "" if container is None else container.logs(tail=20).decode(errors="replace")[-1000:].strip()

    def pid(self, handle: Handle) -> int:
        """The server's process number as the host sees it; 0 if it does not run."""
        container = self._find(handle)
        return 0 if container is None else int(container.attrs["State"]["Pid"])

    def _find(self, handle: Handle) -> "docker.models.containers.Container | None":
        try:
            return self._engine.containers.get(handle.id)
        except docker.errors.NotFound:
            return None
        except FAILURES as error:
            raise RunnerError(f"the container engine does not answer: {brief(error)}") from error

    def _remove_all(self, labels: dict[str, str]) -> None:
        """Remove what an earlier start of the same deployment left, if it ended before it could say so."""
        wanted = [f"{key}={value}" for key, value in labels.items()]
        for container in self._engine.containers.list(all=True, filters={"label": wanted}):
            container.remove(v=True, force=True)

    def _find_base(self) -> "docker.models.images.Image":
        """The base image that was asked for: local, pulled, or for the default one made here."""
        for known in (self.base_image, *([_own_base()] if self.base_image == DEFAULT_BASE else [])):
            try:
                return self._engine.images.get(known)
            except docker.errors.ImageNotFound:
                continue
        try:
            return self._engine.images.pull(*name_and_tag(self.base_image))
        except FAILURES as error:
            if self.base_image != DEFAULT_BASE:
                raise RunnerError(f"the base image {self.base_image!r} is not here and cannot be pulled: {brief(error)}") from error
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "base.tar"
            packages = debian.host_packages()
            if packages:
                debian.write_host_base(packages, file)
            else:
                debian.write_mirror_base(file)
            repository, tag = _own_base().split(":")
            self._engine.api.import_image_from_file(str(file), repository=repository, tag=tag)
        self.seconds["base"] = time.perf_counter() - begin
        return self._engine.images.get(_own_base())

    def _python_of(self, base: "docker.models.images.Image") -> str:
        """The version of Python in an image, "3.11", by running it on the default network, as the server will be."""
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        output = self._engine.containers.run(base.id, ["-c", code], entrypoint="python3", remove=True, labels={"scanflow.project": PROJECT})
        version = str(output.decode().strip())
        if version not in {"3.11", "3.12", "3.13"}:
            raise RunnerError(f"the base image {self.base_image!r} has Python {version}; expected 3.11, 3.12 or 3.13")
        return version

    def _build(self, tag: str, base: "docker.models.images.Image", python: str) -> None:
        begin = time.perf_counter()
        # The classic builder takes a tag or an id without its prefix as FROM.
        name = base.tags[0] if base.tags else base.id.removeprefix("sha256:")
        with tempfile.TemporaryDirectory() as folder:
            site, context = Path(folder) / "site", Path(folder) / "context.tar"
            image.install_site(site, python)
            self.seconds["libraries"] = time.perf_counter() - begin
            image.write_context(site, context)
            with context.open("rb") as file:
                self._engine.images.build(
                    fileobj=file, custom_context=True, tag=tag, buildargs={"BASE_IMAGE": name}, network_mode="none", rm=True, forcerm=True,
                    labels={"scanflow.project": PROJECT},
                )  # fmt: skip
        self.seconds["build"] = time.perf_counter() - begin - self.seconds["libraries"]


def _own_base() -> str:
    """The name of the base that is made here: by the host's packages, or by the release that debootstrap fetches."""
    packages = debian.host_packages()
    return f"scanflow-base:{debian.digest(packages) if packages else f'bookworm-{debian.PYTHON}'}"


def _labels(name: str, folder: Path) -> dict[str, str]:
    state = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return {"scanflow.project": PROJECT, "scanflow.deployment": name, "scanflow.state": state}
