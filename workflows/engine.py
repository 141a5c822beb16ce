"""Runs a graph: in order, side by side where it can, and nothing twice that need not be.

    result = run(graph, base=Path("."), state=Path("scanflow-state"), params={"seed": 3})

A task starts when all that it needs has finished. One that fails stops what depends on it, and nothing else. What was made before from
the same inputs, code, parameters and environment is taken from the store. Each finished task is on record before another begins that
needs it, so a run whose engine was killed goes on where it was (`resume`).
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from workflows.artefacts import Store, digest
from workflows.code import call_digest, command_digest, files_digest
from workflows.events import DONE, Event, Listener, Outcome, Result, State
from workflows.expressions import ExpressionError
from workflows.graph import Graph, GraphError, Step
from workflows.journal import Journal, code_version
from workflows.plan import Gathered, Given, Made, Plan, Source, Task, leaves, plan
from workflows.runners.steps import RUNNERS, StepRunner, Stop, step_runner
from workflows.runs import Request, Run, RunError
from workflows.tries import Worker
from workflows.words import nearest

JOBS = 4
LOST: Mapping[str, tuple[State, str]] = {
    "failed": ("skipped", "has failed"), "skipped": ("skipped", "was skipped"), "not needed": ("not needed", "was not needed"),
}  # fmt: skip


class Interrupted(KeyboardInterrupt):
    """The run was interrupted; what ran was ended, and `result` says how far it came. It can be resumed."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"the run {result.run} was interrupted; resume it")
        self.result = result


def run(
    graph: Graph | None = None, *, base: Path | None = None, state: Path, params: Mapping[str, Any] | None = None,
    given: Mapping[str, Path] | None = None, runner: str | StepRunner | None = None, jobs: int = JOBS, anew: str = "", resume: str = "",
    listen: Listener | None = None, clock: Callable[[], float] = time.time, wait: Callable[[float, Stop], bool] | None = None,
) -> Result:  # fmt: skip
    """Run a graph to its end.

    Parameters
    ----------
    graph : what to run; without one, what the run `resume` was asked to do.
    base : the folder that its commands and modules are relative to; default is the working folder.
    state : holds runs/ and store/.
    params : override the graph's parameters, or those of a node as "node.name".
    given : the graph's own inputs as "inputs.NAME", and what data edges bring from services, agents and people as "NODE.PORT".
    runner : "process" (the default), "inline", "container", "ray", or a `StepRunner`.
    jobs : how many tasks run side by side.
    anew : a step that is run again with all that depend on it, whatever was made before.
    resume : the name of an earlier run to go on with: its finished tasks that have not changed since are not run again.
    listen : is told what happens, one `Event` at a time.
    clock, wait : UTC seconds; wait(seconds, stop) waits before another try and says whether it was told to stop.

    Returns
    -------
    How it ended. Tasks that failed are part of that, and raise nothing.

    Raises
    ------
    GraphError, RunnerError, StepError, RunError
        Before anything runs, if it cannot.
    Interrupted
        On Ctrl-C, when all that ran has ended.

    """
    runs = state / "runs"
    known = Run.find(runs, resume) if resume else None
    asked = known.request() if known else Request(graph=graph, base=str(Path.cwd()))
    where = (base or Path(asked.base)).absolute()
    request = Request(
        graph=graph or asked.graph, base=str(where), params=asked.params | dict(params or {}),
        given=asked.given | {name: str(path.absolute()) for name, path in (given or {}).items()},
        runner=asked.runner if runner is None else runner if isinstance(runner, str) else type(runner).__name__,
    )  # fmt: skip
    if request.graph is None:
        raise RunError("there is nothing to run: give a graph, or the run to resume")
    chosen = step_runner(request.runner) if runner is None or isinstance(runner, str) else runner
    laid = plan(request.graph, request.params)
    paths = _given(laid, {name: Path(path) for name, path in request.given.items()})
    again = laid.after(laid.named(anew)) if anew else frozenset[str]()
    codes = _Codes(where)
    tell = listen or _quiet
    steps: dict[int, Task] = {}
    for task in laid.tasks.values():
        steps.setdefault(id(task.step), task)
    for task in steps.values():
        chosen.check(task.step, where)
        codes(task.step)
    for task in steps.values():
        chosen.prepare(task.step, where, _teller(tell, task.id))
    now = known or Run.begin(runs, request, clock)
    with now.held():
        if known:
            if (before := asked.runner) != request.runner and before in RUNNERS:
                step_runner(before).clean(known.unfinished())
            chosen.clean(known.unfinished())
            known.ask(request)
        worker = Worker(now, Store(state.absolute() / "store"), chosen, where, codes, again, wait)
        with Journal(now.folder, clock) as journal:
            return _Execution(laid, paths, now, worker, jobs, tell, journal).run(request.runner, where)


