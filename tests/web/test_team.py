"""The agents' page and the live graph: who believes what, who told whom, and what went wrong."""

import re
from functools import partial

import pytest

from agents.agent import Agent
from agents.beliefs import beliefs
from agents.hosts.host import LocalHost
from agents.ledger import Ledger
from agents.messages import AnswerOffered, AskLabels, IncidentClosed, PolicySet, RecordsRead, Tick
from agents.pulse import Pulse
from agents.switchboard import Switchboard
from agents.team import Wiring, built_in
from agents.tracker import Tracker


class Brooding(Agent):
    """Believes something of every kind."""

    name, handles = "checker", (Tick,)

    def __init__(self, deployment):
        super().__init__(deployment)
        self.state, self.empty, self.none = "thinking", "", None
        self.path, self.many, self._own, self.things = "/a/b/c/reference.npz", {"x", "y"}, "secret", [object()] * 3

    def handle(self, message):
        return []


class Failing(Brooding):
    """Cannot stand a tick."""

    name = "planner"

    def handle(self, message):
        raise ValueError("<no>")


@pytest.fixture
def pulse():
    return Pulse(Wiring(built_in()))


@pytest.fixture
def team(office, pulse):
    """A switchboard beside the office, with agents of few words."""
    agents = {"tracker": Tracker, "checker": Brooding, "planner": Failing}
    host = LocalHost({name: partial(kind, "digits") for name, kind in agents.items()})
    board = Switchboard(host, agents, Ledger(clock=lambda: 2.0), {}, clock=lambda: 2.0)
    board.start()
    board.listen(pulse.listen)
    office.reception.pulse, office.reception.seats = pulse, board.seats
    return board


def test_beliefs_are_the_state_and_what_is_not_empty():
    assert beliefs(Brooding("d")) == {"state": "thinking", "path": "c/reference.npz", "many": "2 (x, y)", "things": "3"}


def test_a_message_counts_on_the_edge_that_it_went_along(pulse):
    pulse.listen(Tick(id="t", source="clock"))
    pulse.listen(RecordsRead(id="r", source="log", first=1, last=2))
    assert pulse.edges() == {("clock", "tracker", "Tick"): 1, ("log", "tracker", "RecordsRead"): 1}


def test_a_question_goes_by_the_desk_to_people_and_people_have_names_of_their_own(pulse):
    pulse.listen(AskLabels(id="q", source="checker", question="q", items=(1,), purpose="audit", text="", classes=("a", "b")))
    pulse.listen(AnswerOffered(id="a", source="web", question="q", answer="a", by="ana", seq=1))
    assert pulse.edges() == {
        ("checker", "desk", "AskLabels"): 1, ("checker", "tracker", "AskLabels"): 1, ("desk", "person", "AskLabels"): 1,
        ("person", "desk", "AnswerOffered"): 1,
    }  # fmt: skip


def test_a_message_with_one_addressee_goes_along_one_edge(pulse):
    pulse.listen(IncidentClosed(id="c", source="checker", incident="i", outcome="failed", reason="r", to="planner"))
    assert pulse.edges() == {("checker", "planner", "IncidentClosed"): 1}


def test_a_message_without_an_edge_counts_nowhere(pulse):
    pulse.listen(PolicySet(id="p", source="planner", policy={}))
    assert pulse.edges() == {}


def test_the_page_tells_state_counts_and_health(team, ana):
    team.tick()
    team.run_until_idle()
    shown = ana.get("/agents").text
    assert "<b>idle</b>" not in shown and "<b>reading</b>" in shown and "<b>thinking</b>" in shown  # the tracker has asked for records
    assert re.findall(r"handled (\d+)</dt>", shown) == ["2", "1", "1"] and "ReadRecords" in shown and "keeps" not in shown
    assert "Tick: ValueError: &lt;no&gt;" in shown and "<dt>many</dt><dd>2 (x, y)</dd>" in shown
    assert shown.count('class="card agent"') == 3 and shown.count("no word") == 1  # who failed is not there until its next message


def test_the_graph_shows_what_has_been_said_and_all_edges_on_demand(office, team, pulse, ana):
    for number in range(3):
        pulse.listen(Tick(id=f"t{number}", source="clock"))
    shown, everything = ana.get("/graph").text, ana.get("/graph?all=1").text
    assert "Tick × 3" in shown and len(re.findall(r'data-edges="', shown)) == 1 < len(re.findall(r'data-edges="', everything))
    assert 'data-id="workshop"' not in shown and 'data-id="workshop"' in everything and 'data-id="planner"' in shown


def test_without_a_team_both_pages_say_so(ana):
    assert "No agents are known here" in ana.get("/agents").text and "No agents are known here" in ana.get("/graph").text
