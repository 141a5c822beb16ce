import os
import signal
import select
import threading
from pathlib import Path

import pytest

from workflows.engine import Interrupted, run
from workflows.graph import Builder, GraphError
from workflows.runners.runner import RunnerError
from workflows.runners.steps import ProcessSteps, step_runner
from workflows.runs import Run, RunError
from workflows.step import StepError, step

SH = 'cd "$4"; inputs=$2; params=$6; '  # --inputs DIR --outputs DIR --params FILE


def sh(script):
    return ["sh", "-c", SH + script, "step"]


def states(result):
    return {task: outcome.state for task, outcome in result.outcomes.items()}


@pytest.fixture
def go(tmp_path):
    """Runs a graph with its state and its files under one folder; `go.events` are those of the last run."""

    def go(graph, **options):
        go.events = []
        options.setdefault("listen", go.events.append)
        return run(graph.build() if isinstance(graph, Builder) else graph, base=tmp_path, state=tmp_path / "state", **options)

    return go


@step(inputs={"numbers": "text"}, outputs={"total": "text"})
def add(numbers, total, *, scale=1):
    value = scale * sum(map(int, numbers.read_text().split()))
    total.write_text(str(value))
    return {"total": value}


@step(outputs={"numbers": "text"})
def make(numbers, *, count=3):
    numbers.write_text(" ".join(map(str, range(count))))


@step(inputs={"many": "list[text]"})
def collect(many):
    return {"sum": sum(int((many / str(number)).read_text()) for number in range(len(list(many.iterdir()))))}


def sums(scales=(1, 10), **fields):
    return (
        Builder("sums", params={"count": 4}).step("make", make, params={"count": "${count}"})
        .step("add", add, each={"scale": list(scales)}, **fields).step("collect", collect)
        .data("make.numbers", "add.numbers").data("add.total", "collect.many").returns("best", "max(add.total) + collect.sum")
    )  # fmt: skip


def test_artefacts_parameters_and_metrics_pass_from_step_to_step_and_the_return_function_is_computed(go):
    result = go(sums(), runner="inline")
    assert result.ok and result.outcomes["collect"].metrics == {"sum": 66.0}
    assert (result.returns, result.value) == ("best", 126.0)
    assert result.artefact("add[1].total").read_text() == "60"


def test_a_parameter_of_the_graph_or_of_a_step_is_overridden_for_one_run(go):
    assert go(sums(), runner="inline", params={"count": 3}).value == 63.0
    with pytest.raises(GraphError, match="no parameter 'coun'; did you mean 'count'"):
        go(sums(), runner="inline", params={"coun": 3})


def test_a_program_in_any_language_is_a_step_and_its_lines_carry_its_name(go):
    graph = Builder("g").step("one", sh("echo hello; echo oops >&2; cat $params; echo '{\"m\": 2}' > metrics.json; echo data > x"), outputs={"x": "text"}, params={"a": [1, "b"]})
    graph.step("two", sh("cat $inputs/x"), inputs={"x": "text"}).data("one.x", "two.x").returns("m", "one.m * 2")
    result = go(graph)
    assert result.ok and result.value == 4.0
    lines = [(event.task, event.text) for event in go.events if event.kind == "line"]
    assert lines == [("one", "hello"), ("one", "oops"), ("one", '{"a": [1, "b"]}'), ("two", "data")]


def test_a_python_function_runs_in_a_process_of_its_own(go, tmp_path):
    (tmp_path / "mine.py").write_text("from workflows.step import step\n@step(outputs={'x': 'text'})\ndef f(x, *, a):\n    x.write_text(a)\n    print('made')\n    return {'m': 1}\n")
    result = go(Builder("g").step("one", "mine:f", outputs={"x": "text"}, params={"a": "content"}))
    assert result.ok and result.artefact("one.x").read_text() == "content" and result.outcomes["one"].metrics == {"m": 1.0}


