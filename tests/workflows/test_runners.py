"""Every runner keeps the same contract: as a process, in a container (a real one, and its twin), on Ray."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workflows.artefacts import digest
from workflows.engine import Interrupted, run
from workflows.graph import Builder, GraphError
from workflows.graph_files import load, save
from workflows.runners.container_steps import LABEL, ContainerSteps, mark_of
from workflows.runners.containers import ContainersTwin
from workflows.runners.runner import RunnerError
from workflows.runners.steps import Job, ProcessSteps, step_runner
from workflows.runs import Run
from workflows.step import StepError

SH = 'cd "$4"; inputs=$2; params=$6; '  # --inputs DIR --outputs DIR --params FILE


def sh(script):
    return ["sh", "-c", SH + script, "step"]


@pytest.fixture
def home(tmp_path):
    """The graph's folder, which steps in containers may read: there they are somebody else."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def twin():
    return ContainersTwin()


@pytest.fixture(params=["process", "twin", pytest.param("container", marks=pytest.mark.docker), pytest.param("ray", marks=pytest.mark.ray)])
def runner(request, twin):
    if request.param == "ray":
        request.getfixturevalue("one_ray")
    return ContainerSteps(lambda: twin) if request.param == "twin" else step_runner(request.param)


@pytest.fixture
def go(home, tmp_path, runner):
    def go(graph, **options):
        go.events = []
        options.setdefault("listen", go.events.append)
        graph = graph.build() if isinstance(graph, Builder) else graph
        return run(graph, base=home, state=tmp_path / "state", **{"runner": runner} | options)

    return go


def states(result):
    return {task: outcome.state for task, outcome in result.outcomes.items()}


def lines(go, task):
    return [event.text for event in go.events if event.kind == "line" and event.task == task and not event.text.startswith("-- ")]


# --- the contract, for each runner --------------------------------------------------------------------------------------


def test_programs_and_functions_find_their_inputs_and_parameters_and_leave_outputs_and_metrics(go, home):
    (home / "mine.py").write_text(
        "from workflows.step import step\n@step(inputs={'many': 'list[text]'}, outputs={'all': 'tree'})\ndef f(many, all, *, word):\n"
        "    all.mkdir()\n    (all / 'a').write_text(word + ''.join((many / str(n)).read_text() for n in range(2)))\n    print('made')\n    return {'m': 1}\n"
    )
    graph = Builder("g").step("one", sh('cat "$params"; echo; echo oops >&2; printf $(cat "$params" | tail -c 3) > x'), outputs={"x": "text"}, each={"n": [10, 20]})
    graph.step("two", "mine:f", inputs={"many": "list[text]"}, outputs={"all": "tree"}, params={"word": "é"})
    graph.step("three", sh('cat "$inputs/all/a"; ls "$inputs"'), inputs={"all": "tree"}).data("one.x", "two.many").data("two.all", "three.all").returns("m", "two.m")
    result = go(graph)
    assert result.ok and result.value == 1.0, [outcome.why for outcome in result.outcomes.values()]
    assert sorted(lines(go, "one[1]")) == ["oops", '{"n": 20}'] and lines(go, "two") == ["made"] and lines(go, "three") == ["é10}20}all"]
    assert (result.artefact("two.all") / "a").read_text() == "é10}20}"


def test_what_a_step_made_belongs_to_who_runs_the_engine_and_is_the_same_on_every_runner(go, tmp_path):
    result = go(Builder("g").step("one", sh("mkdir x; echo 1 > x/a; echo 2 > x/b; chmod 600 x/b"), outputs={"x": "tree"}))
    assert {path.stat().st_uid for path in [result.artefact("one.x"), *result.artefact("one.x").iterdir()]} == {os.getuid()}
    (expected := tmp_path / "expected").mkdir()
    (expected / "a").write_text("1\n")
    (expected / "b").write_text("2\n")
    assert result.outcomes["one"].digests["x"] == digest(expected)


def test_an_exit_code_stops_what_depends_on_it_and_nothing_else(go):
    graph = Builder("g").step("bad", sh("echo the reason; exit 3"), outputs={"x": "t"}).step("after", ["true"], inputs={"x": "t"}).step("apart", ["true"])
    result = go(graph.data("bad.x", "after.x"))
    assert states(result) == {"bad": "failed", "after": "skipped", "apart": "finished"}
    assert result.outcomes["bad"].code == 3 and lines(go, "bad") == ["the reason"]


