"""How far a receiver has got in the ledger, in a small file of the state folder: a restart goes on where the last run ended."""

import hashlib
from pathlib import Path

import msgspec

FOLDER = "outward"


class Place(msgspec.Struct, frozen=True):
    """`position`: of the last message of the ledger that the receiver has."""

    position: int


class Cursor:
    """Reads and writes one place.

    Parameters
    ----------
    folder : the state folder.
    kind, address : whose place it is; the address is only hashed into the file's name, since it may hold a key.
    """

    def __init__(self, folder: Path, kind: str, address: str) -> None:
        self._file = folder / FOLDER / f"{kind}-{hashlib.blake2s(address.encode(), digest_size=6).hexdigest()}.json"
        self._file.parent.mkdir(exist_ok=True, mode=0o700)

    def read(self) -> int | None:
        """The position, or None where this receiver is new, or the file cannot be read."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Place).position
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, position: int) -> None:
        """Keep a position; a crash leaves the one before or this one."""
        beside = self._file.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(Place(position)))
        beside.replace(self._file)
