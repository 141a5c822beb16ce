"""CIFAR-10, from torchvision's folder `cifar-10-batches-py` or from a folder `cifar10` of `.npz` files.

The `.npz` files are `train*.npz` (the first one by name with at least 20,000 images) and `test.npz`, each with `images` uint8
[n, 32, 32, 3] and `labels`. Krizhevsky, A. (2009). Learning multiple layers of features from tiny images.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import DataError, brief

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FEWEST_TRAIN = 20_000
_TEST = 10_000


def read(root: Path, *, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read images uint8 [n, 32, 32, 3] and labels int64 [n] in the original order.

    torchvision's folder is used if it is there, then the `.npz` files; if neither is, torchvision downloads.

    Raises
    ------
    DataError : files are damaged, or missing and not to be had.
    """
    if not (root / "cifar-10-batches-py").is_dir() and (root / "cifar10").is_dir():
        return _read_npz(root / "cifar10", train=train)
    return _read_torchvision(root, train=train)


def lacking(root: Path) -> bool:
    """Whether there is neither of the two folders, whatever is in them."""
    return not any((root / name).is_dir() for name in ("cifar-10-batches-py", "cifar10"))


def fetch(root: Path) -> None:
    """Let torchvision download the batches (170 MB). Raises DataError."""
    _torchvision(root, train=False)


def _read_torchvision(root: Path, *, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = _torchvision(root, train=train)
    return np.asarray(data.data, np.uint8), np.asarray(data.targets, np.int64)


def _torchvision(root: Path, *, train: bool) -> Any:
    """What torchvision read; if its folder is missing, what it downloaded."""
    import torchvision

    folder = root / "cifar-10-batches-py"
    there = folder.is_dir()
    try:
        # torchvision compares the md5 of every batch file before it reads one.
        return torchvision.datasets.CIFAR10(str(root), train=train, download=not there)
    except (OSError, RuntimeError) as error:
        if there:
            msg = f"{folder} is damaged or incomplete ({brief(error)}). Delete it, and it is downloaded again at the next use."
        else:
            msg = (
                f"{folder} is missing, and torchvision could not download it ({brief(error)}). Start again where there is a network, "
                f"or put train.npz and test.npz (images, labels) into {root / 'cifar10'}; the data set digits needs no files."
            )
        raise DataError(msg) from error


def _read_npz(folder: Path, *, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    fewest = _FEWEST_TRAIN if train else _TEST
    pattern = "train*.npz" if train else "test.npz"
    faults: list[str] = []
    for path in sorted(folder.glob(pattern)):
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                labels = file["labels"].astype(np.int64)
                if len(labels) < fewest:
                    faults.append(f"{path.name} holds {len(labels)} images")
                    continue
                images = file["images"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            msg = f"{path} is damaged: {error}. It must hold images uint8 [n, 32, 32, 3] and labels [n]. Put a sound copy in its place."
            raise DataError(msg) from error
        if images.dtype != np.uint8 or images.shape != (len(labels), 32, 32, 3):
            msg = f"{path} is damaged: images are {images.dtype} {list(images.shape)}, and uint8 [{len(labels)}, 32, 32, 3] was expected."
            raise DataError(msg)
        return images, labels
    found = f" ({'; '.join(faults)})" if faults else ""
    msg = (
        f"{folder / pattern} with at least {fewest} images is missing{found}. Put it there, or remove {folder} and let torchvision fill "
        f"{folder.parent / 'cifar-10-batches-py'}: torchvision.datasets.CIFAR10({str(folder.parent)!r}, download=True)."
    )
    raise DataError(msg)
