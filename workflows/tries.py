"""One task, in a thread of the engine: is it done already, and if not, try until it is or the tries are used up."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workflows.artefacts import OUTPUTS, Entry, Store, digest, fault_of, key_of
from workflows.events import Event, Listener, Outcome
from workflows.graph import Step
from workflows.plan import Task
from workflows.runners.steps import Ended, Job, StepRunner, Stop
from workflows.runs import LOG, Run
from workflows.step import METRICS_FILE, StepError, read_metrics

CONTRACT = 1  # of what goes into a key; another number, and nothing that was made before counts


class Worker:
    """Does the tasks of one run; its `work` may be called from several threads.

    Parameters
    ----------
    code : the digest of a step's code; None if it cannot be told, and then nothing that was made before counts.
    anew : tasks to run whatever was made before.
    wait : see `workflows.engine.run`.
    """

    def __init__(
        self, run: Run, store: Store, runner: StepRunner, base: Path, code: Callable[[Step], str | None], anew: frozenset[str],
        wait: Callable[[float, Stop], bool] | None,
    ) -> None:  # fmt: skip
        self._run, self._store, self._runner, self._base, self._code, self._anew = run, store, runner, base, code, anew
        self._wait = wait or (lambda seconds, stop: stop.wait(seconds))

    def work(self, task: Task, places: Mapping[str, Any], digests: Mapping[str, Any], tell: Listener, stop: Stop) -> Outcome:
        """Do one task. `places` and `digests` of its inputs by port: one, or a list where they are gathered."""
        made_by = self._made_by(task, digests)
        return self._work(task, places, made_by["key"], tell, stop)._replace(made_by=made_by)

    def _work(self, task: Task, places: Mapping[str, Any], key: str, tell: Listener, stop: Stop) -> Outcome:
        if key and task.id not in self._anew:
            if (known := self._run.done(task.id)) is not None and known[0] == key:
                return _outcome("cached", known[1], why="finished before, in this run")
            if task.step.cache and (found := self._store.get(key)) is not None:
                self._run.finish(task.id, key, found)
                return _outcome("cached", found, why="nothing has changed since it was made")
        for number in range(1, task.step.retries + 2):
            if stop.is_set:
                return Outcome("interrupted", why="it was not started", tries=number - 1)
            outcome = self._try(task, places, key, tell, stop)
            if outcome.state != "failed" or number > task.step.retries:
                return outcome._replace(tries=number)
            pause = task.step.backoff * 2 ** (number - 1)
            tell(Event("retry", task.id, f"{_how(outcome)}; try {number + 1} of {task.step.retries + 1} in {pause:g} s"))
            if self._wait(pause, stop):
                return Outcome("interrupted", why="it was waiting for another try", tries=number)
        raise AssertionError(task.id)

    def _made_by(self, task: Task, digests: Mapping[str, Any]) -> dict[str, Any]:
        """What decides the result; all of it as one name, the key, which is empty if that cannot be told."""
        step = task.step
        code, environment, inputs = self._code(step), self._runner.environment(step, self._base), dict(digests)
        key = "" if code is None else key_of({
            "contract": CONTRACT, "call": step.call, "command": step.command, "code": code, "environment": environment,
            "params": task.params, "inputs": inputs, "outputs": step.outputs,
        })  # fmt: skip
        return {"key": key, "code": code or "", "environment": environment, "inputs": inputs}

    def _try(self, task: Task, places: Mapping[str, Any], key: str, tell: Listener, stop: Stop) -> Outcome:
        begun = time.monotonic()
        folder = self._run.next_try(task.id)
        outputs, params = folder / "made" / OUTPUTS, folder / "params.json"
        _lay_out(places, folder / "inputs")
        params.write_text(json.dumps(task.params), encoding="utf-8")
        tell(Event("started", task.id))
        job = Job(task.step, self._base, folder / "inputs", outputs, params, task.params, folder)
        with (folder / LOG).open("w", encoding="utf-8", buffering=1) as log:

            def say(line: str) -> None:
                log.write(f"{line}\n")
                tell(Event("line", task.id, line))

            ended = self._runner.run(job, say, stop)
        seconds = time.monotonic() - begun
        if stop.is_set and ended.code:
            return Outcome("interrupted", code=ended.code, why=ended.why, seconds=seconds)
        try:
            entry = None if ended.code else _made(task, outputs, seconds)
        except StepError as error:
            ended, entry = Ended(0, str(error)), None
        if entry is None:
            return Outcome("failed", code=ended.code, why=ended.why, seconds=seconds)
        self._run.close_try(folder)
        if key and task.step.cache:
            entry = self._store.put(key, folder / "made", entry)
        self._run.finish(task.id, key, entry)
        return _outcome("finished", entry)


def _outcome(state: Any, entry: Entry, why: str = "") -> Outcome:
    return Outcome(state, why=why, metrics=entry.metrics, digests=entry.digests, outputs=entry.outputs, seconds=entry.seconds)


def _how(outcome: Outcome) -> str:
    return outcome.why or f"exit code {outcome.code}"


def _lay_out(places: Mapping[str, Any], folder: Path) -> None:
    """Show the inputs where the contract says: links to where they lie, those that are gathered by number."""
    for name, place in places.items():
        if isinstance(place, list):
            (folder / name).mkdir()
            _lay_out({str(number): one for number, one in enumerate(place)}, folder / name)
        else:
            (folder / name).symlink_to(place)


def _made(task: Task, outputs: Path, seconds: float) -> Entry:
    """What a step left that ended well. Raises `StepError` if that is not what it declares, or is nothing that may be read."""
    try:
        there = sorted(one.name for one in outputs.iterdir())
        for port in task.step.outputs:
            if port not in there:
                found = ", ".join(there) or "nothing"
                raise StepError(f"it ended with exit code 0, but it has left no outputs/{port}, which it declares; there is: {found}")
        for name in (*task.step.outputs, *({METRICS_FILE} & {*there})):
            if fault := fault_of(outputs / name):
                raise StepError(f"it ended with exit code 0, but outputs/{fault}")
        return Entry(outputs, {port: digest(outputs / port) for port in task.step.outputs}, read_metrics(outputs, task.id), seconds)
    except (OSError, ValueError, OverflowError, RecursionError) as error:  # whatever it left, only the step fails
        raise StepError(f"it ended with exit code 0, but what it left in outputs cannot be read: {error}") from error
