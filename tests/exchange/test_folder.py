"""A question leaves as a folder, is filled in with a spreadsheet, and comes back."""

import csv

import numpy as np
import pytest

from agents.board import QuestionView
from agents.exchange import folder
from agents.exchange.answers import Answer, ExchangeError, take
from agents.web.png import size_of

PLACE = "digits-1/audit"


@pytest.fixture
def asked(office, visitor, tmp_path):
    """A folder with the open question in it."""
    office.ask_labels()
    [view] = visitor.questions()
    folder.write(tmp_path / "out", view, visitor.images(list(view.items)))
    return tmp_path / "out" / "digits-1" / "audit"


def fill(place, answers, by="ana"):
    """Do what a person does in a spreadsheet."""
    with (place / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if (answer := answers.get(int(row["record"]))) is not None:
            row["answer"], row["by"] = answer, by
    with (place / "labels.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)


def hand_in(visitor, place, by=""):
    filled = folder.read(place / "labels.csv", by)
    outcome = take(visitor, filled.answers, folder.CHANNEL)
    return outcome.counts, filled.problems + outcome.problems


def test_a_folder_holds_each_image_a_row_for_it_and_what_is_asked(asked):
    with (asked / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["record"], row["image"], row["answer"], row["by"], row["question"]) for row in rows] == [
        (str(seq), f"images/{seq}.png", "", "", PLACE) for seq in (12, 15, 19, 23)
    ]
    assert size_of((asked / rows[0]["image"]).read_bytes()) == (280, 280)
    about = (asked / "question.txt").read_text()
    assert "drawn at random" in about and "0, 1, 2" in about and "skip, unsure, none of these" in about and "unsure when you cannot tell" in about


def test_what_is_filled_in_comes_back_to_its_records_and_bears_its_channel(asked, office, visitor):
    fill(asked, {12: "7", 15: " 3 ", 19: "Unsure", 23: "none of these"})
    assert hand_in(visitor, asked) == ({"taken": 4}, [])
    assert office.taken == [(12, 7), (15, 3), (19, None), (23, -1)] and office.closed == {PLACE: "answered"}
    assert {one.channel for one in office.messages if type(one).__name__ == "LabelGiven"} == {"folder"}


def test_half_a_file_will_do_and_the_same_file_again_changes_nothing(asked, office, visitor):
    fill(asked, {12: "7", 15: "skip"})
    assert hand_in(visitor, asked) == ({"taken": 2}, [])
    assert hand_in(visitor, asked) == ({"known": 2}, [])
    fill(asked, {19: "3"})
    assert hand_in(visitor, asked) == ({"known": 2, "taken": 1}, [])
    assert office.taken == [(12, 7), (15, None), (19, 3)]


def test_labels_that_measure_wait_for_those_before_them_and_come_in_the_order_of_asking(asked, office, visitor):
    fill(asked, {12: "7", 19: "3", 23: "3"})
    assert hand_in(visitor, asked) == ({"taken": 1, "waiting": 2}, []) and office.taken == [(12, 7)]
    lines = (asked / "labels.csv").read_text().splitlines()
    (asked / "labels.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]))  # as somebody may sort it
    fill(asked, {15: "unsure"})
    assert hand_in(visitor, asked) == ({"known": 1, "taken": 3}, []) and office.taken == [(12, 7), (15, None), (19, 3), (23, 3)]


def test_labels_to_learn_from_may_be_given_in_any_order(office, visitor, tmp_path):
    office.ask_labels(purpose="teaching")
    [view] = visitor.questions()
    folder.write(tmp_path, view, visitor.images(list(view.items)))
    fill(folder.place_of(tmp_path, PLACE), {23: "3"})
    assert hand_in(visitor, folder.place_of(tmp_path, PLACE)) == ({"taken": 1}, [])


def test_another_answer_by_the_same_person_amends_and_by_another_is_compared(asked, office, visitor):
    fill(asked, {12: "7"})
    hand_in(visitor, asked)
    fill(asked, {12: "1"})
    assert hand_in(visitor, asked) == ({"amended": 1}, [])
    fill(asked, {12: "1"}, by="ben")
    assert hand_in(visitor, asked) == ({"taken": 1}, [])
    assert office.board.question(PLACE).answers == {12: "1"} and office.board.status().compared == 1


def test_each_row_that_is_wrong_is_told_by_line_and_column_and_holds_up_no_other(asked, office, visitor):
    file = asked / "labels.csv"
    file.write_text(f"record,image,answer,by,question\n12,,sven,ana,{PLACE}\n15,,3,ana,{PLACE}\nx,,3,ana,{PLACE}\n99,,3,ana,{PLACE}\n19,,3,,{PLACE}\n23,,3,ana,\n")
    counts, problems = hand_in(visitor, asked)
    assert counts == {"taken": 1} and office.taken == [(15, 3)]
    told = "\n".join(problems)
    assert f"{file}, line 2, column answer: 'sven' is neither a class (0, 1, 2" in told and "nor skip, unsure or none of these" in told
    assert "line 4, column record: 'x' is no number" in told and "line 5, column answer: record 99 is not part of question" in told
    assert "line 6, column by: nobody is named; write who has answered, or give --name" in told and "line 7, column question: it is empty" in told
    assert len(problems) == 5


def test_that_the_change_is_expected_is_not_said_of_one_row(asked, office, visitor):
    fill(asked, {12: "expected"})
    counts, [problem] = hand_in(visitor, asked)
    assert counts == {} and "said of the whole question" in problem and not office.closed


def test_who_is_named_beside_the_file_has_filled_in_what_bears_no_name(asked, office, visitor):
    fill(asked, {12: "7"}, by="")
    assert hand_in(visitor, asked, "cem") == ({"taken": 1}, []) and office.board.question(PLACE).said == {12: {"cem": "7"}}


@pytest.mark.parametrize("text", ["record;image;answer;by;question\n12.0;;7;ana;{}\n", "\ufeffRecord,Answer,By,Question\r\n12,7,ana,{}\r\n"])
def test_files_are_read_as_spreadsheets_save_them(tmp_path, text):
    file = tmp_path / "labels.csv"
    file.write_text(text.format(PLACE), encoding="utf-8", newline="")
    assert folder.read(file).answers == [Answer(f"{file}, line 2, column answer", PLACE, 12, "7", "ana")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n", "line 1: there is no column 'record', only a, b; expected record, image, answer, by, question"),
        (b"", "only nothing"), (b"record,answer,question\n1,\xff,q\n", "save it as CSV UTF-8"),
        (b'record,answer,question\n1,"7,q\n', "this is no CSV"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_with_what_was_expected(tmp_path, content, words):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(ExchangeError, match=words.replace("(", r"\(")):
        folder.read(tmp_path / "labels.csv")


def test_writing_a_question_again_keeps_what_was_filled_in(asked, visitor):
    fill(asked, {12: "7"})
    before = (asked / "labels.csv").read_text()
    [view] = visitor.questions()
    [told] = folder.write(asked.parent.parent, view, visitor.images(list(view.items)))
    assert "stays as it is" in told and (asked / "labels.csv").read_text() == before


def test_what_a_question_does_not_need_any_more_is_left_aside(asked, office, visitor):
    office.enough = 1
    fill(asked, {12: "7", 15: "3", 19: "4"})
    assert hand_in(visitor, asked) == ({"taken": 1, "late": 2}, []) and office.taken == [(12, 7)]
    assert hand_in(visitor, asked) == ({"late": 3}, [])


def test_rows_of_a_table_stand_in_the_file_themselves_and_lost_images_are_told(tmp_path):
    view = QuestionView(question="q", kind="labels", incident="i", text="?", deadline=0.0, items=(1, 2), classes=("a", "b"))
    told = folder.write(tmp_path, view, {1: np.array([0.5, 2], np.float32)}, ("height", "age"))
    assert (tmp_path / "q" / "labels.csv").read_text() == "record,image,answer,by,question,height,age\n1,,,,q,0.5,2\n2,,,,q,,\n"
    assert "no image is kept any more of 1 of them: 2" in told[1]


def test_what_has_been_named_is_left_out_unless_it_is_to_be_named_twice(tmp_path):
    view = QuestionView(question="q", kind="labels", incident="i", text="?", deadline=0.0, items=(1, 2, 3), classes=("a",), answers={1: "a", 2: "a"}, repeats=(2,))
    assert folder.wanted(view) == [2, 3]
