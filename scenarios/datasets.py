"""Labelled image data sets with fixed, named splits: `train`, `calibration` (never trained on) and `test`.

    >>> from scenarios.datasets import load
    >>> calibration = load("digits", "calibration")
    >>> calibration.images.shape, calibration.images.dtype, calibration.labels.dtype
    ((297, 28, 28), dtype('uint8'), dtype('int64'))

`digits` comes with scikit-learn and needs neither a folder nor a network. The others are read from a folder (`root`, else the
environment variable `SCANFLOW_DATA`, else `~/.cache/scanflow`) laid out as torchvision lays it out; what is missing there is
downloaded by torchvision. A folder is only read, never written, when its files are there, so it may be read-only.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scenarios import brought, cifar, idx
from scenarios.errors import DataError

__all__ = ["DATASETS", "DataError", "Dataset", "Split", "Splits", "check_name", "data_root", "fetch", "load", "shared_data", "to_float"]

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Split = Literal["train", "calibration", "test"]
Splits = Mapping[Split, tuple[Images, Labels]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of one data set.

    Attributes
    ----------
    images : uint8 [n, h, w] for grey images, [n, h, w, 3] for colour; read-only.
    labels : int64 [n], positions in `classes`; read-only.
    classes : names of the classes, in label order.
    """

    name: str
    split: Split
    images: Images
    labels: Labels
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def load(name: str, split: Split, root: Path | None = None) -> Dataset:
    """Load one split of a data set.

    Parameters
    ----------
    name : one of `DATASETS`: digits, mnist, fashion-mnist, cifar10; or one that `scenarios.brought.gather` has put into `root`.
    split : train, calibration or test. Sizes: digits 1000 / 297 / 500; mnist and fashion-mnist 50,000 / 10,000 / 10,000; cifar10
        45,000 / 5,000 / 10,000 (15,000 / 5,000 / 10,000 from the `.npz` files, which hold fewer training images).
    root : folder of the data; see the module's text for the default. Not used by `digits`.

    Raises
    ------
    DataError : the name or split is unknown, or a file is missing, damaged or cannot be downloaded. The text says which and what to do.
    """
    folder = root if root is not None else data_root()
    own = brought.kept(name, folder) if name not in DATASETS else None
    if own is None:
        check_name(name)
    if split not in get_args(Split):
        msg = f"{name} has no split {split!r}. Use one of: {', '.join(get_args(Split))}."
        raise DataError(msg)
    if own is not None:
        images, labels, classes = brought.load_kept(own, split)
    else:
        classes, read = DATASETS[name]
        images, labels = read(folder, split)
    images.flags.writeable = labels.flags.writeable = False
    return Dataset(name, split, images, labels, classes)


