"""The ledger: what is not in it did not happen, and what is in it happened once."""

import itertools

import pytest

from agents.ledger import Ledger
from agents.messages import DriftEnded, EvidenceUpdated, IncidentClosed, IncidentOpened, QuestionClosed, Tick, UndoAsked
from tests.agents.helpers import INCIDENT, ask_labels, closed, incident_closed


@pytest.fixture(params=["memory", "file"])
def ledger(request, tmp_path):
    counter = itertools.count(1)

    def clock():
        return float(next(counter))

    ledger = Ledger(clock=clock) if request.param == "memory" else Ledger.in_folder(tmp_path, clock=clock)
    yield ledger
    ledger.close()


def asked(number):
    return UndoAsked(id=f"u{number}", source="console", by="ann")


def test_a_message_is_stamped_when_it_enters(ledger):
    [first] = ledger.append([asked(1)])
    [second] = ledger.append([asked(2)])
    assert 0 < first.time < second.time


def test_a_message_that_has_a_time_keeps_it(ledger):
    [stamped] = ledger.append([UndoAsked(id="u", by="ann", time=99.5)])
    assert stamped.time == 99.5
    assert ledger.messages()[0].time == 99.5


def test_a_second_append_of_the_same_id_says_nothing(ledger):
    assert len(ledger.append([asked(1)])) == 1
    assert ledger.append([asked(1)]) == []
    assert len(ledger.messages()) == 1


def test_messages_come_back_as_they_were_in_order(ledger):
    told = ledger.append([incident_closed(), ask_labels(), closed("q")])
    assert ledger.messages() == told
    assert ledger.messages(QuestionClosed) == [told[2]]


def test_transient_messages_are_passed_on_and_not_kept(ledger):
    [tick] = ledger.append([Tick(id="t")])
    assert tick.time > 0
    assert ledger.append([Tick(id="t")]) != []
    assert ledger.messages() == []


def test_what_an_agent_says_enters_with_the_note_that_it_handled_the_cause(ledger):
    [cause] = ledger.append([asked(1)])
    said = ledger.handled("planner", cause, [incident_closed()])
    assert ledger.undelivered(lambda message: ("planner", "desk") if message == cause else ()) == [(cause, ["desk"])]
    assert ledger.messages() == [cause, *said]


def test_a_note_and_what_was_said_enter_together_or_not_at_all(ledger):
    [cause] = ledger.append([asked(1)])

    def said():
        yield incident_closed()
        raise ConnectionError("the power is gone")

    with pytest.raises(ConnectionError):
        ledger.handled("planner", cause, said())
    assert ledger.undelivered(lambda _: ("planner",)) == [(cause, ["planner"])]
    assert ledger.messages() == [cause]


def test_an_agents_history_is_what_it_handled_and_said_in_the_order_in_which_it_did(ledger):
    first, second, _ = ledger.append([asked(1), asked(2), asked(3)])
    [said] = ledger.handled("planner", second, [incident_closed()])
    ledger.handled("desk", first, [])
    ledger.handled("planner", first, [])
    assert ledger.history("planner") == [second, said, first]
    assert ledger.history("desk") == [first]


def test_what_an_agent_said_from_transient_causes_is_part_of_its_history(ledger):
    window = EvidenceUpdated(id="w", source="tracker", cursor=1, log_evidence=0.0)
    opened = IncidentOpened(id="o", source="checker", incident=INCIDENT, pipeline="first", onset=1, alarm_at=2, log_evidence=9.0)
    [kept] = ledger.handled("checker", window, [opened])
    assert ledger.history("checker") == [kept]


def test_a_story_is_one_incidents_messages(ledger):
    mine, _ = ledger.append([incident_closed(), incident_closed(incident="digits-2")])
    assert ledger.story(INCIDENT) == [mine]
    assert ledger.story("digits-9") == []


def test_undelivered_is_what_some_recipient_has_not_handled(ledger):
    first, second = ledger.append([asked(1), asked(2)])
    ledger.handled("planner", first, [])
    ledger.handled("desk", first, [])
    ledger.handled("planner", second, [])
    assert ledger.undelivered(lambda _: ["planner", "desk"]) == [(second, ["desk"])]
    assert ledger.undelivered(lambda _: []) == []


def test_unanswered_requests_are_those_that_caused_nothing(ledger):
    ledger.append([ask_labels("a"), ask_labels("b")])
    ledger.append([QuestionClosed(id="c", source="desk", cause="ask-a", question="a", outcome="answered")])
    assert [one.question for one in ledger.unanswered([type(ask_labels())])] == ["b"]
    assert ledger.unanswered([DriftEnded]) == []


def test_a_file_is_read_again_by_the_next_one(tmp_path):
    first = Ledger.in_folder(tmp_path, clock=lambda: 1.0)
    first.append([asked(1)])
    first.close()
    again = Ledger.in_folder(tmp_path, clock=lambda: 2.0)
    assert [message.id for message in again.messages()] == ["u1"]
    assert again.append([asked(1)]) == []
    again.close()


def test_closing_is_not_forgetting_the_outcome(ledger):
    ledger.append([incident_closed("undone")])
    [message] = ledger.messages(IncidentClosed)
    assert message.outcome == "undone"
