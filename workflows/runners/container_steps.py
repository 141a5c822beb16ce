"""Steps in containers, one for each try.

A step sees its inputs (read-only), its outputs, its parameters, the graph's folder (read-only) and its mounts, and nothing else of the
machine. It is not root: it runs as the user who runs the engine, or, where that is root, as somebody without rights, and what it has made
is handed over at its end. The container bears the mark of its try as a label, by which it is found again after a crash.
"""

import contextlib
import hashlib
import os
import select
import signal
import stat
import sysconfig
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

from workflows.artefacts import digest
from workflows.environment import Environment
from workflows.graph import Step
from workflows.runners.containers import Bind, Containers, Spec
from workflows.runners.leftovers import mark
from workflows.runners.runner import RunnerError
from workflows.runners.step_image import SITE, StepImage, find_image
from workflows.runners.steps import GRACE, INTERRUPTED, NOT_STARTED, PROJECT, PYTHON, SHOWN, TIMED_OUT, Ended, Job, Stop, check_call, libraries

LABEL = "scanflow.try"
INPUTS, OUTPUTS, PARAMS, GRAPH, CODE = "/scanflow/inputs", "/scanflow/outputs", "/scanflow/params.json", "/scanflow/graph", "/scanflow/code"
PACKAGES = ("workflows", "models", "scenarios")  # of this project: all that a step may import
NOBODY = 10001


def _docker() -> Containers:
    from workflows.runners.docker_containers import DockerContainers  # docker is imported only where it is used

    return DockerContainers()


