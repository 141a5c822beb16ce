"""Labelled images that a user brings: read once from folders, npz files or torchvision, and kept as splits beside the state.

    photos/train/cat/1.jpg ...       a folder for each class
    train.npz                        images uint8 [n, h, w] or [n, h, w, 3], labels 0, 1, ... [n]
    torchvision = "CIFAR10"          a data set of torchvision, in the folder `root`

`train` is what the model learned from, `held_out` what it never saw: one half of that calibrates the monitor, the other is the test split,
from which scenarios draw their traffic. All images are resized to what the model takes.
"""

import inspect
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from scenarios.errors import DataError
from scenarios.rows import read_rows

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Part = tuple[NDArray[Any], Labels, tuple[str, ...] | None]

ABOUT = "about.json"
DRIFTED = "drifted"
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
LEAST_TRAIN, LEAST_HELD_OUT = 200, 100
"""Fewest images: what a corruption is learned on, and what p-values are counted against (one half) and traffic is drawn from (the other)."""


class Brought(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where clean data is: `train` and `held_out` (folders or npz files), or the name of a `torchvision` data set in `root`.

    Of more than `most` images of a split, so many are drawn at random. `drifted`, in the form of the others, is what scenarios name as the
    corruption "drifted"; `label` is the column of the labels in CSV files.
    """

    train: str | None = None
    held_out: str | None = None
    torchvision: str | None = None
    root: str = "."
    drifted: str | None = None
    label: str = "label"
    most: int = 20_000


def gather(
    data: Brought, folder: Path, into: Path, shape: tuple[int, int, int], classes: Sequence[str] | None, say: Callable[[str], object],
    features: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Read the images once, resize them to `shape` (channels, height, width), keep them in `into`; returns the names of the classes.

    Parameters
    ----------
    folder : that relative paths start from.
    classes : in the order of the model's outputs; None takes the names that the data has, in their order.
    features : names of the columns, where the data are rows of a table (`scenarios.rows`); `shape` then is (features, 1, 1).

    Raises
    ------
    DataError
        Something is missing, damaged, too little, or does not fit `classes`.
    """
    wanted = {
        "data": msgspec.to_builtins(data), "shape": list(shape), "classes": list(classes) if classes else None, "features": list(features or []),
    }
    about = into / ABOUT
    if about.exists():
        known = json.loads(about.read_text(encoding="utf-8"))
        if known["wanted"] != wanted:
            raise DataError(f"{into} was read from other data, or for another input; give a new folder with --state")
        return tuple(known["classes"])
    (images, labels, own), (held, truth, others) = _read(data, folder, shape, classes, features)
    names = tuple(classes) if classes else own
    if names is None:
        raise DataError("the data does not name its classes; write them down in the order of the model's outputs: classes = [\"cat\", \"dog\"]")
    if others is not None and not classes and others != names:
        raise DataError(f"train has the classes {list(names)} and held_out {list(others)}; expected the same in both")
    for part, given, least in (("train", labels, LEAST_TRAIN), ("held_out", truth, LEAST_HELD_OUT)):
        if len(given) < least:
            raise DataError(f"{part} has {len(given)} images; at least {least} are needed")
    labels, truth = _in_order("train", labels, own, names), _in_order("held_out", truth, others, names)
    order = np.random.default_rng(0).permutation(len(truth))
    first, second = np.sort(order[0::2]), np.sort(order[1::2])
    into.mkdir(parents=True, exist_ok=True)
    for split, pair in (("train", (images, labels)), ("calibration", (held[first], truth[first])), ("test", (held[second], truth[second]))):
        np.savez(into / f"{split}.npz", images=pair[0], labels=pair[1])
    if data.drifted is not None:
        drifted, shown, theirs = _place(folder / Path(data.drifted).expanduser(), shape, names, data, features)
        np.savez(into / f"{DRIFTED}.npz", images=drifted, labels=_in_order(DRIFTED, shown, theirs, names))
    about.write_text(json.dumps({"wanted": wanted, "classes": names}), encoding="utf-8")
    what = "rows" if features is not None else "images"
    seen = f"{len(labels)} {what} that the model learned from and {len(truth)} that it never saw"
    say(f"read {seen}, of {len(names)} classes, {_size(shape, features)}")
    return names


def _in_order(part: str, labels: Labels, own: tuple[str, ...] | None, names: tuple[str, ...]) -> Labels:
    """Labels as positions in `names`, by name where the data names its classes itself. Raises DataError."""
    own = own or names
    if sorted(own) != sorted(names):
        raise DataError(f"{part} names the classes {list(own)}, and the deployment file has {list(names)}; expected the same names, in any order")
    if len(labels) and (labels.min() < 0 or labels.max() >= len(names)):
        raise DataError(f"{part} has labels from {labels.min()} to {labels.max()}; expected 0 to {len(names) - 1}, for {len(names)} classes")
    return np.array([names.index(name) for name in own], np.int64)[labels]


def kept(name: str, root: Path) -> Path | None:
    """The folder of a data set that was brought under this name, if there is one."""
    folder = root / name
    return folder if (folder / ABOUT).is_file() else None


def load_kept(folder: Path, split: str) -> tuple[NDArray[Any], Labels, tuple[str, ...]]:
    """One split of what `gather` kept: images, labels and the names of the classes. Raises DataError."""
    try:
        names = tuple(json.loads((folder / ABOUT).read_text(encoding="utf-8"))["classes"])
        with np.load(folder / f"{split}.npz", allow_pickle=False) as archive:
            return archive["images"], archive["labels"], names
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{folder} is damaged ({error}); remove it, and it is read anew from your data") from error


def _read(
    data: Brought, folder: Path, shape: tuple[int, int, int], classes: Sequence[str] | None, features: Sequence[str] | None
) -> tuple[Part, Part]:
    if data.torchvision is not None:
        if data.train or data.held_out:
            raise DataError("[data] has torchvision beside train or held_out; give either the name of a data set of torchvision, or two places")
        root = folder / Path(data.root).expanduser()
        return _torchvision(data.torchvision, root, shape, data.most, train=True), _torchvision(data.torchvision, root, shape, data.most, train=False)
    if not data.train or not data.held_out:
        raise DataError('[data] needs train (what the model learned from) and held_out (what it never saw), or torchvision = "NAME"')
    train, held_out = (_place(folder / Path(one).expanduser(), shape, classes, data, features) for one in (data.train, data.held_out))
    return train, held_out


def _place(path: Path, shape: tuple[int, int, int], classes: Sequence[str] | None, data: Brought, features: Sequence[str] | None) -> Part:
    most = data.most
    if features is not None:
        rows, labels, names = read_rows(path, features, data.label, classes)
        chosen = _some(len(rows), most)
        return rows[chosen], labels[chosen], names
    if path.is_dir():
        return _folder(path, shape, classes, most)
    if path.suffix == ".npz" and path.is_file():
        return _npz(path, shape, most)
    raise DataError(f"there is no folder of images and no .npz file at {path}")


def _folder(path: Path, shape: tuple[int, int, int], classes: Sequence[str] | None, most: int) -> Part:
    found = sorted(part.name for part in path.iterdir() if part.is_dir() and not part.name.startswith("."))
    names = tuple(classes or found)
    if not found or set(found) - set(names):
        odd = sorted(set(found) - set(names)) or "no folder"
        raise DataError(f"{path} has {odd} and the classes are {list(names)}; expected a folder of images for each class, named like it")
    files = [(file, label) for label, name in enumerate(names) for file in sorted((path / name).rglob("*")) if file.suffix.lower() in ENDINGS]
    chosen = _some(len(files), most)
    from PIL import Image, UnidentifiedImageError

    images = np.empty((len(chosen), *_at_rest(shape)), np.uint8)
    for row, at in enumerate(chosen):
        try:
            with Image.open(files[at][0]) as image:
                images[row] = _fitted(image, shape)
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{files[at][0]} is no image that can be read ({error}); remove or repair it") from error
    return images, np.array([files[at][1] for at in chosen], np.int64), names


def _npz(path: Path, shape: tuple[int, int, int], most: int) -> Part:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no npz file of plain arrays ({error})") from error
    if not {"images", "labels"} <= arrays.keys():
        raise DataError(f"{path} has the arrays {sorted(arrays)}; expected images, uint8 [n, h, w] or [n, h, w, 3], and labels, whole numbers [n]")
    images, labels = arrays["images"], arrays["labels"]
    if images.dtype != np.uint8 or images.ndim not in {3, 4} or (images.ndim == 4 and images.shape[3] not in {1, 3}):
        hint = "; multiply by 255 and round" if images.dtype.kind == "f" else ""
        raise DataError(f"{path}: images are {images.dtype} {list(images.shape)}; expected uint8 [n, h, w] or [n, h, w, 3]{hint}")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(f"{path}: labels are {labels.dtype} {list(labels.shape)}; expected a whole number for each of {len(images)} images")
    chosen = _some(len(images), most)
    images = images[chosen]
    classes = tuple(str(name) for name in arrays["classes"]) if "classes" in arrays else None
    return _all_fitted(images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images, shape), labels[chosen].astype(np.int64), classes


def _torchvision(name: str, root: Path, shape: tuple[int, int, int], most: int, *, train: bool) -> Part:
    from torchvision import datasets

    kind = getattr(datasets, name, None)
    if not inspect.isclass(kind):
        raise DataError(f"torchvision has no data set {name!r}; it has {', '.join(one for one in datasets.__all__ if one[0].isupper())}")
    known = inspect.signature(kind).parameters
    which: dict[str, Any] = {"train": train} if "train" in known else {"split": "train" if train else "test"} if "split" in known else {}
    if not which:
        raise DataError(f"torchvision's {name} has no training and test part; save what you need as folders or npz files and name these")
    missing = not root.is_dir()
    made: Any = kind
    try:
        found: Any = made(str(root), **which)
    except Exception as error:
        hint = "there is no such folder" if missing else f"{type(error).__name__}: {error}"
        load = f"python -c \"from torchvision.datasets import {name}; {name}('{root}', download=True)\""
        raise DataError(f"torchvision's {name} cannot be read from {root} ({hint}); download it first: {load}") from error
    chosen = _some(len(found), most)
    images, labels = np.empty((len(chosen), *_at_rest(shape)), np.uint8), np.empty(len(chosen), np.int64)
    for row, at in enumerate(chosen):
        image, labels[row] = found[int(at)]
        images[row] = _fitted(image, shape)
    classes = getattr(found, "classes", None)
    return images, labels, tuple(map(str, classes)) if classes else None


def _some(count: int, most: int) -> NDArray[np.int64]:
    """Positions of all, or of so many at random."""
    return np.arange(count) if count <= most else np.sort(np.random.default_rng(0).permutation(count)[:most])


def _at_rest(shape: tuple[int, int, int]) -> tuple[int, ...]:
    channels, height, width = shape
    return (height, width) if channels == 1 else (height, width, channels)


def _all_fitted(images: Images, shape: tuple[int, int, int]) -> Images:
    if images.shape[1:] == _at_rest(shape):
        return images
    from PIL import Image

    return np.stack([_fitted(Image.fromarray(image), shape) for image in images]) if len(images) else np.empty((0, *_at_rest(shape)), np.uint8)


def _fitted(image: Any, shape: tuple[int, int, int]) -> Images:
    """A PIL image as uint8 [h, w] or [h, w, 3] of the model's size."""
    channels, height, width = shape
    image = image.convert("L" if channels == 1 else "RGB")
    return np.asarray(image if image.size == (width, height) else image.resize((width, height), 2), np.uint8)  # 2: bilinear


def _size(shape: tuple[int, int, int], features: Sequence[str] | None) -> str:
    if features is not None:
        return f"rows of {len(features)} features"
    return f"at {shape[1]}x{shape[2]} pixels in {'grey' if shape[0] == 1 else 'colour'}"
