"""Labelling and deciding over HTTP: the rules are the console's, and several people may answer at once."""

import re

import pytest

from agents.messages import AnswerOffered, ChoiceMade, QuestionReminded, SecondOpinion, UndoAsked
from agents.web.png import size_of
from agents.web.seats import HOLD_SECONDS, Seats


def note(answer):
    return re.search(r'id="note"[^>]*>([^<]*)<', answer.text).group(1)


def place(answer):
    return re.search(r"Image (\d+ of \d+)", answer.text).group(1)


def test_one_key_answers_one_image_and_the_next_is_shown(office, ana):
    office.ask_labels()
    assert place(ana.get("/question/digits-1/audit")) == "1 of 4"
    for item, key, following in ((12, "7", "2 of 4"), (15, "s", "3 of 4"), (19, "u", "4 of 4")):
        assert place(ana.press(key, item)) == following
    assert "all answered, thank you" in ana.press("n", 23).text
    assert office.taken == [(12, 7), (15, None), (19, None), (23, -1)] and office.closed == {"digits-1/audit": "answered"}
    assert {one.by for one in office.messages if isinstance(one, AnswerOffered)} == {"ana"}


def test_back_takes_the_last_answer_back(office, ana):
    office.ask_labels()
    ana.press("7", 12)
    back = ana.press("b", 15)
    assert place(back) == "1 of 4" and note(back) == "taken back: 7" and office.taken == []
    ana.press("3", 12)
    ana.press("4", 15)
    assert office.taken == [(12, 3)]


def test_a_reload_in_the_middle_finds_everything_as_it_was(office, ana):
    office.ask_labels()
    ana.press("7", 12)
    ana.press("1", 15)
    again = ana.get("/question/digits-1/audit")
    assert place(again) == "3 of 4" and note(again) == "1 for the last one" and office.taken == [(12, 7)]


def test_a_key_that_was_meant_for_another_image_answers_nothing(office, ana):
    office.ask_labels()
    ana.press("7", 12)
    late = ana.press("7", 12)
    assert place(late) == "2 of 4" and "that key was not taken" in note(late)
    ana.press("1", 15)
    assert office.taken == [(12, 7)]


def test_the_change_is_expected_only_after_a_yes(office, ana):
    office.ask_labels()
    assert "Is the change meant" in ana.press("e", 12).text
    assert note(ana.press("n", 12)) == "not marked as expected"
    ana.press("e", 12)
    assert "the change is expected" in ana.press("y", 12).text
    assert office.closed == {"digits-1/audit": "expected"} and office.taken == []


def test_the_other_is_told_when_somebody_answered_first(office, person):
    office.ask_labels()
    ana, bob = person("ana"), person("bob")
    ana.get("/question/digits-1/audit")
    bob.press("3", 12)
    bob.press("4", 15)  # hands in the 3
    told = ana.get("/seat/digits-1/audit")
    assert place(told) == "2 of 4" and note(told) == "somebody else has answered that one"
    assert office.taken == [(12, 3)]


def test_who_was_slower_with_a_held_answer_is_told_and_both_are_compared(office, person):
    office.ask_labels()
    ana, bob = person("ana"), person("bob")
    ana.press("7", 12)
    bob.press("3", 12)
    bob.press("4", 15)
    told = ana.get("/seat/digits-1/audit")
    assert note(told) == "somebody else was quicker with the last one; your 7 is compared with that; 7 for the last one"
    ana.press("1", 15)
    ana.press("1", 19)
    assert (12, 7) not in office.taken and (12, 3) in office.taken
    [opinion] = [one for one in office.messages if isinstance(one, SecondOpinion)]
    assert (opinion.first.by, opinion.second.by, opinion.agrees) == ("bob", "ana", False)


