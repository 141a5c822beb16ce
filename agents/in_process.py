"""A whole scenario in one process and one thread: no Ray, no container, no sockets, and therefore repeatable.

The same agents, doors and remedies as in the cluster, on the in-memory twins of what is outside. Tests and benchmarks use it.
"""

import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.board import Board
from agents.hosts.host import Host, LocalHost
from agents.ledger import Ledger
from agents.messages import JoinLabels
from agents.policy import Policy
from agents.rehearsal import Rehearsal
from agents.scripted import ScriptedDesk
from agents.state import State
from agents.system import System
from agents.team import Wiring, built_in, factories
from scenarios.client import Answers, ClientError
from scenarios.datasets import to_float
from scenarios.replay import Replay, Scenario, Sent
from scenarios.source import Pool
from workflows.inference import Inference, InferenceError
from workflows.serving.service import Service
from workflows.steps.train import train
from workflows.tracking import MemoryTracking, Tracking


class DirectClient:
    """Sends images to an inference service that is an object of this process."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    def infer(self, images: NDArray[np.uint8]) -> Answers:
        """Answer uint8 images. Raises `ClientError`."""
        try:
            answers = self._inference.infer(to_float(images))
        except InferenceError as error:
            raise ClientError(str(error)) from error
        return Answers(answers.seqs, answers.labels, answers.version, 0.0)


class InProcess:
    """A supervised deployment in this process.

    Parameters
    ----------
    state : its folder, held by the caller. A first model is trained into it unless it is there.
    scenario : what is sent, and the scripted person who answers.
    pool : ready images for some corruptions; see `scenarios.source.Source`.
    executor : where remedies are prepared; without one, here, one after the other.
    host : where the agents run, in place of this process.
    wiring : the team and its edges; those that the project ships by default.
    name : of the deployment; by default that of its data.
    impossible : remedies that the model cannot have, with reasons; see `agents.subject.of_file`.
    clock : seconds; by default a counter of events, so that ledgers of equal runs are equal.
    """

    def __init__(
        self, state: State, scenario: Scenario, *, policy: Policy | None = None, dataset: str | None = None, root: Path | None = None,
        pool: Pool | None = None, executor: Executor | None = None, host: Host | None = None, tracking: Tracking | None = None,
        clock: Callable[[], float] | None = None, seed: int = 0, wiring: Wiring | None = None, impossible: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        policy, dataset = policy or Policy(), dataset or scenario.dataset
        name = name or dataset
        first = f"{name}-first"
        if not (state.pipeline(first) / "manifest.json").exists():
            train(dataset, state.pipeline(first), name=first, root=root, seed=seed)
        counter = itertools.count(1)
        clock = clock or (lambda: float(next(counter)))
        self.inference = Service()
        self.inference.load(state.pipeline(first))
        self.inference.activate(first)
        self.ledger = Ledger(clock=clock)
        wiring = wiring or Wiring(built_in())
        self.host = host or LocalHost(factories(name, policy, wiring.team, impossible), executor)
        self.board = Board(name)
        self.system = System(
            name, state=state, policy=policy, inference=self.inference, host=self.host, tracking=tracking or MemoryTracking(), dataset=dataset,
            root=root, activate=self.inference.activate, wait=self._next_batch, clock=clock, ledger=self.ledger, seed=seed, wiring=wiring,
        )
        self.replay = Replay(scenario, DirectClient(self.inference), dataset, root, seed, pool)
        self.rehearsal = Rehearsal(self.replay, self.board, self.ledger, pump=self._pump, runtime="in process")
        switchboard = self.system.switchboard
        switchboard.listen(self.board.listen)
        switchboard.listen(ScriptedDesk(self.replay.person(), switchboard.post).listen)

    def run(self) -> dict[str, Any]:
        """Send the whole scenario; returns the outcome."""
        self.system.start()
        self.system.switchboard.run_until_idle()
        return self.rehearsal.run()

    def _next_batch(self) -> bool:
        sent = self.rehearsal.next_batch()
        self._tell_slices()
        return sent

    def _pump(self, _sent: Sent) -> None:
        self._tell_slices()
        if due := self.replay.house.labels():
            self.system.switchboard.post(JoinLabels(id=f"labels-{max(due)}", source="house", deployment=self.system.name, labels=due))
        self.system.switchboard.tick()
        self.system.switchboard.run_until_idle()

    def _tell_slices(self) -> None:
        """At once, past the switchboard, which has no turn while a door waits for traffic in this one thread."""
        self.system.slices.note(self.inference.stats().log, self.replay.house.slices())
