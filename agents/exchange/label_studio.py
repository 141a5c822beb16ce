"""Questions as tasks of Label Studio, and its annotations as answers.

Written are `tasks.json`, to be imported there, and `config.xml`, the labelling interface of the project. Read is what *Export > JSON* gives. A task
holds its image itself, so nothing has to be served; `record` and `question` in its data lead the annotation back. Skipping a task is `skip`.

Formats: https://labelstud.io/guide/task_format and https://labelstud.io/tags/choices.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import msgspec

from agents.board import QuestionView
from agents.exchange.answers import Answer, ExchangeError, Filled
from agents.exchange.folder import SIDE, Images, place_of, put, wanted
from agents.labelling import NONE_OF_THESE, SKIP, UNSURE
from agents.web.png import data_uri

TASKS, CONFIG = "tasks.json", "config.xml"
CHANNEL = "label-studio"
CHOICES, ITEM = "answer", "item"  # names of the tags in the interface


def config(view: QuestionView, *, rows: bool = False) -> str:
    """The labelling interface for a question's classes; with `rows` of a table in place of images."""
    shown = f'<Table name="{ITEM}" value="$row"/>' if rows else f'<Image name="{ITEM}" value="$image"/>'
    choices = [f"    <Choice value={quoteattr(one)}/>" for one in dict.fromkeys((*view.classes, NONE_OF_THESE, UNSURE))]
    return "\n".join(
        [
            "<View>", f"  <Header value={quoteattr(' '.join(view.text.split()))}/>", f"  {shown}",
            f'  <Choices name="{CHOICES}" toName="{ITEM}" choice="single" showInline="true">', *choices, "  </Choices>", "</View>", "",
        ]
    )


def tasks(view: QuestionView, images: Images, features: Sequence[str] = (), *, predictions: bool = False) -> list[dict[str, Any]]:
    """One task for each record of a question whose image is kept. `predictions`: with what the model says, unless the labels are to measure it."""
    found = []
    for seq in wanted(view):
        if (image := images.get(seq)) is None:
            continue
        shown = {"row": dict(zip(features, image.tolist(), strict=True))} if image.ndim == 1 else {"image": data_uri(image, SIDE)}
        task: dict[str, Any] = {"data": {**shown, "record": seq, "question": view.question}}
        if predictions and view.purpose != "audit" and seq in view.predicted:
            task["predictions"] = [{"model_version": "live", "result": [_result(view.classes[view.predicted[seq]])]}]
        found.append(task)
    return found


def write(folder: Path, view: QuestionView, images: Images, features: Sequence[str] = (), *, predictions: bool = False) -> list[str]:
    """Write a question's tasks and interface into its folder below `folder`; returns what to tell."""
    place, made = place_of(folder, view.question), tasks(view, images, features, predictions=predictions)
    try:
        place.mkdir(parents=True, exist_ok=True)
        put(place / TASKS, msgspec.json.format(msgspec.json.encode(made), indent=1))
        put(place / CONFIG, config(view, rows=any(image.ndim == 1 for image in images.values())).encode())
    except OSError as error:
        raise ExchangeError(f"{place} cannot be written ({error.strerror}); name another folder") from error
    told = [f"{place / TASKS}: {len(made)} tasks for a project with the interface {place / CONFIG}"]
    if predictions and view.purpose == "audit":
        told.append("without predictions: these labels measure the model, and who sees its answer leans towards it")
    return told


def read(file: Path, by: str = "") -> Filled:
    """Read an export of annotations; tasks without one are passed over, and so are predictions.

    Parameters
    ----------
    file : what Label Studio exports as "JSON".
    by : who has answered, in place of whom the file names.

    Raises
    ------
    ExchangeError
        When it is no such file.
    """
    try:
        listed = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise ExchangeError(f"{file} cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExchangeError(f"{file} is no JSON ({error}); export the project as JSON") from error
    if not isinstance(listed, list) or not all(isinstance(task, dict) for task in listed):
        raise ExchangeError(f"{file} holds no list of tasks; in Label Studio choose Export, then JSON")
    if any("annotator" in task and "annotations" not in task for task in listed):
        raise ExchangeError(f"{file} is JSON-MIN, which drops who skipped what; in Label Studio choose Export, then JSON")
    found = Filled([], [])
    for number, task in enumerate(listed, 1):
        _take(found, task, f"{file}, task {task.get('id', number)}", by)
    return found


def _take(found: Filled, task: dict[str, Any], place: str, by: str) -> None:
    annotations = [one for one in task.get("annotations") or [] if isinstance(one, dict)]
    if not annotations:
        return
    data = task.get("data")
    data = data if isinstance(data, dict) else {}
    question, record = data.get("question"), data.get("record")
    try:
        seq = int(record)  # type: ignore[arg-type] # whatever it is: that it is none is what the error says
    except (TypeError, ValueError):
        seq = 0
    if not question or seq < 1:
        found.problems.append(f"{place}: its data names no record and question, so it is none of ours; import {TASKS} as it was written")
        return
    newest: dict[str, Answer] = {}  # of several annotations by one person the last holds
    for one in sorted(annotations, key=lambda one: str(one.get("created_at", ""))):
        where, who = f"{place}, annotation {one.get('id', '?')}", by or _who(one.get("completed_by"))
        answer = SKIP if one.get("was_cancelled") else _choice(one.get("result"))
        if answer is None:
            found.problems.append(f"{where}: expected one choice of {CHOICES!r}, as {CONFIG} asks for; found {_found(one.get('result'))}")
            continue
        newest[who] = Answer(where, str(question), seq, answer, who, _seconds(one.get("lead_time")))
    found.answers.extend(newest.values())


def _choice(result: Any) -> str | None:
    picked = _picked(result)
    return picked[0] if len(picked) == 1 else None


def _picked(result: Any) -> list[str]:
    """All choices of an annotation's result."""
    regions = [one for one in result if isinstance(one, dict) and one.get("type") == "choices"] if isinstance(result, list) else []
    values = [one.get("value") for one in regions]
    return [str(choice) for value in values if isinstance(value, dict) for choice in value.get("choices") or []]


def _found(result: Any) -> str:
    picked = _picked(result)
    return f"{len(picked)} ({', '.join(picked)})" if picked else "none"


def _who(completed_by: Any) -> str:
    """Name of who annotated: the export holds a number, or a user with an address and names."""
    if isinstance(completed_by, dict):
        names = " ".join(str(completed_by[key]) for key in ("first_name", "last_name") if completed_by.get(key))
        return str(completed_by.get("email") or names or _who(completed_by.get("id")))
    return "somebody in Label Studio" if completed_by is None else f"Label Studio user {completed_by}"


def _seconds(lead_time: Any) -> float:
    return float(lead_time) if isinstance(lead_time, int | float) and lead_time > 0 else 0.0


def _result(choice: str) -> dict[str, Any]:
    return {"from_name": CHOICES, "to_name": ITEM, "type": "choices", "value": {"choices": [choice]}}
