"""Who is in the team, who may tell whom what, and how each agent begins. Actors import this and what the agents need: no torch, no doors.

The team is a multigraph, `team.toml`, and not only drawn: agents are made from it, and messages are delivered by its edges.
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from agents.agent import Agent
from agents.checker import Checker
from agents.desk import Desk
from agents.improver import Improver
from agents.messages import KINDS, Message, Request
from agents.planner import Planner
from agents.policy import Detection, Policy
from agents.tracker import Tracker
from models.detectors.monitor import Monitor
from models.reference import Reference
from models.weaknesses import catalogue
from models.weaknesses.check import Check
from workflows.graph import Graph, GraphError
from workflows.graph_files import load, read_part
from workflows.words import nearest

PERSON = "person"
"""The node for whoever speaks without being one: people have names of their own."""

Team = Mapping[str, type[Agent]]


class Wiring:
    """Agents and edges of a team's graph.

    Parameters
    ----------
    graph : its agents name their classes, its message edges types of `agents.messages`.

    Raises
    ------
    GraphError
        When an agent cannot be had, an edge carries a message that there is not or that its end does not handle, or when an agent would
        never be told what it handles.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.team: Team = {name: _class(name, node.call) for name, node in graph.agents.items()}
        self._heard: dict[tuple[str, str], set[str]] = {}
        for edge in graph.messages:
            self._heard.setdefault((edge.source, edge.type), set()).add(edge.target)
        self._check()

    def allows(self, message: Message, target: str) -> bool:
        """Whether there is an edge by which this message reaches the node `target`."""
        return target in self._targets(message)

    def allows_door(self, request: Request) -> bool:
        """Whether there is an edge from who asks to a service, the doors' side of the graph."""
        return any(target in self.graph.services for target in self._targets(request))

    def course(self, message: Message) -> list[tuple[str, str]]:
        """The edges along which a message goes, as (source, target): to whom it is addressed, else to all; and from those on to people."""
        source = message.source if message.source in self.graph.nodes else PERSON
        kind, told = type(message).__name__, self._targets(message)
        direct = [(source, target) for target in sorted(told) if message.to in ("", target)]
        passed = [(by, person) for _, by in direct for person in self.graph.people if by in self.team and person in self._heard.get((by, kind), ())]
        return [*direct, *passed]

    def _targets(self, message: Message) -> set[str]:
        source = message.source if message.source in self.graph.nodes else PERSON
        return self._heard.get((source, type(message).__name__), set())

    def _check(self) -> None:
        for edge in self.graph.messages:
            what = f"the message edge {edge.source} -> {edge.target} ({edge.type})"
            if edge.type not in KINDS:
                raise GraphError(f"{what}: there is no message {edge.type!r}{nearest(edge.type, KINDS)}")
            if (agent := self.team.get(edge.target)) and KINDS[edge.type] not in agent.handles:
                handled = ", ".join(kind.__name__ for kind in agent.handles)
                raise GraphError(f"{what}: {edge.target} does not handle it, only {handled}; leave the edge out, or teach the agent")
        for name, agent in self.team.items():
            told = {edge.type for edge in self.graph.messages if edge.target == name}
            if missing := [kind.__name__ for kind in agent.handles if kind.__name__ not in told]:
                raise GraphError(f"agent {name!r} handles {', '.join(missing)}, and no edge brings it; add a message edge to {name}")


@cache
def built_in() -> Graph:
    """The team that the project ships."""
    return load(Path(__file__).with_name("team.toml"))


def with_agents(graph: Graph, files: Iterable[Path]) -> Graph:
    """The graph with the agents and message edges of these files added. What is there already stays as it is. Raises `GraphError`."""
    for file in files:
        agents, messages = read_part(file)
        if taken := next((name for name in agents if name in graph.nodes), None):
            raise GraphError(f"{file}: the team has {taken!r} already ({graph.kind(taken)}); give your agent another one")
        if stray := next((edge for edge in messages if not agents.keys() & {edge.source, edge.target}), None):
            edge = f"{stray.source} -> {stray.target} ({stray.type})"
            raise GraphError(f"{file}: the edge {edge} joins none of its own agents; it may only add to the team")
        sys.path.insert(0, str(file.parent.absolute()))
        try:
            graph = msgspec.structs.replace(graph, agents=graph.agents | agents, messages=(*graph.messages, *messages))
        except GraphError as error:
            raise GraphError(f"{file}: {error}") from error
    return graph


def load_monitor(detection: Detection, reference: str) -> Monitor:
    """The sequential test for a reference file. References are never changed once written, so this is as pure as a constant."""
    return Monitor(Reference.load(Path(reference)), run_length=detection.run_length, block=detection.block)


def load_checks(chosen: Mapping[str, Mapping[str, Any]], reference: str) -> dict[str, Callable[[], Check]]:
    """How to make all other checks that a policy turns on, for a reference file."""
    if not chosen:
        return {}
    known = Reference.load(Path(reference))
    return {name: partial(catalogue.make, name, known, parameters) for name, parameters in chosen.items()}


def factories(
    deployment: str, policy: Policy, team: Team | None = None, impossible: Mapping[str, str] | None = None
) -> dict[str, Callable[[], Agent]]:
    """How each agent begins, before its first message: those of the team that is shipped by the policy, any other by the deployment's name.

    `impossible` are remedies that the model cannot have, with reasons.
    """
    special: dict[type[Agent], Callable[[], Agent]] = {
        Tracker: partial(Tracker, deployment, policy.detection.records_per_second, policy.sensors),
        Checker: partial(Checker, deployment, policy, partial(load_monitor, policy.detection), partial(load_checks, policy.checks)),
        Improver: partial(Improver, deployment, policy, impossible or {}),
        Planner: partial(Planner, deployment, policy),
        Desk: partial(Desk, deployment, policy.questions),
    }
    return {name: special.get(agent, partial(agent, deployment)) for name, agent in (team or Wiring(built_in()).team).items()}


def _class(name: str, call: str) -> type[Agent]:
    """The class of an agent, "module:Class"."""
    module, _, attribute = call.partition(":")
    if not (module and attribute):
        raise GraphError(f'agent {name!r} has no class; write call = "module:Class"')
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise GraphError(f"agent {name!r}: {call} cannot be had ({error}); its module must be importable from where the cluster starts") from error
    if not (isinstance(found, type) and issubclass(found, Agent) and found.name == name):
        raise GraphError(f"agent {name!r}: {call} must be a subclass of agents.agent.Agent with name = {name!r}")
    return found
