"""What goes into the image of the inference server: a few source files, and the wheels of the libraries that they need.

Everything is fetched on the host, so the build itself needs no network; and it is named by its content, so that a second
start builds nothing.
"""

import hashlib
import importlib.util
import io
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import models
import workflows
from workflows.runners.runner import RunnerError

ROOTS = ("httptools", "msgspec", "numpy", "onnxruntime", "orjson", "pyzmq", "starlette", "uvicorn", "uvloop")
LEFT_OUT = frozenset({"sympy", "coloredlogs", "cffi"})  # asked for by tools of onnxruntime, and by pyzmq on PyPy
USER = "10001:10001"
HTTP, CONTROL = 8000, 9001  # ports inside the container
PROBE = (
    f"import socket; s = socket.create_connection(('127.0.0.1', {HTTP}), 3); "
    "s.sendall(b'GET /v2/health/live HTTP/1.0\\\\r\\\\n\\\\r\\\\n'); raise SystemExit(b' 200 ' not in s.recv(64))"
)
DOCKERFILE = f"""\
ARG BASE_IMAGE=python:3.11-slim
FROM ${{BASE_IMAGE}}
COPY site /app/site
COPY source /app/source
ENV PYTHONPATH=/app/source:/app/site OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 ORT_DISABLE_TELEMETRY=1 PYTHONUNBUFFERED=1
# Importing once compiles exactly the modules that a start needs, and shows that the image is whole.
RUN ["python3", "-c", "import workflows.serving.__main__"]
ENV PYTHONDONTWRITEBYTECODE=1
USER {USER}
WORKDIR /tmp
EXPOSE {HTTP} {CONTROL}
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python3", "-I", "-S", "-c", "{PROBE}"]
ENTRYPOINT ["python3", "-m", "workflows.serving"]
"""


def sources() -> dict[str, bytes]:
    """The project's own files in the image, by their path there."""
    above, below = Path(next(iter(workflows.__path__))), Path(next(iter(models.__path__)))
    files = [*sorted((above / "serving").glob("*.py")), above / "__init__.py", above / "inference.py"]
    named = {f"workflows/{file.relative_to(above)}": file.read_bytes() for file in files}
    return named | {f"models/{name}": (below / name).read_bytes() for name in ("__init__.py", "blend.py", "pipeline.py")}


def requirements(python: str) -> tuple[str, ...]:
    """The libraries of the image as name==version: those of this environment, for Python `python` ("3.11")."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    found: dict[str, str] = {}
    waiting = list(ROOTS)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name in LEFT_OUT:
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name in ROOTS:
                raise RunnerError(f"the library {name} is not installed here, so its version is not known; run: uv sync") from None
            continue
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate(environment):
                waiting.append(requirement.name)
    return tuple(f"{name}=={version}" for name, version in sorted(found.items()))


def digest(base: str, python: str) -> str:
    """Names the image by all that goes into it: the id of its base, libraries, sources and how it is built."""
    parts = [base, python, platform.machine(), DOCKERFILE, *requirements(python)]
    parts += [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in sorted(sources().items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def install_site(target: Path, python: str) -> None:
    """Install the wheels of the libraries for Python `python` into the folder `target`; no build, no script. Raises `RunnerError`."""
    install_wheels(target, python, ["--no-deps", *requirements(python)])


def install_wheels(target: Path, python: str, wanted: Sequence[str]) -> None:
    """Install wheels for Python `python` into the folder `target`; `wanted` is as pip reads it. Raises `RunnerError`."""
    done = subprocess.run([*_installer(python), "--target", str(target), *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunnerError(f"the libraries cannot be installed for Python {python}: {done.stderr[-800:].strip()}")


def _installer(python: str) -> list[str]:
    """The command that installs wheels for another Python than this one: uv, where it works, or the pip of this environment."""
    machine = platform.machine()
    for uv in ("uv", str(Path(sys.prefix).parent / ".uv" / "bin" / "uv")):
        # Tried, not only looked for: a version manager's stand-in may be there and not work.
        if shutil.which(uv) and subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0:
            command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--python-version", python]
            return [*command, "--python-platform", f"{machine}-manylinux_2_28", "--no-build", "--link-mode", "copy"]
    if importlib.util.find_spec("pip") is None:
        raise RunnerError("neither uv nor pip is here to fetch the server's libraries; run: python -m ensurepip")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--python-version", python]
    tags = [f"{tag}_{machine}" for tag in ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")]
    return [*command, "--only-binary", ":all:", *(part for tag in tags for part in ("--platform", tag))]


def write_context(site: Path, file: Path) -> None:
    """Write the build context: the Dockerfile, `site` and the sources, with the same owner and time each time."""
    with tarfile.open(file, "w") as tar:
        _add(tar, {"Dockerfile": DOCKERFILE.encode()} | {f"source/{name}": content for name, content in sources().items()})
        for path in sorted(path for path in site.rglob("*") if path.is_file()):
            if "__pycache__" in path.parts or path.is_relative_to(site / "bin"):
                continue
            info = tar.gettarinfo(path, f"site/{path.relative_to(site)}")
            with path.open("rb") as content:
                tar.addfile(_plain(info), content)


def pack(name: str, content: bytes) -> bytes:
    """A tar of one file that only the server's user can read."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o400
        info.uid, info.gid = map(int, USER.split(":"))
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, files: dict[str, bytes]) -> None:
    for name, content in sorted(files.items()):
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(_plain(info), io.BytesIO(content))


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime, info.mode = 1_000_000_000, 0o644
    return info
