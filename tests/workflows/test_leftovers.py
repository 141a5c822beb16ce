"""What a crashed engine has left running is ended when its run is resumed, and nothing else is."""

import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from workflows.engine import run
from workflows.graph import Builder
from workflows.graph_files import save
from workflows.runners import leftovers
from workflows.runners.leftovers import end_leftovers, mark
from workflows.runners.runner import RunnerError
from workflows.runs import RunError

SLEEP = ["sleep", "1000"]


@contextmanager
def sleeping(*folders):
    """A process that bears the marks of these tries."""
    marks = {name: place for folder in folders for name, place in mark(folder).items()}
    with subprocess.Popen(SLEEP, env=os.environ | marks) as process:
        try:
            yield process
        finally:
            process.kill()


def killed(process):
    """Whether it has been killed: `end_leftovers` returns only when all that it ends has ended."""
    return process.poll() == -signal.SIGKILL


def runs(descriptor):
    return not select.select([descriptor], [], [], 0)[0]


@pytest.fixture
def tries(tmp_path):
    """Two folders."""
    for name in "ab":
        (tmp_path / name).mkdir()
    return tmp_path / "a", tmp_path / "b"


def test_what_bears_the_mark_of_one_of_the_tries_is_ended_and_nothing_else(tries):
    one, other = tries
    with sleeping(one) as of_one, sleeping(other) as of_other, sleeping() as plain:
        end_leftovers([one])
        assert (killed(of_one), killed(of_other), killed(plain)) == (True, False, False)
        end_leftovers([])
        assert (killed(of_other), killed(plain)) == (False, False)


def test_what_a_nested_run_has_started_belongs_to_both(tries):
    for place in tries:
        with sleeping(*tries) as process:
            end_leftovers([place])
            assert killed(process)


@pytest.mark.parametrize("name", ["with space", "a=b", "two\nlines", "é:ü", "[*]", os.fsdecode(b"\xff\xfe")])
def test_any_name_of_a_folder_will_do_and_any_way_to_it(tmp_path, name):
    (folder := tmp_path / name / "1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / name)
    with sleeping(folder) as process, sleeping(tmp_path) as other:
        end_leftovers([tmp_path / "link" / "1"])
        assert killed(process) and not killed(other)


def test_what_is_started_while_others_are_ended_is_ended_too(tries, monkeypatch):
    born = []
    send = signal.pidfd_send_signal

    def send_late(descriptor, sign):
        if not born:
            born.append(subprocess.Popen(SLEEP, env=os.environ | mark(tries[0])))
        send(descriptor, sign)

    monkeypatch.setattr(signal, "pidfd_send_signal", send_late)
    with sleeping(tries[0]) as first:
        end_leftovers([tries[0]])
    with born[0] as second:
        ended = killed(second)
        second.kill()
    assert killed(first) and ended


def test_a_process_that_may_not_be_read_is_passed_over(tries, monkeypatch):
    read = Path.read_bytes
    with sleeping(tries[0]) as closed, sleeping(tries[0]) as process:

        def refuse(path):
            if path == Path(f"/proc/{closed.pid}/environ"):
                raise PermissionError
            return read(path)

        monkeypatch.setattr(Path, "read_bytes", refuse)
        end_leftovers([tries[0]])
        assert killed(process) and not killed(closed)


def test_the_remains_of_a_process_are_no_hindrance(tries):
    with sleeping(tries[0]) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not collected yet
        end_leftovers([tries[0]])


def test_a_process_that_does_not_end_is_an_error_that_names_it(tries, monkeypatch):
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda *_: None)
    monkeypatch.setattr(leftovers, "GRACE", 0.0)
    with sleeping(tries[0]) as process, pytest.raises(RunnerError, match=f"process {process.pid}, .* cannot be ended"):
        end_leftovers([tries[0]])


