"""A real PostgreSQL and a real MLflow server on it, both on the loopback, for as long as the tests need them."""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

HOST, USER = "127.0.0.1", "scanflow"
SECONDS = 400  # for the server to make its tables and answer; on two busy cores it has taken minutes


@functools.cache
def programs() -> Path | None:
    """The folder with PostgreSQL's programs, the newest; None where there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: float(one.parent.name), reverse=True)
    found = [one for one in debian if (one / "initdb").is_file()]
    on_path = shutil.which("initdb")
    return found[0] if found else Path(on_path).resolve().parent if on_path else None


@functools.cache
def postgres_error() -> str | None:
    """Why no PostgreSQL can be started here, or None if one can."""
    if programs() is None:
        return "PostgreSQL is not installed (no initdb); on Debian or Ubuntu: apt-get install postgresql, or run .ci/run"
    if os.geteuid() == 0 and not as_somebody():
        return "PostgreSQL refuses to run as root, and setpriv, which would make it nobody's, is not there"
    return None


def as_somebody() -> list[str]:
    """What to put before a command so that it does not run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] if shutil.which("setpriv") else []


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A cluster in `folder`, which nobody else can reach; the URL of its database."""
    found = programs()
    assert found is not None
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    data, port, before = folder / "data", free_port(), as_somebody()
    make = [*before, found / "initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(make, check=True, cwd=folder, capture_output=True)
    options = f"-c listen_addresses={HOST} -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    # Not captured: the server keeps what it was started with open, and the pipe's end would never come.
    subprocess.run(
        [*before, found / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start"], check=True, cwd=folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"postgresql://{USER}@{HOST}:{port}/postgres"
    finally:
        subprocess.run([*before, found / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], check=False, cwd=folder, capture_output=True)


@contextlib.contextmanager
def mlflow_server(folder: Path, database: str) -> Iterator[str]:
    """An MLflow server that keeps runs in `database` and hands artefacts out of `folder`; its URL."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--artifacts-destination", str(folder / "artefacts"),
               "--host", HOST, "--port", str(port), "--workers", "1"]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # nothing here uses its job queue, whose start takes long
    with (folder / "log").open("wb") as log:
        # In a group of its own: what it starts must end with it.
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment)
    try:
        url = f"http://{HOST}:{port}"
        _wait(url, server, folder / "log")
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        server.wait(timeout=20)


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Ask until it answers."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):  # a pause that ends early if the server does
            server.wait(timeout=0.2)
    raise AssertionError(f"no MLflow server at {url}; the end of its log:\n{log.read_text()[-3000:]}")
