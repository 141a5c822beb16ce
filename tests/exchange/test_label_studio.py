"""A question leaves as tasks of Label Studio, and the annotations come back as answers."""

import base64
import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from agents.board import QuestionView
from agents.exchange import label_studio
from agents.exchange.answers import ExchangeError, take

PLACE = "digits-1/audit"
IMAGE = np.full((28, 28), 7, np.uint8)


def view(purpose="teaching", classes=("T-shirt", '"trousers" & more')):
    return QuestionView(question="q", kind="labels", incident="i", text="Which <one>?", purpose=purpose, deadline=0.0, items=(1, 2), classes=classes, predicted={1: 1})


def annotated(tasks, answers, user=None):
    """What Label Studio exports once somebody has worked: an answer by record, None being a task that was skipped."""
    found = []
    for number, task in enumerate(tasks, 70):
        record = task["data"]["record"]
        annotations = []
        if record in answers:
            choice = answers[record]
            result = [] if choice is None else [{"id": "x", "type": "choices", "from_name": "answer", "to_name": "item", "value": {"choices": [choice]}}]
            annotations = [
                {"id": number + 100, "completed_by": user or {"id": 1, "email": "ana@example.org"}, "result": result, "was_cancelled": choice is None, "lead_time": 4.3}
            ]
        found.append({"id": number, "data": task["data"], "annotations": annotations, "predictions": []})
    return found


def save(path, exported):
    path.write_text(json.dumps(exported))
    return path


def test_each_task_holds_its_image_and_where_it_came_from_and_no_answer_of_the_model():
    [task, _] = label_studio.tasks(view(), {1: IMAGE, 2: IMAGE})
    assert (task["data"]["record"], task["data"]["question"]) == (1, "q") and "predictions" not in task
    head, _, content = task["data"]["image"].partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(content)[:4] == b"\x89PNG"


def test_what_the_model_says_is_shown_on_request_but_never_where_labels_measure_it(tmp_path):
    [task, other] = label_studio.tasks(view(), {1: IMAGE, 2: IMAGE}, predictions=True)
    [prediction] = task["predictions"]
    assert prediction["result"] == [{"from_name": "answer", "to_name": "item", "type": "choices", "value": {"choices": ['"trousers" & more']}}]
    assert "predictions" not in other
    told = label_studio.write(tmp_path, view("audit"), {1: IMAGE}, predictions=True)
    assert "predictions" not in (tmp_path / "q" / "tasks.json").read_text() and "leans towards it" in told[1]


def test_the_interface_offers_the_classes_and_the_words_whatever_their_letters():
    tree = ET.fromstring(label_studio.config(view()))
    assert [one.get("value") for one in tree.iter("Choice")] == ["T-shirt", '"trousers" & more', "none of these", "unsure"]
    [choices], [image] = tree.iter("Choices"), tree.iter("Image")
    assert (choices.get("name"), choices.get("toName"), choices.get("choice")) == ("answer", image.get("name"), "single") and image.get("value") == "$image"


def test_rows_of_a_table_are_shown_as_one():
    rows = {1: np.array([0.5, 2], np.float32)}
    [task] = label_studio.tasks(view(), rows, ("height", "age"))
    assert task["data"]["row"] == {"height": 0.5, "age": 2.0} and '<Table name="item" value="$row"/>' in label_studio.config(view(), rows=True)


def test_annotations_come_back_to_question_record_and_person_with_the_time_they_took(office, visitor, tmp_path):
    office.ask_labels()
    [asked] = visitor.questions()
    label_studio.write(tmp_path, asked, visitor.images(list(asked.items)))
    tasks = json.loads((tmp_path / "digits-1" / "audit" / "tasks.json").read_text())
    file = save(tmp_path / "export.json", annotated(tasks, {12: "7", 15: None, 19: "none of these"}))
    filled = label_studio.read(file)
    assert take(visitor, filled.answers, label_studio.CHANNEL) == ({"taken": 3}, []) and filled.problems == []
    assert office.taken == [(12, 7), (15, None), (19, -1)]
    given = [one for one in office.messages if type(one).__name__ == "LabelGiven"]
    assert {(one.channel, one.label.by, one.seconds) for one in given} == {("label-studio", "ana@example.org", 4.3)}
    assert take(visitor, label_studio.read(file).answers, label_studio.CHANNEL).counts == {"known": 3}


@pytest.mark.parametrize(
    ("user", "name"),
    [(7, "Label Studio user 7"), ({"id": 7, "email": "", "first_name": "Ana", "last_name": "B"}, "Ana B"), ({"id": 7}, "Label Studio user 7")],
)
def test_who_annotated_is_named_as_well_as_the_export_can(tmp_path, user, name):
    file = save(tmp_path / "export.json", annotated(label_studio.tasks(view(), {1: IMAGE}), {1: "T-shirt"}, user))
    assert label_studio.read(file).answers[0].by == name
    assert label_studio.read(file, "cem").answers[0].by == "cem"


def test_of_several_annotations_by_one_person_the_last_holds_and_everybody_is_heard(tmp_path):
    [task] = annotated(label_studio.tasks(view(), {1: IMAGE}), {1: "T-shirt"})
    [first] = task["annotations"]
    later = json.loads(json.dumps(first)) | {"id": 900, "created_at": "2026-03-09T22:00:00Z"}
    later["result"][0]["value"]["choices"] = ["unsure"]
    first["created_at"] = "2026-03-09T21:00:00Z"
    task["annotations"] = [later, first, {**first, "completed_by": 8}]
    assert [(one.by, one.answer) for one in label_studio.read(save(tmp_path / "e.json", [task])).answers] == [("ana@example.org", "unsure"), ("Label Studio user 8", "T-shirt")]


def test_a_label_that_was_not_asked_for_is_refused_in_a_sentence_and_holds_up_no_other(office, visitor, tmp_path):
    office.ask_labels()
    [asked] = visitor.questions()
    exported = annotated(label_studio.tasks(asked, visitor.images(list(asked.items))), {12: "sock", 15: "3", 19: "4"})
    exported[2]["annotations"][0]["result"][0]["value"]["choices"] = ["4", "9"]
    filled = label_studio.read(save(tmp_path / "e.json", exported))
    outcome = take(visitor, filled.answers, label_studio.CHANNEL)
    assert outcome.counts == {"taken": 1} and office.taken == [(15, 3)]
    assert "task 70, annotation 170: 'sock' is neither a class (0, 1, 2" in outcome.problems[0]
    assert "task 72, annotation 172: expected one choice of 'answer', as config.xml asks for; found 2 (4, 9)" in filled.problems[0]


def test_a_task_of_another_project_is_told(tmp_path):
    exported = [{"id": 3, "data": {"image": "x"}, "annotations": [{"result": []}]}]
    filled = label_studio.read(save(tmp_path / "e.json", exported))
    assert filled.answers == [] and "task 3: its data names no record and question" in filled.problems[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("nonsense", "is no JSON"), ('{"id": 1}', "holds no list of tasks"), ('[{"annotator": 1, "answer": "3"}]', "is JSON-MIN"), ("[1]", "holds no list of tasks"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_export_is_refused_with_what_was_expected(tmp_path, content, words):
    (tmp_path / "e.json").write_text(content)
    with pytest.raises(ExchangeError, match=words):
        label_studio.read(tmp_path / "e.json")
