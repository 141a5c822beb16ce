"""True labels that come late, from a file: what another system of the house knows by now."""

import csv
from pathlib import Path
from typing import NamedTuple

HEAD = ("record", "label")


class LabelFileError(ValueError):
    """The file holds no labels as they are expected; the text says where and what is."""


class LateLabels(NamedTuple):
    """True labels by record, as class indices, and by attribute the slice that each record belongs to."""

    labels: dict[int, int]
    slices: dict[str, dict[int, str]]


def read_labels(path: Path) -> LateLabels:
    r"""Read a CSV file with the columns `record` (sequence number) and `label` (class index, counted from 0), others being attributes.

    The label may be empty where a line tells attributes of a record whose label is not known yet.

    Raises
    ------
    LabelFileError
        When it cannot be read, or a line is not as expected.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels.csv"
    ...     _ = path.write_text("record,label,site\n7,3,north\n9,0,south\n")
    ...     read_labels(path)
    LateLabels(labels={7: 3, 9: 0}, slices={'site': {7: 'north', 9: 'south'}})
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            head = tuple(rows.fieldnames or ())
            if head[:2] != HEAD:
                raise LabelFileError(f"{path}: the first line is {','.join(head) or 'empty'!r}; expected record,label and then attributes, if any")
            found = LateLabels({}, {attribute: {} for attribute in head[2:]})
            for number, row in enumerate(rows, 2):
                _take(found, row, f"{path}, line {number}")
    except csv.Error as error:
        raise LabelFileError(f"{path} is no CSV file ({error}); expected lines such as 1042,7") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelFileError(f"{path} cannot be read ({getattr(error, 'strerror', None) or 'it is not text in UTF-8'})") from error
    if not found.labels and not any(any(values.values()) for values in found.slices.values()):
        raise LabelFileError(f"{path} holds no labels; expected a line such as 1042,7 for each record")
    return found


def _take(found: LateLabels, row: dict[str, str], place: str) -> None:
    try:
        seq = int(row["record"])
        label = int(row["label"]) if row["label"] or not found.slices else None
    except (TypeError, ValueError):
        raise LabelFileError(f"{place}: {row['record']!r}, {row['label']!r}; expected the number of a record and the index of a class") from None
    if seq < 1 or (label is not None and label < 0):
        raise LabelFileError(f"{place}: record {seq}, class {label}; records count from 1, classes from 0")
    if label is not None:
        found.labels[seq] = label
    for attribute, values in found.slices.items():
        values[seq] = row[attribute] or ""