def check_name(name: str) -> None:
    """Raise DataError if there is no data set of that name.

    >>> check_name("minst")
    Traceback (most recent call last):
    scenarios.errors.DataError: There is no data set 'minst'. Did you mean 'mnist'? Use one of: digits, mnist, fashion-mnist, cifar10.
    """
    if name not in DATASETS:
        near = get_close_matches(name, DATASETS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        msg = f"There is no data set {name!r}.{hint} Use one of: {', '.join(DATASETS)}."
        raise DataError(msg)


def fetch(name: str, say: Callable[[str], object], root: Path | None = None) -> None:
    """Download what is missing of a data set, saying so before; quick where its files are there, since they are not read.

    Raises
    ------
    DataError : there is no such data set, or it cannot be downloaded.
    """
    check_name(name)
    folder = root if root is not None else data_root()
    if name in _DOWNLOADS:
        lacking, download = _DOWNLOADS[name]
        if lacking(folder):
            say(f"downloading {name} into {folder}")
            download(folder)


def data_root() -> Path:
    """The folder that data sets are read from by default: `SCANFLOW_DATA`, else `~/.cache/scanflow`."""
    named = os.environ.get("SCANFLOW_DATA")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "scanflow"


def shared_data() -> Path | None:
    """The folder of original data files that some checkouts have beside them, or None; tests that need it skip without it.

    `SCANFLOW_SHARED_DATA` names it; the default is `../shared/data` beside the repository.
    """
    named = os.environ.get("SCANFLOW_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


def to_float(images: Images | NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn images at rest into a network's input: float32 in [0, 1], [n, 1, h, w] for grey and [n, 3, h, w] for colour.

    >>> to_float(np.full((2, 28, 28), 255, np.uint8)).shape
    (2, 1, 28, 28)
    >>> to_float(np.zeros((2, 20, 36, 3), np.uint8)).shape
    (2, 3, 20, 36)

    Rows of a table, float32 [n, features], are images of as many channels and one pixel:

    >>> to_float(np.zeros((2, 7), np.float32)).shape
    (2, 7, 1, 1)
    """
    if images.dtype == np.float32 and images.ndim == 2:  # rows of a table, which have no range
        return np.ascontiguousarray(images, np.float32)[:, :, None, None]
    if images.dtype != np.uint8 or images.ndim not in {3, 4} or (images.ndim == 4 and images.shape[3] != 3):
        msg = f"Expected uint8 images [n, h, w] or [n, h, w, 3]; got {images.dtype} {list(images.shape)}."
        raise ValueError(msg)
    channels_first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(channels_first, np.float32) / np.float32(255)


@lru_cache(maxsize=1)
def _digits() -> Splits:
    """scikit-learn's 1797 digits [8, 8], enlarged to 20x20 and framed to 28x28 as MNIST's are.

    Consecutive images share a writer, so the order is shuffled first: test images must come from the same distribution as
    calibration images, or every statistic of the system starts biased. The shuffle is by a hash, the same on every platform and version.
    """
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = sorted(range(len(bunch.images)), key=lambda i: hashlib.sha256(f"digits {i}".encode()).digest())
    # A zoom is linear, and alike along rows and columns: a column of this matrix is what it makes of one pixel. All images by it at once
    # take milliseconds, by `zoom` a third of a second, and round to the same bytes.
    enlarge = zoom(np.eye(8), (2.5, 1), order=3, mode="grid-constant", grid_mode=True)
    large = enlarge @ (bunch.images[order] / 16 * 255) @ enlarge.T
    images = np.pad(np.clip(large, 0, 255).round().astype(np.uint8), ((0, 0), (4, 4), (4, 4)))
    labels = bunch.target[order].astype(np.int64)
    parts: dict[Split, slice] = {"train": slice(1000), "calibration": slice(1000, 1297), "test": slice(1297, None)}
    return {name: (images[part], labels[part]) for name, part in parts.items()}


def _read_digits(_root: Path, split: Split) -> tuple[Images, Labels]:
    images, labels = _digits()[split]
    return images.copy(), labels.copy()


def _read_idx(source: idx.Source) -> Callable[[Path, Split], tuple[Images, Labels]]:
    def read(root: Path, split: Split) -> tuple[Images, Labels]:
        images, labels = idx.read(source, root, train=split != "test")
        part = {"train": slice(50_000), "calibration": slice(50_000, None), "test": slice(None)}[split]
        return images[part], labels[part]

    return read


def _read_cifar10(root: Path, split: Split) -> tuple[Images, Labels]:
    images, labels = cifar.read(root, train=split != "test")
    if split == "test":
        return images, labels
    # The calibration images are the same whether all 50,000 training images are there or only the first 20,000.
    calibration = np.zeros(len(images), bool)
    calibration[15_000:20_000] = True
    chosen = calibration if split == "calibration" else ~calibration
    return images[chosen], labels[chosen]


_DIGIT_NAMES = tuple("0123456789")
_FASHION_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

# Whether files of it are missing from a folder, and what downloads them there.
_DOWNLOADS: Mapping[str, tuple[Callable[[Path], bool], Callable[[Path], None]]] = {
    "mnist": (partial(idx.lacking, idx.MNIST), partial(idx.fetch, idx.MNIST)),
    "fashion-mnist": (partial(idx.lacking, idx.FASHION_MNIST), partial(idx.fetch, idx.FASHION_MNIST)),
    "cifar10": (cifar.lacking, cifar.fetch),
}

DATASETS: Mapping[str, tuple[tuple[str, ...], Callable[[Path, Split], tuple[Images, Labels]]]] = {
    "digits": (_DIGIT_NAMES, _read_digits),
    "mnist": (_DIGIT_NAMES, _read_idx(idx.MNIST)),
    "fashion-mnist": (_FASHION_NAMES, _read_idx(idx.FASHION_MNIST)),
    "cifar10": (cifar.CLASSES, _read_cifar10),
}