def test_a_step_that_writes_no_declared_output_has_failed(go):
    outcome = go(Builder("g").step("one", sh("echo 1 > y"), outputs={"x": "t"})).outcomes["one"]
    assert outcome.state == "failed" and "no outputs/x, which it declares; there is: y" in outcome.why


HOSTILE = {
    "a link": ("ln -s /etc/hostname x", "link to '/etc/hostname'|link to an absolute path"), "a link inside that leads out": ("mkdir x; ln -s ../../../params.json x/a", "out of it|elsewhere|outside"),
    "a whole path inside": ("mkdir x; ln -s /etc x/a", "leads out of it|absolute"), "a pipe": ("mkfifo x", "a pipe|special file"),
    "a pipe inside": ("mkdir x; mkfifo x/a", "a pipe|special file"), "metrics that are a link": ("echo 1 > x; ln -s /etc/hostname metrics.json", "metrics.json"),
    "metrics of no size": ("echo 1 > x; printf '{\"a\": 1%0500d}' 0 > metrics.json", "cannot be read|cannot be represented|too large|Infinity|finite"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "says"), HOSTILE.values(), ids=HOSTILE.keys())
def test_what_may_not_be_read_fails_the_step_and_is_never_followed(go, script, says):
    outcome = go(Builder("g").step("one", sh(script), outputs={"x": "t"})).outcomes["one"]
    assert outcome.state == "failed" and re.search(says, outcome.why), outcome.why


def test_a_link_that_stays_inside_an_artefact_is_part_of_it(go):
    result = go(Builder("g").step("one", sh("mkdir x; echo 1 > x/a; ln -s a x/b"), outputs={"x": "tree"}))
    assert result.ok and (result.artefact("one.x") / "b").read_text() == "1\n"


def test_a_step_that_takes_too_long_is_ended(go):
    outcome = go(Builder("g").step("slow", sh("echo begun; sleep 1000"), timeout=0.5)).outcomes["slow"]
    assert (outcome.state, outcome.code) == ("failed", 124) and "its time of 0.5 s was over" in outcome.why


def test_a_step_that_was_killed_is_told_as_such(go):
    outcome = go(Builder("g").step("one", sh("kill -9 $$"))).outcomes["one"]
    assert outcome.state == "failed" and outcome.why == "ended by SIGKILL"


def test_a_step_that_is_told_to_stop_ends_and_the_run_can_be_resumed(go):
    graph = Builder("g").step("first", sh("echo 1 > x"), outputs={"x": "t"}, cache=False)
    graph.step("slow", sh("[ $(cat $params | wc -c) -gt 40 ] && exit 0; echo begun; exec sleep 1000"), inputs={"x": "t"}, params={"word": "short"}).data("first.x", "slow.x")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted) as raised:
            go(graph, listen=lambda event: os.kill(os.getpid(), signal.SIGINT) if event.text == "begun" else None)
    finally:
        signal.signal(signal.SIGINT, before)
    result = raised.value.result
    assert states(result) == {"first": "finished", "slow": "interrupted"}
    again = go(None, resume=result.run, params={"slow.word": "long enough for the step to end by itself"})
    assert states(again) == {"first": "cached", "slow": "finished"}


def test_a_second_run_takes_everything_from_before(go):
    graph = Builder("g").step("one", sh("echo 1 > x"), outputs={"x": "t"}).step("two", ["true"], inputs={"x": "t"}).data("one.x", "two.x")
    assert set(states(go(graph)).values()) == {"finished"} and set(states(go(graph)).values()) == {"cached"}


def test_a_step_does_not_outlive_an_engine_that_fails(go, runner, tmp_path):
    with pytest.raises(ZeroDivisionError):
        go(Builder("g").step("one", sh("echo begun; exec sleep 1000")), listen=lambda event: 1 / (event.text != "begun"))
    if isinstance(runner, ContainerSteps):
        [run_folder] = (tmp_path / "state" / "runs").iterdir()
        assert not {mark_of(run_folder / "tasks" / "one" / "1")} & set(runner._engine.find(LABEL).values())


EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "points"


