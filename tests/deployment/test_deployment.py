"""A deployment keeps its target through crashes of either side, and leaves nothing behind when it is stopped."""

import os
import select
import signal
import socket
import stat
import subprocess
import tarfile
from contextlib import closing

import httpx
import numpy as np
import pytest

from models.pipeline import PipelineError
from tests.serving.tiny import image, write_pipeline
from workflows.deployment import PLAIN, Deployment, DeploymentError
from workflows.inference import CursorAhead, UnknownPipeline
from workflows.runners import debian
from workflows.runners import image as image_module
from workflows.runners.container import ContainerRunner
from workflows.runners.process import ProcessRunner
from workflows.runners.runner import Handle, RunnerError
from workflows.serving.wire import KeyPair, WireClient, WireRefused

SIZES = {"records": 200, "images": 100, "max_images": 50}


@pytest.fixture(params=["process", pytest.param("container", marks=pytest.mark.docker)])
def deployment(request, tmp_path):
    deployment = Deployment(f"test-{request.param}", tmp_path / "state", request.param, say=print, **SIZES)
    yield deployment
    deployment.stop()


@pytest.fixture
def pipelines(tmp_path):
    return [write_pipeline(tmp_path / name, name, rotate=turn) for turn, name in enumerate(("first", "second", "third"))]


@pytest.mark.parametrize("kind", ["process", pytest.param("container", marks=pytest.mark.docker)])
def test_it_says_how_inference_runs_whichever_way_it_is(kind, tmp_path):
    said = []
    Deployment("test", tmp_path, kind, say=said.append)._choose()
    assert "deployment test: runs " in said[-1] and kind in said[-1]


def ask(deployment, brightness=0.1):
    tensor = {"name": "images", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": image(brightness).ravel().tolist()}
    reply = httpx.post(f"{deployment.endpoint().url}/v2/models/default/infer", json={"inputs": [tensor]}, timeout=30, verify=PLAIN)
    assert reply.status_code == 200, reply.text
    return reply.json()["model_version"]


def crash(deployment):
    """Kill the server from outside, as the kernel would when memory runs out, and wait until it is gone."""
    handle = deployment.target().handle
    number = int(handle.id) if handle.kind == "process" else deployment._runners["container"].pid(handle)
    descriptor = os.pidfd_open(number)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)


    select.select([descriptor], [], [], 20)
    os.close(descriptor)


def listens(url):
    host, _, port = url.rpartition("/")[2].rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_start_answers_clients_and_agents_and_stop_leaves_nothing_behind(deployment, pipelines):
    endpoint = deployment.start(pipelines[0])
    assert ask(deployment) == "first-1"
    inference = deployment.inference()
    assert inference.records(0).label.tolist() == [0]
    inference.close()
    assert stat.S_IMODE((deployment.state / "deployment.json").stat().st_mode) == 0o600
    assert deployment.alive()
    deployment.stop()
    assert not deployment.alive()
    assert not listens(endpoint.url)
    assert not listens(endpoint.control)
    assert list(deployment.state.iterdir()) == []
    deployment.stop()


def test_a_crashed_server_is_brought_back_to_its_target_at_the_same_address(deployment, pipelines):
    endpoint = deployment.start(pipelines[0])
    deployment.apply(pipelines[1])
    deployment.apply(pipelines[2])
    with deployment_client(deployment) as inference:
        inference.infer(image(0.1, count=5))
        before = inference.records(0)
        crash(deployment)
        done = deployment.reconcile()
        assert done[-3:] == ("loaded second", "loaded third", "activated third"), "the active one, and the one before for undoing"
        assert deployment.endpoint() == endpoint
        assert ask(deployment) == "third-1"
        with pytest.raises(CursorAhead):
            inference.records(before.last)
        assert inference.records(0).log != before.log
    assert deployment.undo() == "second"
    assert ask(deployment) == "second-1"
    assert deployment.reconcile() == ()


def deployment_client(deployment):


    return closing(deployment.inference(timeout=20))


@pytest.mark.slow
def test_another_program_finds_the_running_service_by_its_state_folder(deployment, pipelines):
    endpoint = deployment.start(pipelines[0])
    other = Deployment(deployment.name, deployment.state, "auto", **SIZES)
    assert other.start(pipelines[1]) == endpoint
    assert ask(other) == "first-1"
    assert other.target().handle == deployment.target().handle


