"""What of a run gets into the record, and that nothing is lost where MLflow cannot be reached."""

import json
import socket
import subprocess
import sys

import pytest

from models.pipeline import write_manifest
from tests.workflows.test_engine import SH
from workflows.artefacts import digest
from workflows.engine import run
from workflows.graph import Builder
from workflows.graph_files import read, save
from workflows.journal import JOURNAL, Journal, read_journal
from workflows.recorder import behind, catch_up, hand_over
from workflows.recording import COPIED, entry_of, expect, record, recorded, unrecorded
from workflows.runs import Run, RunError
from workflows.tracking import MemoryTracking, MlflowTracking, TrackingError


def sh(script):
    return ["sh", "-c", SH + script, "step"]


@pytest.fixture
def go(tmp_path):
    def go(graph, **options):
        made = graph.build() if isinstance(graph, Builder) else graph
        return Run(run(made, base=tmp_path, state=tmp_path / "state", **options).folder)

    return go


def small(**fields):
    return (
        Builder("small", "what it is for", params={"seed": 3}, inputs={"raw": "text"}).step("one", sh("cat $inputs/raw > x; echo said"), inputs={"raw": "text"}, outputs={"x": "text"}, params={"seed": "${seed}"})
        .step("two", sh("echo '{\"m\": 2}' > metrics.json"), inputs={"x": "text"}, **fields).data("inputs.raw", "one.raw").data("one.x", "two.x").returns("quality", "two.m * 2")
    )  # fmt: skip


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").write_text("content")
    return {"inputs.raw": tmp_path / "raw"}


def test_a_run_is_recorded_with_its_parameters_metrics_graph_code_environment_and_data(go, raw):
    made = go(small(), given=raw)
    entry = entry_of(made)
    assert (entry.experiment, entry.name, entry.status) == ("small", made.name, "finished")
    assert entry.params == {"seed": "3"} and entry.metrics == {"two.m": 2.0, "quality": 4.0}
    assert read(entry.texts["graph.toml"]) == small().build() and entry.texts["graph.svg"].startswith("<svg ") and "flowchart" in entry.texts["graph.mmd"]
    assert [(data.name, data.digest) for data in entry.data] == [("inputs.raw", digest(raw["inputs.raw"]))]
    one, two = entry.inside
    assert (one.name, one.status, one.params, two.metrics) == ("one", "finished", {"seed": "3"}, {"m": 2.0})
    assert len(one.tags["scanflow.code"]) >= 64 and len(one.tags["scanflow.environment"]) == 64 and entry.started <= one.started <= one.ended <= entry.ended
    assert one.texts["log.txt"] == "said\n" and one.files["x"].read_text() == "content"
    assert [data.digest for data in two.data] == [digest(one.files["x"])]


def test_the_commit_is_recorded_and_whether_files_differ_from_it(go, raw, tmp_path):
    def git(*words):
        return subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "raw")
    git("commit", "-qm", "first")
    tags = entry_of(go(small(), given=raw)).tags
    assert (tags["mlflow.source.git.commit"], tags["scanflow.git.dirty"]) == (git("rev-parse", "HEAD"), "false")
    raw["inputs.raw"].write_text("changed")
    assert entry_of(go(small(), given=raw)).tags["scanflow.git.dirty"] == "true"


def test_names_that_mlflow_does_not_take_do_not_meet_each_other_nor_the_history_of_a_deployment(go):
    names = [entry_of(go(Builder(name).step("one", ["true"]))).experiment for name in ("обучение", "проверка", "live digits", "live-digits")]
    assert len(set(names)) == 4 and names[3] == "live-digits" and not any(name.startswith("live ") for name in names)


def test_what_failed_was_skipped_or_taken_from_before_is_told_apart(go, raw):
    graph = small().step("bad", ["false"], outputs={"y": "t"}).step("after", ["true"], inputs={"y": "t"}).data("bad.y", "after.y")
    go(graph, given=raw)
    entry = entry_of(go(graph, given=raw))
    assert entry.status == "failed" and entry.tags["scanflow.left out"] == "after: skipped (bad has failed)"
    assert {one.name: (one.status, one.tags["scanflow.state"]) for one in entry.inside} == {"bad": ("failed", "failed"), "one": ("finished", "cached"), "two": ("finished", "cached")}


