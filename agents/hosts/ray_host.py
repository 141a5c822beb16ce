"""Agents as Ray actors and jobs as Ray tasks: the only file that imports ray.

An actor is one agent of the team and keeps an object of it for each deployment. Ray restarts an actor that died, but not its state. Each
actor process therefore carries a generation of its own; a call that names another one is answered with "restore me first", and the host
hands over the agent's history from that deployment's ledger.
"""

import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
import structlog
from ray import cloudpickle
from ray.exceptions import ActorDiedError, ActorUnavailableError, GetTimeoutError, RayActorError, RayError

from agents.agent import Agent
from agents.beliefs import Facts, beliefs
from agents.hosts.host import AgentError, History
from agents.messages import Message, decode, encode

CALL_SECONDS = 30.0
LOOK_SECONDS = 1.0
RESTORE_SECONDS = 120.0  # a process must start first
ATTEMPTS = 5
PIECE = 64 * 1024  # bytes; Ray copies an argument above 100 kB into its object store and out again, which costs more than the call itself
LOST = (RayActorError, ActorDiedError, ActorUnavailableError)
log = structlog.get_logger(__name__)


class _AgentActor:
    """One agent of the team, for every deployment, in a process of its own. Bytes in, bytes out, so nothing of ours is pickled on the way."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent] = {}
        self._generation = uuid.uuid4().hex

    @ray.method(max_task_retries=-1)  # repeating it does no harm, so Ray may wait for the restart
    def restore(self, deployment: str, factory: Callable[[], Agent], history: list[bytes]) -> str:
        """Build a deployment's agent from its history; returns the generation to name in calls."""
        self._agents.pop(deployment, None)
        agent = factory()
        agent.restore(decode(data) for data in history)
        self._agents[deployment] = agent
        return self._generation

    def receive(self, generation: str, deployment: str, *pieces: bytes) -> tuple[str, list[bytes] | str]:
        """Handle a message that comes in pieces: ("said", messages), ("error", text), or ("unknown", ...) to who speaks to a predecessor."""
        agent = self._agents.get(deployment)
        if generation != self._generation or agent is None:
            return "unknown", self._generation
        try:
            return "said", [encode(message) for message in agent.receive(decode(b"".join(pieces)))]
        except Exception as error:  # noqa: BLE001 - becomes AgentError at the caller, which restores the agent
            self._agents.pop(deployment, None)  # this deployment's alone
            return "error", f"{type(error).__name__}: {error}"

    def at(self, deployment: str) -> dict[str, str]:
        """What the agent is at and believes, and in which process."""
        agent = self._agents.get(deployment)
        facts = beliefs(agent) if agent is not None else {"state": "(not running; restored with its next message)"}
        return facts | {"process": str(os.getpid())}

    def forget(self, deployment: str) -> None:
        """A deployment is not supervised any more."""
        self._agents.pop(deployment, None)

    @ray.method(max_task_retries=-1)
    def pid(self) -> int:
        """The operating system's id of this process."""
        return os.getpid()


