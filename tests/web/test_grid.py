"""Several images at once: the answers go to the desk in the order of the question, and none is left out where labels measure."""

import re

from agents.messages import AskLabels

NAME = "digits-1/audit"


def teach(office):
    office.ask_labels()
    office.reception.answer(NAME, "expected", "bob", 12)  # one question less
    office.say(AskLabels, question="digits-1/teach", items=(12, 15, 19, 23), purpose="teaching", text="They teach.", classes=tuple("0123456789"), deadline=600.0)


def hand_in(person, question=NAME, **answers):
    fields = {"image-12": "", "image-15": "", "image-19": "", "image-23": ""} | {f"image-{seq[1:]}": answer for seq, answer in answers.items()}
    return person.post("/grid", question=question, **fields)


def test_all_images_without_an_answer_are_laid_out(office, ana):
    office.ask_labels()
    ana.press("7", 12)
    ana.press("1", 15)
    shown = ana.get(f"/grid/{NAME}").text
    assert re.findall(r'select name="image-(\d+)"', shown) == ["19", "23"]  # the answer to the second is held in the other view
    assert "1 of 4 labelled" in shown and "Your labels measure" in shown and "3 more answers are asked for" in shown


def test_a_page_is_handed_in_at_once_in_the_questions_order(office, ana):
    office.ask_labels()
    answer = hand_in(ana, _23="3", _12="0", _19="none of these", _15="unsure")
    assert office.taken == [(12, 0), (15, None), (19, -1), (23, 3)] and "4 answers taken" in answer.text
    assert "This question is closed: answered" in answer.text


def test_labels_that_measure_are_taken_up_to_the_first_gap(office, ana):
    office.ask_labels()
    answer = hand_in(ana, _12="0", _19="2", _23="3")
    assert office.taken == [(12, 0)]
    assert "1 answer taken. 2 wait for the images before them" in answer.text


def test_labels_that_teach_may_leave_some_out(office, ana):
    teach(office)
    hand_in(ana, "digits-1/teach", _12="0", _23="3")
    assert office.taken == [(12, 0), (23, 3)]


def test_what_the_question_no_longer_needs_is_not_sent(office, ana):
    office.enough = 2
    office.ask_labels()
    answer = hand_in(ana, _12="0", _15="1", _19="2", _23="3")
    assert office.taken == [(12, 0), (15, 1)] and "2 answers taken" in answer.text and "settled" in answer.text


def test_an_answer_that_is_none_is_refused_with_the_reason(office, ana):
    office.ask_labels()
    assert "Not taken: " in hand_in(ana, _12="banana").text
    assert office.taken == []


def test_what_was_held_in_the_other_view_goes_first(office, ana):
    office.ask_labels()
    ana.press("7", 12)
    ana.post("/grid", question=NAME, **{"image-15": "1", "image-19": "", "image-23": ""})
    assert office.taken == [(12, 7), (15, 1)]


def test_who_watches_sees_no_form(office, page, person):
    office.ask_labels()
    watching = person(token=page.access.watch_token)
    assert "<select" not in watching.get(f"/grid/{NAME}").text
    assert hand_in(watching, _12="0").status_code == 403 and office.taken == []


def test_a_decision_has_no_grid(office, ana):
    office.ask_choice()
    assert "A decision" in ana.get("/grid/digits-1/approve").text