def test_a_failing_step_stops_what_depends_on_it_and_nothing_else(go):
    graph = Builder("g").step("bad", sh("echo the reason; exit 3"), outputs={"x": "t"}).step("after", ["true"], inputs={"x": "t"}).data("bad.x", "after.x")
    graph.step("later", ["true"], when="after.m > 0").step("apart", sh("echo 1 > y"), outputs={"y": "t"}).step("beyond", ["true"], inputs={"y": "t"}).data("apart.y", "beyond.y")
    result = go(graph)
    assert states(result) == {"bad": "failed", "after": "skipped", "later": "skipped", "apart": "finished", "beyond": "finished"}
    assert not result.ok and result.outcomes["bad"].code == 3 and result.outcomes["after"].why == "bad has failed"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 1 > y", "no outputs/x, which it declares; there is: y"), ("echo 1 > x; echo [] > metrics.json", "object of numbers"),
        ("echo 1 > x; echo '{\"m\": \"high\"}' > metrics.json", "finite numbers"), ("echo 1 > x; echo '{' > metrics.json", "not JSON"), ("kill -9 $$", "SIGKILL"),
    ],
)  # fmt: skip
def test_a_step_that_breaks_the_contract_has_failed_and_says_how(go, script, why):
    outcome = go(Builder("g").step("one", sh(script), outputs={"x": "t"})).outcomes["one"]
    assert outcome.state == "failed" and why in outcome.why


def test_what_an_in_process_function_raises_is_its_failure_and_stands_in_its_log(go):
    result = go(Builder("g").step("make", make, params={"count": "three"}), runner="inline")
    assert result.outcomes["make"].state == "failed" and "TypeError" in result.outcomes["make"].why
    assert "Traceback" in next(event.text for event in go.events if event.kind == "line")


def test_a_failed_step_is_tried_again_after_pauses_that_double(go, tmp_path):
    pauses = []
    graph = Builder("g").step("flaky", sh(f"echo x >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) -eq 3 ]"), retries=4, backoff=1.5)
    result = go(graph, wait=lambda seconds, stop: pauses.append(seconds))
    assert result.ok and result.outcomes["flaky"].tries == 3 and pauses == [1.5, 3.0]


def test_a_step_that_takes_too_long_is_ended_with_all_that_it_started(go, tmp_path):
    result = go(Builder("g").step("slow", sh(f"sleep 60 & echo $! > {tmp_path}/pid; wait"), timeout=0.2))
    assert (result.outcomes["slow"].state, result.outcomes["slow"].code) == ("failed", 124) and "its time of 0.2 s" in result.outcomes["slow"].why
    assert ends(int((tmp_path / "pid").read_text()))


