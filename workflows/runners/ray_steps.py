"""Steps on many machines, as Ray tasks. The second door to Ray, beside `agents.hosts`.

The machines need not share a folder: the files that make a step, its inputs and its outputs travel as bytes, and the store stays with the
engine. What they must have in common is what Ray asks for as well, the same Python with the same libraries, this package among them. A step
that declares an image or mounts is pinned to a machine on which a container engine answers, and runs there in a container.

A try is ended (Ctrl-C, a lost worker, a resumed run) by killing what bears its mark on every machine: there is no time to end politely.
"""

import itertools
import os
import queue
import select
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import ray
from ray.exceptions import GetTimeoutError, RayError, TaskUnschedulableError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from workflows.code import code_files
from workflows.environment import Environment
from workflows.graph import Step
from workflows.runners.container_steps import ContainerSteps
from workflows.runners.parcel import pack, pack_inputs, pack_outputs, unpack
from workflows.runners.runner import RunnerError
from workflows.runners.steps import INTERRUPTED, NOT_STARTED, RAISED, SHOWN, Ended, Job, ProcessSteps, StepRunner, Stop, check_call

CALL_SECONDS = 120.0  # for all that is quick
BUILD_SECONDS = 3600.0
PIECE = 32 << 20  # bytes of outputs in one object of Ray's store
MOST_LINES = 1000  # in one object


class RaySteps:
    """Each try as a task of a Ray cluster: that of `RAY_ADDRESS`, one that this process is joined to already, or one started here.

    Processors (one, where none are declared), memory and GPUs are kept free for a step; only a container is held to them.
    """

    def __init__(self) -> None:
        self._local = ProcessSteps()
        self._digests: dict[tuple[Environment, Path], str] = {}
        self._nodes: dict[tuple[Environment, Path], Iterator[str]] = {}
        self._lock = threading.Lock()

    def check(self, step: Step, base: Path) -> None:
        """See `StepRunner.check`: also that one machine at least is large enough."""
        if step.call:
            check_call(step.call, base, SHOWN)
        elif not step.environment.wants_container:
            self._local.check(step, base)
        for mount in step.environment.mounts:
            if not Path(mount.source).is_absolute():
                raise RunnerError(f"the mount {mount.source!r} is relative, but a step may run anywhere; write a path that all machines have")
        _join()
        wanted = _resources(step.environment)
        largest = [node["Resources"] for node in _alive()]
        if not any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in largest):
            needs = ", ".join(f"{name} {amount:g}" for name, amount in wanted.items())
            raise RunnerError(f"no machine of the Ray cluster has what the step declares ({needs}), so it would wait for ever; see: ray status")

    def prepare(self, step: Step, base: Path, say: Callable[[str], None]) -> None:
        """See `StepRunner.prepare`: the image, on every machine with a container engine."""
        place = step.environment, base
        if not step.environment.wants_container or place in self._nodes:
            return
        code, text = _packed(step, base), msgspec.json.encode(step)
        calls = {node: _there(_prepare_there, node, text, code) for node in (one["NodeID"] for one in _alive())}
        digests, absent = {}, []
        for node, call in calls.items():
            lines, digest, error, engine = _got(call, BUILD_SECONDS)
            for line in lines:
                say(line)
            if not engine:
                absent.append(error)
            elif error:
                raise RunnerError(error)
            else:
                digests[node] = digest
        if not digests:
            raise RunnerError(f"on no machine of the Ray cluster a container engine answers: {absent[0] if absent else 'there is no machine'}")
        if len(set(digests.values())) > 1:
            raise RunnerError("the machines of the Ray cluster have different images under the same name; pull it anew on each of them")
        self._digests[place], self._nodes[place] = next(iter(digests.values())), itertools.cycle(digests)

    def environment(self, step: Step, base: Path) -> str:
        """See `StepRunner.environment`: that of the machines, which is taken to be the same as here, or of the containers on them."""
        return self._digests[step.environment, base] if step.environment.wants_container else self._local.environment(step, base)

    def run(self, job: Job, say: Callable[[str], None], stop: Stop) -> Ended:
        """See `StepRunner.run`."""
        options: dict[str, Any] = {"max_retries": 0, "num_returns": "streaming", **_options(job.step.environment)}
        if job.step.environment.wants_container:
            with self._lock:
                node = next(self._nodes[job.step.environment, job.base])
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        try:
            parts = msgspec.json.encode(job.step), _packed(job.step, job.base), pack_inputs(job.inputs), job.params.read_bytes()
        except (RunnerError, OSError) as error:
            return Ended(NOT_STARTED, str(error))
        stream: Any = ray.remote(_run_there).options(**options).remote(*parts, str(job.folder.resolve()))
        over = Stop()
        watch = threading.Thread(target=self._watch, args=(stream, job.folder, stop, over), name="watch a Ray task")
        watch.start()
        ended = None
        pieces = []
        try:
            for reference in stream:
                kind, content = ray.get(reference)
                if kind == "lines":
                    for line in content:
                        say(line)
                elif kind == "piece":
                    pieces.append(content)
                else:
                    ended = Ended(*content)
        except RayError as error:
            self.clean([job.folder])
            return Ended(INTERRUPTED, "interrupted") if stop.is_set else Ended(RAISED, _told(error))
        except BaseException:  # `say` may raise anything; the step must not outlive whoever follows it
            ray.cancel(stream)
            self.clean([job.folder])
            raise
        finally:
            over.set()
            watch.join()
            over.close()
        if stop.is_set and (ended is None or ended.code):
            return Ended(INTERRUPTED, "interrupted")
        if ended is None:
            return Ended(RAISED, "the Ray task ended without a word")
        if ended.code:
            return ended
        try:
            unpack(b"".join(pieces), job.outputs)
        except (tarfile.TarError, OSError) as error:
            return Ended(RAISED, f"what it left in outputs cannot be brought here: {error}")
        return ended

    def clean(self, folders: Sequence[Path]) -> None:
        """See `StepRunner.clean`: on every machine of the cluster."""
        if not folders:
            return
        _join()
        places = [str(folder.resolve()) for folder in folders]
        calls = [(node["NodeID"], _there(_end_there, node["NodeID"], places)) for node in _alive()]
        for node, call in calls:
            try:
                error = _got(call, CALL_SECONDS)
            except RunnerError:
                if node in {one["NodeID"] for one in _alive()}:
                    raise
                continue  # the machine is gone, and what ran on it as well
            if error:
                raise RunnerError(error)

    def _watch(self, stream: Any, folder: Path, stop: Stop, over: Stop) -> None:
        if over in select.select([stop, over], [], [])[0]:
            return
        ray.cancel(stream)  # ends it if it waits; wakes it, once what it waits for has ended, if it runs
        self.clean([folder])


