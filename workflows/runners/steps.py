"""Where steps run: what the engine asks of a runner, the runner of child processes, and the one of this process.

The runners of the inference server start something that stays up; these run something that ends. Those for containers and for Ray are in
`workflows.runners.container_steps` and `workflows.runners.ray_steps`; one of your own is a class with the members of `StepRunner`.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import select
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple, Protocol

from workflows.environment import Environment
from workflows.graph import Step
from workflows.runners.leftovers import end_leftovers, mark
from workflows.runners.runner import RunnerError
from workflows.step import StepError, call_step, contract_of, find
from workflows.words import nearest

GRACE = 5.0  # seconds that a step has to end by itself when it is told to
BLOCK = 1 << 16
NOT_STARTED, TIMED_OUT, RAISED, INTERRUPTED = 127, 124, 1, 130  # as shells count
PYTHON = "python"
PROJECT = Path(__file__).resolve().parents[2]
# What a step sees beside the graph's folder where it does not see all that this process does.
LIBRARIES = tuple(dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")))
SHOWN = (PROJECT, *LIBRARIES)


class Job(NamedTuple):
    """One try of one step. `base`: the graph's folder; `folder`: that of the try, by which it is found again after a crash."""

    step: Step
    base: Path
    inputs: Path
    outputs: Path
    params: Path
    values: Mapping[str, object]  # what stands in `params`
    folder: Path


class Ended(NamedTuple):
    """How a try ended: its exit code, and why, where the code alone does not tell."""

    code: int
    why: str = ""


