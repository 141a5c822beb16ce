"""One deployment's agents, doors, desk and ledger, put together. `agents.cluster` runs it on Ray; tests and benchmarks in process."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from agents.doors.analysis import Analysis
from agents.doors.deployer import Deployer
from agents.doors.evidence import Evidence
from agents.doors.gallery import Gallery
from agents.doors.labels import LabelDoor
from agents.doors.likeness import Likenesses
from agents.doors.log import LogDoor
from agents.doors.looks import Looks
from agents.doors.shelf import Shelf
from agents.doors.slices import FOUND_SLICES, SliceBook
from agents.doors.workshop import Workshop
from agents.hosts.host import Host
from agents.ledger import Ledger
from agents.messages import (
    AdoptChange, AnalyseWindow, CompareRemedies, DeployPipeline, DrawAudit, HandOverRecords, JoinLabels, LookAtRecords, Message, PipelineLive,
    PolicySet, PrepareRemedy, ReadRecords, RecordLive, ShadowPipeline, derived_id,
)
from agents.policy import Policy
from agents.pulse import Pulse
from agents.state import State
from agents.subject import LIKENESS
from agents.switchboard import Door, Switchboard
from agents.team import Wiring, built_in
from models.weaknesses import catalogue as weaknesses
from workflows.inference import Inference
from workflows.tracking import Tracking


class System:
    """Everything that supervises one deployment.

    Parameters
    ----------
    name : of the deployment; also the name under which its models are registered.
    inference : the running service.
    activate : makes a loaded pipeline the live one and keeps it as the target.
    wait : lets traffic come by for a moment; False when there will be no more.
    executor : where doors run; without one everything happens in the caller's thread, in a repeatable order.
    wiring : the team and its edges; those that the project ships by default.
    """

    def __init__(
        self, name: str, *, state: State, policy: Policy, inference: Inference, host: Host, tracking: Tracking, dataset: str, root: Path | None,
        activate: Callable[[str], object], wait: Callable[[], bool], clock: Callable[[], float] = time.time, executor: Executor | None = None,
        ledger: Ledger | None = None, stopping: Callable[[], bool] = lambda: False, seed: int = 0, wiring: Wiring | None = None,
    ) -> None:
        self.name, self.state, self.policy = name, state, policy
        self.shelf = Shelf(state)
        self.ledger = ledger or Ledger.in_folder(state.folder, clock=clock)
        self._inference = inference
        self.evidence = Evidence(state)
        self.gallery = Gallery(self.shelf, dataset, root)
        likenesses = Likenesses(state.folder / LIKENESS, dataset, root)
        self.slices = SliceBook(policy.checks.get("bias", {}).get("slices", FOUND_SLICES))
        analysis = Analysis(inference, self.shelf, self.evidence, likenesses, wait, least=policy.detection.least, book=self.slices)
        workshop = Workshop(host.submit, self.shelf, tracking, dataset=dataset, root=root, model=name, stopping=stopping, seed=seed)
        self._deployer = Deployer(inference, self.shelf, tracking, activate, model=name)
        needs = frozenset[str]().union(*(weaknesses.needs(check) for check in policy.checks))
        log = LogDoor(inference, answers=bool(policy.checks), facts="facts" in needs)
        looks = Looks(inference, self.shelf, self.evidence)
        doors: dict[type[Message], Door] = {
            ReadRecords: log.read, HandOverRecords: log.hand_over, AnalyseWindow: analysis.analyse, CompareRemedies: analysis.compare,
            AdoptChange: analysis.adopt, PrepareRemedy: workshop, ShadowPipeline: self._deployer.shadow, DeployPipeline: self._deployer.deploy,
            RecordLive: self._deployer.record, JoinLabels: LabelDoor(inference, self.slices), LookAtRecords: looks.look, DrawAudit: looks.draw,
        }
        self.wiring = wiring or Wiring(built_in())
        self.pulse = Pulse(self.wiring)
        self.switchboard = Switchboard(host, self.wiring.team, self.ledger, doors, clock=clock, executor=executor, wiring=self.wiring)
        self.switchboard.listen(self.pulse.listen)

    def start(self) -> None:
        """Start the agents; put on record by which rules they go, and tell them what is live."""
        self.switchboard.start()
        rules, before = msgspec.to_builtins(self.policy), self.ledger.messages(PolicySet)
        if not before or not isinstance(before[-1], PolicySet) or before[-1].policy != rules:
            identity = derived_id("system", str(len(before)), "PolicySet")
            self.switchboard.post(PolicySet(id=identity, source="system", deployment=self.name, policy=rules))
        live = self._inference.stats().active or ""
        known = self.ledger.messages(PipelineLive)
        if not known or not isinstance(known[-1], PipelineLive) or known[-1].pipeline != live:
            facts = self._deployer.facts(live, "", "started")
            identity = derived_id("deployer", f"{live}/{len(known)}", "PipelineLive")
            self.switchboard.post(PipelineLive(id=identity, source="deployer", deployment=self.name, **facts))
