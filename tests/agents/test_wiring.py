"""The team is a graph: agents are made from it, messages go by its edges, and one more agent is added by a file."""

import msgspec
import pytest

from agents.hosts.host import LocalHost
from agents.ledger import Ledger
from agents.messages import IncidentOpened, MessageRefused, NoteMade, PipelineLive, RecordLive, RequestFailed, Tick, UndoAsked
from agents.policy import Policy
from agents.story import line
from agents.switchboard import Switchboard
from agents.team import Wiring, built_in, factories, with_agents
from workflows.graph import GraphError, MessageEdge

AUDITOR = '''
from agents.agent import Agent
from agents.messages import IncidentOpened, NoteMade


class Auditor(Agent):
    """Counts incidents."""

    name = "auditor"
    handles = (IncidentOpened,)

    def __init__(self, deployment):
        super().__init__(deployment)
        self.state, self.seen = "reading", 0

    def handle(self, message):
        self.seen += 1
        return [self.say(NoteMade, message, text=f"incident number {self.seen}")]
'''
EDGES = """
messages = [{ from = "checker", to = "auditor", type = "IncidentOpened" }]
[agents.auditor]
call = "MODULE:Auditor"
"""


def without(source, target, kind):
    graph = built_in()
    edges = tuple(edge for edge in graph.messages if (edge.source, edge.target, edge.type) != (source, target, kind))
    assert len(edges) == len(graph.messages) - 1
    return msgspec.structs.replace(graph, messages=edges)


def board(graph, doors=None):
    """A switchboard of the team in `graph`, and its ledger."""
    wiring, ledger = Wiring(graph), Ledger(clock=lambda: 0.0)
    host = LocalHost(factories("digits", Policy(), wiring.team))
    made = Switchboard(host, wiring.team, ledger, doors or {}, clock=lambda: 0.0, wiring=wiring)
    made.start()
    return made, ledger


def said(switchboard, ledger, message):
    switchboard.post(message)
    switchboard.run_until_idle()
    return [one for one in ledger.messages() if one.cause == message.id]


@pytest.fixture
def auditor(tmp_path, request):
    """A file that adds an auditor; a module of its own for each test."""
    module = f"auditor_{abs(hash(request.node.name))}"
    (tmp_path / f"{module}.py").write_text(AUDITOR)
    file = tmp_path / "auditor.toml"
    file.write_text(EDGES.replace("MODULE", module))
    return file


def test_the_shipped_team_is_what_its_file_says():
    assert list(Wiring(built_in()).team) == ["tracker", "checker", "improver", "planner", "desk"]


def test_one_more_agent_is_added_without_touching_the_others(auditor):
    graph = with_agents(built_in(), [auditor])
    assert set(built_in().messages) < set(graph.messages)
    switchboard, ledger = board(graph)
    opened = IncidentOpened(id="a", source="checker", incident="digits-1", pipeline="first", onset=1, alarm_at=2, log_evidence=14.0)
    [note] = said(switchboard, ledger, opened)
    assert isinstance(note, NoteMade)
    assert line(note) == "the auditor notes: incident number 1"


def test_a_message_without_an_edge_reaches_nobody_and_that_is_on_record():
    heard = []
    switchboard, ledger = board(built_in(), {RecordLive: lambda request: heard.append(request) or []})
    refused, failed = said(switchboard, ledger, RecordLive(id="r", source="checker", version="1", pipeline="p", reason="", deadline=9.0))
    assert isinstance(refused, MessageRefused)
    assert isinstance(failed, RequestFailed) and failed.to == "checker"  # who asked does not wait for ever
    assert (refused.message, refused.speaker) == ("RecordLive", "checker")
    assert not heard
    assert "agents/team.toml" in line(refused)


def test_a_request_of_before_that_the_graph_lets_nobody_make_any_more_is_not_taken_up_after_a_restart():
    heard, ledger = [], Ledger(clock=lambda: 0.0)
    ledger.append([RecordLive(id="r", source="checker", version="1", pipeline="p", reason="", deadline=9.0)])
    wiring = Wiring(built_in())
    host = LocalHost(factories("digits", Policy(), wiring.team))
    switchboard = Switchboard(host, wiring.team, ledger, {RecordLive: lambda request: heard.append(request) or []}, clock=lambda: 0.0, wiring=wiring)
    switchboard.start()
    switchboard.run_until_idle()
    assert not heard
    assert ledger.messages(MessageRefused)


def test_the_same_message_from_whom_the_graph_lets_speak_is_carried_out():
    heard = []
    switchboard, ledger = board(built_in(), {RecordLive: lambda request: heard.append(request.id) or []})
    assert said(switchboard, ledger, RecordLive(id="r", source="tracker", version="1", pipeline="p", reason="", deadline=9.0)) == []
    assert heard == ["r"]


def test_whoever_is_no_node_speaks_as_a_person_may():
    wiring = Wiring(built_in())
    assert wiring.allows(UndoAsked(id="u", source="ada", by="ada"), "planner")
    assert not wiring.allows(Tick(id="t", source="ada"), "tracker")


def test_a_message_goes_only_where_an_edge_leads():
    live = PipelineLive(id="l", source="deployer", pipeline="p", previous="", reference="r", base="p", gated=False, since=1, version="1", reason="")
    wiring = Wiring(built_in())
    assert [name for name in wiring.team if wiring.allows(live, name)] == ["tracker", "checker", "improver", "planner"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (MessageEdge(source="log", target="tracker", type="RecordRead"), "there is no message 'RecordRead'; did you mean 'RecordsRead'"),
        (MessageEdge(source="log", target="desk", type="WindowObserved"), "desk does not handle it"),
    ],
)
def test_an_edge_that_carries_nothing_that_its_end_handles_is_refused(wrong, why):
    with pytest.raises(GraphError, match=why):
        Wiring(msgspec.structs.replace(built_in(), messages=(*built_in().messages, wrong)))


def test_an_agent_that_would_never_be_told_what_it_handles_is_refused():
    with pytest.raises(GraphError, match="agent 'tracker' handles Tick, and no edge brings it"):
        Wiring(without("clock", "tracker", "Tick"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[agents.checker]\ncall = "x:Y"', "the team has 'checker' already"),
        ('[agents.auditor]\ncall = "nowhere_at_all:Auditor"', "cannot be had"),
        ('[agents.auditor]\ncall = "agents.desk:Desk"', "must be a subclass"),
        ("[agents.auditor]\n", "has no class"),
        ('messages = [{ from = "clock", to = "checker", type = "Tick" }]\n[agents.auditor]\ncall = "x:Y"', "joins none of its own agents"),
        ("[agent.auditor]\n", "unknown field"),
        ("agents = 3", "expected agents"),
    ],
)
def test_a_file_that_cannot_be_added_is_refused_in_a_sentence(tmp_path, text, why):
    file = tmp_path / "mine.toml"
    if "messages" not in text and "[agents.auditor]" in text:
        text = 'messages = [{ from = "checker", to = "auditor", type = "IncidentOpened" }]\n' + text
    file.write_text(text)
    with pytest.raises(GraphError, match=why):
        Wiring(with_agents(built_in(), [file]))
