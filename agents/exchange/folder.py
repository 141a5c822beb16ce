"""A question as a folder: `labels.csv` to fill in, the images as PNG files, and `question.txt` that says what is asked and how.

The file says of each row which question it belongs to, so it may be mailed, joined with others, and filled in by several people. No answer of the
model is in it: who sees one leans towards it.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.board import QuestionView
from agents.exchange.answers import WORDS, Answer, ExchangeError, Filled
from agents.web.png import png

LABELS, ABOUT, CLOSED, IMAGES = "labels.csv", "question.txt", "closed.txt", "images"
CHANNEL = "folder"
HEAD = ("record", "image", "answer", "by", "question")
NEEDED = ("record", "answer", "question")
SIDE = 280  # pixels of the longer side, at least half of it
Images = Mapping[int, NDArray[Any]]


def place_of(folder: Path, question: str) -> Path:
    """The folder of a question below the one that holds all of them.

    >>> str(place_of(Path("out"), "digits-1/audit")), str(place_of(Path("out"), "../a b"))
    ('out/digits-1/audit', 'out/_/a_b')
    """
    return folder.joinpath(*(re.sub(r"^\.+", "_", re.sub(r"[^\w.-]", "_", part)) or "_" for part in question.split("/")))


def wanted(view: QuestionView) -> list[int]:
    """The records of a question that are still to be named, or to be named once more."""
    return [seq for seq in view.items if seq not in view.answers or seq in view.repeats]


def write(folder: Path, view: QuestionView, images: Images, features: Sequence[str] = ()) -> list[str]:
    """Write a question into its folder below `folder`; returns what to tell.

    Parameters
    ----------
    images : uint8 [h, w] or [h, w, 3] by record; or rows float32 [features], which are written into the CSV file.
    features : names of the columns of such rows.

    A CSV file that is there already stays: somebody may have filled it in.
    """
    place, items = place_of(folder, view.question), wanted(view)
    rows = any(image.ndim == 1 for image in images.values())
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not rows:
            (place / IMAGES).mkdir(exist_ok=True)
            for seq in items:
                if seq in images and not (target := place / IMAGES / f"{seq}.png").exists():
                    put(target, png(np.asarray(images[seq], np.uint8), SIDE))
        put(place / ABOUT, _about(view).encode())
        if kept := (place / LABELS).exists():
            told = [f"{place / LABELS} is there already and stays as it is"]
        else:
            put(place / LABELS, _table(view, items, images, features if rows else ()).encode())
            told = [f"{place / LABELS}: {len(items)} rows to fill in"]
    except OSError as error:
        raise ExchangeError(f"{place} cannot be written ({error.strerror}); name another folder") from error
    missing = [seq for seq in items if seq not in images]
    if missing and not kept:
        told.append(f"no image is kept any more of {len(missing)} of them: {', '.join(map(str, missing))}")
    return told


def close(folder: Path, question: str) -> None:
    """Say in the folder of a question that nothing more is needed."""
    if (place := place_of(folder, question)).is_dir() and not (place / CLOSED).exists():
        put(place / CLOSED, b"This question is closed: nothing more is needed. Thank you.\n")


def read(file: Path, by: str = "") -> Filled:
    """Read a CSV file that was filled in; rows without an answer are passed over.

    Parameters
    ----------
    file : with the columns record, answer and question; comma, semicolon or tab between them, as spreadsheets save it.
    by : who has answered where the column `by` is empty.

    Raises
    ------
    ExchangeError
        When it is no such file.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text in UTF-8; save it as CSV UTF-8"
        raise ExchangeError(f"{file} cannot be read ({why})") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        head = [name.strip().lower() for name in table.fieldnames or ()]
        if missing := [name for name in NEEDED if name not in head]:
            raise ExchangeError(f"{file}, line 1: there is no column {missing[0]!r}, only {', '.join(head) or 'nothing'}; expected {', '.join(HEAD)}")
        table.fieldnames = head
        found = Filled([], [])
        for row in table:
            _take(found, row, f"{file}, line {table.line_num}", by)
    except csv.Error as error:
        raise ExchangeError(f"{file}, line {table.line_num}: this is no CSV ({error}); expected columns {', '.join(HEAD)}") from error
    return found


def files_in(folder: Path) -> list[Path]:
    """The CSV files of all questions below a folder."""
    return sorted(folder.rglob(LABELS))


def _take(found: Filled, row: Mapping[str, Any], place: str, by: str) -> None:
    answer, who = (row["answer"] or "").strip(), (row.get("by") or "").strip() or by
    if not answer:
        return
    try:
        seq = int(float(row["record"] or ""))  # some spreadsheets save 12 as 12.0
    except (ValueError, OverflowError):
        found.problems.append(f"{place}, column record: {row['record']!r} is no number; leave this column as it was written")
        return
    if not (question := (row["question"] or "").strip()):
        found.problems.append(f"{place}, column question: it is empty; leave this column as it was written")
    elif not who:
        found.problems.append(f"{place}, column by: nobody is named; write who has answered, or give --name")
    else:
        found.answers.append(Answer(f"{place}, column answer", question, seq, answer, who))


def _table(view: QuestionView, items: Iterable[int], images: Images, features: Sequence[str]) -> str:
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*HEAD, *features])
    for seq in items:
        image = images.get(seq)
        name = f"{IMAGES}/{seq}.png" if image is not None and not features else ""
        values = ["" if image is None else f"{image[column]:g}" for column in range(len(features))]
        table.writerow([seq, name, "", "", view.question, *values])
    return out.getvalue()


def _about(view: QuestionView) -> str:
    until = datetime.fromtimestamp(view.deadline, UTC).strftime("%Y-%m-%d %H:%M UTC")
    purpose = "to measure: say what you see, and unsure when you cannot tell" if view.purpose == "audit" else "to learn from"
    return "\n".join(
        [
            f"Question {view.question}", "", view.text, "",
            f"Fill in {LABELS}: the column `answer` for each image in {IMAGES}/, and your name in `by`. Leave rows empty that you do not get to.",
            f"Answers: {', '.join(view.classes)}; or {', '.join(WORDS)}.", f"The labels are needed {purpose}.", f"Until {until}.", "",
        ]
    )


def put(target: Path, content: bytes) -> None:
    """Write a file at once, so that nobody reads half of it."""
    aside = target.with_name(f".{target.name}.part")
    aside.write_bytes(content)
    aside.replace(target)