@pytest.mark.slow
def test_a_stranger_is_refused_and_counted(deployment, pipelines):
    endpoint = deployment.start(pipelines[0])
    with WireClient(endpoint.control, deployment.target().server.public, KeyPair.new(), timeout=20) as stranger, pytest.raises(WireRefused):
        stranger.call("stats")
    with deployment_client(deployment) as inference:
        assert inference.stats().refused_connections >= 1


@pytest.fixture
def plain(tmp_path):
    deployment = Deployment("plain", tmp_path / "state", "process", **SIZES)
    yield deployment
    deployment.stop()


@pytest.mark.slow
def test_a_pipeline_that_was_loaded_beside_the_target_is_gone_after_a_crash_and_one_that_was_activated_so_is_put_right(plain, pipelines):
    plain.start(pipelines[0])
    with deployment_client(plain) as inference:
        inference.activate(inference.load(pipelines[1]))
    assert plain.reconcile() == ("activated first",)
    assert ask(plain) == "first-1"


@pytest.mark.slow
def test_a_bad_pipeline_leaves_the_target_and_the_active_one_as_they_were(plain, pipelines):
    plain.start(pipelines[0])
    (pipelines[1] / "classifier.onnx").write_bytes(b"damaged")
    target = plain.target()
    with pytest.raises(PipelineError, match="is damaged"):
        plain.apply(pipelines[1])
    assert plain.target() == target
    assert ask(plain) == "first-1"


def test_a_folder_that_is_no_pipeline_is_refused_before_anything_starts(plain, tmp_path):
    with pytest.raises(PipelineError, match="is no pipeline folder"):
        plain.start(tmp_path)
    assert plain.target() is None


@pytest.mark.slow
def test_when_the_first_pipeline_cannot_be_loaded_nothing_is_left_running(plain, pipelines):
    (pipelines[0] / "classifier.onnx").write_bytes(b"damaged")
    with pytest.raises(PipelineError, match="is damaged"):
        plain.start(pipelines[0])
    assert list(plain.state.iterdir()) == []


def test_without_a_start_everything_says_so(plain, pipelines):
    for act in (plain.endpoint, plain.inference, plain.reconcile, plain.undo):
        with pytest.raises(DeploymentError, match="was not started; start it with a pipeline folder"):
            act()
    assert not plain.alive()


@pytest.mark.slow
def test_a_state_folder_belongs_to_one_deployment(plain, pipelines):
    plain.start(pipelines[0])
    with pytest.raises(DeploymentError, match="holds the deployment 'plain'"):
        Deployment("other", plain.state, "process").inference()


def test_a_damaged_target_is_named(plain):
    plain.state.mkdir()
    (plain.state / "deployment.json").write_text("{")
    with pytest.raises(DeploymentError, match=r"deployment.json cannot be read.*remove it"):
        plain.target()
    (plain.state / "deployment.json").unlink()


def test_a_name_that_no_container_can_have_is_refused(tmp_path):
    with pytest.raises(DeploymentError, match="small letters, digits and dashes"):
        Deployment("My model", tmp_path)