def test_the_example_makes_the_same_artefacts_on_every_runner(runner, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    result = run(load(EXAMPLE / "graph.toml"), base=EXAMPLE, state=tmp_path / "state", runner=runner)
    expected = run(load(EXAMPLE / "graph.toml"), base=EXAMPLE, state=tmp_path / "expected", runner="process")
    assert result.ok and len(result.outcomes) == 6 and result.value == expected.value > 0.8
    assert {task: one.digests for task, one in result.outcomes.items()} == {task: one.digests for task, one in expected.outcomes.items()}


# --- containers -----------------------------------------------------------------------------------------------------------


def job(step, home, folder):
    for name in ("inputs", "outputs"):
        (folder / name).mkdir(parents=True)
    (folder / "params.json").write_text("{}")
    return Job(step, home, folder / "inputs", folder / "outputs", folder / "params.json", {}, folder)


def test_what_a_dead_engine_left_in_containers_is_ended_and_nothing_else(home, tmp_path, twin):
    runner = ContainerSteps(lambda: twin)
    step = Builder("g").step("one", sh("echo begun; sleep 1000")).build().steps["one"]
    runner.prepare(step, home, print)
    for name in "ab":
        twin.start(runner._spec(job(step, home, tmp_path / name)))
    _, second = twin.find(LABEL)
    ContainerSteps(lambda: twin).clean([tmp_path / "a"])
    assert list(twin.find(LABEL)) == [second]
    twin.remove(second)


class Stuck(ContainersTwin):
    def remove(self, container):
        super().remove(container)
        raise RunnerError("the engine does not answer")


def test_an_engine_that_cannot_remove_a_container_fails_that_step_and_not_the_run(home, tmp_path):
    graph = Builder("g").step("one", ["true"]).build()
    outcome = run(graph, base=home, state=tmp_path / "state", runner=ContainerSteps(Stuck)).outcomes["one"]
    assert (outcome.state, outcome.why) == ("failed", "the engine does not answer")
    with pytest.raises(ZeroDivisionError):  # the first error is the one to tell
        run(Builder("g").step("one", ["echo", "a"]).build(), base=home, state=tmp_path / "state", runner=ContainerSteps(Stuck), listen=lambda event: 1 / (event.kind != "line"))


def test_outputs_that_cannot_be_handed_over_fail_the_step_and_not_the_run(home, tmp_path, twin, monkeypatch):
    def chown(*words, **more):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("workflows.runners.container_steps._root", lambda: True)
    monkeypatch.setattr(os, "chown", chown)
    outcome = run(Builder("g").step("one", ["true"]).build(), base=home, state=tmp_path / "state", runner=ContainerSteps(lambda: twin)).outcomes["one"]
    assert outcome.state == "failed" and "cannot be handed over to the step (Operation not permitted)" in outcome.why and not twin.specs


@pytest.mark.parametrize("kind", ["twin", pytest.param("container", marks=pytest.mark.docker)])
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"image": "no-such-image-anywhere:1"}, "'no-such-image-anywhere:1' is not here and cannot be pulled"),
        ({"dockerfile": "none/Dockerfile"}, "cannot be read"), ({"dockerfile": "Dockerfile"}, "the image cannot be built"),
        ({"requirements": "none.txt"}, "none.txt cannot be read"), ({"mounts": [{"source": "none", "target": "/d"}]}, "nothing is there"),
    ],
)  # fmt: skip
def test_what_cannot_be_prepared_is_refused_before_anything_runs(home, tmp_path, twin, kind, environment, says):
    (home / "Dockerfile").write_text("RUN nothing\n")
    graph = Builder("g").step("one", ["true"], environment=environment).build()
    with pytest.raises(RunnerError, match=says):
        run(graph, base=home, state=tmp_path / "state", runner=ContainerSteps(lambda: twin) if kind == "twin" else "container")
    assert not (tmp_path / "state").exists()


def test_a_module_that_the_container_will_not_see_is_refused_before_anything_runs(home, tmp_path, twin, monkeypatch):
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "only_here.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "aside"))
    step = Builder("g").step("one", "only_here:f").build().steps["one"]
    ProcessSteps().check(step, home)
    with pytest.raises(StepError, match=r"'only_here' .* all that the step will see"):
        ContainerSteps(lambda: twin).check(step, home)
    ContainerSteps(lambda: twin).check(Builder("g").step("one", "workflows.steps.train:f").build().steps["one"], home)


@pytest.mark.parametrize("module", ["agents.story", "benchmarks.novelty", "tests.conftest"])
def test_a_module_of_this_project_that_is_not_bound_into_the_container_is_refused_too(home, twin, module):
    step = Builder("g").step("one", f"{module}:f").build().steps["one"]
    ProcessSteps().check(step, home)
    with pytest.raises(StepError, match="all that the step will see"):
        ContainerSteps(lambda: twin).check(step, home)