def test_whoever_ends_them_spares_itself_what_it_descends_from_and_what_it_has_started(tries):
    end = (
        "import subprocess, sys; from pathlib import Path; from workflows.runners.leftovers import end_leftovers\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "end_leftovers([Path(sys.argv[1])])\n"
        "print('child', child.poll(), flush=True); child.kill()"
    )
    script = 'sleep 1000 & "$0" -c "$1" "$2"; wait $!; echo sibling $?'
    command = ["sh", "-c", script, sys.executable, end, str(tries[0])]
    done = subprocess.run(command, env=os.environ | mark(tries[0]), capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout.split("\n") == ["child None", "sibling 137", ""], done.stderr


APART = "import subprocess as s; print(s.Popen(['sleep', '1000'], start_new_session=True, stdout=s.DEVNULL, stderr=s.DEVNULL).pid)"


def sh(script):
    """A step in whose script `$(apart)` starts a program in a session of its own, not as a child of the step, and says its number."""
    return ["sh", "-c", f'apart() {{ {sys.executable} -c "{APART}"; }}; base=$PWD; cd "$4"; {script}', "step"]


@pytest.mark.parametrize("runner", ["process", "inline"])
def test_resuming_after_a_crash_ends_what_ran_wherever_it_went_but_not_what_a_finished_step_has_left(tmp_path, runner):
    home = tmp_path / "an odd=name:"
    home.mkdir()
    graph = Builder("g").step("server", sh('apart > "$base/server"; echo 1 > x'), outputs={"x": "t"})
    slow = sh('[ -e "$base/slow" ] && exit 0; echo $$ $(apart) > "$base/slow"; echo ready; exec sleep 1000')
    save(graph.step("slow", slow, inputs={"x": "t"}).data("server.x", "slow.x").build(), home / "g.toml")
    command = [sys.executable, "-m", "workflows", "run", "g.toml", "--runner", runner, "--state", "state"]
    with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True) as engine:
        assert any("ready" in line for line in engine.stdout)
        engine.kill()
    server, *slow = (os.pidfd_open(int(number)) for name in ("server", "slow") for number in (home / name).read_text().split())
    try:
        assert runs(server) and len(slow) == 2 and all(map(runs, slow))
        [crashed] = (home / "state" / "runs").iterdir()
        (tmp_path / "link").symlink_to(home)
        result = run(resume=crashed.name, state=tmp_path / "link" / "state")
        assert {task: outcome.state for task, outcome in result.outcomes.items()} == {"server": "cached", "slow": "finished"}
        assert runs(server) and not any(map(runs, slow))
    finally:
        for descriptor in (server, *slow):
            if runs(descriptor):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)


def test_a_step_bears_the_mark_of_its_try_beside_those_of_the_runs_around_it(tmp_path, monkeypatch):
    [(name, place)] = mark(tmp_path).items()
    monkeypatch.setenv(name, place)
    lines = []
    graph = Builder("g").step("one", ["sh", "-c", "env | grep ^SCANFLOW_TRY_"]).build()
    result = run(graph, state=tmp_path / "state", listen=lambda event: lines.append(event.text) if event.kind == "line" else None)
    [(own, here)] = mark(result.folder / "tasks" / "one" / "1").items()
    assert sorted(lines) == sorted([f"{name}={place}", f"{own}={here}"])


def test_a_run_is_left_alone_while_its_engine_lives(tmp_path):
    graph = Builder("g").step("one", ["sh", "-c", "[ -e begun ] && exit; touch begun; echo ready; read line < gate"]).build()
    os.mkfifo(tmp_path / "gate")
    refused = []

    def resume(event):
        if event.kind == "line":
            [begun] = (tmp_path / "state" / "runs").iterdir()
            with pytest.raises(RunError, match="another process works on the run"):
                run(resume=begun.name, state=tmp_path / "state")
            refused.append(begun.name)
            (tmp_path / "gate").write_text("go\n")

    assert run(graph, base=tmp_path, state=tmp_path / "state", listen=resume).ok and refused


def test_a_step_does_not_outlive_an_engine_that_fails(tmp_path):
    numbers = []

    def fail(event):
        if event.kind == "line":
            numbers.append(os.pidfd_open(int(event.text)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Builder("g").step("one", ["sh", "-c", "echo $$; exec sleep 1000"]).build(), state=tmp_path / "state", listen=fail)
    assert not runs(numbers[0])
    os.close(numbers[0])
