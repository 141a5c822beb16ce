"""The contract of `Tracking`, over MLflow and over its twin in memory."""

import math
import subprocess
import sys
import threading

import pytest

from workflows.tracking import DataSet, LiveChange, MemoryTracking, MlflowTracking, ModelEntry, RunEntry, TrackingError


@pytest.fixture(scope="module")
def mlflow_tracking(tmp_path_factory):
    """One store for the module: to import MLflow and make its tables takes longer than all of these tests, hence the mark `slow`."""
    return MlflowTracking(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def server_tracking(server, tmp_path_factory):
    """The same over a real server on PostgreSQL."""
    return MlflowTracking(tmp_path_factory.mktemp("state"), uri=server)


@pytest.fixture(params=["memory", pytest.param("mlflow", marks=pytest.mark.slow), pytest.param("server", marks=pytest.mark.postgres)])
def tracking(request):
    return MemoryTracking() if request.param == "memory" else request.getfixturevalue(f"{request.param}_tracking")


@pytest.fixture
def model(request):
    """A name of its own for each test, since they share a store."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)


@pytest.fixture
def pipeline(tmp_path):
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"name": "filter"}')
    (folder / "classifier.onnx").write_bytes(bytes(range(256)))
    return folder


def registered(tracking, model, folder, name="filter"):
    return tracking.register(model, folder, tracking.log_run("remedies", name))


def test_a_run_logged_twice_under_one_key_is_one_run(tracking, model):
    first = tracking.log_run(model, "filter", params={"steps": 250}, metrics={"accuracy_drift": 0.97}, tags={"incident": "i1"}, key="m7/run")
    assert tracking.log_run(model, "filter", key="m7/run") == first
    assert tracking.log_run(model, "filter", key="m8/run") != first
    assert tracking.log_run(model, "filter") != tracking.log_run(model, "filter")


def test_versions_count_from_one_and_belong_to_their_run(tracking, model, pipeline):
    run = tracking.log_run("remedies", "filter")
    assert tracking.register(model, pipeline, run) == "1"
    assert registered(tracking, model, pipeline) == "2"
    assert tracking.register(model, pipeline, run, {"remedy": "filter"}) == "1"


def test_a_version_comes_back_as_it_was_registered_whatever_happened_to_the_folder_since(tracking, model, pipeline):
    version = registered(tracking, model, pipeline)
    (pipeline / "manifest.json").write_text("changed later")
    folder = tracking.folder(model, version)
    assert (folder / "manifest.json").read_text() == '{"name": "filter"}'
    assert (folder / "classifier.onnx").read_bytes() == bytes(range(256))


def test_an_alias_moves_from_one_version_to_the_next(tracking, model, pipeline):
    first, second = registered(tracking, model, pipeline), registered(tracking, model, pipeline, "retrain")
    tracking.set_alias(model, "champion", first)
    tracking.set_alias(model, "challenger", second)
    tracking.set_alias(model, "champion", second)
    assert tracking.version_of(model, "champion") == tracking.version_of(model, "challenger") == second


def test_an_unknown_model_or_alias_has_no_version(tracking, model, pipeline):
    assert tracking.version_of(model, "champion") is None
    registered(tracking, model, pipeline)
    assert tracking.version_of(model, "champion") is None


def test_what_was_live_is_told_oldest_first_with_its_reason(tracking, model):
    first = LiveChange(model, "1", "first", "the first model", None, 1_795_420_350.125)
    second = LiveChange(model, "2", "filter", "gains 0.2 on drift, interval 0.1 to 0.3; provisional", "incident-1", 1_795_420_351.0)
    for change in (second, first, second):  # out of order, and one of them again, as a recovery may send them
        tracking.live_changed(change.deployment, change.version, change.pipeline, change.reason, change.incident, change.at)
    assert tracking.live_history(model) == (first, second)
    assert tracking.live_history("another") == ()


def test_it_is_known_which_deployments_were_ever_live_and_who_approved_it(tracking, model):
    before = tracking.deployments()
    tracking.live_changed(model, "2", "filter", "filter for i1, provisional", "i1", 1_795_420_351.0, "ada")
    assert set(tracking.deployments()) == {*before, model} and list(tracking.deployments()) == sorted(tracking.deployments())
    assert tracking.live_history(model)[0].by == "ada"


def test_runs_of_other_kinds_in_the_experiment_of_a_deployment_are_no_part_of_its_history(tracking, model):
    tracking.log_run(f"live {model}", "something else")
    assert tracking.live_history(model) == () and model not in tracking.deployments()
    tracking.live_changed(model, "1", "first", "the first model", None, 1_795_420_350.0)
    assert [change.version for change in tracking.live_history(model)] == ["1"] and model in tracking.deployments()


def test_no_error_tells_a_password(mlflow_tracking):
    from mlflow import MlflowException

    from workflows.tracking.store import _teaching

    with pytest.raises(TrackingError, match=r"opened: no http://host:5000/api, nor postgresql://db/x") as raised, _teaching("the store cannot be opened"):
        raise MlflowException("no http://me:secret@host:5000/api, nor postgresql://me:pa@ss@db/x")
    assert "secret" not in str(raised.value) and "ss@" not in str(raised.value)


def entry(model, status="finished", inside=(), **fields):
    return RunEntry(model, "run-1", "run-1", status, 1_795_420_350.0, None if status == "running" else 1_795_420_360.0, inside=inside, **fields)


def test_a_run_with_runs_inside_is_recorded_once_and_what_is_new_is_added(tracking, model, pipeline):
    step = RunEntry(model, "run-1/one", "one", "finished", 1_795_420_351.0, 1_795_420_352.0, metrics={"m": 1.0}, texts={"log.txt": "said"})
    first = tracking.record(entry(model, "running", (step,), params={"seed": "1"}, data=(DataSet("raw", "file:" + "0" * 64, "/raw"),)))
    late = RunEntry(model, "run-1/two", "two", "failed", 1_795_420_353.0, 1_795_420_354.0, files={"x": pipeline / "manifest.json"})
    assert tracking.record(entry(model, "failed", (step, late), params={"seed": "1"}, metrics={"quality": 0.5})) == first
    assert tracking.record(entry(model, "failed", (step, late), params={"seed": "1"}, metrics={"quality": 0.5})) == first


def test_of_the_models_that_runs_made_the_newest_is_the_challenger_and_the_first_the_champion(tracking, model, pipeline):
    def made(key, digest):
        return RunEntry(f"{model}-runs", key, key, "finished", 1.0, 2.0, models=(ModelEntry(model, pipeline, digest, {"run": key}),))

    for key, digest in (("a", "folder:1"), ("b", "folder:1"), ("c", "folder:2")):
        tracking.record(made(key, digest))
    assert (tracking.version_of(model, "champion"), tracking.version_of(model, "challenger")) == ("1", "2")


@pytest.mark.parametrize(("call", "taught"), [
    (lambda t, folder: t.record(RunEntry("a/b", "k", "n", "finished", 1.0, 2.0)), "cannot name an experiment or a model"),
    (lambda t, folder: t.record(RunEntry("a", "k", "n", "finished", 1.0, 2.0, files={"x": folder / "absent"})), "is not there"),

    (lambda t, _: t.folder("absent", "1"), "it has none; register a pipeline folder first"),
    (lambda t, _: t.set_alias("absent", "champion", "1"), "'absent' has no version '1'"),
    (lambda t, folder: t.register("digits", folder, "no-such-run"), "call log_run first"),
    (lambda t, folder: t.register("digits", folder / "absent", "any"), "is not there"),
    (lambda t, folder: t.register("a/b", folder, "any"), "cannot name an experiment or a model"),
    (lambda t, _: t.log_run("remedies", "filter", metrics={"gain": math.nan}), "leave out what was not"),
    (lambda t, _: t.log_run("remedies", "filter", key='quote"'), "use the id of a message"),
])
def test_a_mistake_is_answered_with_what_to_do_instead(tracking, pipeline, call, taught):
    with pytest.raises(TrackingError, match=taught):
        call(tracking, pipeline)


def test_an_unknown_version_is_answered_with_the_known_ones(tracking, model, pipeline):
    registered(tracking, model, pipeline)
    registered(tracking, model, pipeline)
    with pytest.raises(TrackingError, match="its versions are 1, 2"):
        tracking.folder(model, "3")


@pytest.mark.slow
def test_a_recorded_run_can_be_read_with_mlflows_own_tools(mlflow_tracking, pipeline):
    from mlflow import MlflowClient

    run = mlflow_tracking.log_run(
        "shown", "filter", params={"steps": 250}, metrics={"accuracy_drift": 0.97}, artifacts=[pipeline, pipeline / "manifest.json"],
        tags={"incident": "i1"},
    )
    client = MlflowClient(mlflow_tracking.uri)
    read = client.get_run(run)
    assert (read.info.status, read.info.run_name) == ("FINISHED", "filter")
    assert read.data.params == {"steps": "250"}
    assert read.data.metrics == {"accuracy_drift": 0.97}
    assert read.data.tags["incident"] == "i1"
    assert {file.path for file in client.list_artifacts(run)} == {"pipeline", "manifest.json"}


@pytest.mark.slow
def test_a_second_process_start_finds_what_the_first_one_saved(mlflow_tracking, tmp_path, pipeline):
    version = registered(mlflow_tracking, "kept", pipeline)
    mlflow_tracking.set_alias("kept", "champion", version)
    again = MlflowTracking(mlflow_tracking._state)
    assert again.version_of("kept", "champion") == version
    assert (again.folder("kept", version) / "manifest.json").is_file()
    assert mlflow_tracking._state in again.folder("kept", version).parents  # all of it lies in the state folder


@pytest.mark.slow
def test_first_calls_from_several_threads_share_one_client(tmp_path, mlflow_tracking):
    tracking = MlflowTracking(tmp_path, uri=mlflow_tracking.uri)
    clients = []
    threads = [threading.Thread(target=lambda: clients.append(tracking._mlflow)) for _ in range(4)] + [tracking.warm()]
    for thread in threads[:-1]:
        thread.start()
    for thread in threads:
        thread.join()
    assert clients == [tracking._mlflow] * 4


@pytest.mark.slow
def test_the_environment_may_name_another_store(tmp_path, mlflow_tracking, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.uri)
    registered(mlflow_tracking, "elsewhere", tmp_path)
    mlflow_tracking.set_alias("elsewhere", "champion", "1")
    assert MlflowTracking(tmp_path / "unused").version_of("elsewhere", "champion") == "1"
    assert not (tmp_path / "unused").exists()


@pytest.mark.slow
def test_where_a_server_keeps_its_artefacts_elsewhere_a_version_is_fetched_once(tmp_path, mlflow_tracking, pipeline):
    mlflow_tracking._mlflow.create_experiment("kept elsewhere", artifact_location=str(tmp_path / "elsewhere"))
    tracking = MlflowTracking(tmp_path / "state", uri=mlflow_tracking.uri)
    version = tracking.register("fetched", pipeline, tracking.log_run("kept elsewhere", "filter"))
    folder = tracking.folder("fetched", version)
    assert tmp_path / "state" in folder.parents
    assert sorted(path.name for path in folder.iterdir()) == ["classifier.onnx", "manifest.json"]
    before = (folder / "manifest.json").stat()
    assert tracking.folder("fetched", version) == folder
    assert (folder / "manifest.json").stat() == before


@pytest.mark.slow
def test_a_store_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(TrackingError, match="cannot be opened"):
        MlflowTracking(tmp_path / "file").version_of("digits", "champion")


def test_importing_the_module_does_not_import_mlflow():
    """Its import takes seconds, and most programs of this project never call it."""
    code = "import sys, workflows.tracking; raise SystemExit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
