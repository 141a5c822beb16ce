import msgspec
import pytest

from agents.messages import (
    ChoiceMade, DriftEnded, EvidenceSaved, HarmAssessed, IncidentClosed, IncidentOpened, Label, LabelGiven, LogBegun, PipelineLive, PolicySet, PrepareRemedy,
    RequestFailed, SecondOpinion, WindowAnalysed,
)  # fmt: skip
from agents.reports.account import ReportError, of_incident, of_period
from agents.reports.costs import Lost, cost, lost
from agents.reports.people import people


class Tale:
    """Messages about digits-1, a second apart."""

    def __init__(self):
        self.messages = []

    def say(self, kind, incident="digits-1", **fields):
        number = len(self.messages) + 1
        self.messages.append(kind(id=f"m{number}", time=float(number), deployment="digits", incident=incident, **fields))
        return self

    def opened(self):
        return self.say(IncidentOpened, pipeline="first", onset=501, alarm_at=510, log_evidence=14.0)

    def harm(self, accuracy=0.5, interval=(0.3, 0.8)):
        return self.say(
            HarmAssessed, harmful=True, reason="it does", accuracy=accuracy, interval=interval, clean_accuracy=0.9, estimated_accuracy=0.5, pipeline="first",
            window="w", last=1000, classes=("a", "b"), audit=(Label(1, 1, "ana"),), teaching=(),
        )  # fmt: skip

    def live(self, pipeline, since, incident="digits-1"):
        return self.say(PipelineLive, incident, pipeline=pipeline, previous="", reference="r", base="first", gated=True, since=since, version="2", reason="r")

    def lost(self):
        return lost([one for one in self.messages if one.incident == "digits-1"], self.messages)


def test_records_count_as_lost_from_the_onset_until_the_remedy_is_live():
    found = Tale().opened().harm().live("filter", 1501).say(EvidenceSaved, "", cursor=9000, weighed=9000, log_evidence=0.0, pipeline="filter", state=b"").lost()
    assert found == Lost(1000, at_least=False, per_record=(pytest.approx(0.4), pytest.approx(0.1), pytest.approx(0.6)), basis="audit labels")
    assert (found.count, found.interval) == (pytest.approx(400), (pytest.approx(100), pytest.approx(600)))


def test_after_an_undoing_records_count_again_until_the_incident_closes():
    tale = Tale().opened().harm().live("filter", 1501).live("first", 2001).say(EvidenceSaved, "", cursor=2300, weighed=1, log_evidence=0.0, pipeline="first", state=b"")
    tale.say(IncidentClosed, outcome="undone", reason="r").say(EvidenceSaved, "", cursor=9000, weighed=1, log_evidence=0.0, pipeline="first", state=b"")
    assert (tale.lost().records, tale.lost().at_least) == (1300, True)


def test_a_drift_that_ends_unmended_stops_counting():
    assert Tale().opened().harm().say(DriftEnded, pipeline="first", at=700).lost().records == 200


def test_a_log_that_begins_anew_makes_it_at_least_so_many():
    found = Tale().opened().harm().say(LogBegun, "", log="two").live("filter", 101).lost()
    assert (found.records, found.at_least) == (500 + 100, True)


def test_without_labels_the_loss_rests_on_the_estimate_and_says_so():
    tale = Tale().opened().say(
        WindowAnalysed, window="w", last=1000, records=500, mmd=0.1, mmd_p=0.01, ks=0.5, ks_p=0.01, clean_accuracy=0.9, estimated_accuracy=0.6, estimate_error=0.1,
        audit=(), teaching=(), predicted={}, classes=("a",),
    )  # fmt: skip
    assert tale.lost().basis == "an estimate without labels"
    assert tale.lost().per_record == (pytest.approx(0.3), pytest.approx(0.2), pytest.approx(0.4))


def test_where_nothing_tells_of_the_accuracy_no_loss_is_made_up():
    assert Tale().opened().lost() is None


