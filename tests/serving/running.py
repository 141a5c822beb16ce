"""A real server process for tests: started, awaited by its ready line, ended by a signal."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from workflows.serving.config import Config, Ready
from workflows.serving.remote import RemoteInference
from workflows.serving.wire import KeyPair

ROOT = Path(__file__).parents[2]


class Running(NamedTuple):
    ready: Ready
    inference: RemoteInference
    process: subprocess.Popen
    config: Config


@contextmanager
def server(folder: Path, **settings) -> Iterator[Running]:
    """A server process with a client of its control socket; ended with SIGTERM at exit."""
    keys, mine = KeyPair.new(), KeyPair.new()
    config = Config(server_public=keys.public, server_secret=keys.secret, client_public=mine.public, **settings)
    file = folder / "config.json"
    file.write_bytes(msgspec.json.encode(config))
    command = [sys.executable, "-m", "workflows.serving", "--config", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        ready = msgspec.json.decode(line, type=Ready) if line else sys.exit(process.stderr.read())
        remote = RemoteInference(ready.control, keys.public, mine, timeout=20)
        try:
            yield Running(ready, remote, process, config)
        finally:
            remote.close()
            process.terminate()
            process.wait(20)