class ContainerSteps:
    """Each try in a container of its own; see `workflows.environment` for what a step may declare.

    Parameters
    ----------
    connect : finds the container engine. It must run on this machine, since steps share folders with it.

    Images and mounts are looked at once, so each run has a runner of its own.
    """

    def __init__(self, connect: Callable[[], Containers] = _docker) -> None:
        self._connect = connect
        self._known: Containers | None = None
        self._images: dict[tuple[Environment, Path], StepImage] = {}
        self._mounted: dict[tuple[Environment, Path], str] = {}

    def connect(self) -> None:
        """Find the engine, unless it is found already. Raises `RunnerError` if none answers."""
        if self._known is None:
            self._known = self._connect()

    @property
    def _engine(self) -> Containers:
        self.connect()
        assert self._known is not None
        return self._known

    def check(self, step: Step, base: Path) -> None:
        """See `StepRunner.check`: also that an engine answers, and that what is mounted is there."""
        if step.call:
            check_call(step.call, base, SHOWN, PACKAGES)
        for mount in step.environment.mounts:
            if not (base / mount.source).exists():
                raise RunnerError(f"the mount {mount.source!r} should be at {base / mount.source}, and nothing is there")
        if _root():
            _check_readable(base)
        self.connect()

    def prepare(self, step: Step, base: Path, say: Callable[[str], None]) -> None:
        """See `StepRunner.prepare`: the image, pulled or built where it is not there."""
        place = step.environment, base
        if place in self._mounted:
            return
        self._images[place] = find_image(self._engine, step.environment, base, say)
        mounts = [f"{mount.target} {'' if mount.writable else digest(base / mount.source)}" for mount in step.environment.mounts]
        self._mounted[place] = "\n".join(mounts)

    def environment(self, step: Step, base: Path) -> str:
        """See `StepRunner.environment`: the image (by its id, or by the digest of what it was built from), and what is mounted."""
        image = self._images[step.environment, base]
        parts = [image.digest, libraries() if image.shares_libraries else "", self._mounted[step.environment, base]]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def run(self, job: Job, say: Callable[[str], None], stop: Stop) -> Ended:
        """See `StepRunner.run`."""
        try:
            with _afterwards(lambda: _take_back(job.outputs)):
                spec = self._spec(job)
                _hand_over(job.outputs)
                return self._follow(self._engine.start(spec), job, say, stop)
        except RunnerError as error:
            return Ended(NOT_STARTED, str(error))

    def _follow(self, container: str, job: Job, say: Callable[[str], None], stop: Stop) -> Ended:
        with _afterwards(lambda: self._engine.remove(container)):  # `say` may raise anything; the step must not outlive whoever follows it
            with _Watch(self._engine, container, job.step.timeout, stop) as watch:
                for line in _lines(self._engine.output(container)):
                    say(line)
                code, out_of_memory = self._engine.exit(container)
            if watch.error is not None:
                raise watch.error
        if watch.why:
            return Ended(INTERRUPTED if stop.is_set else TIMED_OUT, watch.why)
        return Ended(code, _why(code, out_of_memory, job.step.environment))

    def clean(self, folders: Sequence[Path]) -> None:
        """See `StepRunner.clean`. Where no engine answers, nothing of it runs either."""
        try:
            engine = self._engine
        except RunnerError:
            return
        wanted = {mark_of(folder) for folder in folders}
        for container, label in engine.find(LABEL).items() if wanted else ():
            if label in wanted:
                engine.remove(container)

    def _spec(self, job: Job) -> Spec:
        step, environment = job.step, job.step.environment
        image = self._images[environment, job.base]
        binds = [*_inputs(job.inputs), Bind(job.outputs, OUTPUTS, writable=True), Bind(job.params, PARAMS), Bind(job.base, GRAPH)]
        binds += [Bind((job.base / mount.source).resolve(), mount.target, mount.writable) for mount in environment.mounts]
        binds += [Bind(PROJECT / name, f"{CODE}/{name}") for name in PACKAGES if (PROJECT / name).is_dir()]
        path = [GRAPH, CODE, SITE]
        if image.shares_libraries:
            for number, place in enumerate(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))):
                binds.append(Bind(Path(place), f"{SITE}{number or ''}"))
                path += [f"{SITE}{number}"] if number else []
        if _root():
            for bind in binds:
                _check_readable(bind.source)
        variables = {"PYTHONPATH": ":".join(path), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/tmp"}  # noqa: S108 - its own
        program = ["python3", "-m", "workflows.step", step.call] if step.call else list(step.command)
        if program[0] == PYTHON:
            program[0] = "python3"
        user = f"{NOBODY}:{NOBODY}" if _root() else f"{os.getuid()}:{os.getgid()}"
        return Spec(
            image.id, (*program, "--inputs", INPUTS, "--outputs", OUTPUTS, "--params", PARAMS), variables, tuple(binds), GRAPH,
            user, {LABEL: mark_of(job.folder)}, environment.cpus, environment.bytes, environment.gpus, environment.network,
        )  # fmt: skip


class _Watch:
    """Ends a container when it is told to or when its time is over; `why` says so, and `error` what hindered it."""

    def __init__(self, engine: Containers, container: str, timeout: float, stop: Stop) -> None:
        self._engine, self._container, self._timeout, self._stop = engine, container, timeout, stop
        self.why = ""
        self.error: RunnerError | None = None
        self._over = Stop()
        self._thread = threading.Thread(target=self._watch, name=f"watch {container[:12]}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._over.close()

    def _watch(self) -> None:
        ready = select.select([self._stop, self._over], [], [], self._timeout or None)[0]
        if self._over in ready:
            return
        self.why = "interrupted" if ready else f"its time of {self._timeout:g} s was over"
        try:
            self._engine.stop(self._container, int(GRACE))
        except RunnerError as error:
            self.error = error
            with contextlib.suppress(RunnerError):  # the first error is the one to tell
                self._engine.remove(self._container)


def _root() -> bool:
    """Whether root runs this; its steps are then run by nobody, and else by whoever runs this."""
    return os.getuid() == 0


@contextlib.contextmanager
def _afterwards(clean: Callable[[], None]) -> Iterator[None]:
    """Clean up in any case; of two errors, the first is the one to tell."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(RunnerError):
            clean()
        raise
    clean()


def mark_of(folder: Path) -> str:
    """The value of the label that a try's container bears."""
    return next(iter(mark(folder))).rpartition("_")[2].lower()


def _inputs(folder: Path) -> Iterator[Bind]:
    """The inputs, each where the contract says. They are links to where the artefacts lie, which means nothing inside."""
    found = False
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found = True
            yield Bind(path.resolve(), f"{INPUTS}/{path.relative_to(folder)}")
    if not found:
        yield Bind(folder, INPUTS)


def _check_readable(source: Path) -> None:
    try:
        mode = source.stat().st_mode
    except OSError as error:
        raise RunnerError(f"{source} cannot be shown to the step: {error.strerror}") from error
    if not mode & stat.S_IROTH or (stat.S_ISDIR(mode) and not mode & stat.S_IXOTH):
        more = "o+rX -R" if stat.S_ISDIR(mode) else "o+r"
        raise RunnerError(f"{source} is closed to others, and steps in containers do not run as root: chmod {more} {source}, or run as another user")


def _hand_over(outputs: Path) -> None:
    if not _root():
        return
    try:
        os.chown(outputs, NOBODY, NOBODY)
    except OSError as error:
        raise RunnerError(f"{outputs} cannot be handed over to the step ({error.strerror}); keep --state where root may do that") from error


def _take_back(outputs: Path) -> None:
    """What a step has made belongs to who runs the engine, and stays readable for the next step, which again is somebody else."""
    if not _root():
        return
    me = os.getuid(), os.getgid()
    try:
        for path in (outputs, *outputs.rglob("*")):
            os.chown(path, *me, follow_symlinks=False)
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                path.chmod(mode & 0o777 | (0o055 if stat.S_ISDIR(mode) else 0o044))
    except (OSError, RecursionError) as error:
        raise RunnerError(f"what the step left in {outputs} cannot be taken over: {error}") from error


def _lines(blocks: Iterator[tuple[int, bytes]]) -> Iterator[str]:
    """Whole lines of both streams: each in its own order, between the two in that in which the engine hands them on."""
    rests: dict[int, bytes] = {}
    for stream, block in blocks:
        *lines, rests[stream] = (rests.get(stream, b"") + block).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    yield from (rest.decode(errors="replace") for rest in rests.values() if rest)


def _why(code: int, out_of_memory: bool, environment: Environment) -> str:
    if code and out_of_memory:
        held = f"it was held to {environment.memory}; raise environment.memory" if environment.memory else "the machine has no more"
        return f"out of memory: {held}"
    if code == NOT_STARTED:
        return "a program is not in its image; its log says which"
    by = {128 + one: one.name for one in signal.Signals}.get(code)
    return f"ended by {by}" if by else ""
