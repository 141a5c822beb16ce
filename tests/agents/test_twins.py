"""Any messages in any order, legal or late: an agent restored from the ledger equals the twin that was never killed, and ends up at rest."""

from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.checker import Checker
from agents.desk import Desk
from agents.improver import Improver
from agents.ledger import Ledger
from agents.messages import (
    AdoptChange,
    AgentFailed,
    AnalyseWindow,
    AskChoice,
    AskLabels,
    ChangeAdopted,
    CloseQuestion,
    CompareRemedies,
    DeployPipeline,
    DriftEnded,
    IncidentClosed,
    IncidentOpened,
    LogBegun,
    PipelineShadowed,
    PrepareRemedy,
    RemediesMeasured,
    RemedyVerified,
    Request,
    ShadowPipeline,
    UndoAsked,
)
from agents.planner import Planner
from agents.policy import Detection, Policy
from tests.agents import helpers
from tests.agents.helpers import DEPLOYMENT, FakeMonitor

POLICY = Policy(detection=Detection(save_every=1, cool_down=30))
FACTORIES = {
    "checker": partial(Checker, DEPLOYMENT, POLICY, FakeMonitor), "improver": partial(Improver, DEPLOYMENT, POLICY), "planner": partial(Planner, DEPLOYMENT, POLICY),
    "desk": partial(Desk, DEPLOYMENT),
}  # fmt: skip
INCIDENTS = ("digits-1", "digits-2", "digits-3")
GOOD, BAD = "gains-for-certain", "gains-perhaps"


def success(request):
    """What a door answers."""
    match request:
        case AnalyseWindow():
            return helpers.analysed(request)
        case AdoptChange():
            return ChangeAdopted(id="", source="analysis", incident=request.incident, cause=request.id, pipeline=request.pipeline, reference="adopted.npz")
        case PrepareRemedy():
            return helpers.prepared(request)
        case CompareRemedies():
            return helpers.compared(request, count=3)
        case ShadowPipeline():
            return PipelineShadowed(
                id="", source="deployer", incident=request.incident, cause=request.id, pipeline=request.pipeline, records=9, agreement=0.5, seconds_per_image=0.001
            )
        case DeployPipeline():
            return helpers.live(request.pipeline, previous="first", gated=True, cause=request.id, incident=request.incident)
    return None


def at_the_desk(asked, pick):
    """What the desk says about a question."""
    if isinstance(asked, AskChoice):
        return helpers.chosen(asked.question, asked.options[pick % len(asked.options)], asked.incident)
    outcome = ("answered", "expired", "settled", "expected")[pick % 4]
    if pick % 3 == 0 or not asked.items:
        return helpers.closed(asked.question, outcome, asked.incident)
    return helpers.given(asked.question, asked.items[pick % len(asked.items)], (None, -1, 0, 1)[pick % 4], asked.incident)


def out_of_the_blue(agent, pick, number):
    """What comes without being asked for."""
    incident = INCIDENTS[pick % 3]
    remedies = (helpers.remedy("filter", GOOD, point=0.1), helpers.remedy("reuse", GOOD, point=0.1), helpers.remedy("reuse", BAD, evidence=-0.1, point=0.5))
    verified = RemedyVerified(id="", incident=incident, pipeline=GOOD, helped=True, gain=0.1, gain_interval=(0.0, 0.2), log_evidence=2.0, labels_used=4)
    first = 1 + 10 * number - 4 * (pick % 2)  # now and then an overlap
    mine = {
        "checker": [
            helpers.window(first, first + 9, drifted=pick % 5 > 1, pipeline=("first", "other")[pick % 7 == 0]), LogBegun(id="", log=str(number)),
        ],
        "improver": [helpers.harm(incident=incident), verified],
        "planner": [
            helpers.measured(*remedies[pick % 3 :], incident=incident, base=("first", "other")[pick % 5 == 0]), UndoAsked(id="", by="ann"),
            DriftEnded(id="", source="checker", pipeline="other", at=9), helpers.live(("first", "other")[pick % 2], previous="first", gated=True),
        ],
        "desk": [
            helpers.ask_labels(f"q{pick % 4}", incident=incident), helpers.ask_choice(f"q{pick % 4}"), helpers.offer(f"q{pick % 4}", "one", 1 + pick % 3),
            helpers.offer(f"q{pick % 4}", "approve"), CloseQuestion(id="", question=f"q{pick % 4}", reason=""), helpers.expired(helpers.ask_labels(f"q{pick % 4}")),
            LogBegun(id="", log="new"),
        ],
    }[agent]  # fmt: skip
    other = "planner" if agent == "checker" else "checker"
    shared = [
        helpers.incident_closed("failed", incident=incident, source=other),
        AgentFailed(id="", source=other, incident=incident, agent=other, message="LabelGiven", reason="?"),
    ]
    candidates = [*mine, *mine, *shared]
    return candidates[pick % len(candidates)]