def test_a_remedy_that_failed_costs_computing_until_it_failed():
    tale = Tale().opened().say(PrepareRemedy, remedy="filter", base="first", pipeline="f", window="w", teaching=(), seed=0)
    tale.say(RequestFailed, request="PrepareRemedy", reason="no memory")
    tale.messages[-1] = msgspec.structs.replace(tale.messages[-1], cause="m2", time=40.0)
    assert cost(tale.messages, tale.messages).computing == 38.0


def test_people_are_told_apart_and_a_default_is_nobody():
    tale = Tale().say(LabelGiven, question="q", label=Label(1, 1, "ana")).say(LabelGiven, question="q", label=Label(2, None, "ana"))
    tale.say(SecondOpinion, question="q", first=Label(1, 1, "ana"), second=Label(1, 0, "bob"))
    tale.say(ChoiceMade, question="approve", option="decline", by="default")
    ana, bob = people(tale.messages)
    assert (ana.name, ana.audit, ana.no_class, ana.compared, ana.agreed) == ("ana", 2, 1, 1, 0)
    assert (bob.name, bob.audit, bob.compared) == ("bob", 0, 1)


def test_an_incident_that_is_not_known_is_answered_with_the_nearest():
    with pytest.raises(ReportError, match=r"no incident 'digits-7' is on record; did you mean 'digits-1'"):
        of_incident(Tale().opened().messages, "digits-7")


def test_an_empty_period_says_what_there_is():
    with pytest.raises(ReportError, match="what is on record is from 1970-01-01 00:00:01 UTC"):
        of_period(Tale().opened().messages, 500.0, 600.0, "then")
    with pytest.raises(ReportError, match="the ledger is empty"):
        of_period([], 0.0, 1.0, "then")


def test_a_period_holds_what_was_going_on_in_it_and_a_deployment_only_its_own():
    tale = Tale().opened().say(LogBegun, "", log="two").say(IncidentClosed, outcome="harmless", reason="r").say(LogBegun, "", log="three")
    assert [one.incident for one in of_period(tale.messages, 2.0, 2.5, "t").incidents] == ["digits-1"]
    assert of_period(tale.messages, 2.0, 2.5, "t").still_open == ("incident digits-1 (drift), since 1970-01-01 00:00:01 UTC",)
    assert not of_period(tale.messages, 4.0, 5.0, "t").incidents
    with pytest.raises(ReportError, match="no deployment 'digit' is on record; did you mean 'digits'"):
        of_period(tale.messages, 0.0, 5.0, "t", "digit")


def test_a_changed_policy_is_told_rule_by_rule():
    tale = Tale().say(PolicySet, "", policy={"labels": {"harm": 6}}).say(PolicySet, "", policy={"labels": {"harm": 8}})
    [change] = of_period(tale.messages, 0.0, 5.0, "t").changes
    assert (change.what, change.before, change.after) == ("policy", "labels.harm = 6", "labels.harm = 8")


def test_the_account_of_a_played_incident_holds_who_did_what(played):
    _, messages = played
    account = of_incident(messages, "digits-1")
    [told] = account.incidents
    assert (told.outcome, told.remedy, told.cost.labels_given, told.cost.computing) == ("verified", "filter", 6, 128.0)
    assert (told.cost.lost.records, told.cost.lost.at_least, told.cost.latency_added) == (809, False, 0.00043)
    assert 12.0 <= told.cost.people < 13.0
    assert [(one.name, one.audit, one.decisions) for one in account.people] == [("ana", 6, 0), ("bob", 0, 1)]
    approval = account.questions[-1]
    assert (approval.purpose, approval.by, approval.outcome, approval.reason) == ("decision", ("bob",), "approve", "the classifier stays as it was certified")
    assert [(one.what, one.after) for one in account.changes] == [("live pipeline", "digits-1-filter")]
