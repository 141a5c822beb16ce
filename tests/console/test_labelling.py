import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.board import QuestionView
from agents.labelling import OTHER_KEYS, WORD_KEYS, ChoiceSession, LabellingSession, Offer, class_keys, option_keys
from tests.console.office import DIGITS


def labels(items=(12, 15, 19), classes=DIGITS, answers=None):
    return QuestionView("q", "labels", "digits-1", "why", 0.0, "audit", items, {}, classes, answers or {})


def choice(*options):
    return QuestionView("q", "choice", "digits-1", "why", 0.0, options=options, default=options[-1])


def press(session, keys):
    return [offer for key in keys for offer in session.press(key)]


def test_an_answer_is_handed_in_when_the_next_image_is_answered():
    session = LabellingSession(labels())
    assert session.press("7") == []
    assert session.item == 15 and session.place == (2, 3)
    assert session.press("3") == [Offer(12, "7")]


def test_the_last_answer_is_handed_in_at_once():
    session = LabellingSession(labels())
    assert press(session, "735") == [Offer(12, "7"), Offer(15, "3"), Offer(19, "5")]
    assert session.state == "done" and session.sent == 3


def test_back_takes_the_last_answer_back():
    session = LabellingSession(labels())
    assert press(session, "7b") == []
    assert session.item == 12 and session.note == "taken back: 7"
    assert press(session, "13") == [Offer(12, "1")]


def test_back_leads_to_what_was_handed_in_and_another_answer_amends_it():
    session = LabellingSession(labels())
    press(session, "73b")
    assert session.item == 15
    assert session.press("b") == [] and session.item == 12 and "you said 7 of this one" in session.note
    assert session.press("1") == [Offer(12, "1", amend=True)]
    assert session.item == 15 and session.press("3") == []


def test_a_refused_amendment_leaves_what_was_said_before():
    session = LabellingSession(labels())
    press(session, "73bb")
    [offer] = session.press("1")
    session.refused(offer, "it was used")
    session.press("b")
    assert session.item == 12 and "you said 7 of this one" in session.note


def test_the_same_answer_leaves_what_was_handed_in_as_it_is():
    session = LabellingSession(labels())
    press(session, "73bb")
    assert session.press("7") == [] and session.note == "7 stays" and session.item == 15


def test_back_goes_as_far_as_the_first_answer_that_was_handed_in():
    session = LabellingSession(labels())
    press(session, "73")
    [*_, _] = session.hand_in()
    press(session, "bb")
    assert session.item == 12
    session.press("b")
    assert session.item == 12 and "that was your first one" in session.note


def test_where_nothing_was_handed_in_there_is_nothing_to_go_back_to():
    session = LabellingSession(labels())
    assert not session.can_go_back
    session.press("b")
    assert session.item == 12 and "nothing to take back" in session.note


def test_what_was_shown_to_be_amended_goes_away_with_the_question():
    session = LabellingSession(labels())
    press(session, "73bb")
    session.close("settled")
    assert session.state == "done" and session.press("1") == []


def twice(session, said, answers=None):
    """The session after the desk has told it who said what."""
    view = labels(answers=answers or {seq: next(iter(words.values())) for seq, words in said.items()})
    view.said, view.repeats = said, session.question.repeats
    session.update(view)


def repeating(*repeats, said=None):
    view = labels(answers={seq: next(iter(words.values())) for seq, words in (said or {}).items()})
    view.repeats, view.said = repeats, said or {}
    return view


def test_what_somebody_else_has_named_is_shown_first_where_it_is_to_be_named_twice():
    session = LabellingSession(repeating(15, said={12: {"bob": "7"}, 15: {"bob": "3"}}), "ana")
    assert session.item == 15
    assert session.press("5") == [Offer(15, "5")] and session.item == 19


def test_a_second_view_that_names_nothing_is_not_handed_in():
    session = LabellingSession(repeating(15, said={15: {"bob": "3"}}), "ana")
    assert session.press("u") == [] and session.item == 12


def test_what_two_have_named_or_nobody_could_is_not_shown_again():
    assert LabellingSession(repeating(12, 15, said={12: {"bob": "7", "cem": "7"}, 15: {"bob": "no answer"}}), "ana").item == 19


def test_a_refused_second_name_of_an_own_image_leaves_the_first():
    session = LabellingSession(repeating(12), "ana")
    session.press("7")
    session.hand_in()
    twice(session, {12: {"ana": "7"}})
    session.press("3")
    _, second = session.press("1")
    session.refused(second, "late")
    session.press("b")
    session.press("b")
    assert session.item == 12 and "you said 7" in session.note


def test_an_own_image_comes_again_before_the_last_one():
    session = LabellingSession(repeating(12), "ana")
    press(session, "7")
    assert session.item == 15, "not at once"
    assert session.press("3") == [Offer(12, "7")] and session.item == 19, "it is not known yet what the desk has"
    session = LabellingSession(repeating(12), "ana")
    press(session, "7")
    session.hand_in()
    twice(session, {12: {"ana": "7"}})
    session.press("3")
    assert session.item == 12
    assert session.press("1") == [Offer(15, "3"), Offer(12, "1")] and session.item == 19


def test_an_own_image_does_not_come_again_while_several_are_open():
    view = repeating(12)
    view.items = (12, 15, 19, 23)
    session = LabellingSession(view, "ana")
    session.press("7")
    session.hand_in()
    twice(session, {12: {"ana": "7"}})
    session.press("3")
    assert session.item == 19


def test_an_image_is_not_taken_from_under_the_fingers_to_be_named_twice():
    session = LabellingSession(repeating(15), "ana")
    twice(session, {15: {"bob": "3"}})
    assert session.item == 12