@pytest.mark.slow
def test_auto_says_in_one_line_why_it_takes_a_process(tmp_path, pipelines, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    said = []
    deployment = Deployment("auto", tmp_path / "state", "auto", say=said.append, **SIZES)
    try:
        assert deployment.start(pipelines[0]).runtime == "process"
    finally:
        deployment.stop()
    assert "runs as a plain process, not in a container: no container engine answers" in said[0]
    assert "\n" not in said[0]


def test_a_container_that_was_asked_for_and_cannot_be_had_is_an_error(tmp_path, pipelines, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(DeploymentError, match="use the runtime 'process'"):
        Deployment("container", tmp_path / "state", "container").start(pipelines[0])


def test_a_process_number_used_again_by_another_program_is_not_taken_for_the_server(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as bystander:
        handle = Handle("process", str(bystander.pid), "12345")
        runner = ProcessRunner()
        assert not runner.alive(handle)
        runner.stop(handle)
        assert bystander.poll() is None
        bystander.terminate()


@pytest.mark.slow
def test_a_pipeline_that_is_not_loaded_cannot_become_the_target_by_undo(plain, pipelines):
    plain.start(pipelines[0])
    plain.apply(pipelines[1])
    with deployment_client(plain) as inference:
        with pytest.raises(UnknownPipeline):
            inference.activate("third")
        assert inference.shadow("first", np.array([1])).seqs.tolist() == []
    assert plain.undo() == "first"
    assert plain.reconcile() == ()


@pytest.mark.docker
def test_the_container_has_no_right_that_it_does_not_need_and_starts_without_a_build_the_second_time(tmp_path, pipelines):
    deployment = Deployment("hard", tmp_path / "state", "container", **SIZES)
    try:
        deployment.start(pipelines[0])
        runner = deployment._runners["container"]
        container = runner._find(deployment.target().handle)
        status = container.exec_run(["python3", "-c", "print(open('/proc/self/status').read())"]).output.decode()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Uid"].split() == ["10001"] * 4
        assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
        assert facts["NoNewPrivs"] == "1"
        assert container.exec_run(["python3", "-c", "open('/app/x', 'w')"]).exit_code == 1
        assert b"Read-only file system" in container.exec_run(["python3", "-c", "open('/app/x', 'w')"]).output
        host = container.attrs["HostConfig"]
        assert (host["Memory"], host["CpuQuota"], host["PidsLimit"]) == (1 << 29, 100_000, 64)
        assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 5}
        assert {b["HostIp"] for bindings in host["PortBindings"].values() for b in bindings} == {"127.0.0.1"}
        probe = container.attrs["Config"]["Healthcheck"]["Test"][1:]
        assert container.exec_run(probe).exit_code == 0
        secret = deployment.target().server.secret
        assert secret not in str(container.attrs)
        again = ContainerRunner()
        again.prepare()
        assert again.seconds == {}
    finally:
        deployment.stop()


@pytest.mark.docker
def test_what_an_earlier_start_left_is_removed_by_the_next(tmp_path, pipelines):
    deployment = Deployment("twice", tmp_path / "state", "container", **SIZES)
    try:
        deployment.start(pipelines[0])
        first = deployment.target().handle
        (deployment.state / "deployment.json").unlink()  # as if it had ended before it could save
        deployment.start(pipelines[0])
        assert not deployment._runners["container"].alive(first)
    finally:
        deployment.stop()


@pytest.mark.docker
def test_a_base_image_that_nobody_has_is_named(tmp_path, pipelines):
    with pytest.raises(DeploymentError, match=r"'localhost:1/nothing:1' is not here and cannot be pulled"):
        Deployment("base", tmp_path / "state", "container", base_image="localhost:1/nothing:1").start(pipelines[0])


def test_the_image_holds_the_server_and_not_the_agents():
    names = set(image_module.sources())
    assert {"workflows/serving/__main__.py", "workflows/inference.py", "models/pipeline.py"} <= names
    assert not [name for name in names if name.split("/")[0] not in {"workflows", "models"} or "runners" in name]


def test_the_image_pins_what_this_environment_has_and_needs_no_training_library():
    pinned = dict(line.split("==") for line in image_module.requirements("3.11"))
    assert pinned["numpy"] == np.__version__
    assert {"onnxruntime", "pyzmq", "starlette", "uvicorn", "anyio"} <= set(pinned)
    assert not {"torch", "ray", "scipy", "scikit-learn", "mlflow", "docker"} & set(pinned)


def test_another_base_or_python_is_another_image():
    assert image_module.digest("base", "3.11") == image_module.digest("base", "3.11")
    assert len({image_module.digest("base", "3.11"), image_module.digest("base", "3.12"), image_module.digest("other", "3.11")}) == 3


def test_a_host_base_has_no_path_twice_and_the_dynamic_linker_where_it_is_looked_for(tmp_path):


    packages = debian.host_packages()
    if packages is None:
        pytest.skip("the host has no packaged Python 3.11")
    debian.write_host_base(packages, tmp_path / "base.tar")
    with tarfile.open(tmp_path / "base.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert {"usr/bin/python3.11", "usr/bin/python3", "lib64", "usr/lib/python3.11/ssl.py"} <= set(names)


def test_without_any_way_to_a_base_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(debian.shutil, "which", lambda _: None)
    assert debian.host_packages() is None
    with pytest.raises(RunnerError, match="apt-get install debootstrap"):
        debian.write_mirror_base(tmp_path / "base.tar")


def test_libraries_come_by_uv_where_it_works_else_by_pip_else_the_error_says_so(monkeypatch):
    assert image_module._installer("3.11")[1:3] == ["pip", "install"]
    monkeypatch.setattr(image_module.shutil, "which", lambda _: None)
    monkeypatch.setattr(image_module.importlib.util, "find_spec", lambda _: object())
    assert image_module._installer("3.12")[1:4] == ["-m", "pip", "install"]
    monkeypatch.setattr(image_module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RunnerError, match="ensurepip"):
        image_module._installer("3.12")
