"""Sensors look when they are due, read what the agents know, and remember when they looked; what is held back is told when it is over."""

import msgspec
import pytest

from agents.messages import (
    ActuatorHeld, AuditMeasured, EvidenceUpdated, HoldEnded, IncidentOpened, LogBegun, LookAtRecords, ReadRecords, RecordsLookedAt, SensorRead, Tick,
)
from agents.strategy.settings import Sensor
from agents.tracker import Tracker
from tests.agents.helpers import DEPLOYMENT, INCIDENT, ask_choice, ask_labels, closed, expired, failed, harm, incident_closed, live


def tick(time):
    return Tick(id=f"tick-{time}", time=float(time))


def tracker(**sensors):
    agent = Tracker(DEPLOYMENT, sensors=sensors)
    agent.log = "log"
    return agent


def weighed(agent, cursor, evidence=0.0):
    agent.state = "checking"
    agent.receive(EvidenceUpdated(id=f"weighed-{cursor}", source="checker", cursor=cursor, log_evidence=evidence))


def looks(said):
    return [message for message in said if isinstance(message, SensorRead | LookAtRecords)]


def read(agent, time):
    [one] = looks(agent.receive(tick(time)))
    return one.values


def test_a_sensor_looks_each_so_many_seconds_from_the_first_heartbeat_on():
    agent = tracker(pulse=Sensor(every_seconds=10, reads=("records",)))
    due = [time for time in range(100, 131) if looks(agent.receive(tick(time)))]
    assert due == [110, 120, 130]


def test_a_sensor_looks_each_so_many_records():
    agent = tracker(pulse=Sensor(every_records=100, reads=("records",)))
    agent.receive(tick(1))
    weighed(agent, 99)
    assert not looks(agent.receive(tick(2)))
    weighed(agent, 130)
    assert read(agent, 3) == {"records": 130.0}
    weighed(agent, 229)
    assert not looks(agent.receive(tick(4)))
    weighed(agent, 230)
    assert read(agent, 5) == {"records": 230.0}


def test_a_sensor_looks_when_cron_says_so_and_once_after_a_pause_however_long():
    agent = tracker(daily=Sensor(cron="0 6 * * *"))
    assert not looks(agent.receive(tick(0)))
    assert not looks(agent.receive(tick(6 * 3600 - 1)))
    assert len(looks(agent.receive(tick(6 * 3600)))) == 1
    assert not looks(agent.receive(tick(6 * 3600 + 1)))
    assert len(looks(agent.receive(tick(9 * 86_400)))) == 1
    assert not looks(agent.receive(tick(9 * 86_400 + 1)))


def test_a_sensor_looks_on_a_message_and_reads_its_numbers():
    agent = tracker(hurt=Sensor(on="HarmAssessed", reads=("open_incidents",)))
    assert not looks(agent.receive(tick(1)))
    [seen] = looks(agent.receive(harm()))
    assert seen.values == {"harmful": 1.0, "accuracy": 0.3, "clean_accuracy": 0.99, "estimated_accuracy": 0.4, "last": 40.0, "open_incidents": 0.0}


def test_it_reads_what_the_agents_know():
    names = ("records", "records_per_second", "log_evidence", "open_incidents", "records_since_incident", "seconds_since_live", "records_since_live", "records_since_audit")
    agent = tracker(pulse=Sensor(every_seconds=10, reads=names))
    assert agent.receive(tick(0))
    agent.receive(live(since=1, time=2.0))
    weighed(agent, 200, evidence=3.5)
    agent.receive(IncidentOpened(id="o", incident=INCIDENT, pipeline="first", onset=120, alarm_at=150, log_evidence=14.0))
    agent.receive(AuditMeasured(id="a", pipeline="first", accuracy=1.0, low=0.5, high=1.0, labels=3, clean_accuracy=0.99))
    weighed(agent, 250, evidence=4.5)
    [seen] = looks(agent.receive(tick(10)))
    assert seen.values == {
        "records": 250.0, "records_per_second": 25.0, "log_evidence": 4.5, "open_incidents": 1.0, "records_since_incident": 100.0, "seconds_since_live": 8.0,
        "records_since_live": 250.0, "records_since_audit": 50.0,
    }  # fmt: skip
    assert seen.during == INCIDENT
    agent.receive(incident_closed())
    assert read(agent, 20)["open_incidents"] == 0


def test_what_nobody_knows_yet_is_left_out():
    agent = tracker(pulse=Sensor(every_seconds=10, reads=("seconds_since_live", "records")))
    agent.receive(tick(0))
    assert read(agent, 10) == {"records": 0.0}


@pytest.fixture
def estimating():
    """A tracker with a sensor that has asked what the newest records look like."""
    agent = tracker(pulse=Sensor(every_seconds=10, reads=("estimated_accuracy", "records"), of=300))
    agent.receive(tick(0))
    [asked] = looks(agent.receive(tick(10)))
    assert (asked.reads, asked.count, asked.known) == (("estimated_accuracy",), 300, {"records": 0.0})
    return agent, asked


