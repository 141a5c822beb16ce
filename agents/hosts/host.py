"""What a host owes the switchboard, and the host that runs agents in this process."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Protocol

from agents.agent import Agent
from agents.beliefs import Facts, beliefs
from agents.messages import Message

History = Callable[[str], Sequence[Message]]


class AgentError(Exception):
    """An agent raised while it handled a message; the text is the agent's own."""


class Host(Protocol):
    """Runs agents and the jobs that they ask for."""

    def start(self, history: History) -> None:
        """Start every agent and restore it from the messages that `history` gives for its name."""

    def deliver(self, agent: str, message: Message) -> list[Message]:
        """Let `agent` handle `message`; an agent that died is restored first. Raises `AgentError` when it raises."""

    def at(self, agent: str) -> Facts:
        """What an agent is at and believes (`agents.beliefs`); as its state, in parentheses, why that cannot be told now. Does not wait long."""

    def submit(self, function: Callable[..., Any], /, **arguments: Any) -> "Future[Any]":
        """Run a job, a plain function of plain arguments, beside the agents."""

    def stop(self) -> None:
        """Stop what was started."""


class SharedHost(Protocol):
    """Runs the agents of several deployments. What happens to an agent of one deployment is that one's alone."""

    def open(self, deployment: str, factories: Mapping[str, Callable[[], Agent]]) -> Host:
        """The view that one deployment has of it; to be started and stopped by itself. `factories` make its agents by name."""

    def stop(self) -> None:
        """Stop what was started for all."""


class LocalHost:
    """Agents as objects of this process; jobs on an executor. The in-memory twin of the Ray host.

    Parameters
    ----------
    factories : makes each agent by name, as it is before its first message.
    executor : where jobs run; without one they run at once, in the caller's thread, which makes a run repeatable.
    """

    def __init__(self, factories: Mapping[str, Callable[[], Agent]], executor: Executor | None = None) -> None:
        self._factories, self._executor = factories, executor
        self._agents: dict[str, Agent] = {}
        self._history: History = lambda _name: ()

    def start(self, history: History) -> None:
        """Start all agents."""
        self._history = history
        for name in self._factories:
            self._restore(name)

    def deliver(self, agent: str, message: Message) -> list[Message]:
        """Let an agent handle a message."""
        try:
            if agent not in self._agents:
                self._restore(agent)
            return self._agents[agent].receive(message)
        except Exception as error:
            self.kill(agent)  # half a transition is worse than none: the next message finds it as its history says
            raise AgentError(f"{type(error).__name__}: {error}") from error

    def at(self, agent: str) -> Facts:
        """What an agent is at and believes."""
        found = self._agents.get(agent)
        return beliefs(found) if found is not None else {"state": "(not running; restored with its next message)"}

    def submit(self, function: Callable[..., Any], /, **arguments: Any) -> "Future[Any]":
        """Run a job."""
        if self._executor is not None:
            return self._executor.submit(function, **arguments)
        future: Future[Any] = Future()
        try:
            future.set_result(function(**arguments))
        except Exception as error:  # noqa: BLE001 - it is handed to who awaits the future, as an executor does
            future.set_exception(error)
        return future

    def kill(self, agent: str) -> None:
        """Lose an agent and all it knew, as a crash does."""
        self._agents.pop(agent, None)

    def stop(self) -> None:
        """Drop all agents."""
        self._agents.clear()
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def _restore(self, name: str) -> None:
        agent = self._factories[name]()
        agent.restore(self._history(name))
        self._agents[name] = agent


class SharedLocalHost:
    """The in-memory twin of the shared Ray host: each deployment's agents are objects of their own, jobs go to one executor.

    >>> from agents.desk import Desk
    >>> shared = SharedLocalHost()
    >>> hosts = [shared.open(name, {"desk": lambda: Desk("either")}) for name in ("digits", "mnist")]
    >>> for host in hosts:
    ...     host.start(lambda _name: ())
    >>> hosts[0].kill("desk")
    >>> [host.at("desk")["state"] for host in hosts]
    ['(not running; restored with its next message)', 'open']
    """

    def __init__(self, executor: Executor | None = None) -> None:
        self._executor = executor

    def open(self, deployment: str, factories: Mapping[str, Callable[[], Agent]]) -> LocalHost:  # noqa: ARG002 - objects need no name to be apart
        """One deployment's view."""
        return _OneOfSeveral(factories, self._executor)

    def stop(self) -> None:
        """Let the executor end."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


class _OneOfSeveral(LocalHost):
    """Drops its agents at its end, and leaves the executor to the others."""

    def stop(self) -> None:
        """Drop all agents."""
        self._agents.clear()
