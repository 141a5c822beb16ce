"""Files and folders as bytes and back, for machines that share no folder."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


def pack(files: Mapping[str, Path]) -> bytes:
    """Files and folders by the names that they shall have. What a name leads to by a link is packed itself; links inside stay links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in files.items():
            tar.add(path.resolve(), name, filter=_without_owner)
    return buffer.getvalue()


def pack_outputs(folder: Path) -> bytes:
    """What a step has left in its outputs. No link is followed: it may lead to what the step could not read itself."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name, filter=_without_owner)
    return buffer.getvalue()


def unpack(parcel: bytes, folder: Path) -> None:
    """Lay out under `folder` what was packed. Raises tarfile.TarError for what would lie or lead elsewhere, or is no file; OSError."""
    with tarfile.open(fileobj=io.BytesIO(parcel)) as tar:
        tar.extractall(folder, filter="data")


def pack_inputs(folder: Path) -> bytes:
    """The inputs of a try, which are links to where the artefacts lie; gathered ones are links in a folder."""
    return pack({str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_symlink()})


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
