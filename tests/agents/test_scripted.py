"""The scripted person answers one item after the other, so that asking can stop early."""

import threading

import pytest

from agents.messages import LogBegun
from agents.scripted import ScriptedDesk
from tests.agents.helpers import ask_choice, ask_labels, closed, given


class Knows:
    """Says class 1 of every image."""

    delay = 0.0
    expected = False

    def label(self, seq):
        return "unsure" if seq == 2 else 1

    def approve(self, options, default):
        return options[0]


@pytest.fixture
def posted():
    return []


def test_the_next_item_is_answered_when_the_one_before_was_taken(posted):
    desk = ScriptedDesk(Knows(), posted.append)
    desk.listen(ask_labels(items=(1, 2)))
    assert [(one.seq, one.answer) for one in posted] == [(1, "one")]
    desk.listen(given("q", 1, 1))
    assert [(one.seq, one.answer) for one in posted] == [(1, "one"), (2, "unsure")]
    desk.listen(given("q", 2, None))
    assert len(posted) == 2


def test_a_closed_question_is_not_answered_on(posted):
    desk = ScriptedDesk(Knows(), posted.append)
    desk.listen(ask_labels(items=(1, 2)))
    desk.listen(closed("q", "settled"))
    desk.listen(given("q", 1, 1))
    assert len(posted) == 1


def test_a_person_who_knows_of_the_change_says_so(posted):
    person = Knows()
    person.expected = True
    ScriptedDesk(person, posted.append).listen(ask_labels())
    assert [one.answer for one in posted] == ["expected"]


def test_a_choice_is_made_by_the_person(posted):
    ScriptedDesk(Knows(), posted.append).listen(ask_choice())
    assert [(one.question, one.answer) for one in posted] == [("q", "approve")]


def test_the_same_question_gets_the_same_answer_id_so_that_answering_twice_says_nothing(posted):
    for _ in range(2):
        ScriptedDesk(Knows(), posted.append).listen(ask_labels())
    assert posted[0].id == posted[1].id


def test_a_slow_person_answers_later_and_holds_nobody_up(posted):
    answered = threading.Event()
    person = Knows()
    person.delay = 0.001
    ScriptedDesk(person, lambda message: (posted.append(message), answered.set())).listen(ask_labels())
    assert answered.wait(5.0)
    assert [one.seq for one in posted] == [1]


def test_when_records_lose_their_numbers_the_person_no_longer_knows_what_is_asked(posted):
    desk = ScriptedDesk(Knows(), posted.append)
    desk.listen(ask_labels(items=(1, 2, 3)))
    desk.listen(given("q", 1, 1))
    desk.listen(LogBegun(id="l", source="tracker", log="new"))
    assert {(one.seq, one.answer) for one in posted if one.answer == "skip"} == {(1, "skip"), (2, "skip"), (3, "skip")}
    assert posted[2].id == posted[0].id  # what was answered before keeps its answer: the desk knows this id
    desk.listen(given("q", 2, 1))
    assert len(posted) == 5
