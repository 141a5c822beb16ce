"""Docker's engine for steps, and base images for all that runs in containers. The door to Docker, with `workflows.runners.container`.

A container gets no right that it does not need: no capability, no new privileges, a read-only file system with an own /tmp in memory, and
no network unless it is asked for.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.types
import docker.utils

from workflows.runners import debian
from workflows.runners.containers import Exit, Say, Spec
from workflows.runners.runner import RunnerError

PROJECT = "scanflow-agents"
FAILURES = (docker.errors.DockerException, OSError)  # OSError: what the library underneath raises of its own is one
TOOLS = ("dash", "coreutils", "sed", "grep", "findutils", "mawk")  # what a small command of a step is written with
MOST_PROCESSES = 4096


class DockerContainers:
    """Implements `workflows.runners.containers.Containers`. Raises `RunnerError` if no engine answers."""

    def __init__(self) -> None:
        try:
            self._engine = docker.from_env(timeout=600, max_pool_size=64)
            self._engine.ping()
        except FAILURES as error:
            raise RunnerError(f"no container engine answers ({brief(error)}); start one, or use --runner process") from error
        self._streams: dict[str, Any] = {}
        self._bases: dict[str, tuple[str, str]] = {}

    def image(self, name: str, say: Say) -> str:
        try:
            return str(self._engine.images.get(name).id)
        except docker.errors.ImageNotFound:
            say(f"pulling the image {name}")
        except FAILURES as error:
            raise RunnerError(f"the image {name!r} cannot be looked up: {brief(error)}") from error
        try:
            return str(self._engine.images.pull(*name_and_tag(name)).id)
        except FAILURES as error:
            raise RunnerError(f"the image {name!r} is not here and cannot be pulled: {brief(error)}. See: docker images") from error

    def base(self, name: str, say: Say) -> tuple[str, str]:
        if name not in self._bases:
            self._bases[name] = self._find_base(name, say)
        return self._bases[name]

    def _find_base(self, name: str, say: Say) -> tuple[str, str]:
        if name:
            found = self.image(name, say)
            return found, self._python_of(found)
        own = f"{sys.version_info[0]}.{sys.version_info[1]}"
        packages = debian.host_packages((*debian.ROOTS, *TOOLS)) if f"python{own}" == debian.PYTHON else None
        made = f"scanflow-step-base:{debian.digest(packages)}" if packages else ""
        if made and (found := self.built(made)):
            return found, own
        try:
            found = self.image(f"python:{own}-slim", say)
        except RunnerError:
            if not packages:
                raise
            say("no registry can be reached; making a base image from this machine's Debian packages")
            return self._import(packages, made), own
        return found, self._python_of(found)

    def _import(self, packages: tuple[str, ...], tag: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "base.tar"
            debian.write_host_base(packages, file)
            repository, version = tag.split(":")
            try:
                self._engine.api.import_image_from_file(str(file), repository=repository, tag=version)
                return str(self._engine.images.get(tag).id)
            except FAILURES as error:
                raise RunnerError(f"the base image cannot be made: {brief(error)}") from error

    def _python_of(self, image: str) -> str:
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            output = self._engine.containers.run(
                image, ["-c", code], entrypoint="python3", remove=True, network_mode="none", labels={"scanflow.project": PROJECT},
                use_config_proxy=False,
            )  # fmt: skip
        except FAILURES as error:
            raise RunnerError(f"the base image {image} runs no python3: {brief(error)}") from error
        return str(output.decode().strip())

    def built(self, tag: str) -> str:
        try:
            return str(self._engine.images.get(tag).id)
        except docker.errors.ImageNotFound:
            return ""
        except FAILURES as error:
            raise RunnerError(f"the container engine does not answer: {brief(error)}") from error

    def build(self, tag: str, context: Path, arguments: Mapping[str, str], dockerfile: str, network: str, say: Say) -> str:
        say(f"building the image {tag}")
        try:
            image, _ = self._engine.images.build(
                path=str(context), dockerfile=dockerfile, tag=tag, buildargs=dict(arguments), network_mode=network, rm=True, forcerm=True,
                labels={"scanflow.project": PROJECT},
            )  # fmt: skip
        except docker.errors.BuildError as error:
            told = [line for entry in error.build_log for line in str(entry.get("stream", "")).splitlines() if line.strip()]
            raise RunnerError(f"the image cannot be built: {brief(error)}; its last lines: {' | '.join(told[-5:])}") from error
        except (*FAILURES, TypeError) as error:  # TypeError: the library's word for a context that is none
            raise RunnerError(f"the image cannot be built: {brief(error)}") from error
        return str(image.id)

    def start(self, spec: Spec) -> str:
        api = self._engine.api
        gpus = [docker.types.DeviceRequest(count=spec.gpus, capabilities=[["gpu"]])] if spec.gpus else None
        binds = [docker.types.Mount(bind.target, str(bind.source), type="bind", read_only=not bind.writable) for bind in spec.binds]
        # Not nano_cpus: a container made with that cannot be given another limit later.
        cpus = {"cpu_period": 100_000, "cpu_quota": int(spec.cpus * 100_000)} if spec.cpus else {}
        memory = {"mem_limit": spec.memory, "memswap_limit": spec.memory} if spec.memory else {}
        try:
            config = api.create_host_config(
                mounts=binds, network_mode=spec.network, read_only=True, tmpfs={"/tmp": "exec,mode=1777"}, cap_drop=["ALL"],  # noqa: S108 - its own
                security_opt=["no-new-privileges:true"], pids_limit=MOST_PROCESSES, init=True, shm_size=1 << 30, device_requests=gpus,
                log_config={"type": "none"}, **cpus, **memory,  # what it prints is read as it comes, and kept in the try's own log
            )  # fmt: skip
            made = api.create_container(
                spec.image, list(spec.command[1:]), entrypoint=[spec.command[0]], environment=dict(spec.variables), working_dir=spec.folder,
                user=spec.user, labels={"scanflow.project": PROJECT, **spec.labels}, host_config=config,
                use_config_proxy=False,  # else it gets the addresses of the user's proxies, passwords and all
            )  # fmt: skip
        except FAILURES as error:
            raise RunnerError(f"the container cannot be made: {_taught(error)}") from error
        name = str(made["Id"])
        try:
            self._streams[name] = api.attach(name, stream=True, demux=True)  # before it starts, so that nothing is missed
            api.start(name)
        except FAILURES as error:
            self.remove(name)
            raise RunnerError(f"the container cannot be started: {_taught(error)}") from error
        return name

    def output(self, container: str) -> Iterator[tuple[int, bytes]]:
        try:
            for streams in self._streams[container]:
                yield from ((number, block) for number, block in enumerate(streams, 1) if block)
        except FAILURES as error:
            raise RunnerError(f"what the container {container[:12]} prints cannot be read: {brief(error)}") from error

    def exit(self, container: str) -> Exit:
        try:
            code = int(self._engine.api.wait(container)["StatusCode"])
            return Exit(code, bool(code and self._engine.api.inspect_container(container)["State"]["OOMKilled"]))
        except docker.errors.NotFound:
            return Exit(137, out_of_memory=False)  # somebody has removed it
        except FAILURES as error:
            raise RunnerError(f"the container engine does not answer: {brief(error)}") from error

    def stop(self, container: str, grace: int) -> None:
        try:
            self._engine.api.stop(container, timeout=grace)
        except docker.errors.NotFound:
            return
        except FAILURES as error:
            raise RunnerError(f"the container {container[:12]} cannot be stopped: {brief(error)}") from error

    def remove(self, container: str) -> None:
        if (stream := self._streams.pop(container, None)) is not None:
            stream.close()
        try:
            self._engine.api.remove_container(container, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if "already in progress" not in str(error):
                raise RunnerError(f"the container cannot be removed: {brief(error)}; try: docker rm -f -v {container[:12]}") from error
        except FAILURES as error:
            raise RunnerError(f"the container cannot be removed: {brief(error)}; try: docker rm -f -v {container[:12]}") from error

    def find(self, label: str) -> dict[str, str]:
        try:
            found = self._engine.api.containers(all=True, filters={"label": [label]})
        except FAILURES as error:
            raise RunnerError(f"the container engine does not answer: {brief(error)}") from error
        return {str(one["Id"]): str(one["Labels"][label]) for one in found}


def context_files(dockerfile: Path) -> list[str]:
    """What is sent to the engine with a Dockerfile: all that its folder holds and `.dockerignore` does not leave out; sorted."""
    ignore = dockerfile.parent / ".dockerignore"
    patterns = ignore.read_text(encoding="utf-8").splitlines() if ignore.is_file() else []
    return sorted(docker.utils.exclude_paths(str(dockerfile.parent), patterns, dockerfile=dockerfile.name))


def name_and_tag(reference: str) -> tuple[str, str | None]:
    """A name of an image as `pull` wants it: without a tag or digest, the latest.

    >>> name_and_tag("python"), name_and_tag("my.host:5000/python"), name_and_tag("python:3.11-slim")
    (('python', 'latest'), ('my.host:5000/python', 'latest'), ('python', '3.11-slim'))
    """
    if "@" in reference:
        return reference, None
    name, _, tag = reference.rpartition(":")
    return (name, tag) if name and "/" not in tag else (reference, "latest")


def brief(error: Exception) -> str:
    """What went wrong, in one line."""
    explanation: Any = getattr(error, "explanation", None) or getattr(error, "msg", None) or error
    return " ".join(str(explanation).split())[:400]


def _taught(error: Exception) -> str:
    text = brief(error)
    if "bind source path does not exist" in text:
        return f"{text}. Steps share folders with the engine, so it must run on this machine and see these paths"
    if "could not select device driver" in text:
        return f"{text}. The engine offers no GPUs: install the NVIDIA container toolkit, or leave out gpus"
    if "network" in text and "not found" in text:
        return f"{text}. See: docker network ls"
    return text
