"""What a rehearsal says when a drift raises no alarm: that is a fault only where there was something to mend."""

from types import SimpleNamespace

import pytest

from agents.board import Board
from agents.messages import IncidentOpened
from agents.rehearsal import Rehearsal
from scenarios.replay import load_scenario
from tests.agents.helpers import DEPLOYMENT, INCIDENT, incident_closed, live


def rehearsal(*outcomes):
    """A rehearsal of the default scenario, and the board of a deployment whose incidents so far ended like this."""
    board = Board(DEPLOYMENT)
    board.listen(live("digits-1-retrain"))
    for outcome in outcomes:
        board.listen(IncidentOpened(id="o", source="checker", incident=INCIDENT, pipeline="first", onset=1, alarm_at=2, log_evidence=14.0))
        board.listen(incident_closed(outcome))
    replay, ledger = SimpleNamespace(scenario=load_scenario("default")), SimpleNamespace(messages=list)
    return Rehearsal(replay, board, ledger, pump=lambda _sent: None), board


def outcome(state="none", clean=0.98, drifted=0.975):
    return {"state": state, "clean_before": clean, "as_is": drifted, "after": drifted, "detected_after": None}


def test_a_drift_that_an_earlier_run_has_mended_is_no_fault():
    again, _ = rehearsal("verified")
    assert again.is_known(outcome())
    assert again.broken(outcome()) == []


@pytest.mark.parametrize("found", [outcome(drifted=0.6), outcome(state="undone"), outcome(clean=None)])
def test_a_drift_that_still_hurts_is_one_whatever_was_done_before(found):
    assert rehearsal("verified")[0].broken(found)


def test_a_first_run_that_notices_nothing_is_one():
    assert rehearsal()[0].broken(outcome())


@pytest.mark.parametrize(
    ("before", "why"), [((), "too small"), (("verified",), f"knows such images since {INCIDENT}"), (("undone",), f"{INCIDENT} ended undone")]
)
def test_why_there_was_no_alarm_is_told(before, why):
    again, board = rehearsal(*before)
    assert why in again._why_not(board.status().incidents)