def _quiet(event: Event) -> None:
    del event


def _teller(tell: Listener, task: str) -> Callable[[str], None]:
    return lambda line: tell(Event("line", task, f"-- {line}"))


def _given(laid: Plan, given: Mapping[str, Path]) -> dict[str, Path]:
    """The outside artefacts, all there. Raises `RunError`."""
    wanted = sorted(laid.givens)
    for name in given:
        if name not in wanted:
            raise RunError(f"nothing in the graph takes the input {name!r}{nearest(name, wanted)}")
    for name in wanted:
        if name not in given:
            raise RunError(f"the graph needs {name}; give it: --input {name}=PATH, or given={{{name!r}: Path(...)}}")
        if not given[name].exists():
            raise RunError(f"the input {name} should be at {given[name]}, and nothing is there")
    return {name: path.absolute() for name, path in given.items()}


class _Codes:
    """Digests of the code of steps, each computed once in a run."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._known: dict[tuple[Any, ...], str | None] = {}
        self._lock = threading.Lock()

    def __call__(self, step: Step) -> str | None:
        about = (step.call, step.command, step.files)
        with self._lock:
            if about not in self._known:
                code = call_digest(step.call, self._base) if step.call else command_digest(step.command, self._base)
                try:
                    self._known[about] = None if code is None else code + files_digest(step.files, self._base)
                except FileNotFoundError as error:
                    raise GraphError(f"files names {error.filename}, and nothing is there; paths are relative to {self._base}") from error
            return self._known[about]


class _Execution:
    """One execution of a plan. All of its state belongs to the thread that calls `run`; workers only hand in outcomes."""

    def __init__(self, laid: Plan, given: Mapping[str, Path], now: Run, worker: Worker, jobs: int, listen: Listener, journal: Journal) -> None:
        self._journal = journal
        self._plan, self._given, self._run, self._worker, self._jobs = laid, given, now, worker, jobs
        self._listen, self._telling = listen, threading.Lock()
        self._outcomes: dict[str, Outcome] = {}
        self._ended: queue.SimpleQueue[tuple[str, Outcome | BaseException]] = queue.SimpleQueue()
        self._missing = {task.id: set(task.needs) for task in laid.tasks.values()}
        self._dependents: dict[str, list[str]] = {task: [] for task in laid.tasks}
        for task in laid.tasks.values():
            for need in task.needs:
                self._dependents[need].append(task.id)

    def run(self, runner: str, base: Path) -> Result:
        self._digests = {name: digest(path) for name, path in self._given.items()}
        given = {name: {"path": str(path), "digest": self._digests[name]} for name, path in self._given.items()}
        self._journal.note("begun", params=self._plan.params, runner=runner, base=str(base), given=given, **code_version(base))
        stop = Stop()
        running = 0
        interrupted = False
        try:
            with ThreadPoolExecutor(self._jobs, thread_name_prefix="step") as pool:
                ready = [task for task, missing in self._missing.items() if not missing]
                try:
                    while ready or running:
                        for task in ready:
                            running += self._start(task, pool, stop)
                        task, outcome = self._ended.get()
                        running -= 1
                        ready = self._settle(task, outcome)
                        while not self._ended.empty():
                            task, outcome = self._ended.get()
                            running -= 1
                            ready += self._settle(task, outcome)
                except KeyboardInterrupt:
                    interrupted = True
                finally:
                    if running:
                        stop.set()  # the pool waits for its threads, and they for the steps, which are told to end
            while not self._ended.empty():
                self._settle(*self._ended.get())
        finally:
            stop.close()
        for task in self._plan.tasks:
            self._outcomes.setdefault(task, Outcome("interrupted", why="it was not started"))
        result = self._result()
        if interrupted:
            raise Interrupted(result)
        return result

    def _start(self, name: str, pool: ThreadPoolExecutor, stop: Stop) -> bool:
        """Hand a task whose needs are met to the pool, unless its outcome is known without that."""
        task = self._plan.tasks[name]
        logged = {known: outcome.metrics for known, outcome in self._outcomes.items() if known in task.needs} if task.rules else {}
        for rule in task.rules:
            try:
                if not rule.value(logged):
                    self._ended.put((name, Outcome("not needed", why=f"{rule.text} is false")))
                    return True
            except ExpressionError as error:
                self._ended.put((name, Outcome("failed", code=1, why=f"its condition has no value: {error}")))
                return True
        places = {port: self._place(source) for port, source in task.inputs.items()}
        digests = {port: self._digest(source) for port, source in task.inputs.items()}

        def work() -> None:
            try:
                self._ended.put((name, self._worker.work(task, places, digests, self._tell, stop)))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it, and raised there
                self._ended.put((name, error))

        pool.submit(work)
        return True

    def _settle(self, name: str, outcome: Outcome | BaseException) -> list[str]:
        """Note an outcome, and those of the tasks that it stops; the tasks that may start now."""
        if isinstance(outcome, BaseException):
            raise outcome
        ready: list[str] = []
        settled = [(name, outcome)]
        while settled:
            name, outcome = settled.pop()
            self._outcomes[name] = outcome
            self._tell(Event("ended", name, outcome.why, outcome))
            if outcome.state == "interrupted":
                continue  # what depends on it has not been started either, and that is all there is to say
            for dependent in self._dependents[name]:
                self._missing[dependent].discard(name)
                if dependent in self._outcomes:
                    continue
                if outcome.state not in DONE:
                    state, verb = LOST[outcome.state]
                    settled.append((dependent, Outcome(state, why=f"{name} {verb}")))
                    self._outcomes[dependent] = settled[-1][1]
                elif not self._missing[dependent]:
                    ready.append(dependent)
        return ready

    def _place(self, source: Source) -> Any:
        """Where an artefact lies: a path, or a list of places."""
        match source:
            case Made(task, port):
                outputs = self._outcomes[task].outputs
                assert outputs is not None
                return outputs / port
            case Given(name):
                return self._given[name]
            case Gathered(parts):
                return [self._place(part) for part in parts]

    def _digest(self, source: Source) -> Any:
        match source:
            case Made(task, port):
                return self._outcomes[task].digests[port]
            case Given(name):
                return self._digests[name]
            case Gathered(parts):
                return [self._digest(part) for part in parts]

    def _tell(self, event: Event) -> None:
        self._journal(event)
        with self._telling:
            self._listen(event)

    def _result(self) -> Result:
        rule = self._plan.returns
        outcomes = {task: self._outcomes[task] for task in self._plan.tasks}
        value, why = None, ""
        if rule is not None:
            done = {task: one.metrics for task, one in outcomes.items() if one.state in DONE}
            try:
                value = float(rule.value(done))
            except ExpressionError as error:
                why = str(error)
        name = self._plan.graph.returns.name if self._plan.graph.returns else ""
        delivered = {target: self._delivered(leaves(source)) for target, source in self._plan.delivers.items()}
        made = {target: places for target, places in delivered.items() if places}
        result = Result(self._run.name, self._run.folder, outcomes, made, name, value, why)
        tasks = {task: one._asdict() | {"outputs": str(one.outputs) if one.outputs else None} for task, one in outcomes.items()}
        self._journal.note("over", returns={"name": name, "value": value, "why": why}, ok=result.ok)
        self._run.note_result({"returns": {"name": name, "value": value, "why": why}, "ok": result.ok, "tasks": tasks})
        return result

    def _delivered(self, sources: Iterable[Source]) -> tuple[Path, ...]:
        """Where the artefacts lie; nothing if one of them was not made."""
        found = list(sources)
        if any(isinstance(one, Made) and self._outcomes[one.task].outputs is None for one in found):
            return ()
        return tuple(self._place(one) for one in found)
