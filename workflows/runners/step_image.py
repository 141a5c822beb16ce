"""Which image a step runs in: one that is named, one that is built here and kept under the digest of what it is built from, or the base.

An image of requirements is made as that of the inference server is: wheels are fetched on the host and copied in, so nothing of the build
needs a network. A Dockerfile is built with its folder as context; where it says `ARG BASE_IMAGE`, it is handed the base.
"""

import hashlib
import platform
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from workflows.environment import Environment
from workflows.runners.containers import Containers, Say
from workflows.runners.image import install_wheels
from workflows.runners.runner import RunnerError

SITE = "/scanflow/site"  # where the libraries lie in a container
_WITH_LIBRARIES = f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nCOPY site {SITE}\n"


class StepImage(NamedTuple):
    """An image; the digest of what it is; and whether the libraries of the engine's own Python belong into its containers."""

    id: str
    digest: str
    shares_libraries: bool = False


def find_image(engine: Containers, environment: Environment, base: Path, say: Say) -> StepImage:
    """Find, pull or build the image of a step; `base` is the graph's folder. Raises `RunnerError`."""
    if environment.image:
        found = engine.image(environment.image, say)
        return StepImage(found, found)
    if environment.dockerfile:
        return _from_dockerfile(engine, base / environment.dockerfile, say)
    if environment.requirements:
        return _with_libraries(engine, environment, base, say)
    found, python = engine.base("", say)
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if python != own:
        raise RunnerError(f"the base image has Python {python}, and the libraries here are for {own}; let the step declare requirements, or an image")
    return StepImage(found, found, shares_libraries=True)


def _from_dockerfile(engine: Containers, file: Path, say: Say) -> StepImage:
    from workflows.runners.docker_containers import context_files

    try:
        text = file.read_bytes()
    except OSError as error:
        raise RunnerError(f"the Dockerfile {file} cannot be read ({error.strerror}); paths are relative to the graph's file") from error
    arguments = {"BASE_IMAGE": engine.base("", say)[0].removeprefix("sha256:")} if b"BASE_IMAGE" in text else {}
    found = hashlib.sha256(f"{file.name}\0{platform.machine()}\0{arguments}\0".encode() + text)
    for name in context_files(file):
        path = file.parent / name
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found.update(f"{name}\0{path.lstat().st_mode}\0{len(content)}\0".encode(errors="surrogateescape") + content)
    tag = f"scanflow-step:{found.hexdigest()[:16]}"
    return StepImage(engine.built(tag) or engine.build(tag, file.parent, arguments, file.name, "default", say), tag)


def _with_libraries(engine: Containers, environment: Environment, base: Path, say: Say) -> StepImage:
    below, python = engine.base(environment.base, say)
    if isinstance(environment.requirements, str):
        file = base / environment.requirements
        try:
            text, wanted = file.read_text(encoding="utf-8"), ["-r", str(file)]
        except OSError as error:
            raise RunnerError(f"the requirements {file} cannot be read ({error.strerror}); paths are relative to the graph's file") from error
    else:
        text, wanted = "\n".join(environment.requirements), list(environment.requirements)
    digest = hashlib.sha256(f"{below}\0{python}\0{platform.machine()}\0{_WITH_LIBRARIES}\0{text}".encode()).hexdigest()
    tag = f"scanflow-step:{digest[:16]}"
    if found := engine.built(tag):
        return StepImage(found, tag)
    many = sum(bool(line.strip()) and not line.lstrip().startswith(("#", "-")) for line in text.splitlines())
    say(f"fetching libraries for Python {python}, as {many} requirements ask")  # not which: an address among them may hold a password
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        context.chmod(0o755)
        install_wheels(context / "site", python, wanted)
        (context / "Dockerfile").write_text(_WITH_LIBRARIES, encoding="utf-8")
        return StepImage(engine.build(tag, context, {"BASE_IMAGE": below.removeprefix("sha256:")}, "Dockerfile", "none", say), tag)