def ends(pid):
    """Whether a process that is not our child ends, if we look long enough; it may be gone already."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 20)[0])
    finally:
        os.close(descriptor)


def test_an_unchanged_step_is_not_run_again_and_says_so(go):
    first, second = go(sums(), runner="inline"), go(sums(), runner="inline")
    assert set(states(first).values()) == {"finished"} and set(states(second).values()) == {"cached"}
    assert second.value == first.value and second.outcomes["make"].why == "nothing has changed since it was made"


def test_a_changed_parameter_runs_its_step_again_and_what_depends_on_it(go):
    go(sums(), runner="inline")
    assert states(go(sums(scales=(1, 11)), runner="inline")) == {"make": "cached", "add[0]": "cached", "add[1]": "finished", "collect": "finished"}


def test_a_step_that_makes_the_same_again_changes_nothing_behind_it(go, tmp_path):
    graph = lambda noise: Builder("g").step("one", sh(f"echo same > x # {noise}"), outputs={"x": "t"}).step("two", ["true"], inputs={"x": "t"}).data("one.x", "two.x")  # noqa: E731
    go(graph(1))
    assert states(go(graph(2))) == {"one": "finished", "two": "cached"}


def test_changed_code_is_another_step(go, tmp_path):
    (tmp_path / "help.py").write_text("VALUE = 1\n")
    (tmp_path / "mine.py").write_text("import help\nfrom workflows.step import step\n@step()\ndef f():\n    return {'m': help.VALUE}\n")
    (tmp_path / "prog.sh").write_text("echo 1")
    (tmp_path / "table.csv").write_text("1")
    graph = Builder("g").step("f", "mine:f").step("prog", ["sh", "prog.sh"]).step("table", ["true"], files=["table.csv"]).step("other", ["true"])
    assert go(graph).ok
    (tmp_path / "help.py").write_text("VALUE = 2\n")
    assert states(go(graph)) == {"f": "finished", "prog": "cached", "table": "cached", "other": "cached"}
    (tmp_path / "prog.sh").write_text("echo 2")
    (tmp_path / "table.csv").write_text("2")
    assert states(go(graph)) == {"f": "cached", "prog": "finished", "table": "finished", "other": "cached"}


def test_a_file_from_outside_that_changes_runs_its_step_again(go, tmp_path):
    data = tmp_path / "data"
    data.write_text("1 2")
    graph = Builder("g", inputs={"data": "text"}).step("add", add).data("inputs.data", "add.numbers").returns("t", "add.total")
    assert go(graph, runner="inline", given={"inputs.data": data}).value == 3.0
    assert states(go(graph, runner="inline", given={"inputs.data": data})) == {"add": "cached"}
    data.write_text("1 3")
    assert go(graph, runner="inline", given={"inputs.data": data}).value == 4.0


def test_what_was_tampered_with_is_made_again(go):
    first = go(sums(), runner="inline")
    first.artefact("make.numbers").write_text("99")
    second = go(sums(), runner="inline")
    assert second.outcomes["make"].state == "finished" and second.value == first.value


def test_a_step_may_decline_to_be_taken_from_before(go):
    graph = Builder("g").step("clock", ["true"], cache=False)
    assert states(go(graph)) == states(go(graph)) == {"clock": "finished"}


def test_from_a_step_on_everything_is_run_again(go):
    go(sums(), runner="inline")
    assert states(go(sums(), runner="inline", anew="add")) == {"make": "cached", "add[0]": "finished", "add[1]": "finished", "collect": "finished"}
    with pytest.raises(GraphError, match="did you mean 'collect'"):
        go(sums(), runner="inline", anew="colect")


def test_a_false_condition_leaves_its_step_and_what_follows_out_without_failure(go):
    graph = sums().step("deploy", ["true"], when="collect.sum > 66").step("report", ["true"], when="collect.sum > 65").step("tell", ["true"], when="deploy.x > 0")
    result = go(graph, runner="inline")
    assert result.ok and {task: states(result)[task] for task in ("deploy", "report", "tell")} == {"deploy": "not needed", "report": "finished", "tell": "not needed"}


def test_a_condition_on_a_metric_that_was_not_logged_is_a_failure_that_names_it(go):
    outcome = go(sums().step("deploy", ["true"], when="collect.summ > 1"), runner="inline").outcomes["deploy"]
    assert outcome.state == "failed" and "no metric 'collect.summ' was logged" in outcome.why


def test_a_graph_is_a_node_also_fanned_out_and_under_a_condition(go):
    inner = Builder("inner", params={"count": 1}, outputs={"total": "text"}).step("make", make, params={"count": "${count}"}).step("add", add)
    inner = inner.data("make.numbers", "add.numbers").data("add.total", "outputs.total").build()
    graph = (
        Builder("g", params={"size": 3}).graph("one", inner, params={"count": "${size}"}).graph("all", inner, each={"count": [2, 4]})
        .graph("none", inner, when="one.add.total > 3").step("collect", collect).data("all.total", "collect.many")
        .returns("q", "one.add.total * 100 + max(all.add.total) * 10 + collect.sum")
    )  # fmt: skip
    result = go(graph, runner="inline")
    assert result.ok and result.value == 300 + 60 + 7
    assert states(result)["none.make"] == states(result)["none.add"] == "not needed" and states(result)["all[1].add"] == "finished"
    assert go(graph, runner="inline", params={"one.count": 4}).outcomes["one.add"].metrics == {"total": 6.0}


def test_what_reaches_a_service_or_an_output_is_part_of_the_result(go):
    graph = sums().service("live", inputs={"total": "list[text]"}).data("add.total", "live.total")
    result = go(graph, runner="inline")
    assert [path.read_text() for path in result.delivered["live.total"]] == ["6", "60"]


def test_branches_run_side_by_side(go):
    meeting = threading.Barrier(2, timeout=20)

    @step()
    def meet(*, number):
        meeting.wait()

    graph = Builder("g").step("left", meet, params={"number": 1}).step("right", meet, params={"number": 2})
    assert go(graph, runner="inline", jobs=2).ok


def test_the_return_function_of_a_run_that_failed_says_which_metric_is_missing(go):
    result = go(Builder("g").step("bad", ["false"]).returns("q", "bad.accuracy"))
    assert result.value is None and "no metric 'bad.accuracy' was logged" in result.why


def test_resuming_runs_only_what_has_not_finished_also_where_nothing_is_stored(go, tmp_path):
    graph = Builder("g").step("one", sh(f"echo x >> {tmp_path}/count; echo 1 > x"), outputs={"x": "t"}, cache=False).step("two", ["test", "-e", f"{tmp_path}/there"], inputs={"x": "t"})
    first = go(graph.data("one.x", "two.x"))
    assert states(first) == {"one": "finished", "two": "failed"}
    second = go(None, resume=first.run)
    assert states(second) == {"one": "cached", "two": "failed"} and second.run == first.run
    assert (tmp_path / "count").read_text() == "x\n"


def test_interrupting_ends_what_runs_and_the_run_can_be_resumed(go, tmp_path):
    ready = tmp_path / "ready"
    graph = Builder("g").step("first", ["true"]).step("slow", sh(f"[ -e {ready} ] && exit 0; touch {ready}; echo $$; exec sleep 60")).step("last", ["true"], when="slow.m > 0")
    pids, seen = [], set()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands it on as ignored

    def interrupt(event):
        """Once `slow` runs and `first`, which runs beside it, has ended."""
        if event.kind == "line":
            pids.append(int(event.text))
        if (event.task, event.kind) in {("slow", "line"), ("first", "ended")}:
            seen.add(event.task)
            if seen == {"first", "slow"}:
                os.kill(os.getpid(), 2)

    try:
        with pytest.raises(Interrupted) as raised:
            go(graph, listen=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    result = raised.value.result
    assert states(result) == {"first": "finished", "slow": "interrupted", "last": "interrupted"} and ends(pids[0])
    assert states(go(None, resume=result.run))["slow"] == "finished"


def test_two_engines_cannot_work_on_one_run(go, tmp_path):
    first = go(Builder("g").step("one", ["true"]))
    with Run(first.folder).held(), pytest.raises(RunError, match="another process works on the run"):
        go(None, resume=first.run)


@pytest.mark.parametrize(
    ("graph", "options", "error", "says"),
    [
        (lambda: Builder("g").step("one", ["no-such-program"]), {}, RunnerError, "no program 'no-such-program' on PATH"),
        (lambda: Builder("g").step("one", ["./no-such-file"]), {}, RunnerError, "in the graph's folder"),
        (lambda: Builder("g").step("one", "nowhere_at_all:f"), {}, StepError, "no module 'nowhere_at_all'"),
        (lambda: Builder("g").step("one", "json:dumps"), {"runner": "inline"}, StepError, "@step"),
        (lambda: Builder("g").step("one", "json:dmps"), {"runner": "inline"}, StepError, "no function 'dmps'"),
        (lambda: Builder("g").step("one", "__main__:f"), {}, RunnerError, "another process cannot import '__main__:f'"),
        (lambda: Builder("g").step("one", make, timeout=1.0), {"runner": "inline"}, RunnerError, "cannot end a function"),
        (lambda: Builder("g").step("one", make, outputs={"x": "t"}), {"runner": "inline"}, StepError, "has the ports"),
        (lambda: Builder("g").step("one", ["true"], files=["none.csv"]), {}, GraphError, "none.csv, and nothing is there"),
        (lambda: Builder("g").step("one", ["true"]), {"runner": "proces"}, RunnerError, "did you mean 'process'"),
        (lambda: Builder("g").step("one", ["true"]), {"resume": "g-1"}, RunError, "no run 'g-1'"),
        (lambda: Builder("g").step("one", ["true"]), {"given": {"inputs.x": "/"}}, RunError, "nothing in the graph takes the input 'inputs.x'"),
        (lambda: Builder("g", inputs={"x": "t"}).step("one", ["true"]).service("s", inputs={"x": "t"}).data("inputs.x", "s.x"), {}, RunError, "needs inputs.x; give it"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_before_anything_runs(go, tmp_path, graph, options, error, says):
    if "given" in options:
        options = options | {"given": {name: Path(path) for name, path in options["given"].items()}}
    with pytest.raises(error, match=says):
        go(graph(), **options)
    assert not (tmp_path / "state").exists()


def test_a_long_chain_behind_a_failure_is_skipped_without_end_of_the_stack(go):
    graph = Builder("g").step("s0", ["false"])
    for number in range(1, 1500):
        graph.step(f"s{number}", ["true"], when=f"s{number - 1}.m > 0")
    assert len(go(graph).of("skipped")) == 1499


def test_both_runners_keep_the_same_contract(go):
    graph = Builder("g").step("make", make, params={"count": 5})
    first = run(graph.build(), state=go(graph, runner="inline").folder.parent.parent / "other", runner=ProcessSteps())
    assert first.outcomes["make"].digests == go(graph, runner="inline").outcomes["make"].digests
    assert type(step_runner("process")) is ProcessSteps
