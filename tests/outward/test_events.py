import json

from agents.messages import EvidenceSaved, IncidentOpened, KINDS, RemedyPrepared
from agents.outward.events import Events, event

REQUIRED = {"specversion", "id", "source", "type"}


def test_an_event_has_what_cloudevents_wants_and_no_empty_attribute():
    opened = IncidentOpened(id="a", source="checker", deployment="digits", incident="digits-1", time=2.0, pipeline="first", onset=1, alarm_at=2, log_evidence=14.0)
    found = event(12, opened)
    assert set(found) >= REQUIRED and found["specversion"] == "1.0" and "cause" not in found
    assert all(name.isalnum() and name == name.lower() for name in found)
    assert found["data"]["onset"] == 1 and "incident" not in found["data"]


def test_sequence_sorts_as_text_as_the_ledger_does():
    prepared = RemedyPrepared(id="a", remedy="filter", pipeline="f", accuracy_clean=1.0, clean_loss=0.0, latency_added=0.0, seconds=1.0, version="1")
    assert event(9, prepared)["sequence"] < event(10, prepared)["sequence"]


def test_bytes_stay_at_home():
    saved = EvidenceSaved(id="a", time=1.0, cursor=2, weighed=2, log_evidence=0.5, pipeline="p", state=b"12345", checks={"decay": b"678"})
    assert event(1, saved)["data"] == {"to": "", "cursor": 2, "weighed": 2, "log_evidence": 0.5, "pipeline": "p", "checks": {}}


def test_a_batch_is_an_array_of_events():
    saved = EvidenceSaved(id="a", time=1.0, cursor=2, weighed=2, log_evidence=0.5, pipeline="p", state=b"")
    [parcel] = Events("https://example.org").pack([(3, saved), (5, saved)])
    assert [one["sequence"][-1] for one in json.loads(parcel.body)] == ["3", "5"] and parcel.position == 5
    assert Events("https://example.org").pack([]) == []


def test_every_kind_of_message_has_a_type_of_its_own():
    assert len({f"scanflow.{name}" for name in KINDS}) == len(KINDS)