def test_a_large_artefact_is_referred_to_and_not_copied(go):
    step = go(Builder("g").step("one", sh(f"truncate -s {COPIED + 1} big; echo 1 > little"), outputs={"big": "npz", "little": "t"}))
    [one] = entry_of(step).inside
    assert set(one.files) == {"little"}
    told = json.loads(one.texts["artefacts.json"])["big"]
    assert told["bytes"] == COPIED + 1 and told["type"] == "npz" and told["digest"].startswith("file:") and told["place"].endswith("/big")


def test_a_run_that_goes_on_is_the_same_run_and_with_other_parameters_another_one(go, raw, tmp_path):
    graph = small().step("late", sh(f"[ -e {tmp_path}/there ]"))
    made = go(graph, given=raw)
    tracking = MemoryTracking()
    first = record(made, tracking, "memory").run_id
    (tmp_path / "there").touch()
    run(state=tmp_path / "state", resume=made.name)
    assert record(made, tracking, "memory").run_id == first and tracking.runs[first]["status"] == "finished"
    run(state=tmp_path / "state", resume=made.name, params={"seed": 4})
    assert record(made, tracking, "memory").run_id != first and tracking.runs[first]["params"] == {"seed": "3"}


def pipeline_in(folder, word="content"):
    folder.mkdir()
    (folder / "classifier.onnx").write_text(word)
    (folder / "reference.npz").write_text("reference")
    write_manifest(folder, name="first", version="first", input=(1, 8, 8), classes=("a", "b"))
    return folder


def makes_pipelines(tmp_path):
    return Builder("digits").step("train", sh(f"cp -r {tmp_path}/made pipeline"), outputs={"pipeline": "pipeline"}, cache=False)


def test_a_pipeline_that_a_step_made_is_registered_once_for_each_content(go, tmp_path):
    pipeline_in(tmp_path / "made")
    tracking = MemoryTracking()
    for _ in range(2):
        record(go(makes_pipelines(tmp_path)), tracking, "memory")
    name = "digits.train.pipeline"
    assert (tracking.version_of(name, "champion"), tracking.version_of(name, "challenger")) == ("1", "1")
    (tmp_path / "made" / "classifier.onnx").write_text("better")
    record(go(makes_pipelines(tmp_path)), tracking, "memory")
    assert (tracking.version_of(name, "champion"), tracking.version_of(name, "challenger")) == ("1", "2")


class Gone(MemoryTracking):
    def record(self, entry):
        raise TrackingError("nobody answers")


def test_a_run_that_cannot_be_recorded_is_kept_told_and_recorded_later(go, raw, tmp_path):
    made = go(small(), given=raw)
    assert recorded(made) is None and behind(tmp_path / "state") == []
    record(made, Gone(), "a server")
    assert unrecorded(tmp_path / "state" / "runs")[0].name == made.name
    [told] = behind(tmp_path / "state")
    assert "not recorded in MLflow: nobody answers" in told and "python -m workflows track" in told
    record(made, MemoryTracking(), "a server")
    assert unrecorded(tmp_path / "state" / "runs") == [] and recorded(made).run_id


