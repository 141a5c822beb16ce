"""The state folder: everything a run leaves behind and the next one starts from, and the lock that keeps it to one cluster."""

import fcntl
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

LEDGER = "ledger.db"


class StateError(Exception):
    """The state folder cannot be used; the text says why and what to do."""


def default_state() -> Path:
    """The state folder where none is named: the environment variable SCANFLOW_STATE, else `scanflow-state` in the working folder."""
    return Path(os.environ.get("SCANFLOW_STATE", "scanflow-state"))


class FrontDoor(msgspec.Struct, frozen=True):
    """How a console reaches the cluster that holds this folder. Kept in a file that only its owner can read."""

    address: str
    server_key: str
    public_key: str
    secret_key: str
    pid: int
    url: str


class State:
    """Paths below `folder`. Holding it (`with State(folder)`) locks it; a second cluster is refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self._make()
            self._lock = (self.folder / "lock").open("a+")
            for part in (self.folder, self.folder / "pipelines", self.folder / "incidents"):
                tempfile.TemporaryFile(dir=part).close()  # an old folder may be another user's, or on a disk that is full by now
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise StateError(
                f"{self.folder} is in use by process {holder}. Attach to it with `python -m agents.console --state {self.folder}`, "
                "stop it, or give another folder with --state"
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.front_door_file.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def part(self, *names: str) -> "State":
        """A folder below this one with the same places in it, made if it is missing. The lock and the front door are this one's.

        Raises `StateError` when it cannot be made.
        """
        below = State(self.folder.joinpath(*names))
        try:
            below._make()
        except OSError as error:
            raise below._unusable(error) from error
        return below

    def _make(self) -> None:
        for part in (self.folder, self.folder / "pipelines", self.folder / "incidents"):
            part.mkdir(parents=True, exist_ok=True, mode=0o700)  # images and keys are nobody else's business

    def _unusable(self, error: OSError) -> StateError:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if isinstance(error, FileExistsError):
            reason = f"{'it' if error.filename == str(self.folder) else error.filename} is a file, not a folder"
        elif isinstance(error, NotADirectoryError):
            reason = "a part of its path is a file, not a folder"
        else:
            reason = f"it cannot be written ({error.strerror})"
        return StateError(f"{self.folder} cannot be the state folder: {reason}. Name another one with --state")

    def pipeline(self, name: str) -> Path:
        """The folder of a pipeline."""
        return self.folder / "pipelines" / name

    def incident(self, name: str) -> Path:
        """The folder with the evidence of an incident; there is none before something is kept."""
        return self.folder / "incidents" / name

    @property
    def front_door_file(self) -> Path:
        """Where the running cluster says how to reach it."""
        return self.folder / "front_door.json"

    def publish(self, door: FrontDoor) -> None:
        """Write how to reach this cluster, readable by its owner only."""
        self.front_door_file.unlink(missing_ok=True)
        descriptor = os.open(self.front_door_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(door))

    def front_door(self) -> FrontDoor:
        """How to reach the cluster that runs on this folder. Raises `StateError` when none does."""
        try:
            return msgspec.json.decode(self.front_door_file.read_bytes(), type=FrontDoor)
        except (OSError, msgspec.DecodeError):
            raise StateError(
                f"no cluster runs on {self.folder}. Start one with `python -m agents.cluster --state {self.folder}`, or name its folder with --state"
            ) from None