def test_without_an_engine_there_is_one_clear_error(home, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(RunnerError, match=r"no container engine answers .* or use --runner process"):
        run(Builder("g").step("one", ["true"]).build(), base=home, state=tmp_path / "state", runner="container")
    ContainerSteps().clean([tmp_path])  # where no engine answers, nothing runs


def test_what_a_step_declares_reaches_its_container(home, tmp_path):
    twin = ContainersTwin(images=("mine:1",), memory=1 << 30)
    (home / "data").write_text("1")
    wanted = {"image": "mine:1", "cpus": 1.5, "memory": "64MiB", "gpus": 1, "network": "bridge", "mounts": [{"source": "data", "target": "/data"}]}
    graph = Builder("g").step("one", ["false"], environment=wanted).build()
    outcome = run(graph, base=home, state=tmp_path / "state", runner=ContainerSteps(lambda: twin)).outcomes["one"]
    [spec] = twin.specs.values()
    assert (spec.image, spec.cpus, spec.memory, spec.gpus, spec.network) == ("id of mine:1", 1.5, 64 << 20, 1, "bridge")
    assert (home / "data", "/data", False) in spec.binds and "/scanflow/site" not in {bind.target for bind in spec.binds}
    assert not spec.user.startswith("0:") and outcome.why == "out of memory: it was held to 64MiB; raise environment.memory"


def test_an_image_is_built_once_for_the_same_content_and_another_content_is_another_step(home, tmp_path, twin):
    graph = Builder("g").step("one", ["true"], environment={"dockerfile": "box/Dockerfile"}).build()
    (home / "box").mkdir()
    (home / "box" / "Dockerfile").write_text("FROM x\n")
    go = lambda: states(run(graph, base=home, state=tmp_path / "state", runner=ContainerSteps(lambda: twin)))["one"]  # noqa: E731
    assert (go(), len(twin.images), go(), len(twin.images)) == ("finished", 1, "cached", 1)
    (home / "box" / "more").write_text("2")
    assert (go(), len(twin.images)) == ("finished", 2)


def test_what_is_mounted_belongs_to_what_decides_the_result(home, tmp_path, twin):
    (home / "data").write_text("1")
    graph = Builder("g").step("one", ["true"], environment={"mounts": [{"source": "data", "target": "/data"}]}).build()
    go = lambda: states(run(graph, base=home, state=tmp_path / "state", runner=ContainerSteps(lambda: twin)))["one"]  # noqa: E731
    assert (go(), go()) == ("finished", "cached")
    (home / "data").write_text("2")
    assert go() == "finished"


def test_a_process_says_what_it_cannot_keep_and_refuses_mounts_that_are_not_where_they_are_looked_for(home, tmp_path):
    said = []
    graph = Builder("g").step("one", ["true"], environment={"memory": "64MiB", "image": "mine:1"}).build()
    assert run(graph, base=home, state=tmp_path / "state", listen=lambda event: said.append(event.text)).ok
    assert "-- not kept by a process: image = 'mine:1', memory = '64MiB'; --runner container keeps it" in said
    mount = lambda source: Builder("g").step("one", ["true"], environment={"mounts": [{"source": source, "target": "/etc/passwd"}]}).build().steps["one"]  # noqa: E731
    with pytest.raises(RunnerError, match="a process cannot see the mount 'data' at /etc/passwd"):
        ProcessSteps().check(mount("data"), home)
    ProcessSteps().check(mount("/etc/passwd"), home)


BAD = {
    "two images": ({"image": "a", "requirements": ["b"]}, "leave one of them"),
    "no memory": ({"memory": "much"}, "no amount of memory"), "too little memory": ({"memory": 100}, "6 MiB or more"),
    "negative": ({"cpus": -1}, "from 0 on"), "a base of nothing": ({"base": "a"}, "write image = 'a'"), "no network": ({"network": "a b"}, "bridge"),
    "a relative target": ({"mounts": [{"source": "a", "target": "b"}]}, "such as /data"),
    "a target twice": ({"mounts": [{"source": "a", "target": "/b"}, {"source": "c", "target": "/b/"}]}, "share the target"),
    "all of the container": ({"mounts": [{"source": "a", "target": "//"}]}, "taken by the container"), "its /tmp": ({"mounts": [{"source": "a", "target": "/tmp/"}]}, "/tmp is taken"),
    "its code": ({"mounts": [{"source": "a", "target": "//scanflow/./code"}]}, "/scanflow/code is taken"),
    "a mount that is written to": ({"mounts": [{"source": "a", "target": "/b", "writable": True}]}, "cache = false"),
    "an unknown key": ({"imag": "a"}, "did you mean 'image'"),
}  # fmt: skip


@pytest.mark.parametrize(("environment", "says"), BAD.values(), ids=BAD.keys())
def test_an_unsound_environment_is_refused_when_the_graph_is_built(environment, says):
    with pytest.raises(GraphError, match=says):
        Builder("g").step("one", ["true"], environment=environment).build()


@pytest.mark.docker
def test_a_real_container_has_no_rights_no_network_and_the_limits_that_were_declared(home, tmp_path):
    script = "id -u; grep -h -e CapEff -e CapBnd -e NoNewPrivs /proc/self/status; touch /x || echo read-only; touch /scanflow/graph/x || echo read-only; ls /sys/class/net; touch /tmp/x && echo tmp"
    (home / "data").write_text("seen\n")
    graph = Builder("g").step("one", sh(f"{script}; cat /data"), environment={"mounts": [{"source": "data", "target": "/data"}]}).build()
    said = []
    assert run(graph, base=home, state=tmp_path / "state", runner="container", listen=lambda event: said.append(event.text)).ok
    told = [" ".join(line.split()) for line in said]
    assert "0" not in told and told.count("read-only") == 2 and "tmp" in told and "seen" in told and "lo" in told and "eth0" not in told
    assert "CapEff: 0000000000000000" in told and "CapBnd: 0000000000000000" in told and "NoNewPrivs: 1" in told


@pytest.mark.docker
def test_a_real_step_that_needs_more_memory_than_it_may_take_is_told_as_such(home, tmp_path):
    graph = Builder("g").step("one", ["python", "-c", "x = b'1' * (200 << 20)"], environment={"memory": "64MiB"}).build()
    outcome = run(graph, base=home, state=tmp_path / "state", runner="container").outcomes["one"]
    assert outcome.code == 137 and outcome.why == "out of memory: it was held to 64MiB; raise environment.memory"


@pytest.mark.docker
def test_real_images_are_made_from_requirements_and_from_a_dockerfile(home, tmp_path):
    (home / "Dockerfile").write_text("ARG BASE_IMAGE=python:3.11-slim\nFROM ${BASE_IMAGE}\nCOPY word /word\n")
    (home / "word").write_text("built\n")
    graph = Builder("g").step("libraries", ["python", "-c", "import six; print(six.__version__, six.__file__)"], environment={"requirements": ["six==1.16.0"]})
    graph.step("file", sh("cat /word"), environment={"dockerfile": "Dockerfile"}).step("absent", ["no-such-program"])
    said = []
    result = run(graph.build(), base=home, state=tmp_path / "state", runner="container", listen=lambda event: said.append(event.text))
    assert states(result) == {"libraries": "finished", "file": "finished", "absent": "failed"}, [one.why for one in result.outcomes.values()]
    assert "1.16.0 /scanflow/site/six.py" in said and "built" in said
    assert result.outcomes["absent"].code == 127 and "not in its image" in result.outcomes["absent"].why


@pytest.mark.docker
def test_after_the_engine_was_killed_its_real_container_is_ended_and_only_what_is_missing_is_run(home):
    graph = Builder("ten", params={"wait": 1000})
    for number in range(10):
        wait = "cat $params; echo; sleep $(tr -dc 0-9 < $params);" if number == 5 else ""
        graph.step(f"s{number}", sh(f"{wait} echo {number} > x"), outputs={"x": "t"}, inputs={"x": "t"} if number else {}, cache=number % 2 == 0, params={"wait": "${wait}"} if number == 5 else {})
        if number:
            graph.data(f"s{number - 1}.x", f"s{number}.x")
    save(graph.build(), home / "ten.toml")
    command = [sys.executable, "-m", "workflows", "run", "ten.toml", "--runner", "container", "--state", "state"]
    with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True) as engine:
        assert any('"wait": 1000' in line for line in engine.stdout)
        engine.kill()
    [crashed] = (home / "state" / "runs").iterdir()
    mine = ContainerSteps()
    wanted = {mark_of(folder) for folder in Run(crashed).unfinished()}  # others may use this engine, too
    assert wanted & set(mine._engine.find(LABEL).values())
    resumed = subprocess.run([*command, "--resume", crashed.name, "--param", "wait=0"], cwd=home, capture_output=True, text=True, check=True)
    assert "10 of 10 tasks done (5 run, 5 taken from before)" in resumed.stdout
    assert not wanted & set(mine._engine.find(LABEL).values())


