"""Rows of a table that a user brings, from CSV or npz files: float32 [n, features], in the units that the file has."""

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import DataError

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]


def read_rows(path: Path, features: Sequence[str], label: str, classes: Sequence[str] | None) -> tuple[Rows, Labels, tuple[str, ...] | None]:
    """Read rows and labels: of a CSV file with a header the columns `features` and `label`, of an npz file `rows` and `labels`.

    Labels are names of `classes` or whole numbers from 0; of names without `classes` the sorted ones are the classes.

    Raises
    ------
    DataError
        The file cannot be read, a column is missing, or a value is no finite number.
    """
    if path.suffix not in {".csv", ".npz"} or not path.is_file():
        raise DataError(f"there is no .csv and no .npz file at {path}; rows of a table are read from these")
    rows, said = _csv(path, features, label) if path.suffix == ".csv" else _npz(path)
    if rows.ndim != 2 or rows.shape[1] != len(features) or len(rows) != len(said):
        raise DataError(f"{path}: rows are {list(rows.shape)} and labels {len(said)}; expected [n, {len(features)}], one column a feature, and [n]")
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
        raise DataError(f"{path}: row {bad + 1} has a value that is no finite number; fill in or leave out what is missing")
    names = tuple(classes) if classes else None
    if all(text.lstrip("-").isdigit() for text in said) and not (names and set(said) <= set(names)):
        return rows, np.array([int(text) for text in said], np.int64), names
    names = names or tuple(sorted(set(said)))
    if odd := sorted(set(said) - set(names)):
        raise DataError(f"{path}: labels {odd[:5]} are none of the classes {list(names)}")
    return rows, np.array([names.index(text) for text in said], np.int64), names


def _csv(path: Path, features: Sequence[str], label: str) -> tuple[Rows, list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if missing := [name for name in (*features, label) if name not in columns]:
                raise DataError(f"{path} has no columns {missing}; its header has {list(columns)}")
            lines = list(reader)
            if short := next((at for at, line in enumerate(lines, 1) if None in {line[name] for name in (*features, label)}), None):
                raise DataError(f"{path}: row {short} is too short; expected a value for each of {list(columns)}. Is the file whole?")
        rows = np.array([[float(line[name]) for name in features] for line in lines], np.float32).reshape(-1, len(features))
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise DataError(f"{path} is no CSV file of numbers ({error})") from error
    return rows, [line[label].strip() for line in lines]


def _npz(path: Path) -> tuple[Rows, list[str]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            rows, labels = archive["rows"].astype(np.float32), archive["labels"]
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} does not hold the arrays rows [n, features] and labels [n] ({error})") from error
    return rows, [str(one) for one in labels]
