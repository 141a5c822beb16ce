"""`python -m workflows` as a user calls it: in a process of its own where it is killed or ended, else in this one, which is quicker."""

import os
import select
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from workflows.__main__ import app
from workflows.graph import Builder
from workflows.graph_files import save

STEPS = 10


def command(*arguments):
    return [sys.executable, "-m", "workflows", *arguments]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls the command in the folder of the test and returns what it prints, the errors last."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())  # it adds the folder of the graph
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments, expect=0):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == expect, done.output
        return done.stdout + done.stderr

    yield call
    signal.signal(signal.SIGTERM, before)


def sh(script):
    return ["sh", "-c", 'cd "$4"; inputs=$2; ' + script, "step"]


@pytest.fixture
def ten(tmp_path):
    """A file with a chain of ten steps that count their starts; the sixth waits until it can read from the pipe `gate`."""
    os.mkfifo(tmp_path / "gate")
    graph = Builder("ten")
    for number in range(STEPS):
        wait = f"echo $$ > {tmp_path}/pid; read line < {tmp_path}/gate;" if number == 5 else ""
        # Half of them are taken from the store after a crash, the others are known to the run alone.
        graph.step(f"s{number}", sh(f"echo {number} >> {tmp_path}/starts; {wait} echo {number} > x"), outputs={"x": "t"},
                   inputs={"x": "t"} if number else {}, cache=number % 2 == 0)  # fmt: skip
        if number:
            graph.data(f"s{number - 1}.x", f"s{number}.x")
    save(graph.build(), tmp_path / "ten.toml")
    return tmp_path


def test_after_the_engine_was_killed_in_the_middle_only_what_is_missing_is_run(ten):
    engine = subprocess.Popen(command("run", "ten.toml", "--state", "state"), cwd=ten, stdout=subprocess.DEVNULL)
    gate = os.open(ten / "gate", os.O_WRONLY)  # waits until the sixth step reads
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    [run] = (ten / "state" / "runs").iterdir()
    orphan = os.pidfd_open(int((ten / "pid").read_text()))  # the sixth step, which still waits at the gate
    again = subprocess.Popen(command("run", "--resume", run.name, "--state", "state"), cwd=ten, stdout=subprocess.PIPE, text=True)
    assert select.select([orphan], [], [], 20)[0], "the step of the dead engine must be ended before another one begins"
    os.close(orphan)
    second = os.open(ten / "gate", os.O_WRONLY)  # waits until the new one reads
    os.write(second, b"go\n")
    told, _ = again.communicate(timeout=20)
    os.close(gate)
    os.close(second)
    assert again.returncode == 0
    assert (ten / "starts").read_text().split() == ["0", "1", "2", "3", "4", "5", "5", "6", "7", "8", "9"]
    assert f"run {run.name}: 10 of 10 tasks done (5 run, 5 taken from before)" in told


def test_a_terminated_engine_ends_its_steps_and_says_how_to_go_on(ten):
    engine = subprocess.Popen(command("run", "ten.toml", "--state", "state"), cwd=ten, stdout=subprocess.PIPE, text=True)
    gate = os.open(ten / "gate", os.O_WRONLY)
    engine.send_signal(signal.SIGTERM)
    told, _ = engine.communicate(timeout=20)
    with pytest.raises(BrokenPipeError):  # nobody reads any more: the step is gone
        os.write(gate, b"go\n")
    os.close(gate)
    assert engine.returncode == 130
    assert "interrupted: s5 (interrupted), s6 (it was not started)" in told and "go on with: python -m workflows run --resume ten-" in told


def test_a_failing_step_is_reported_with_its_code_its_log_what_was_skipped_and_how_to_resume(tmp_path, call):
    graph = Builder("g").step("bad", sh("seq 100; echo the reason; exit 3"), outputs={"x": "t"}).step("after", ["true"], inputs={"x": "t"})
    save(graph.step("apart", ["true"]).data("bad.x", "after.x").build(), tmp_path / "g.toml")
    told = call("run", "g.toml", "--state", "state", expect=1)
    report = told.partition("\n\n")[2]
    assert report.startswith("bad failed with exit code 3") and "    100\n    the reason\n" in report and "    90\n" not in report
    assert "skipped: after (bad has failed)" in report and "1 of 3 tasks done" in report and "apart | -- finished" in told
    name = report.rpartition("--resume ")[2].split()[0]
    assert "apart | -- cached: finished before, in this run" in call("run", "--resume", name, "--state", "state", expect=1)


def test_parameters_and_inputs_are_given_on_the_command_line(tmp_path, call):
    (tmp_path / "data").write_text("content")
    graph = Builder("g", params={"word": "a"}, inputs={"data": "t"}).step("one", sh('cat "$inputs/data" "$6"'), inputs={"data": "t"}, params={"word": "${word}"})
    save(graph.data("inputs.data", "one.data").build(), tmp_path / "g.yaml")
    told = call("run", "g.yaml", "--param", "word=b c", "--input", "inputs.data=data")
    assert 'one | content{"word": "b c"}' in told and (tmp_path / "scanflow-state" / "runs").is_dir()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "none.toml"], "error: none.toml: cannot be read"), (["run"], "error: give the file of a graph, or --resume RUN"),
        (["run", "g.toml", "--runner", "rya"], "no runner 'rya'; did you mean 'ray'"),
        (["run", "g.toml", "--param", "x"], "write NAME=VALUE"), (["check", "bad.toml"], "has no key 'stesp'; did you mean 'steps'"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_in_one_line(tmp_path, call, arguments, says):
    save(Builder("g").step("one", ["true"]).build(), tmp_path / "g.toml")
    (tmp_path / "bad.toml").write_text('name = "bad"\n[stesp.one]\ncommand = ["true"]\n')
    told = call(*arguments, expect=2)
    assert says in told and told.count("\n") == 1