# --- Ray ------------------------------------------------------------------------------------------------------------------


@pytest.mark.ray
def test_a_worker_that_dies_is_a_failure_that_is_tried_again(home, tmp_path, one_ray):
    mark = tmp_path / "begun"
    graph = Builder("g").step("one", sh(f"[ -e {mark} ] && exit 0; touch {mark}; kill -9 $PPID; sleep 1000"), retries=1, backoff=0.0).build()
    said = []
    result = run(graph, base=home, state=tmp_path / "state", runner="ray", listen=lambda event: said.append(event.text))
    assert result.outcomes["one"].tries == 2 and result.ok
    assert any("the Ray worker that ran it has died" in text for text in said)


@pytest.mark.ray
def test_a_step_that_no_machine_is_large_enough_for_is_refused(home, tmp_path, one_ray):
    graph = Builder("g").step("one", ["true"], environment={"gpus": 1000}).build()
    with pytest.raises(RunnerError, match=r"no machine of the Ray cluster .*GPU 1000.* would wait for ever"):
        run(graph, base=home, state=tmp_path / "state", runner="ray")


@pytest.mark.ray
@pytest.mark.parametrize("environment", [{"requirements": "none.txt"}, {"dockerfile": "none/Dockerfile"}])
def test_a_file_that_is_to_travel_and_is_not_there_is_one_error(home, tmp_path, one_ray, environment):
    graph = Builder("g").step("one", ["true"], environment=environment).build()
    with pytest.raises(RunnerError, match=r"none.* cannot be read \(No such file or directory\)"):
        run(graph, base=home, state=tmp_path / "state", runner="ray")