def looked_at(asked):
    return RecordsLookedAt(id="l", source="analysis", to="tracker", cause=asked.id, sensor="pulse", records=300, values={"estimated_accuracy": 0.8}, time=11.0)


def test_what_must_be_computed_from_records_is_asked_for_and_read_with_the_rest(estimating):
    agent, asked = estimating
    [seen] = agent.receive(looked_at(asked))
    assert (seen.values, seen.at, seen.cause) == ({"estimated_accuracy": 0.8, "records": 0.0}, 10.0, "l")
    assert agent.receive(looked_at(asked)) == []


@pytest.mark.parametrize("answer", [failed, expired])
def test_a_look_that_fails_is_left_out_and_the_next_one_comes_when_it_is_due(estimating, answer):
    agent, asked = estimating
    assert agent.receive(answer(asked)) == []
    assert agent.receive(looked_at(asked)) == []
    assert len(looks(agent.receive(tick(20)))) == 1


def test_a_restored_tracker_neither_looks_again_nor_forgets_what_it_has_asked_for(estimating):
    agent, asked = estimating
    restored = tracker(**agent.sensors.chosen)
    restored.restore([msgspec.structs.replace(asked, time=10.5)])
    assert not looks(restored.receive(tick(19)))
    [seen] = restored.receive(looked_at(asked))
    assert isinstance(seen, SensorRead)
    assert len(looks(restored.receive(tick(20)))) == 1


def test_a_new_log_is_counted_from_its_beginning():
    agent = tracker(pulse=Sensor(every_records=100, reads=("records_since_live",)))
    agent.receive(live(since=1))
    weighed(agent, 500)
    agent.receive(tick(1))
    weighed(agent, 700)
    assert read(agent, 2) == {"records_since_live": 700.0}
    agent.recall(LogBegun(id="b", source="tracker", log="new"))
    weighed(agent, 99)
    assert not looks(agent.receive(tick(3)))
    weighed(agent, 100)
    assert read(agent, 4) == {"records_since_live": 101.0}


# --- what is held back ---


def held(**until):
    return ActuatorHeld(id="h", source="planner", incident=INCIDENT, actuator="deploy", reason="too soon", waits=True, **until)


def ended(said):
    return [message for message in said if isinstance(message, HoldEnded)]


def test_the_end_of_a_hold_is_told_once_to_who_waits():
    agent = tracker()
    agent.receive(held(until=50.0))
    assert not ended(agent.receive(tick(49)))
    [end] = ended(agent.receive(tick(50)))
    assert (end.to, end.cause, end.actuator, end.incident) == ("planner", "h", "deploy", INCIDENT)
    assert not ended(agent.receive(tick(51)))


def test_a_hold_ends_when_both_its_time_and_its_record_have_come():
    agent = tracker()
    agent.receive(held(until=50.0, until_record=300))
    weighed(agent, 299)
    assert not ended(agent.receive(tick(60)))
    weighed(agent, 300)
    [end] = ended(agent.receive(tick(61)))
    assert end.record == 300


def test_nobody_waits_for_a_record_of_a_log_that_is_gone():
    agent = tracker()
    agent.receive(held(until_record=300))
    agent.recall(LogBegun(id="b", source="tracker", log="new"))
    assert len(ended(agent.receive(tick(1)))) == 1


def test_what_does_not_wait_is_not_told():
    agent = tracker()
    agent.receive(msgspec.structs.replace(held(until=5.0), waits=False))
    assert not ended(agent.receive(tick(9)))


def test_a_restored_tracker_knows_which_holds_have_ended():
    end = HoldEnded(id="e", source="tracker", to="planner", cause="h", actuator="deploy", record=9)
    waiting, told = tracker(), tracker()
    waiting.restore([held(until=5.0)])
    told.restore([held(until=5.0), end])
    assert len(ended(waiting.receive(tick(9)))) == 1
    assert not ended(told.receive(tick(9)))


def test_without_a_strategy_a_heartbeat_means_reading_and_nothing_else():
    [only] = tracker().receive(tick(1))
    assert isinstance(only, ReadRecords)


def test_a_sensor_tells_how_many_questions_wait_and_for_how_long_the_oldest_has():
    agent = tracker(pulse=Sensor(every_seconds=10, reads=("open_questions", "seconds_since_question")))
    agent.receive(tick(0))
    assert read(agent, 10) == {"open_questions": 0.0, "seconds_since_question": 0.0}
    agent.receive(msgspec.structs.replace(ask_labels("first"), time=12.0))
    agent.receive(msgspec.structs.replace(ask_choice("second"), time=15.0))
    assert read(agent, 20) == {"open_questions": 2.0, "seconds_since_question": 8.0}
    agent.receive(closed("first", "expired"))
    assert read(agent, 30) == {"open_questions": 1.0, "seconds_since_question": 15.0}
    agent.receive(closed("second"))
    assert read(agent, 40) == {"open_questions": 0.0, "seconds_since_question": 0.0}
