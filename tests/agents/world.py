"""A small world for whole loops in milliseconds: a log of records, doors that answer at once, and a person who knows the labels.

The model says 0 of every image, every remedy says 1, and drifted images are ones. What happens in the world outlasts a crash of the
agents, as it does in life.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial

from agents.checker import Checker
from agents.desk import Desk
from agents.hosts.host import LocalHost
from agents.improver import Improver
from agents.ledger import Ledger
from agents.messages import (
    AdoptChange,
    AnalyseWindow,
    AskChoice,
    AskLabels,
    ChangeAdopted,
    CompareRemedies,
    DeployPipeline,
    HandOverRecords,
    LabelGiven,
    LiveRecorded,
    Message,
    PipelineLive,
    PipelineShadowed,
    PrepareRemedy,
    QuestionClosed,
    ReadRecords,
    RecordLive,
    ShadowPipeline,
)
from agents.planner import Planner
from agents.policy import Detection, Policy, Remedies
from agents.switchboard import Switchboard, answer_to
from agents.tracker import Tracker
from tests.agents.helpers import CLASSES, DEPLOYMENT, FakeMonitor, analysed, compared, live, offer, prepared, records, window

POLICY = Policy(detection=Detection(save_every=1), remedies=Remedies(prepare=("recalibrate", "filter")))
TEAM = {agent.name: agent for agent in (Tracker, Checker, Improver, Planner, Desk)}


class KnowsItsDrift(FakeMonitor):
    """The reference of a remedy holds the drift that it was made for."""

    def update(self, early, latent):
        return super().update(early, latent if self.reference == "first.npz" else 0 * latent)


FACTORIES = {
    Tracker.name: partial(Tracker, DEPLOYMENT), Checker.name: partial(Checker, DEPLOYMENT, POLICY, KnowsItsDrift), Improver.name: partial(Improver, DEPLOYMENT, POLICY),
    Planner.name: partial(Planner, DEPLOYMENT, POLICY), Desk.name: partial(Desk, DEPLOYMENT),
}  # fmt: skip


class Crash(BaseException):
    """The driver is gone."""


class World:
    """What is outside of the agents: traffic, the live pipeline, and how often each request was carried out."""

    def __init__(self) -> None:
        self.log: list[tuple[bool, str]] = []
        self.live = "first"
        self.done: Counter[str] = Counter()

    def feed(self, count: int, *, drifted: bool) -> None:
        self.log += [(drifted, self.live)] * count

    def doors(self) -> Mapping[type[Message], object]:
        doors = {
            ReadRecords: self.read, HandOverRecords: self.hand_over, AnalyseWindow: self.analyse, PrepareRemedy: prepared, CompareRemedies: compared, ShadowPipeline: self.shadow,
            DeployPipeline: self.deploy, AdoptChange: self.adopt, RecordLive: self.record,
        }  # fmt: skip
        return {kind: partial(self.carry_out, door) for kind, door in doors.items()}

    def carry_out(self, door, request):
        if not request.transient:
            self.done[request.id] += 1
        return [door(request)]

    def read(self, request):
        rest = self.log[request.after :]
        same = next((place for place, one in enumerate(rest) if one != rest[0]), len(rest))
        _, pipeline = rest[0] if rest else (False, "")
        first, last = request.after + 1, request.after + min(same, request.limit)
        return records(first, last, pipeline=pipeline, id=f"read-{request.id}", cause=request.id, to="tracker")

    def hand_over(self, request):
        drifted, pipeline = self.log[request.first - 1]
        routed = drifted and pipeline != "first"
        return window(request.first, request.last, drifted=drifted, pipeline=pipeline, routed=routed, id=f"window-{request.id}", cause=request.id)

    def analyse(self, request):
        return analysed(request, audit=tuple(range(request.first, request.first + 8)), teaching=(request.first + 8, request.first + 9))

    def shadow(self, request):
        return answer_to(request, PipelineShadowed, "deployer", pipeline=request.pipeline, records=9, agreement=0.5, seconds_per_image=0.001)

    def deploy(self, request):
        previous, self.live = self.live, request.pipeline
        facts = live(request.pipeline, previous=previous, gated=request.pipeline != "first", since=len(self.log) + 1)
        kept = {name: getattr(facts, name) for name in ("pipeline", "previous", "reference", "base", "gated", "since", "version", "reason")}
        return answer_to(request, PipelineLive, "deployer", broadcast=True, **kept)

    def adopt(self, request):
        return answer_to(request, ChangeAdopted, "analysis", pipeline=request.pipeline, reference="adopted.npz")

    def record(self, request):
        return answer_to(request, LiveRecorded, "deployer", pipeline=request.pipeline)


class Loop:
    """The agents at work on a world; any number of them may follow one another on the same ledger."""

    def __init__(self, world: World, ledger: Ledger, host: LocalHost | None = None) -> None:
        self.world, self.ledger = world, ledger
        self.switchboard = Switchboard(host or LocalHost(FACTORIES), TEAM, ledger, world.doors(), clock=lambda: 0.0)
        self.switchboard._run = f"after {len(ledger.messages())}"  # no clock here that would tell one run from the next
        self.switchboard.start()
        if not ledger.messages(PipelineLive):
            self.switchboard.post(live(world.live))

    def step(self) -> None:
        """Let a heartbeat pass, then let the person answer what is asked."""
        self.switchboard.tick()
        self.switchboard.run_until_idle()
        while answer := self._next_answer():
            self.switchboard.post(answer)
            self.switchboard.run_until_idle()

    def _next_answer(self) -> Message | None:
        closed = {message.question for message in self.ledger.messages(QuestionClosed)}
        taken = {(message.question, message.label.seq) for message in self.ledger.messages(LabelGiven)}
        for asked in self.ledger.messages(AskLabels, AskChoice):
            if asked.question in closed:
                continue
            if isinstance(asked, AskChoice):
                return offer(asked.question, "approve")
            seq = next(seq for seq in asked.items if (asked.question, seq) not in taken)
            return offer(asked.question, CLASSES[1], seq)
        return None


def drift_comes_and_goes(start, world: World) -> None:
    """Clean, then drifted until the incident has come to rest, then clean until the remedy is out again; `start` begins anew after a crash."""
    loop = None
    for drifted in (False, False, True, True, True, True, False, False, False):
        world.feed(50 if drifted else 300, drifted=drifted)
        for _ in range(3):
            try:
                loop = loop or start()
                loop.step()
            except Crash:
                loop = None