def test_an_answer_that_the_desk_refuses_is_told_with_its_reason(office, ana):
    office.ask_labels()
    office.rival = {12: "3"}  # bob answers just before
    ana.press("u", 12)
    assert "record 12 has an answer already: 3" in note(ana.press("1", 15)) or "record 12 has an answer already: 3" in note(ana.get("/seat/digits-1/audit"))
    assert office.taken == [(12, 3)]


def test_a_question_that_is_settled_early_says_so(office, ana):
    office.enough = 2
    office.ask_labels()
    for item, key in ((12, "7"), (15, "1"), (19, "2")):
        last = ana.press(key, item)
    shown = last if "settled early" in last.text else ana.get("/seat/digits-1/audit")
    assert "settled early: the answers so far are enough" in shown.text and len(office.taken) == 2


def test_later_hands_in_what_was_answered_and_leads_to_the_overview(office, ana):
    office.ask_labels()
    ana.press("7", 12)
    assert ana.press("q", 15).headers["hx-redirect"] == "/" and office.taken == [(12, 7)]
    assert place(ana.get("/question/digits-1/audit")) == "2 of 4"


def test_an_answer_that_is_left_lying_is_handed_in(office):
    office.ask_labels()
    now = [0.0]
    seats = Seats(office.reception, clock=lambda: now[0])
    seats.seat("s", "ana", office.board.questions()[0]).press("7", 12)
    now[0] = HOLD_SECONDS - 1
    assert seats.sweep() == 0 and office.taken == []
    now[0] = HOLD_SECONDS
    assert seats.sweep() == 1 and office.taken == [(12, 7)]


def test_a_label_takes_from_when_its_image_is_shown_to_its_answer(office):
    office.ask_labels()
    now = [100.0]
    seats = Seats(office.reception, clock=lambda: now[0])
    seat = seats.seat("s", "ana", office.board.questions()[0])
    for item, at in ((12, 103.0), (15, 110.0), (19, 112.0)):
        now[0] = at
        seat.press("7", item)
    assert [one.seconds for one in office.messages if isinstance(one, AnswerOffered)] == [3.0, 7.0]
    assert [(pace.by, pace.channel, pace.seconds) for pace in office.board.status().paces] == [("ana", "web", 5.0)]


def test_an_image_that_another_person_has_named_is_shown_to_be_named_a_second_time(office, ana):
    office.ask_labels(repeats=(12,))
    office.reception.answer("digits-1/audit", "7", "bob", 12)
    assert place(ana.get("/question/digits-1/audit")) == "1 of 4"
    assert place(ana.press("1", 12)) == "2 of 4"
    [second] = [one for one in office.messages if isinstance(one, SecondOpinion)]
    assert (second.first.by, second.second.by, second.agrees) == ("bob", "ana", False)
    assert "0 of 1" in ana.get("/").text


def test_it_works_without_scripts(office, ana):
    office.ask_labels()
    shown = ana.post("/press", question="digits-1/audit", key="7", item="12")
    assert shown.url.path == "/question/digits-1/audit" and place(shown) == "2 of 4" and "</html>" in shown.text


def test_images_are_enlarged_to_whole_pixels_and_gone_ones_are_said_to_be(office, ana, images):
    office.ask_labels()
    shown = ana.get("/image/12?question=digits-1/audit")
    assert shown.headers["content-type"] == "image/png" and size_of(shown.content) == (420, 420)
    assert ana.get("/image/99?question=digits-1/audit").status_code == 404
    for file in office.state.incident("digits-1").glob("*.npz"):
        file.unlink()
    assert ana.get("/image/12?question=digits-1/audit").status_code == 200  # at hand since it was first shown


def test_an_image_that_is_not_kept_is_no_reason_to_stop(office, ana):
    office.ask_labels()
    for file in office.state.incident("digits-1").glob("*.npz"):
        file.unlink()
    assert "is not kept any more" in ana.get("/question/digits-1/audit").text
    assert place(ana.press("s", 12)) == "2 of 4"