class Stop:
    """Tells everyone who runs steps to end them. May be set from any thread; close it when nobody waits any more."""

    def __init__(self) -> None:
        self._event = os.eventfd(0)
        self.is_set = False

    def set(self) -> None:
        self.is_set = True
        os.eventfd_write(self._event, 1)

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, at most so long; whether it is set."""
        return bool(select.select([self._event], [], [], seconds)[0])

    def fileno(self) -> int:
        return self._event

    def close(self) -> None:
        os.close(self._event)


class StepRunner(Protocol):
    """Runs steps, one try at a time in each thread that asks."""

    def check(self, step: Step, base: Path) -> None:
        """Refuse a step that could not start, before anything runs. Raises `RunnerError`, `StepError`."""

    def prepare(self, step: Step, base: Path, say: Callable[[str], None]) -> None:
        """Make ready what it runs in, before anything runs; `say` gets what takes its time. Raises `RunnerError`."""

    def environment(self, step: Step, base: Path) -> str:
        """What the step runs in, as a digest: another environment, another result."""

    def run(self, job: Job, say: Callable[[str], None], stop: Stop) -> Ended:
        """Run it to its end, or until `stop` is set or its time is over; `say` gets each line that it prints."""

    def clean(self, folders: Sequence[Path]) -> None:
        """End what is left running of the tries in these folders: the engine that began them has died. Raises `RunnerError`."""


class ProcessSteps:
    """Each step as a child process, in a group of its own, so that what it starts ends with it. No limits but its time-out.

    A step that declares an image or limits runs without them, and its log begins with a line that says so. One whose mounts would not be
    where it looks for them is refused.
    """

    def check(self, step: Step, base: Path) -> None:
        """See `StepRunner.check`."""
        if step.call:
            check_call(step.call, base)
        elif step.command[0] != PYTHON and shutil.which(_program(step.command[0], base)) is None:
            where = "in the graph's folder" if "/" in step.command[0] else "on PATH"
            raise RunnerError(f"there is no program {step.command[0]!r} {where} ({base}) that may be run; install it, or correct the command")
        for mount in step.environment.mounts:
            if (base / mount.source).resolve() != Path(mount.target).resolve():
                raise RunnerError(f"a process cannot see the mount {mount.source!r} at {mount.target}; use --runner container, or make it an input")

    def prepare(self, step: Step, base: Path, say: Callable[[str], None]) -> None:
        """See `StepRunner.prepare`: there is nothing to do."""

    def environment(self, step: Step, base: Path) -> str:
        """See `StepRunner.environment`: the machine's kind, and for Python its version and those of all that is installed."""
        del base
        return libraries() if step.call or step.command[0] == PYTHON else _digest()

    def run(self, job: Job, say: Callable[[str], None], stop: Stop) -> Ended:
        """See `StepRunner.run`."""
        if wanted := _not_kept(job.step.environment):
            say(f"-- not kept by a process: {wanted}; --runner container keeps it")
        words = list(job.step.command)
        program = [sys.executable, "-m", "workflows.step", job.step.call] if job.step.call else words
        if program[0] == PYTHON:
            program[0] = sys.executable
        path = os.pathsep.join([str(job.base), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **mark(job.folder)}
        command = [*program, "--inputs", str(job.inputs), "--outputs", str(job.outputs), "--params", str(job.params)]
        try:
            child = subprocess.Popen(
                command, cwd=job.base, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Ended(NOT_STARTED, f"{program[0]} cannot be started: {error.strerror}")
        try:
            why = _follow(child, job.step.timeout, say, stop)
        except BaseException:  # `say` may raise anything; the step must not outlive whoever follows it
            _signal(child, signal.SIGKILL)
            child.wait()
            raise
        code = child.returncode
        if why:
            return Ended(INTERRUPTED if stop.is_set else TIMED_OUT, why)
        return Ended(code, f"ended by {signal.Signals(-code).name}" if code < 0 else "")

    def clean(self, folders: Sequence[Path]) -> None:
        """See `StepRunner.clean`."""
        end_leftovers(folders)


class InlineSteps:
    """Decorated functions in threads of this process, for notebooks, tests and very short steps; commands as `ProcessSteps` runs them.

    What a function prints goes where this process prints. A thread cannot be ended from outside, so a time-out is refused; and what a
    function starts bears no mark of its try, so after a crash it is not found.
    """

    def __init__(self) -> None:
        self._commands = ProcessSteps()

    def check(self, step: Step, base: Path) -> None:
        """See `StepRunner.check`."""
        if not step.call:
            self._commands.check(step, base)
            return
        if step.timeout:
            raise RunnerError("the runner 'inline' cannot end a function that takes too long; leave out its timeout, or use the runner 'process'")
        promised = contract_of(find(step.call))
        if (promised.inputs, promised.outputs) != (step.inputs, step.outputs):
            raise StepError(f"{step.call} has the ports {promised.inputs} -> {promised.outputs}; the graph says {step.inputs} -> {step.outputs}")

    def prepare(self, step: Step, base: Path, say: Callable[[str], None]) -> None:
        """See `StepRunner.prepare`: there is nothing to do."""

    def environment(self, step: Step, base: Path) -> str:
        """See `StepRunner.environment`."""
        return self._commands.environment(step, base)

    def run(self, job: Job, say: Callable[[str], None], stop: Stop) -> Ended:
        """See `StepRunner.run`."""
        if not job.step.call:
            return self._commands.run(job, say, stop)
        try:
            call_step(find(job.step.call), job.inputs, job.outputs, job.values)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is its failure, and not the engine's
            for line in "".join(traceback.format_exception(error)).splitlines():
                say(line)
            return Ended(RAISED, f"{type(error).__name__}: {error}")
        return Ended(0)

    def clean(self, folders: Sequence[Path]) -> None:
        """See `StepRunner.clean`."""
        self._commands.clean(folders)


def _containers() -> StepRunner:
    from workflows.runners.container_steps import ContainerSteps  # each of these is imported only where it is used

    return ContainerSteps()


def _ray() -> StepRunner:
    from workflows.runners.ray_steps import RaySteps

    return RaySteps()


RUNNERS: Mapping[str, Callable[[], StepRunner]] = {"process": ProcessSteps, "inline": InlineSteps, "container": _containers, "ray": _ray}


def step_runner(name: str) -> StepRunner:
    """The runner of this name. Raises `RunnerError`."""
    if name not in RUNNERS:
        raise RunnerError(f"there is no runner {name!r}{nearest(name, RUNNERS)}")
    return RUNNERS[name]()


def _program(word: str, base: Path) -> str:
    return str(base / word) if "/" in word else word


def check_call(call: str, base: Path, shown: Sequence[Path] = (), packages: Sequence[str] = ()) -> None:
    """Find the module without importing it: it may need libraries that only the step's own process should load.

    `shown`: the folders beside `base` that the step will see, where these are not those of this process. `packages`: those of this project
    that it will see, where that is not all of it. Raises `RunnerError`, `StepError`.
    """
    from workflows.code import sources

    module = call.partition(":")[0]
    if module == "__main__" or "<locals>" in call:
        raise RunnerError(f"another process cannot import {call!r}; move it to the top of a module, or use the runner 'inline'")
    top = module.partition(".")[0]
    if not shown:
        if not sources(module, [base, *map(Path, sys.path)]) and importlib.util.find_spec(top) is None:
            raise StepError(f"{call!r}: there is no module {module!r} in the graph's folder ({base}) or on PYTHONPATH")
        return
    if packages and top not in packages:  # what stands beside them in the project's folder is not shown
        shown = [folder for folder in shown if folder != PROJECT or folder in LIBRARIES]
    if not sources(module, [base, *shown]) and PathFinder.find_spec(top, [*map(str, shown)]) is None:
        raise StepError(
            f"{call!r}: there is no module {module!r} in the graph's folder ({base}) or among the installed libraries, and that is all "
            "that the step will see; move it there, or use --runner process"
        )


@cache
def libraries() -> str:
    """The running Python and all that is installed for it, as a digest."""
    installed = {f"{one.name}=={one.version}" for one in importlib.metadata.distributions()}
    return _digest(platform.python_version(), *sorted(installed))


def _digest(*more: str) -> str:
    """The kind of machine, and more that decides a result, as one name."""
    return hashlib.sha256("\n".join([platform.machine(), platform.system(), *more]).encode()).hexdigest()


def _not_kept(environment: Environment) -> str:
    """What a step declares and a process cannot keep."""
    names = ("image", "dockerfile", "requirements", "cpus", "memory", "gpus")
    return ", ".join(f"{name} = {getattr(environment, name)!r}" for name in names if getattr(environment, name))


def _follow(child: "subprocess.Popen[bytes]", timeout: float, say: Callable[[str], None], stop: Stop) -> str:
    """Hand on what the child prints until it has ended; if it was ended, why."""
    assert child.stdout is not None
    ended, output = os.pidfd_open(child.pid), child.stdout.fileno()
    os.set_blocking(output, False)
    deadline = time.monotonic() + timeout if timeout else None
    rest, why = b"", ""
    kill_at: float | None = None
    with child.stdout, selectors.DefaultSelector() as selector:
        for source in (ended, output, stop.fileno()):
            selector.register(source, selectors.EVENT_READ)
        while True:
            until = kill_at if why else deadline
            ready = {key.fd for key, _ in selector.select(None if until is None else max(0.0, until - time.monotonic()))}
            if output in ready:
                block = _read(output)
                *lines, rest = (rest + block).split(b"\n")
                for whole in lines:
                    say(whole.decode(errors="replace"))
                if not block:
                    selector.unregister(output)
            if ended in ready:
                break
            if why and not ready:
                _signal(child, signal.SIGKILL)
                kill_at = None
            elif not why and (stop.fileno() in ready or not ready):
                why = "interrupted" if stop.fileno() in ready else f"its time of {timeout:g} s was over"
                selector.unregister(stop.fileno())
                _signal(child, signal.SIGTERM)
                kill_at = time.monotonic() + GRACE
        _signal(child, signal.SIGKILL)  # what it has left behind in its group; the number is its own until it is waited for
        for line in (rest + _read(output)).decode(errors="replace").splitlines():
            say(line)
    os.close(ended)
    child.wait()
    return why


def _read(output: int) -> bytes:
    """All that can be read now; nothing at the end."""
    blocks = []
    with contextlib.suppress(BlockingIOError):
        while block := os.read(output, BLOCK):
            blocks.append(block)
    return b"".join(blocks)


def _signal(child: "subprocess.Popen[bytes]", sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, sign)
