import io

import numpy as np
import pytest
from rich.console import Console

from agents.labelling import LabellingSession
from agents.pictures import Named
from agents.screens import incident_lines, label_screen, question_lines, status_lines, story_lines, table_lines

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def drawn(part, columns):
    console = Console(file=io.StringIO(), width=columns, color_system=None)
    with console.capture() as capture:
        console.print(part)
    return capture.get().splitlines()


@pytest.mark.parametrize("classes", [tuple("0123456789"), FASHION, tuple(f"kind {n}" for n in range(20))])
@pytest.mark.parametrize(("columns", "rows"), [(79, 24), (110, 40), (79, 50)])
def test_a_label_screen_fits_and_names_every_key(office, visitor, images, classes, columns, rows):
    office.ask_labels(classes=classes)
    (question,) = visitor.questions()
    session = LabellingSession(question)
    lines = drawn(label_screen(session, images[12], columns, rows, "shades"), columns)
    text = "\n".join(lines)
    assert len(lines) <= rows and max(len(line) for line in lines) <= columns
    assert "1 of 4" in text and "to measure" in text
    for words in (*classes, "s skip", "u unsure", "n none of these", "b back", "e the change is expected", "q leave", "? help"):
        assert words in text


def test_in_a_narrow_terminal_text_goes_below_the_image(office, visitor, images):
    office.ask_labels()
    session = LabellingSession(visitor.questions()[0])
    lines = drawn(label_screen(session, images[12], 40, 40, "shades"), 40)
    assert max(len(line.rstrip()) for line in lines) <= 40 and any("s skip" in line for line in lines) and any("█" in line for line in lines)


def test_an_image_that_is_gone_can_be_skipped(office, visitor):
    office.ask_labels()
    session = LabellingSession(visitor.questions()[0])
    text = "\n".join(drawn(label_screen(session, None, 79, 24, "shades"), 79))
    assert "The image of record 12 is not kept any more" in text and "s skips it" in text


def test_the_model_s_own_answer_is_never_shown(office, visitor):
    """It would sway the person whose label is to measure the model."""
    office.ask_labels(classes=("cat", "dog"))
    (question,) = visitor.questions()
    question.predicted = {12: 1}
    plain = drawn(label_screen(LabellingSession(question), np.zeros((28, 28), np.uint8), 79, 24, "shades"), 79)
    question.predicted = {12: 0}
    assert plain == drawn(label_screen(LabellingSession(question), np.zeros((28, 28), np.uint8), 79, 24, "shades"), 79)


def test_the_planner_s_table_fits_into_80_columns(office, visitor):
    office.ask_choice()
    lines = table_lines(visitor.story("digits-1"), 79)
    assert max(len(line) for line in lines) <= 79
    assert lines[0].split()[0] == "remedy" and "  CHOSEN; fits, utility +0.451, the highest" in lines
    wide = table_lines(visitor.story("digits-1"), 200)
    assert len(wide) == 5 and wide[3].endswith("CHOSEN; fits, utility +0.451, the highest")


def test_a_story_fits_into_80_columns(office, visitor):
    office.ask_choice()
    told = story_lines(visitor.story("digits-1"), 80)
    assert max(len(line) for line in told) <= 80
    rows = [line.split() for line in told]
    assert ["0.965", "0.89..0.99", "0.9800", "0.40", "31", "12"] in [row[2:] for row in rows if row[0] == "filter"]
    assert "      CHOSEN; fits, utility +0.451, the highest" in told
    assert any(line.startswith(" " * 24) for line in told), "a long sentence goes on below where it begins"


def test_no_table_is_no_lines():
    assert table_lines(["    0.0 s  checker  something"], 79) == []


def test_status_questions_and_incidents_in_plain_lines(office, visitor):
    office.ask_labels()
    office.ask_choice()
    status = status_lines(visitor.status())
    assert any("digits-first" in line for line in status) and any("digits-1 open" in line for line in status)
    assert any(" checked; log evidence" in line for line in status)
    assert any(" checked, now 1 in 7; log evidence" in line for line in status_lines(visitor.status() | {"every": 7}))
    asked = "\n".join(question_lines(visitor.questions()))
    assert "digits-1/audit: 4 of 4 labels missing, to measure" in asked and "records 12 15 19 23" in asked
    assert "digits-1/approve: choose approve, fine_tune, decline" in asked
    assert "digits-1" in incident_lines(visitor.status()["incidents"])[0]


def test_nothing_is_said_in_words_too():
    assert incident_lines([]) == ["no incident yet"] and question_lines([]) == ["no open question"]


def test_clean_images_stand_smaller_beside_the_one_to_label(office, visitor, images):
    office.ask_labels()
    (question,) = visitor.questions()
    clean = [Named("seven", images[19]), Named("one", images[12]), Named("a third", images[15])]
    lines = drawn(label_screen(LabellingSession(question), images[12], 79, 24, "shades", beside=clean), 79)
    text = "\n".join(lines)
    assert len(lines) <= 24 and max(map(len, lines)) <= 79
    assert "clean, alike:" in text and "seven" in text and "one" in text and "a third" not in text, "two of them, so that each can be made out"
    assert "????" in text.replace("█", "?") and "0 1 2 3 4 5 6 7 8 9  the class" in text
    assert len(drawn(label_screen(LabellingSession(question), images[12], 79, 40, "shades", beside=clean), 79)) <= 40


def test_where_there_is_no_room_the_image_stands_alone(office, visitor, images):
    office.ask_labels()
    (question,) = visitor.questions()
    clean = [Named("seven", images[19])]
    assert "seven" not in "\n".join(drawn(label_screen(LabellingSession(question), images[12], 60, 40, "shades", beside=clean), 60))


def test_below_pixels_that_stand_above_only_words_are_drawn(office, visitor, images):
    office.ask_labels()
    (question,) = visitor.questions()
    text = "\n".join(drawn(label_screen(LabellingSession(question), images[12], 79, 24, "colour", above=True), 79))
    assert "1 of 4" in text and "the class" in text and "▀" not in text
