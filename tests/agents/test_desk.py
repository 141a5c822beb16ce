"""The desk: a question has a deadline, a default, and of each item one answer holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.desk import Desk
from agents.messages import CloseQuestion, Label
from tests.agents.helpers import DEPLOYMENT, INCIDENT, ask_choice, ask_labels, expired, incident_closed, kinds, offer


@pytest.fixture
def desk():
    return Desk(DEPLOYMENT)


def asked(desk, question):
    assert desk.receive(question) == []
    return desk


def reason(said):
    [refused] = said
    assert kinds([refused]) == ["AnswerRefused"]
    return refused.reason


def test_a_label_is_handed_to_who_asked_with_its_class_index(desk):
    [given] = asked(desk, ask_labels()).receive(offer("q", "one", 1))
    assert (given.to, given.incident, given.label.seq, given.label.label, given.label.by) == ("checker", INCIDENT, 1, 1, "ann")


@pytest.mark.parametrize(("answer", "label"), [("zero", 0), ("two", 2), ("none of these", -1), ("skip", None), ("unsure", None)])
def test_each_word_that_a_person_may_say_has_one_meaning(desk, answer, label):
    [given] = asked(desk, ask_labels()).receive(offer("q", answer, 2))
    assert given.label.label == label


def test_the_last_item_closes_the_question(desk):
    asked(desk, ask_labels()).receive(offer("q", "one", 1))
    given, closed = desk.receive(offer("q", "skip", 2))
    assert kinds([given, closed]) == ["LabelGiven", "QuestionClosed"]
    assert (closed.outcome, closed.by, closed.to) == ("answered", "ann", "checker")


def test_of_two_answers_about_one_item_the_first_holds_and_the_second_is_compared_with_it(desk):
    asked(desk, ask_labels()).receive(offer("q", "one", 1, by="ann"))
    [opinion] = desk.receive(offer("q", "two", 1, by="bob"))
    assert kinds([opinion]) == ["SecondOpinion"] and (opinion.to, opinion.incident, opinion.question) == ("checker", INCIDENT, "q")
    assert (opinion.first, opinion.second, opinion.agrees) == (Label(1, 1, "ann"), Label(1, 2, "bob"), False)
    assert desk.questions["q"].answers == {1: "one"} and desk.questions["q"].open_items == (2,)


def test_two_who_name_the_same_class_agree(desk):
    asked(desk, ask_labels()).receive(offer("q", "none of these", 1, by="ann"))
    assert desk.receive(offer("q", "none of these", 1, by="bob"))[0].agrees


def test_a_third_person_is_compared_with_the_first(desk):
    asked(desk, ask_labels()).receive(offer("q", "one", 1, by="ann"))
    desk.receive(offer("q", "two", 1, by="bob"))
    [opinion] = desk.receive(offer("q", "one", 1, by="cem"))
    assert (opinion.first.by, opinion.second.by, opinion.agrees) == ("ann", "cem", True)


@pytest.mark.parametrize("by", ["ann", "bob"])
def test_nobody_speaks_twice_of_one_item(desk, by):
    asked(desk, ask_labels()).receive(offer("q", "one", 1, by="ann"))
    desk.receive(offer("q", "two", 1, by="bob"))
    assert "has an answer already: one" in reason(desk.receive(offer("q", "zero", 1, by=by, number=1)))


@pytest.mark.parametrize(("first", "second"), [("skip", "one"), ("one", "unsure"), ("unsure", "unsure")])
def test_who_does_not_say_what_it_is_neither_agrees_nor_disagrees(desk, first, second):
    asked(desk, ask_labels()).receive(offer("q", first, 1, by="ann"))
    assert f"has an answer already: {first}" in reason(desk.receive(offer("q", second, 1, by="bob")))


def test_a_second_answer_that_is_no_class_is_refused_with_those_that_are(desk):
    asked(desk, ask_labels()).receive(offer("q", "one", 1, by="ann"))
    assert "is neither a class" in reason(desk.receive(offer("q", "seven", 1, by="bob")))


offers = st.tuples(st.sampled_from(("ann", "bob", "cem")), st.integers(1, 4), st.sampled_from(("zero", "one", "two", "none of these", "skip", "unsure")))


@given(st.lists(offers, max_size=40))
def test_whoever_says_what_in_which_order_labels_are_the_first_answers_and_each_offer_has_one_outcome(said):
    desk = asked(Desk(DEPLOYMENT), ask_labels(items=(1, 2, 3)))
    first, spoken, labels = {}, set(), {}
    for number, (by, seq, answer) in enumerate(said):
        before = len(first) == 3  # then the question is closed
        outcomes = [one for one in desk.receive(offer("q", answer, seq, by=by, number=number)) if kinds([one]) != ["QuestionClosed"]]
        [outcome] = outcomes
        if before or seq == 4:
            assert kinds([outcome]) == ["AnswerRefused"]
        elif seq not in first:
            first[seq], labels[seq] = answer, outcome.label
            spoken.add((seq, by))
        elif (seq, by) in spoken or "skip" in (answer, first[seq]) or "unsure" in (answer, first[seq]):
            assert kinds([outcome]) == ["AnswerRefused"]
        else:
            spoken.add((seq, by))
            assert outcome.first == labels[seq] and outcome.second.by == by and outcome.agrees == (answer == first[seq])


@given(st.lists(st.tuples(offers, st.booleans()), max_size=40))
def test_whoever_amends_what_in_which_order_who_asked_knows_the_newest_word_of_the_first_person(said):
    desk = asked(Desk(DEPLOYMENT), ask_labels(items=(1, 2, 3)))
    first, known, is_open = {}, {}, True
    for number, ((by, seq, answer), amends) in enumerate(said):
        outcome, *closing = desk.receive(offer("q", answer, seq, by=by, number=number, amend=amends))
        may_amend = is_open and first.get(seq, ("",))[0] == by and first[seq][1] != answer
        assert kinds([outcome]) == ["LabelAmended"] if amends and may_amend else kinds([outcome]) != ["LabelAmended"]
        if kinds([outcome]) == ["LabelGiven"]:
            assert not amends and seq not in first
        if kinds([outcome]) in (["LabelGiven"], ["LabelAmended"]):
            first[seq], known[seq] = (by, answer), outcome.label
        is_open = is_open and not closing
        assert is_open == (len(first) < 3)
    words = {"zero": 0, "one": 1, "two": 2, "none of these": -1}
    assert {seq: label.label for seq, label in known.items()} == {seq: words.get(answer) for seq, (_, answer) in first.items()}


def test_an_item_that_was_not_asked_about_is_refused(desk):
    assert "record 99 is not part" in reason(asked(desk, ask_labels()).receive(offer("q", "one", 99)))


def test_a_word_that_is_no_class_is_refused_with_those_that_are(desk):
    assert "'seven' is neither a class (zero, one, two) nor one of skip" in reason(asked(desk, ask_labels()).receive(offer("q", "seven", 1)))


def test_an_answer_to_no_question_is_refused(desk):
    assert "there is no question 'nope'" in reason(desk.receive(offer("nope", "one", 1)))


def test_an_answer_after_the_end_is_refused_with_how_it_ended(desk):
    question = ask_labels()
    asked(desk, question).receive(expired(question))
    assert "this question is closed (expired)" in reason(desk.receive(offer("q", "one", 1)))


def test_expected_closes_the_whole_question(desk):
    [closed] = asked(desk, ask_labels()).receive(offer("q", "expected", 1))
    assert (closed.outcome, closed.by) == ("expected", "ann")


def test_labels_that_nobody_gives_expire_with_the_ones_there_are(desk):
    question = ask_labels()
    asked(desk, question).receive(offer("q", "one", 1))
    [closed] = desk.receive(expired(question))
    assert closed.outcome == "expired"


def test_a_choice_that_nobody_makes_falls_to_its_default(desk):
    question = ask_choice(default="decline")
    made, closed = asked(desk, question).receive(expired(question))
    assert (made.option, made.by, made.to) == ("decline", "default", "planner")
    assert closed.outcome == "expired"


def test_a_choice_is_made_once(desk):
    made, closed = asked(desk, ask_choice()).receive(offer("q", "approve"))
    assert (made.option, made.by, closed.outcome) == ("approve", "ann", "answered")
    assert "closed (answered)" in reason(desk.receive(offer("q", "decline")))


def test_an_option_that_is_none_is_refused_with_those_that_are(desk):
    assert "'perhaps' is not one of approve, decline" in reason(asked(desk, ask_choice()).receive(offer("q", "perhaps")))


def test_who_asked_may_close_early(desk):
    asked(desk, ask_labels())
    [closed] = desk.receive(CloseQuestion(id="c", source="checker", question="q", reason="settled"))
    assert closed.outcome == "settled"
    assert desk.receive(CloseQuestion(id="c2", source="checker", question="q", reason="settled")) == []


def test_the_expiry_of_another_request_closes_nothing(desk):
    asked(desk, ask_labels("q"))
    assert desk.receive(expired(ask_labels("other"))) == []


def test_a_question_about_nothing_is_answered_at_once(desk):
    [closed] = desk.receive(ask_labels(items=()))
    assert closed.outcome == "answered"


def test_when_an_incident_closes_so_do_its_questions_and_no_others(desk):
    asked(desk, ask_labels("mine"))
    asked(desk, ask_labels("other", incident="digits-2"))
    [closed] = desk.receive(incident_closed())
    assert (closed.question, closed.outcome) == ("mine", "settled")


def test_a_question_that_was_closed_is_not_opened_again(desk):
    question = ask_labels()
    asked(desk, question).receive(expired(question))
    assert desk.receive(question) == []
    assert "is closed" in reason(desk.receive(offer("q", "one", 1)))