class Pair:
    """An agent and its twin; only the agent is ever killed."""

    def __init__(self, name):
        self.name, self.number = name, 0
        self.ledger = Ledger(clock=lambda: 1.0)
        self.agent, self.twin = FACTORIES[name](), FACTORIES[name]()
        self.said, self.heard = [], []
        self.hear(helpers.live())

    def hear(self, message):
        self.number += 1
        message = msgspec.structs.replace(message, id=f"{self.number}")
        if type(message) not in self.agent.handles:
            return
        [message] = self.ledger.append([message])
        said, expected = self.agent.receive(message), self.twin.receive(message)
        assert said == expected
        self.said += self.ledger.handled(self.name, message, said)
        self.heard.append(message)

    def kill(self):
        self.agent = FACTORIES[self.name]()
        self.agent.restore(self.ledger.history(self.name))
        assert remembered(self.agent) == remembered(self.twin)

    def act(self, what, pick):
        asked = [message for message in self.said if isinstance(message, Request)]
        request = asked[-1 - pick % min(len(asked), 4)] if asked else None  # mostly one of the newest
        if request is None or what == "blue":
            message = out_of_the_blue(self.name, pick, self.number)
        elif isinstance(request, AskLabels | AskChoice):
            message = at_the_desk(request, pick)
        else:
            message = {"success": success, "failed": helpers.failed, "expired": helpers.expired}[what](request)
        self.hear(message)

    def let_all_fail(self):
        """Nothing succeeds any more and nobody answers: what is under way must come to its end all the same."""
        done = 0
        while done < len(self.said):
            request, done = self.said[done], done + 1
            if isinstance(request, AskLabels):
                self.hear(helpers.closed(request.question, "expired", request.incident))
            elif isinstance(request, AskChoice):
                self.hear(helpers.chosen(request.question, request.default, request.incident))
            elif isinstance(request, Request):
                self.hear(helpers.failed(request))


def remembered(agent):
    """What an agent knows, less its last words on what it handled, and objects that cannot be compared."""
    plain = str | int | float | tuple | list | dict | set | msgspec.Struct | None
    known = {name: value for name, value in vars(agent).items() if isinstance(value, plain)}
    monitor = getattr(agent, "monitor", None)
    audit = getattr(agent, "audit", None)
    return known, monitor and monitor.weighed, getattr(audit, "bounds", None), getattr(audit, "answers", None)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(("blue", "success", "success", "success", "failed", "expired")), st.integers(0, 59), st.booleans()), min_size=5, max_size=25
)  # fmt: skip


@pytest.mark.parametrize("name", FACTORIES)
@settings(max_examples=15, deadline=None)
@given(actions=ACTIONS)
def test_a_restored_agent_equals_the_twin_that_was_never_killed(name, actions):
    pair = Pair(name)
    for what, pick, kill in actions:
        pair.act(what, pick)
        if kill:
            pair.kill()
    pair.kill()


@settings(max_examples=25, deadline=None)
@given(actions=ACTIONS)
def test_whatever_happens_the_planner_closes_every_incident_and_deploys_nothing_that_the_labels_do_not_speak_for(actions):
    pair = Pair("planner")
    for what, pick, _ in actions:
        pair.act(what, pick)
    pair.let_all_fail()
    assert pair.agent.state == "watching"
    ended = {message.incident for message in (*pair.said, *pair.heard) if isinstance(message, IncidentClosed)}
    assert {message.incident for message in pair.heard if isinstance(message, RemediesMeasured)} <= ended
    assert BAD not in {message.pipeline for message in pair.said if isinstance(message, DeployPipeline)}


@settings(max_examples=25, deadline=None)
@given(actions=ACTIONS)
def test_whatever_happens_the_checker_closes_every_incident_that_it_does_not_hand_over(actions):
    pair = Pair("checker")
    for what, pick, _ in actions:
        pair.act(what, pick)
    pair.let_all_fail()
    if pair.agent.state == "handed over":
        pair.hear(helpers.incident_closed("no remedy", incident=pair.agent.incident))
        pair.let_all_fail()
    assert pair.agent.state == "watching"
    ended = {message.incident for message in (*pair.said, *pair.heard) if isinstance(message, IncidentClosed)}
    assert {message.incident for message in pair.said if isinstance(message, IncidentOpened)} <= ended


@settings(max_examples=25, deadline=None)
@given(actions=ACTIONS)
def test_whatever_happens_the_improver_comes_to_rest(actions):
    pair = Pair("improver")
    for what, pick, _ in actions:
        pair.act(what, pick)
    pair.let_all_fail()
    assert pair.agent.state == "idle"
