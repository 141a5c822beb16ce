"""A workflow, and the loop, recorded by a real MLflow server on a real PostgreSQL."""

import subprocess
import sys

import pytest

from agents.in_process import InProcess
from agents.live import live_lines
from agents.messages import PipelineLive
from agents.policy import Labels, Policy, Remedies
from agents.state import State
from scenarios.replay import load_scenario
from tests.workflows.test_recording import makes_pipelines, pipeline_in
from workflows.graph_files import save
from workflows.tracking import MlflowTracking

pytestmark = pytest.mark.postgres


def test_a_workflow_that_was_run_while_the_server_was_away_is_sent_to_it_later(server, tmp_path, monkeypatch):
    pipeline_in(tmp_path / "made")
    save(makes_pipelines(tmp_path).build(), tmp_path / "g.toml")
    monkeypatch.setenv("SCANFLOW_TRACK", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    command = [sys.executable, "-m", "workflows"]
    told = subprocess.run([*command, "run", "g.toml", "--state", "state"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "not recorded in MLflow: the tracking server http://127.0.0.1:1 does not answer" in told
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    told = subprocess.run([*command, "track", "--state", "state"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "recorded as run" in told and told.count("\n") == 1
    tracking = MlflowTracking(tmp_path / "elsewhere", uri=server)
    assert (tracking.folder("digits.train.pipeline", "1") / "classifier.onnx").read_text() == "content"
    assert not (tmp_path / "state" / "mlflow.db").exists()


def test_the_loop_leaves_on_record_what_was_live_when_and_why(server, tmp_path):
    tracking = MlflowTracking(tmp_path / "tracking", uri=server)
    policy = Policy(remedies=Remedies(prepare=("recalibrate",)), labels=Labels(choose=40, verify=40))
    with State(tmp_path / "state") as state:
        loop = InProcess(state, load_scenario("default"), policy=policy, tracking=tracking)
        outcome = loop.run()
    assert loop.rehearsal.broken(outcome) == []
    history = tracking.live_history("digits")
    assert [change.pipeline for change in history] == [message.pipeline for message in loop.ledger.messages(PipelineLive)]
    assert len(history) == 3  # the first model, the remedy, and the first again when the drift had ended
    assert history[0].incident is None and all(change.incident and change.reason for change in history[1:])
    told = "\n".join(live_lines(tracking, "digits", history[1].at))
    assert "recalibrate" in told and history[1].incident in told
    version = tracking.version_of("digits", "challenger")
    assert (tracking.folder("digits", version) / "MLmodel").is_file()
