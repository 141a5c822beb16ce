"""What people read: the story of an incident, and the board with all that is open."""

import threading

import msgspec
import pytest

from agents.board import Board
from agents.messages import KINDS, AnswerRefused, EvidenceUpdated, IncidentOpened, Label, RemedyChosen, SecondOpinion, Tick
from agents.planner import Planner
from agents.policy import Policy
from agents.story import line, table, tell
from tests.agents.helpers import DEPLOYMENT, INCIDENT, ask_choice, ask_labels, chosen, closed, given, incident_closed, live, measured, remedy
from tests.agents.test_messages import example


MACHINERY = {
    "Request", "Tick", "ReadRecords", "RecordsRead", "HandOverRecords", "WindowObserved", "EvidenceUpdated", "EvidenceSaved", "AnalyseWindow",
    "AdoptChange", "CloseQuestion", "ShadowPipeline", "RecordLive", "LiveRecorded", "LookAtRecords", "RecordsLookedAt",
    "SensorRead", "DrawAudit", "AuditDrawn", "KeepTime", "TimeCame",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_message_has_a_line_but_those_that_only_keep_the_machinery_going(kind):
    told = line(example(kind))
    assert bool(told) == (kind.__name__ not in MACHINERY)
    assert "\n" not in told


def test_a_story_counts_seconds_from_its_beginning_and_holds_the_planners_table():
    planner = Planner(DEPLOYMENT, Policy())
    planner.receive(live())
    asked = measured(remedy("filter"), remedy("retrain", clean_loss=0.1), failed={"fine_tune": "out of memory"})
    said = [asked, *planner.receive(asked), incident_closed()]
    told = tell([msgspec.structs.replace(message, time=100.0 + number) for number, message in enumerate(said)])
    assert told[0].startswith("    0.0 s  improver")
    assert told[-1].startswith("    3.0 s  planner")
    assert told[-1].endswith("digits-1 is closed, verified: test")
    text = "\n".join(told)
    assert "CHOSEN; fits" in text
    assert "loses 0.1000 on clean data, more than 0.005" in text
    assert "failed: out of memory" in text


def test_single_answers_are_told_by_their_number_not_one_by_one():
    assert tell([given("q", 1, 0)]) == []


def test_the_table_has_one_row_a_remedy_with_its_price():
    head, nothing, filters = table(measured(remedy("filter")), RemedyChosen(id="c", remedy="filter", pipeline="f", reason="", verdicts={"filter": "fits"}))
    assert head.split()[:2] == ["remedy", "gain"]
    assert nothing.startswith("nothing")
    assert filters.split() == ["filter", "+0.10..+0.30", "0.800", "0.70..0.90", "0.9900", "1.00", "5", "20", "CHOSEN;", "fits"]


@pytest.fixture
def board():
    return Board(DEPLOYMENT)


def told(board, *messages):
    for message in messages:
        board.listen(message)
    return board


OPENED = IncidentOpened(id="o", source="checker", incident=INCIDENT, pipeline="first", onset=11, alarm_at=20, log_evidence=15.0)


def test_the_board_shows_open_questions_with_the_answers_so_far(board):
    told(board, ask_labels(), ask_choice("yes or no"), given("q", 1, 2), given("q", 2, -1))
    labels, choice = board.questions()
    assert (labels.kind, labels.answers) == ("labels", {1: "two", 2: "none of these"})
    assert (choice.kind, choice.options, choice.default) == ("choice", ("approve", "decline"), "decline")


def test_a_closed_question_leaves_the_board_and_its_outcome_stays(board):
    told(board, ask_labels(), closed("q", "expired"))
    assert board.questions() == []
    assert (board.closed("q"), board.closed("other")) == ("expired", None)


def test_an_incident_is_open_until_it_has_an_outcome(board):
    told(board, OPENED)
    assert board.open_incidents() == [INCIDENT]
    told(board, incident_closed("undone"))
    assert board.open_incidents() == []
    assert board.incident(INCIDENT).outcome == "undone"


def test_the_status_knows_what_is_live_and_how_far_the_records_are_weighed(board):
    told(board, live("filter", base="first"), EvidenceUpdated(id="e", cursor=120, log_evidence=2.5))
    status = board.status()
    assert (status.pipeline, status.base, status.cursor, status.log_evidence, status.counts["PipelineLive"]) == ("filter", "first", 120, 2.5, 1)


def test_that_only_one_record_in_so_many_is_looked_at_is_said_in_the_status_and_in_the_story(board):
    told(board, EvidenceUpdated(id="e", cursor=120, log_evidence=2.5))
    assert board.status().every == 1
    told(board, EvidenceUpdated(id="f", cursor=5120, log_evidence=2.5, every=5))
    assert board.status().every == 5
    assert line(msgspec.structs.replace(OPENED, every=5)).endswith(", looking at 1 in 5)")
    assert "looking" not in line(OPENED)


def test_events_are_numbered_and_heartbeats_are_none(board):
    told(board, live(), Tick(id="t"), incident_closed())
    assert [number for number, _, _ in board.events(after=0)] == [1, 2]
    assert [number for number, _, _ in board.events(after=1)] == [2]


def test_who_answered_learns_whether_the_answer_was_taken_and_why_not(board):
    refused = AnswerRefused(id="r", cause="offer-1", question="q", by="ann", reason="too late")
    told(board, refused, msgspec.structs.replace(given("q", 1, 0), cause="offer-2"), msgspec.structs.replace(chosen("q", "approve"), cause="offer-3"))
    assert [board.outcome_of(offer, timeout=0) for offer in ("offer-1", "offer-2", "offer-3", "offer-4")] == ["too late", "", "", None]


def test_how_often_two_people_agree_is_counted_and_disagreement_is_told(board):
    bob = [SecondOpinion(id=f"s{label}", cause=f"offer-{label}", question="q", first=Label(1, 0, "ann"), second=Label(1, label, "bob")) for label in (0, 2)]
    told(board, *bob)
    status = board.status()
    assert (status.compared, status.agreed) == (2, 1)
    assert [text for _, _, text in board.events(after=0)] == ["bob and ann agree on record 1", "bob and ann disagree on record 1: the answer of ann holds"]
    assert [board.outcome_of(offer, timeout=0) for offer in ("offer-0", "offer-2")] == ["", ""]


def test_an_answer_that_came_when_others_were_enough_is_no_news(board):
    told(board, AnswerRefused(id="r", cause="offer-1", question="q", by="ann", reason="this question is closed (settled)"))
    assert board.events(after=0) == []
    assert board.outcome_of("offer-1", timeout=0)  # but who gave it is told


def test_what_went_live_on_trial_is_no_longer_called_so_when_it_was_verified(board):
    trial = msgspec.structs.replace(live("filter"), incident=INCIDENT, reason="filter for digits-1, provisional")
    told(board, OPENED, trial)
    assert board.status().reason.endswith("provisional")
    told(board, incident_closed("verified"))
    assert board.status().reason == "filter for digits-1, verified"


def test_waiting_ends_with_the_event_that_was_waited_for(board):
    thread = threading.Thread(target=board.listen, args=[OPENED])
    thread.start()
    assert board.wait_for(lambda: board.open_incidents() == [INCIDENT], timeout=5.0)
    thread.join()


def test_what_the_board_gives_away_is_a_copy(board):
    told(board, ask_labels(), OPENED)
    board.questions()[0].answers[1] = "forged"
    board.status().incidents[0].outcome = "forged"
    assert board.questions()[0].answers == {}
    assert board.open_incidents() == [INCIDENT]
