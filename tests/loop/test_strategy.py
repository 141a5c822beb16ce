"""The strategy of a policy in the whole loop, in one process: rules that ask for an audit, open an incident, and have remedies wait."""

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest

from agents.in_process import InProcess
from agents.messages import (
    ActuatorFired, ActuatorHeld, AskLabels, AuditMeasured, HoldEnded, IncidentOpened, NoteMade, PipelineLive, RuleSwitched, SensorRead, WorkflowRan,
)
from agents.policy import from_toml
from agents.state import State
from agents.story import tell
from scenarios.corruptions import corrupt
from scenarios.datasets import load
from scenarios.scenario import Scenario, Segment

pytestmark = pytest.mark.training

SUNDAY = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
CHEAP = '[remedies]\nprepare = ["recalibrate"]\n[labels]\nchoose = 40\nverify = 40\n'
BLIND = "[detection]\nrun_length = 1e300\n"  # the monitor of drift notices nothing in time


@pytest.fixture
def play(first_model, tmp_path):
    """Plays segments under a policy; each reading of the clock is `seconds` later. Returns the loop."""

    def play(text, *segments, seconds=60.0, pool=None):
        clock = itertools.count(SUNDAY, seconds)
        with State(tmp_path / "state") as state:
            state.pipeline("digits-first").symlink_to(first_model)
            loop = InProcess(state, Scenario(name="strategy", segment=segments), policy=from_toml(CHEAP + text), clock=lambda: float(next(clock)), pool=pool)
            loop.run()
            return loop

    return play


def test_each_monday_morning_a_few_labels_measure_accuracy_though_nothing_has_drifted(play):
    loop = play('[sensors.monday]\ncron = "0 6 * * mon"\n[rules.weekly]\neach = "monday"\nthen = "audit"\nlabels = 8\n', Segment(records=2000), seconds=300.0)
    [look, *_] = loop.ledger.messages(SensorRead)
    assert look.at == pytest.approx(SUNDAY + 18 * 3600, abs=3600)
    [measured, *_] = loop.ledger.messages(AuditMeasured)
    assert measured.labels == 8
    assert measured.accuracy >= 0.75 and measured.low < measured.clean_accuracy <= 1 and measured.high == pytest.approx(1, abs=0.05)
    [asked, *_] = loop.ledger.messages(AskLabels)
    assert (asked.incident, len(asked.items), asked.purpose) == ("digits-audit-1", 8, "audit")
    assert len(loop.system.evidence.images("digits-audit-1", list(asked.items))) == 8  # what was asked about can be shown for ever
    assert any("records drawn at random" in text for text in tell(loop.ledger.story("digits-audit-1")))
    assert not loop.ledger.messages(IncidentOpened)


def test_an_estimate_that_stays_low_for_three_looks_opens_an_incident_that_no_alarm_opened(play):
    dim = corrupt(load("digits", "test").images, "fog", seed=1)
    labels = load("digits", "test").labels
    loop = play(
        BLIND + '[sensors.pulse]\nevery_records = 200\nreads = ["estimated_accuracy", "unlike"]\nof = 300\n'
        '[rules.low]\nwhen = "pulse.estimated_accuracy < 0.9"\nuntil = "pulse.estimated_accuracy > 0.93"\nfor_looks = 3\nthen = ["open", "notify"]\n',
        Segment(records=1500), Segment(corruption="dim", records=3000, until="closed"), pool={"dim": (dim[0::2], labels[0::2], dim[1::2], labels[1::2])},
    )  # fmt: skip
    [opened, *_] = loop.ledger.messages(IncidentOpened)
    assert opened.finding is not None and opened.finding.check == "rule low"
    looks = [read for read in loop.ledger.messages(SensorRead) if "unlike" in read.values]
    clean, foggy = [read for read in looks if read.record < 1500], [read for read in looks if 1800 <= read.record <= opened.alarm_at]
    before, after = (np.mean([read.values["unlike"] for read in part]) for part in (clean, foggy))
    assert before < 0.05 and after > 0.5
    assert 1500 < opened.onset <= opened.alarm_at - 299  # from the records on which the last look rests
    switched = loop.ledger.messages(RuleSwitched)[0]
    assert switched.on and "held at 3 looks in a row" in switched.reason


def test_a_rule_runs_a_workflow_beside_the_agents_and_another_one_acts_on_its_end(play, tmp_path):
    file = tmp_path / "count.toml"
    file.write_text(
        'name = "count"\nreturns = { name = "lines", value = "count.lines" }\n'
        '[steps.count]\ncommand = ["sh", "-c", "echo \'{\\"lines\\": 3}\' > $3/metrics.json"]\n'
    )  # fmt: skip
    loop = play(
        '[sensors.often]\nevery_records = 500\n[sensors.ran]\non = "WorkflowRan"\n'
        f'[rules.count]\neach = "often"\nthen = "run"\nrun = "{file}"\n[rules.tell]\nwhen = "ran.ok > 0"\nthen = "notify"\ntext = "counted"\n'
        '[actuators.run]\nper_day = 2\n', Segment(records=2500), seconds=1.0,
    )  # fmt: skip
    ran = loop.ledger.messages(WorkflowRan)
    assert [(one.ok, one.value) for one in ran] == [(True, 3.0)] * 2
    assert [note.text for note in loop.ledger.messages(NoteMade)] == ["counted"]
    assert all("2 times within a day" in held.reason for held in loop.ledger.messages(ActuatorHeld))
    assert len(loop.ledger.messages(ActuatorHeld)) >= 2
    assert any("is done (run" in text for text in tell(loop.ledger.messages()))


def test_a_quiet_period_keeps_the_remedy_in_though_the_drift_has_ended_and_then_takes_it_out(play):
    loop = play(
        '[actuators.deploy]\ncool_down = "1d"\n', Segment(records=500), Segment(corruption="impulse_noise", until="closed", records=9000),
        Segment(until="closed", records=20_000), seconds=30.0,
    )  # fmt: skip
    lives = loop.ledger.messages(PipelineLive)
    assert [one.pipeline for one in lives] == ["digits-first", "digits-1-recalibrate", "digits-first"]
    assert lives[2].time - lives[1].time >= 86_400
    held = [one for one in loop.ledger.messages(ActuatorHeld) if one.actuator == "deploy"]
    assert held and held[-1].until == pytest.approx(lives[1].time + 86_400, abs=120)
    assert loop.ledger.messages(HoldEnded)
    assert not loop.ledger.messages(ActuatorFired)