def test_a_server_that_is_not_there_is_told_of_at_once_and_loses_nothing(go, raw, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://name:secret@127.0.0.1:{port}")
    made, said = go(small(), given=raw), []
    assert hand_over(made, tmp_path / "state", said.append) is None
    assert "does not answer" in said[0] and "nothing is lost" in said[0] and "secret" not in said[0] + recorded(made).why
    assert [one.name for one in unrecorded(tmp_path / "state" / "runs")] == [made.name]


def test_there_is_nothing_to_catch_up_with_and_an_unknown_run_is_named(go, raw, tmp_path):
    said = []
    made = go(small(), given=raw)
    assert catch_up(tmp_path / "state", [], said.append) and "that were to be recorded are recorded" in said[0]
    with pytest.raises(RunError, match="there is no run 'small-1'"):
        catch_up(tmp_path / "state", ["small-1"], said.append)
    expect(made, "nowhere")
    assert behind(tmp_path / "state") == []  # it is on its way


def test_an_artefact_that_is_gone_is_recorded_as_such(go, raw):
    made = go(small(), given=raw)
    [one, _] = entry_of(made).inside
    one.files["x"].unlink()
    [one, _] = entry_of(made).inside
    assert one.files == {} and json.loads(one.texts["artefacts.json"])["x"]["gone"] is True


def test_a_run_that_cannot_be_read_hinders_no_other_and_is_told_of(go, raw, tmp_path, monkeypatch):
    first, second = go(small(), given=raw), go(small(), given=raw)
    for one in (first, second):
        expect(one, "memory")
    (first.folder / JOURNAL).write_text('{"kind": "begun"}\n')
    tracking, said = MemoryTracking(), []
    tracking.where = "memory"
    monkeypatch.setattr("workflows.recorder.MlflowTracking", lambda state: tracking)
    assert not catch_up(tmp_path / "state", [], said.append)
    assert f"{first.name}: not recorded: it cannot be read: KeyError" in said[0] and f"{second.name}: recorded" in said[1]
    assert "it cannot be read" in behind(tmp_path / "state")[0] and [one.name for one in unrecorded(tmp_path / "state" / "runs")] == [first.name]


def test_a_journal_that_was_cut_off_loses_its_last_line_only(tmp_path):
    with Journal(tmp_path, lambda: 1.0) as journal:
        journal.note("begun", params={})
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"kind": "sta')
    with Journal(tmp_path, lambda: 2.0) as journal:
        journal.note("over", ok=True)
    assert [(note["kind"], note["at"]) for note in read_journal(tmp_path)] == [("begun", 1.0), ("over", 2.0)]


@pytest.mark.slow
def test_a_workflow_on_the_command_line_is_found_in_mlflow_with_its_nested_runs_its_picture_and_its_model(tmp_path, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.models import Model

    pipeline_in(tmp_path / "made")
    graph = makes_pipelines(tmp_path).step("check", sh("echo '{\"accuracy\": 0.5}' > metrics.json"), inputs={"model": "pipeline"}).data("train.pipeline", "check.model")
    save(graph.returns("accuracy", "check.accuracy").build(), tmp_path / "g.toml")
    monkeypatch.setenv("SCANFLOW_TRACK", "1")
    command = [sys.executable, "-m", "workflows"]
    told = subprocess.run([*command, "run", "g.toml", "--state", "state"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "in the background" in told
    subprocess.run([*command, "track", "--state", "state"], cwd=tmp_path, check=True, capture_output=True)
    tracking = MlflowTracking(tmp_path / "state")
    client = MlflowClient(tracking.uri)
    [experiment] = [one for one in client.search_experiments() if one.name == "digits"]
    runs = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
    [name] = [name for name in runs if name.startswith("digits-")]
    assert set(runs) == {name, "train", "check"} and {one.info.status for one in runs.values()} == {"FINISHED"}
    assert runs["train"].data.tags["mlflow.parentRunId"] == runs[name].info.run_id
    assert runs[name].data.metrics == {"check.accuracy": 0.5, "accuracy": 0.5}
    assert {file.path for file in client.list_artifacts(runs[name].info.run_id)} == {"graph.toml", "graph.svg", "graph.mmd"}
    assert [one.dataset.name for one in runs["check"].inputs.dataset_inputs] == ["model"]
    version = client.get_model_version_by_alias("digits.train.pipeline", "champion")
    assert version.tags["reference"] == "reference.npz" and version.run_id == runs["train"].info.run_id
    signature = Model.load(str(tracking.folder("digits.train.pipeline", "1") / "MLmodel")).signature
    assert signature.inputs.inputs[0].shape == (-1, 1, 8, 8) and signature.outputs.inputs[0].shape == (-1, 2)
