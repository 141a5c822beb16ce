"""Who is in the team, and how each agent begins. Actors import this and what the agents need: no torch, no doors."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from agents.agent import Agent
from agents.checker import Checker
from agents.desk import Desk
from agents.improver import Improver
from agents.planner import Planner
from agents.policy import Detection, Policy
from agents.tracker import Tracker
from models.detectors.monitor import Monitor
from models.reference import Reference

TEAM: Mapping[str, type[Agent]] = {agent.name: agent for agent in (Tracker, Checker, Improver, Planner, Desk)}


def load_monitor(detection: Detection, reference: str) -> Monitor:
    """The sequential test for a reference file. References are never changed once written, so this is as pure as a constant."""
    return Monitor(Reference.load(Path(reference)), run_length=detection.run_length, block=detection.block)


def factories(deployment: str, policy: Policy, impossible: Mapping[str, str] | None = None) -> dict[str, Callable[[], Agent]]:
    """How each agent begins, before its first message; `impossible` are remedies that the model cannot have, with reasons."""
    return {
        Tracker.name: partial(Tracker, deployment, policy.detection.records_per_second),
        Checker.name: partial(Checker, deployment, policy, partial(load_monitor, policy.detection)),
        Improver.name: partial(Improver, deployment, policy, impossible or {}),
        Planner.name: partial(Planner, deployment, policy),
        Desk.name: partial(Desk, deployment),
    }