@pytest.mark.parametrize(("key", "answer"), [("s", "skip"), ("u", "unsure"), ("n", "none of these"), ("U", "unsure")])
def test_words_have_keys(key, answer):
    session = LabellingSession(labels(items=(12,)))
    assert session.press(key) == [Offer(12, answer)]


def test_an_expected_change_is_confirmed_first_and_needs_no_label():
    session = LabellingSession(labels())
    assert press(session, "7e") == [] and session.state == "confirming"
    assert session.press("y") == [Offer(15, "expected")] and session.state == "done"


def test_anything_but_y_keeps_asking():
    session = LabellingSession(labels())
    assert press(session, "en") == [] and session.state == "asking" and session.item == 12


def test_leaving_hands_in_what_was_meant_and_nothing_more():
    session = LabellingSession(labels())
    assert press(session, "7q") == [Offer(12, "7")]
    assert session.state == "left" and session.press("3") == []


def test_an_unknown_key_is_named_and_changes_nothing():
    session = LabellingSession(labels(classes=("cat", "dog")))
    assert session.press("7") == [] and "'7' is no key here" in session.note and session.item == 12


def test_question_marks_explain():
    session = LabellingSession(labels())
    session.press("?")
    assert session.help
    session.press("?")
    assert not session.help


def test_what_others_have_answered_is_passed_over():
    session = LabellingSession(labels(answers={12: "7"}))
    assert session.item == 15 and session.place == (2, 3)
    session.update(labels(answers={12: "7", 15: "3"}))
    assert session.item == 19 and "somebody else" in session.note
    session.update(labels(answers={12: "7", 15: "3", 19: "5"}))
    assert session.state == "done"


def test_a_held_answer_still_goes_out_when_somebody_else_was_quicker_so_that_both_are_compared():
    session = LabellingSession(labels())
    session.press("7")
    session.update(labels(answers={12: "1"}))
    assert session.item == 15 and "your 7 is compared with that" in session.note
    session.note = ""
    session.update(labels(answers={12: "1"}))
    assert session.note == ""
    assert session.press("3") == [Offer(12, "7")]


def test_a_held_unsure_is_dropped_when_somebody_else_was_quicker():
    session = LabellingSession(labels())
    session.press("u")
    session.update(labels(answers={12: "1"}))
    assert session.held is None and session.item == 15 and "your unsure was not needed" in session.note
    assert session.press("3") == []


@pytest.mark.parametrize(("outcome", "says"), [("settled", "settled early"), ("expired", "time ran out"), ("expected", "expected"), ("odd", "odd")])
def test_a_closed_question_needs_nothing_more(outcome, says):
    session = LabellingSession(labels())
    session.press("7")
    session.close(outcome)
    assert session.state == "done" and says in session.note and session.press("3") == []


def test_a_refusal_is_shown_and_not_counted():
    session = LabellingSession(labels())
    offer = press(session, "73")[0]
    session.refused(offer, "record 12 has an answer already: 1")
    assert session.note == "refused: record 12 has an answer already: 1" and session.sent == 0


def test_a_refused_expectation_asks_on():
    session = LabellingSession(labels())
    (offer,) = press(session, "ey")
    session.refused(offer, "no")
    assert session.state == "asking" and session.item == 12


@given(st.integers(1, 56))
def test_class_keys_are_one_to_one_and_mean_nothing_else(count):
    keys = class_keys([f"class {number}" for number in range(count)])
    assert len(keys) == count and not set(keys) & {*WORD_KEYS, *OTHER_KEYS}


def test_too_many_classes_have_no_keys():
    assert class_keys([str(number) for number in range(57)]) == {}


@given(st.lists(st.text(string.ascii_lowercase + "_", min_size=1), min_size=1, max_size=20, unique=True))
def test_each_option_has_one_letter(options):
    keys = option_keys(options)
    assert list(keys.values()) == options and all(key in string.ascii_letters and key != "q" for key in keys)


@given(st.lists(st.sampled_from("0123456789sunbeqy?x"), max_size=40))
def test_whatever_is_pressed_no_image_is_answered_twice_and_only_what_was_said_is_amended(keys):
    session = LabellingSession(labels(items=tuple(range(1, 9))))
    offers = [offer for offer in press(session, keys) if offer.answer != "expected"]
    seqs = [offer.seq for offer in offers if not offer.amend]
    assert len(seqs) == len(set(seqs)) and seqs == sorted(seqs)
    said = {}
    for offer in offers:
        assert offer.amend == (offer.seq in said) and said.get(offer.seq) != offer.answer
        said[offer.seq] = offer.answer
    assert session.sent == len(offers) + (session.state == "done" and len(seqs) < 8)


def test_one_key_makes_a_choice():
    session = ChoiceSession(choice("approve", "fine_tune", "decline"))
    assert session.press("x") == [] and "a, f, d" in session.note
    assert session.press("f") == [Offer(0, "fine_tune")] and session.state == "done"
    assert session.press("d") == []


def test_a_refused_choice_can_be_made_again():
    session = ChoiceSession(choice("approve", "decline"))
    session.refused(session.press("a")[0], "no")
    assert session.state == "asking" and session.press("d") == [Offer(0, "decline")]


def test_a_choice_can_wait_or_be_made_by_somebody_else():
    session = ChoiceSession(choice("approve", "decline"))
    assert session.press("q") == [] and session.state == "left"
    other = ChoiceSession(choice("approve", "decline"))
    other.close("answered")
    assert other.state == "done" and other.note == "somebody else has chosen"