def _packed(step: Step, base: Path) -> bytes:
    """The files that make a step. Raises `RunnerError`."""
    try:
        return pack(code_files(step, base))
    except OSError as error:
        raise RunnerError(f"{error.filename} cannot be read ({error.strerror}); paths are relative to the graph's file") from error


def _join() -> None:
    """Join a cluster, or start one here. Raises `RunnerError`."""
    if ray.is_initialized():
        return
    here: dict[str, Any] = {}
    if "RAY_ADDRESS" not in os.environ:
        root = str(Path(__file__).resolve().parents[2])
        # "local": without it Ray would join whatever cluster was last started on this machine.
        here = {"address": "local", "include_dashboard": False, "runtime_env": {"env_vars": {"PYTHONPATH": root}}}
    try:
        ray.init(namespace="scanflow", log_to_driver=False, configure_logging=False, **here)
    except (RayError, OSError, RuntimeError, ValueError) as error:
        raise RunnerError(f"Ray cannot be started or joined ({error}); RAY_ADDRESS names the cluster, and without it one is started here") from error


def _alive() -> list[Mapping[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _resources(environment: Environment) -> dict[str, float]:
    """What a step needs, in Ray's words."""
    wanted = {"CPU": environment.cpus or 1.0, "memory": float(environment.bytes), "GPU": float(environment.gpus)}
    return {name: amount for name, amount in wanted.items() if amount}


def _options(environment: Environment) -> dict[str, Any]:
    return {"num_cpus": environment.cpus or 1.0, "num_gpus": environment.gpus, "memory": environment.bytes or None}


def _there(function: Callable[..., Any], node: str, *arguments: Any) -> Any:
    """Call a function on one machine."""
    return ray.remote(function).options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(*arguments)


def _got(call: Any, seconds: float) -> Any:
    try:
        return ray.get(call, timeout=seconds)
    except GetTimeoutError as error:
        raise RunnerError(f"a machine of the Ray cluster gave no answer within {seconds:g} s") from error
    except RayError as error:
        raise RunnerError(f"a machine of the Ray cluster cannot be reached: {_told(error)}") from error


def _told(error: RayError) -> str:
    if isinstance(error, WorkerCrashedError):
        return "the Ray worker that ran it has died; its machine's logs say why"
    if isinstance(error, TaskUnschedulableError):
        return "the machine that it was to run on has left the Ray cluster"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'Ray says no more'}"[:600]


# --- what runs on the machines of the cluster ---------------------------------------------------------------------------


def _run_there(text: bytes, code: bytes, inputs: bytes, params: bytes, place: str) -> Iterator[tuple[str, Any]]:
    """Run one try; gives ("lines", its lines) as they come, then ("piece", bytes) of its outputs, at last ("ended", how)."""
    step = msgspec.json.decode(text, type=Step)
    with tempfile.TemporaryDirectory(prefix="scanflow-step-") as name:
        here = Path(name)
        for folder in ("graph", "inputs", "outputs"):
            (here / folder).mkdir(mode=0o755)
        unpack(code, here / "graph")
        unpack(inputs, here / "inputs")
        (here / "params.json").write_bytes(params)
        # Known by the engine's folder, not by this one: so the engine can find it, also one that has resumed the run.
        job = Job(step, here / "graph", here / "inputs", here / "outputs", here / "params.json", msgspec.json.decode(params), Path(place))
        said: queue.SimpleQueue[str | Ended] = queue.SimpleQueue()
        stop = Stop()

        def work() -> None:
            try:
                runner: StepRunner = ContainerSteps() if step.environment.wants_container else ProcessSteps()
                runner.prepare(step, job.base, said.put)
                said.put(runner.run(job, said.put, stop))
            except Exception as error:  # noqa: BLE001 - handed to the engine, which tells it
                said.put(Ended(RAISED, f"{type(error).__name__}: {error}"))

        worker = threading.Thread(target=work)
        worker.start()
        try:
            ended = None
            while ended is None:
                lines, ended = _waiting(said)
                if lines:
                    yield "lines", lines
        finally:
            stop.set()
            worker.join()
            stop.close()
        parcel = b"" if ended.code else pack_outputs(job.outputs)
        for at in range(0, len(parcel), PIECE):
            yield "piece", parcel[at : at + PIECE]
        yield "ended", tuple(ended)


def _waiting(said: "queue.SimpleQueue[str | Ended]") -> tuple[list[str], Ended | None]:
    """Wait for something that was said; all that has been said by now."""
    lines: list[str] = []
    item = said.get()
    while True:
        if isinstance(item, Ended):
            return lines, item
        lines.append(item)
        if said.empty() or len(lines) == MOST_LINES:
            return lines, None
        item = said.get()


def _prepare_there(text: bytes, code: bytes) -> tuple[list[str], str, str, bool]:
    """Make the image of a step ready: what there is to tell, its digest or an error, and whether a container engine answers at all."""
    step = msgspec.json.decode(text, type=Step)
    lines: list[str] = []
    runner = ContainerSteps()
    with tempfile.TemporaryDirectory(prefix="scanflow-step-") as name:
        (base := Path(name) / "graph").mkdir(mode=0o755)
        unpack(code, base)
        try:
            runner.connect()
        except RunnerError as error:
            return lines, "", str(error), False
        try:
            runner.check(msgspec.structs.replace(step, call=""), base)
            runner.prepare(step, base, lines.append)
            return lines, runner.environment(step, base), "", True
        except RunnerError as error:
            return lines, "", str(error), True


def _end_there(places: list[str]) -> str:
    """End what is left of these tries on this machine; the error, if it cannot be."""
    folders = [Path(place) for place in places]
    try:
        ProcessSteps().clean(folders)
        ContainerSteps().clean(folders)
    except RunnerError as error:
        return str(error)
    return ""