@pytest.mark.ray
def test_without_an_address_a_cluster_of_its_own_is_started(monkeypatch):
    from workflows.runners import ray_steps

    asked = {}
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_steps.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray_steps.ray, "init", lambda **words: asked.update(words))
    ray_steps._join()
    assert asked["address"] == "local"


@pytest.mark.docker
def test_a_real_container_is_not_told_the_proxies_of_the_user(home, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"proxies": {"default": {"httpProxy": "http://me:secret@proxy:1"}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    said = []
    assert run(Builder("g").step("one", sh("env")).build(), base=home, state=tmp_path / "state", runner="container", listen=lambda event: said.append(event.text)).ok
    assert any("PYTHONPATH" in line for line in said) and not any("secret" in line for line in said)


@pytest.mark.ray
@pytest.mark.docker
def test_a_step_with_an_image_runs_in_a_container_of_the_machine_that_ray_chose(home, tmp_path, one_ray):
    (home / "Dockerfile").write_text("ARG BASE_IMAGE=python:3.11-slim\nFROM ${BASE_IMAGE}\nCOPY word /word\n")
    (home / "word").write_text("built\n")
    graph = Builder("g").step("one", sh("cat /word; id -u; echo 1 > x"), outputs={"x": "t"}, environment={"dockerfile": "Dockerfile"}).build()
    said = []
    result = run(graph, base=home, state=tmp_path / "state", runner="ray", listen=lambda event: said.append(event.text))
    assert result.ok and "built" in said and "0" not in said and result.artefact("one.x").read_text() == "1\n"


def test_a_step_that_another_machine_runs_takes_the_files_with_it_that_make_it(home):
    from workflows.code import code_files

    (home / "help.py").write_text("")
    (home / "mine.py").write_text("import help\n")
    (home / "other.py").write_text("")
    (home / "folder").mkdir()
    (home / "folder" / "table.csv").write_text("")
    step = Builder("g").step("one", "mine:f", files=["folder"], environment={"requirements": "r.txt"}).step("two", ["sh", "other.py"]).build().steps
    (home / "r.txt").write_text("")
    assert sorted(code_files(step["one"], home)) == ["folder/table.csv", "help.py", "mine.py", "r.txt"] and list(code_files(step["two"], home)) == ["other.py"]
