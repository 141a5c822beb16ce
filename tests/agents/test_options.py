"""Options that cannot be followed are refused in one sentence, before anything is made, started or trained."""

import os
import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agents import cluster, options
from agents.options import OptionError, check_report, fetch_data
from scenarios.errors import DataError
from scenarios.scenario import Scenario, Segment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def typed(monkeypatch, tmp_path):
    """Run the command line with a cluster that must not be started; the state folder would be tmp_path/state."""

    def started(*_):
        raise AssertionError("the cluster was started")

    monkeypatch.setattr(cluster, "Cluster", started)
    monkeypatch.setattr(cluster, "_stop_on_signals", lambda _stop: None)
    app = typer.Typer()
    app.command()(cluster.main)
    return lambda *arguments: CliRunner().invoke(app, ["--state", str(tmp_path / "state"), *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--dataset", "minst"], "error: There is no data set 'minst'. Did you mean 'mnist'? Use one of: digits, "),
        (["--dataset", "cat"], "error: There is no data set 'cat'. Use one of: digits, "),
        (["--report", "report.json"], "error: --report needs --scenario NAME or --once"),
        (["--once", "--report", "/no/such/x.json"], "error: --report /no/such/x.json: there is no folder /no/such; make it"),
        (["--once", "--report", "/"], "error: --report / is a folder; name a file in it"),
        (["--scenario", "sudden_frog"], "error: There is no scenario 'sudden_frog'"),
        (["--policy", "/no/such/mine.toml"], "error: /no/such/mine.toml: cannot be read"),
    ],
)
def test_a_wrong_option_ends_with_2_and_a_sentence_and_makes_no_state_folder(typed, tmp_path, arguments, told):
    result = typed(*arguments)
    assert (result.exit_code, result.output.startswith(told)) == (2, True), result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "state").exists()


def test_a_state_folder_that_is_a_file_ends_with_2_and_a_sentence(typed, tmp_path):
    (tmp_path / "file").write_text("a file")
    result = typed("--state", tmp_path / "file")
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert "file cannot be the state folder" in result.output


def test_a_data_set_that_cannot_be_downloaded_is_told_before_the_state_folder_is_made(typed, tmp_path, monkeypatch):
    def offline(name, say):
        say(f"downloading {name} into nowhere")
        raise DataError("cifar10 is missing")

    monkeypatch.setattr(options, "fetch", offline)
    result = typed("--dataset", "cifar10")
    assert result.output == "* downloading cifar10 into nowhere\nerror: cifar10 is missing\n"
    assert result.exit_code == 2 and not (tmp_path / "state").exists()


def test_the_images_that_a_scenario_mixes_in_are_fetched_too_each_data_set_once(monkeypatch):
    asked = []
    monkeypatch.setattr(options, "fetch", lambda name, _say: asked.append(name))
    mixed = Scenario(name="mixed", segment=tuple(Segment(records=1, unknown_class=kind) for kind in ("letters", "fashion-mnist", "fashion-mnist", None)))
    fetch_data("mnist", mixed, print)
    fetch_data("digits", None, print)
    assert asked == ["mnist", "fashion-mnist", "digits"]


def test_a_report_in_a_folder_that_is_there_is_accepted_and_not_touched_yet(tmp_path):
    check_report(tmp_path / "report.json", played=True)
    check_report(None, played=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [False, True])
def test_a_report_that_could_not_be_written_is_refused(tmp_path, monkeypatch, there):
    report = tmp_path / "report.json"
    if there:
        report.touch()
    monkeypatch.setattr(os, "access", lambda path, _mode: path != (report if there else tmp_path))
    with pytest.raises(OptionError, match=r"report\.json cannot be written"):
        check_report(report, played=True)


def test_make_clean_removes_only_containers_that_have_ended_and_never_by_force(tmp_path):
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    engine = tmp_path / "docker"
    engine.write_text('#!/bin/sh\necho "$@" >> calls\ncase "$1" in ps) echo c1;; esac\n')
    engine.chmod(0o755)
    subprocess.run(["make", "clean"], cwd=tmp_path, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=True, capture_output=True)
    _, listed, removed = (tmp_path / "calls").read_text().splitlines()
    assert listed == "ps -aq --filter label=scanflow.project=scanflow-agents --filter status=exited --filter status=dead"
    assert removed == "rm -v c1"
