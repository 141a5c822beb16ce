"""Read the benchmarks' own files: `.npy` folders as published, and `.npz` files of one corruption each.

    MNIST-C      <root>/<corruption>/test_images.npy  uint8 [10000, 28, 28, 1],  test_labels.npy  int64 [10000]
    CIFAR-10-C   <root>/<corruption>.npy  uint8 [50000, 32, 32, 3], 10,000 rows for each severity 1 to 5,  labels.npy [50000]
    .npz         <root>/reference_<corruption>.npz with `images` uint8 [n, 28, 28] and `labels`: the first n test images, in order
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import DataError

Pair = tuple[NDArray[np.uint8], NDArray[np.int64]]
_PER_SEVERITY = 10_000


def load_mnist_c(root: Path, corruption: str, split: str = "test") -> Pair:
    """Images uint8 [n, 28, 28] and labels int64 [n] of one corruption; `identity` is the clean set. Raises DataError."""
    folder = root / corruption
    images, labels = _array(folder / f"{split}_images.npy"), _array(folder / f"{split}_labels.npy")
    grey = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
    return _pair(folder / f"{split}_images.npy", grey, labels, (28, 28))


def load_cifar10_c(root: Path, corruption: str, severity: int) -> Pair:
    """Images uint8 [10000, 32, 32, 3] and labels int64 [10000] of one corruption at severity 1 to 5. Raises DataError, ValueError."""
    if severity not in range(1, 6):
        msg = f"CIFAR-10-C has severities 1 to 5; got {severity!r}."
        raise ValueError(msg)
    path = root / f"{corruption}.npy"
    part = slice((severity - 1) * _PER_SEVERITY, severity * _PER_SEVERITY)
    # Mapped, because one severity is wanted of a file that holds five and has 150 MB.
    images, labels = _array(path, mapped=True), _array(root / "labels.npy")
    if len(images) != 5 * _PER_SEVERITY or len(labels) != len(images):
        msg = f"{path} holds {len(images)} images and labels.npy {len(labels)} labels; 50,000 of each were expected, 10,000 per severity."
        raise DataError(msg)
    return _pair(path, np.array(images[part]), labels[part], (32, 32, 3))


def load_reference(root: Path, corruption: str) -> Pair:
    """Images uint8 [n, h, w] and labels int64 [n] of `reference_<corruption>.npz`. Raises DataError."""
    path = root / f"reference_{corruption}.npz"
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            images, labels = file["images"], file["labels"]
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, str(error)) from error
    return _pair(path, images, labels, images.shape[1:])


def _array(path: Path, *, mapped: bool = False) -> NDArray[np.uint8]:
    try:
        return np.asarray(np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False))
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, str(error)) from error


def _pair(path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8], shape: tuple[int, ...]) -> Pair:
    if images.dtype != np.uint8 or images.shape != (len(labels), *shape):
        raise _damaged(path, f"it holds {images.dtype} {list(images.shape)}, and uint8 {[len(labels), *shape]} was expected")
    return images, labels.astype(np.int64)


def _missing(path: Path) -> DataError:
    folder = path.parent
    there = sorted(one.name for one in folder.iterdir())[:20] if folder.is_dir() else None
    found = f"{folder} holds {', '.join(there) or 'nothing'}" if there is not None else f"there is no folder {folder}"
    return DataError(f"{path} is missing: {found}. Put the published file there (MNIST-C: Zenodo record 3239543, CIFAR-10-C: 2535967).")


def _damaged(path: Path, fault: str) -> DataError:
    return DataError(f"{path} is damaged: {fault}. Put an undamaged copy in its place.")
