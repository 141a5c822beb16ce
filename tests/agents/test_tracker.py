"""The tracker: each record once and in order, whatever fails on the way."""

import pytest

from agents.messages import (
    AgentFailed,
    EvidenceSaved,
    EvidenceUpdated,
    HandOverRecords,
    LogBegun,
    ReadRecords,
    RecordLive,
    RecordsLost,
    Tick,
)
from agents.tracker import READ_LIMIT, Tracker
from tests.agents.helpers import DEPLOYMENT, expired, failed, kinds, live, records

TICK = Tick(id="tick-1")


def read(first, last, **more):
    return records(first, last, **more)


def weighed(cursor):
    return EvidenceUpdated(id=f"weighed-{cursor}", source="checker", cursor=cursor, log_evidence=0.0)


@pytest.fixture
def tracker():
    """A tracker that knows the log and has read nothing yet."""
    tracker = Tracker(DEPLOYMENT)
    tracker.receive(TICK)
    tracker.receive(read(1, 0))
    tracker.receive(read(1, 0, id="again"))
    assert tracker.state == "idle"
    return tracker


def test_a_tick_makes_an_idle_tracker_read_on_from_its_cursor(tracker):
    [request] = tracker.receive(TICK)
    assert isinstance(request, ReadRecords)
    assert (request.after, request.limit) == (0, READ_LIMIT)


def test_a_tick_that_comes_while_a_read_is_under_way_asks_for_nothing(tracker):
    tracker.receive(TICK)
    assert tracker.receive(Tick(id="tick-2")) == []


def test_what_was_read_is_handed_over_by_its_numbers(tracker):
    tracker.receive(TICK)
    [request] = tracker.receive(read(1, 3))
    assert isinstance(request, HandOverRecords)
    assert (request.log, request.first, request.last, request.pipeline) == ("log", 1, 3, "first")


def test_the_cursor_moves_on_when_the_checker_has_weighed_the_window_and_not_before(tracker):
    tracker.receive(TICK)
    tracker.receive(read(1, 3))
    assert tracker.receive(Tick(id="tick-2")) == []
    tracker.receive(weighed(3))
    [request] = tracker.receive(Tick(id="tick-3"))
    assert request.after == 3


@pytest.mark.parametrize(("rate", "limit"), [(100, 20), (1000, 200), (1e9, READ_LIMIT)])
def test_in_a_heartbeat_it_asks_for_no_more_records_than_the_policy_lets_it_look_at(rate, limit):
    [request] = Tracker(DEPLOYMENT, rate).receive(TICK)
    assert request.limit == limit


def test_of_very_many_records_every_kth_is_handed_over_and_the_next_read_begins_behind_all_of_them(tracker):
    tracker.receive(TICK)
    [request] = tracker.receive(read(1, 1000, every=5))
    assert (request.first, request.last, request.every) == (1, 1000, 5)
    assert tracker.receive(weighed(1000)) == []
    [request] = tracker.receive(Tick(id="tick-2"))
    assert request.after == 1000


def test_nothing_new_means_idle_again(tracker):
    tracker.receive(TICK)
    assert tracker.receive(read(1, 0)) == []
    assert kinds(tracker.receive(Tick(id="tick-2"))) == ["ReadRecords"]


def test_lost_records_are_told_with_their_number(tracker):
    tracker.receive(TICK)
    lost, request = tracker.receive(read(501, 600, lost=500))
    assert isinstance(lost, RecordsLost)
    assert (lost.first, lost.count) == (501, 500)
    assert (request.first, request.lost) == (501, 500)


def test_a_new_log_is_read_from_its_beginning(tracker):
    tracker.receive(TICK)
    tracker.receive(read(1, 900))
    tracker.receive(weighed(900))
    tracker.receive(Tick(id="tick-2"))
    begun, request = tracker.receive(read(1, 0, log="another", id="after restart"))
    assert isinstance(begun, LogBegun)
    assert begun.log == "another"
    assert request.after == 0


@pytest.mark.parametrize("answer", [failed, expired])
def test_a_read_that_fails_or_takes_too_long_is_tried_again_at_the_next_tick(tracker, answer):
    [request] = tracker.receive(TICK)
    assert tracker.receive(answer(request)) == []
    assert kinds(tracker.receive(Tick(id="tick-2"))) == ["ReadRecords"]


def test_an_answer_that_comes_after_its_deadline_is_not_handed_over_twice(tracker):
    [request] = tracker.receive(TICK)
    tracker.receive(expired(request))
    assert tracker.receive(read(1, 3)) == []
    tracker.receive(Tick(id="tick-2"))
    assert kinds(tracker.receive(read(1, 3, id="second"))) == ["HandOverRecords"]


@pytest.mark.parametrize("answer", [failed, expired])
def test_records_that_could_not_be_handed_over_are_read_again(tracker, answer):
    tracker.receive(TICK)
    [request] = tracker.receive(read(1, 3))
    assert tracker.receive(answer(request)) == []
    [again] = tracker.receive(Tick(id="tick-2"))
    assert (type(again), again.after) == (ReadRecords, 0)


def test_a_window_that_the_checker_cannot_weigh_does_not_stop_the_reading(tracker):
    tracker.receive(TICK)
    tracker.receive(read(1, 3))
    tracker.receive(AgentFailed(id="f", source="checker", agent="checker", message="WindowObserved", reason="bad"))
    [request] = tracker.receive(Tick(id="tick-2"))
    assert request.after == 3


def test_another_agents_failure_does_not_make_it_skip_a_window(tracker):
    tracker.receive(TICK)
    tracker.receive(read(1, 3))
    tracker.receive(AgentFailed(id="f", source="planner", agent="planner", message="LabelGiven", reason="bad"))
    assert tracker.state == "checking"


def test_what_goes_live_is_noted_with_version_and_reason(tracker):
    [request] = tracker.receive(live("filter", incident="digits-1"))
    assert isinstance(request, RecordLive)
    assert (request.pipeline, request.version, request.reason, request.incident) == ("filter", "1", "test", "digits-1")


def test_a_restored_tracker_reads_on_from_what_the_checker_has_saved(tracker):
    saved = EvidenceSaved(id="s", source="checker", cursor=2000, weighed=2000, log_evidence=0.0, pipeline="first", state=b"")
    restored = Tracker(DEPLOYMENT)
    restored.restore([LogBegun(id="b", source="tracker", log="log"), saved])
    [request] = restored.receive(TICK)
    assert request.after == 2000
    assert kinds(restored.receive(read(2001, 2100))) == ["HandOverRecords"]


def test_a_record_of_what_is_live_names_its_cause(tracker):
    message = live("filter")
    [request] = tracker.receive(message)
    assert isinstance(request, RecordLive)
    assert request.cause == message.id
    assert tracker.receive(failed(request)) == []


def test_a_checker_that_was_restored_sends_the_tracker_back_to_what_it_has_not_weighed():
    tracker = Tracker(DEPLOYMENT)
    tracker.log, tracker.cursor, tracker.state = "log", 40, "checking"
    tracker.receive(EvidenceUpdated(id="e", source="checker", cursor=20, log_evidence=0.0))
    [read] = tracker.receive(Tick(id="t"))
    assert read.after == 20