def test_classes_with_names_have_their_keys_beside_them(office, ana):
    office.ask_labels(classes=("T-shirt", "trouser", "bag"))
    shown = ana.get("/question/digits-1/audit").text
    assert re.search(r'data-key="1">trouser\s*<kbd>1</kbd>', shown)
    ana.press("2", 12)
    ana.press("0", 15)
    assert office.taken == [(12, 2)]


def test_what_the_model_said_is_not_shown_to_who_labels(office, ana):
    office.ask_labels()
    assert "predicted" not in ana.get("/question/digits-1/audit").text


@pytest.mark.parametrize("option", ["approve", "fine_tune", "decline"])
def test_a_decision_is_made_with_a_reason_and_shows_by_whom(office, ana, option):
    office.ask_choice()
    shown = ana.post("/decide", question="digits-1/approve", option=option, reason="  it is\n Friday ")
    assert f"Your answer was taken: {option}" in shown.text and "<b>ana</b>" in shown.text and "“it is Friday”" in shown.text
    made = next(one for one in office.messages if isinstance(one, ChoiceMade))
    assert (made.option, made.by, made.reason) == (option, "ana", "it is Friday")
    assert "ana chose" in ana.get("/incident/digits-1").text


def test_a_part_that_a_script_fetches_does_not_use_up_what_is_told_once(office, ana):
    office.ask_choice()
    form = {"secret": ana.secret(), "question": "digits-1/approve", "option": "approve"}
    ana.client.post("/decide", data=form, follow_redirects=False)
    ana.get("/question/digits-1/approve", **{"hx-request": "true"})  # the news of the answer is faster than the way to the next page
    assert "Your answer was taken" in ana.get("/question/digits-1/approve").text
    assert "Your answer was taken" not in ana.get("/question/digits-1/approve").text


def test_the_planners_table_is_shown_with_its_verdicts(office, ana):
    office.ask_choice()
    shown = ana.get("/question/digits-1/approve").text
    for words in ("recalibrate", "0.965", "0.89 to 0.99", "the labels do not speak for it", "proposed", "choose fine tune"):
        assert words in shown


def test_the_second_to_decide_is_told_that_it_is_decided(office, person):
    office.ask_choice()
    ana, bob = person("ana"), person("bob")
    ana.post("/decide", question="digits-1/approve", option="approve")
    told = bob.post("/decide", question="digits-1/approve", option="decline")
    assert "Not taken: this question is closed (answered)" in told.text and "<b>ana</b>" in told.text


def test_undo_reaches_the_planner_and_a_refusal_is_told(office, ana):
    assert "The pipeline before comes back" in ana.post("/undo").text
    asked = next(one for one in office.messages if isinstance(one, UndoAsked))
    assert (asked.by, asked.source) == ("ana", "web")
    office.undoable = False
    assert "Not undone: there is no pipeline before the live one" in ana.post("/undo").text


def test_questions_that_do_not_exist_are_one_sentence(ana):
    for answer in (ana.get("/question/digits-9/harm"), ana.press("7", 1, "digits-9/harm"), ana.post("/decide", question="x", option="approve")):
        assert answer.status_code == 404 and "there is no question" in answer.text


def test_further_back_an_answer_that_was_handed_in_is_amended(office, ana):
    office.ask_labels()
    ana.get("/question/digits-1/audit")
    ana.press("7", 12)
    ana.press("3", 15)  # hands the 7 in
    ana.press("b", 19)
    back = ana.press("b", 15)
    assert place(back) == "1 of 4" and "you said 7 of this one" in note(back)
    ana.press("1", 12)
    assert office.board.question("digits-1/audit").answers == {12: "1"}


def test_a_question_that_waits_says_for_whom(office, ana):
    office.ask_labels()
    office.say(QuestionReminded, "desk", question="digits-1/audit", people=("ana", "ben"), missing=4)
    assert "waits for ana, ben" in ana.get("/questions").text
