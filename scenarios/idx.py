"""The idx files of MNIST and Fashion-MNIST, plain or gzipped, checked against their published digests.

An idx file of images is 16 header bytes (magic 2051, count, rows, columns; big-endian uint32) and then raw uint8 pixels; one of
labels is 8 header bytes (magic 2049, count) and then raw uint8 labels. http://yann.lecun.com/exdb/mnist
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import DataError, brief

_HEADER = {"images": (2051, 16), "labels": (2049, 8)}
_SIDE = 28


@dataclass(frozen=True)
class Source:
    """Where torchvision keeps one data set, and the md5 of each of its four files once unpacked."""

    torchvision: str
    md5: Mapping[str, str]

    def folder(self, root: Path) -> Path:
        return root / self.torchvision / "raw"


MNIST = Source(
    "MNIST",
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)
FASHION_MNIST = Source(
    "FashionMNIST",
    {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
)


def read(source: Source, root: Path, *, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read images uint8 [n, 28, 28] and labels int64 [n]; n is 60,000 for the training files and 10,000 for the test files.

    Files that are there (plain, or with `.gz`) are read in place; if one is missing, torchvision downloads the set into `root`.

    Raises
    ------
    DataError : a file is damaged, or missing and not to be had.
    """
    stem, count = ("train", 60_000) if train else ("t10k", 10_000)
    names = f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"
    if _first_missing(source, root, names) is not None:
        _download(source, root, names)
    images, labels = (_payload(source, root, name, kind, count) for name, kind in zip(names, ("images", "labels"), strict=True))
    return images.reshape(-1, _SIDE, _SIDE).copy(), labels.astype(np.int64)


def lacking(source: Source, root: Path) -> bool:
    """Whether one of the four files is not there, whatever is in the others."""
    return _first_missing(source, root, source.md5) is not None


def fetch(source: Source, root: Path) -> None:
    """Let torchvision download the files. Raises DataError."""
    _download(source, root, source.md5)


def _first_missing(source: Source, root: Path, names: Iterable[str]) -> str | None:
    return next((name for name in names if _find(source.folder(root), name) is None), None)


def _find(folder: Path, name: str) -> Path | None:
    """The unpacked file if it is there, else the gzipped one, else None."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _payload(source: Source, root: Path, name: str, kind: str, count: int) -> NDArray[np.uint8]:
    folder = source.folder(root)
    path = _find(folder, name)
    if path is None:
        raise _missing(source, root, name, "torchvision's download did not bring it")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"it cannot be read ({error})") from error
    magic, header = _HEADER[kind]
    size = header + count * (_SIDE * _SIDE if kind == "images" else 1)
    if len(content) != size:
        raise _damaged(path, f"it holds {len(content)} bytes unpacked, and {size} were expected")
    if int.from_bytes(content[:4], "big") != magic:
        raise _damaged(path, f"it begins with {int.from_bytes(content[:4], 'big')}, and an idx file of {kind} with {magic}")
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != source.md5[name]:
        raise _damaged(path, f"its md5 is {digest} unpacked, and the published one {source.md5[name]}")
    return np.frombuffer(content, np.uint8, offset=header)


def _download(source: Source, root: Path, names: Iterable[str]) -> None:
    import torchvision

    missing = _first_missing(source, root, names)
    try:
        getattr(torchvision.datasets, source.torchvision)(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise _missing(source, root, missing or "", f"torchvision could not download it ({brief(error)})") from error


def _missing(source: Source, root: Path, name: str, reason: str) -> DataError:
    return DataError(
        f"{source.folder(root) / name}.gz is missing, and {reason}. Start again where there is a network, or put the four published "
        f".gz files of {source.torchvision} there, or let SCANFLOW_DATA name a folder with {source.torchvision}/raw; the data set digits "
        "needs no files."
    )


def _damaged(path: Path, fault: str) -> DataError:
    return DataError(f"{path} is damaged: {fault}. Delete it, and it is downloaded again at the next use.")