class SharedRayHost:
    """The actors on a Ray cluster, one for each agent of the team, whatever number of deployments they serve.

    Parameters
    ----------
    address : joins an existing Ray cluster; None starts one on this machine.
    cores : processors for a Ray started here; by default all.
    """

    def __init__(self, *, address: str | None = None, cores: int | None = None) -> None:
        self.actors: dict[str, Any] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._making = threading.Lock()
        self._started_ray = not ray.is_initialized()
        if self._started_ray:
            here: dict[str, Any] = {} if address else {"num_cpus": cores, "include_dashboard": False}
            root = str(Path(__file__).resolve().parents[2])
            ray.init(
                address=address, namespace="scanflow", log_to_driver=False, configure_logging=False,
                runtime_env={"env_vars": {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"}}, **here,
            )

    def open(self, deployment: str, factories: Mapping[str, Callable[[], Agent]]) -> "RayHost":
        """One deployment's view."""
        return RayHost(factories, deployment=deployment, shared=self)

    def make(self, agents: Iterable[str]) -> None:
        """Create the actors that there are not yet, all at once."""
        with self._making:
            actor = ray.remote(_AgentActor)
            for name in agents:
                if name not in self.actors:
                    self._turns[name] = threading.Lock()
                    self.actors[name] = actor.options(num_cpus=0, max_restarts=-1, max_task_retries=0, max_concurrency=1).remote()

    def turn(self, agent: str) -> threading.Lock:
        """To be held while an actor is called: its time counts from when it is this deployment's turn, not while another's message is handled."""
        return self._turns[agent]

    def stop(self) -> None:
        """End the actors, and Ray too if it was started here."""
        for actor in self.actors.values():
            ray.kill(actor)
        self.actors.clear()
        if self._started_ray and ray.is_initialized():
            ray.shutdown()


class RayHost:
    """Runs one deployment's agents on a Ray cluster; `address` joins an existing one, None starts one on this machine.

    Parameters
    ----------
    factories : makes each agent by name; sent to the actors. Agents of others travel with their module, which need not be there.
    address : of an existing Ray cluster.
    cores : processors for a Ray started here; by default all.
    deployment, shared : whose agents these are, and the actors that it shares with others; without them it has actors of its own.
    """

    def __init__(
        self, factories: Mapping[str, Callable[[], Agent]], *, address: str | None = None, cores: int | None = None, deployment: str = "",
        shared: SharedRayHost | None = None,
    ) -> None:
        self._factories, self._deployment = factories, deployment
        self._history: History = lambda _name: ()
        self._generations: dict[str, str] = {}
        self._alone = shared is None
        self._shared = shared if shared is not None else SharedRayHost(address=address, cores=cores)
        self._actors: dict[str, Any] = {}

    def start(self, history: History) -> None:
        """Create all actors that are missing at once, then restore each agent."""
        self._history = history
        for factory in self._factories.values():
            _carry(factory)
        self._shared.make(self._factories)
        self._actors = {name: self._shared.actors[name] for name in self._factories}
        for name in self._factories:
            self._restore(name)

    def deliver(self, agent: str, message: Message) -> list[Message]:
        """Let an actor handle a message, restoring the agent first when its process is a new one."""
        if agent not in self._actors:
            raise AgentError(f"the {agent} has been stopped")
        data = encode(message)
        pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
        for _ in range(ATTEMPTS):
            try:
                with self._shared.turn(agent):
                    outcome, said = self._call(agent, pieces)
            except LOST as error:
                log.warning("agent process lost; it is restored from the ledger", agent=agent, error=type(error).__name__)
                self._restore(agent)
                continue
            except RayError as error:
                raise AgentError(f"Ray could not reach the {agent}: {error}") from error
            if outcome == "said":
                return [decode(one) for one in said]
            self._restore(agent)
            if outcome == "error":
                raise AgentError(said)
        raise AgentError(f"the process of the {agent} died {ATTEMPTS} times while it handled {type(message).__name__} {message.id}")

    def _call(self, agent: str, pieces: list[bytes]) -> Any:
        call = self._actors[agent].receive.remote(self._generations.get(agent, ""), self._deployment, *pieces)
        try:
            return ray.get(call, timeout=CALL_SECONDS)
        except GetTimeoutError as error:
            ray.kill(self._actors[agent], no_restart=False)  # or all that follows would wait behind the call that hangs
            raise AgentError(f"the {agent} gave no answer within {CALL_SECONDS:.0f} s; its process was ended") from error

    def at(self, agent: str) -> Facts:
        """What an agent is at and believes; one that is busy for longer than `LOOK_SECONDS` is said to be."""
        actor = self._actors.get(agent)
        if actor is None:
            return {"state": "(stopped)"}
        try:
            return dict(ray.get(actor.at.remote(self._deployment), timeout=LOOK_SECONDS))
        except GetTimeoutError:
            return {"state": "(busy with a message)"}
        except RayError as error:
            return {"state": f"(its process cannot be reached: {type(error).__name__})"}

    def submit(self, function: Callable[..., Any], /, **arguments: Any) -> "Future[Any]":
        """Run a job as a Ray task on one core."""
        reference = ray.remote(function).options(num_cpus=1, max_retries=1).remote(**arguments)
        future: Future[Any] = reference.future()
        return future

    def pid(self, agent: str) -> int:
        """The process in which an agent runs."""
        found: int = ray.get(self._actors[agent].pid.remote(), timeout=RESTORE_SECONDS)
        return found

    def stop(self) -> None:
        """End this deployment's agents; the actors too, and Ray if it was started here, where they are nobody else's."""
        actors, self._actors = self._actors, {}
        if self._alone:
            self._shared.stop()
            return
        for actor in actors.values():
            with suppress(RayError):  # a process that is lost, or busy for long, has nothing to forget before its end
                ray.get(actor.forget.remote(self._deployment), timeout=LOOK_SECONDS)

    def _restore(self, agent: str) -> None:
        history = [encode(message) for message in self._history(agent)]
        try:
            with self._shared.turn(agent):
                call = self._actors[agent].restore.remote(self._deployment, self._factories[agent], history)
                self._generations[agent] = ray.get(call, timeout=RESTORE_SECONDS)
        except RayError as error:
            raise AgentError(f"the {agent} could not be restored from the ledger: {error}") from error


def _carry(factory: Callable[[], Agent]) -> None:
    """Have the module of an agent that is not ours sent by value: only the driver was told where its file is."""
    module = sys.modules.get(getattr(factory, "func", factory).__module__)
    if module is not None and module.__name__.partition(".")[0] != "agents":
        cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]  # Ray's copy bears no types
