"""Several deployments on one host: each has agents of its own, and what befalls one deployment's is that one's alone. Local and Ray alike."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from agents.desk import Desk
from agents.hosts import ray_host
from agents.hosts.host import AgentError, SharedLocalHost
from agents.hosts.ray_host import SharedRayHost
from agents.messages import Tick
from tests.agents.helpers import ask_labels, offer


class Fussy(Desk):
    """A desk that cannot stand a tick called bad, and never comes back from one called deep."""

    handles = (*Desk.handles, Tick)

    def handle(self, message):
        if isinstance(message, Tick):
            if message.id == "bad":
                raise self.illegal(message)
            if message.id == "deep":
                threading.Event().wait()
            return []
        return super().handle(message)


class Team:
    """Two deployments' desks on one host, with a ledger of one list each."""

    def __init__(self, shared):
        self.shared, self.heard = shared, {"digits": [], "mnist": []}
        self.hosts = {name: shared.open(name, {"desk": partial(Fussy, name)}) for name in self.heard}
        for name, host in self.hosts.items():
            host.start(lambda _agent, name=name: self.heard[name])

    def tell(self, name, message):
        said = self.hosts[name].deliver("desk", message)
        self.heard[name] += [message, *said]
        return said

    def questions(self, name):
        return self.hosts[name].at("desk").get("questions", "none")


@pytest.fixture(params=["local", pytest.param("ray", marks=[pytest.mark.ray])])
def team(request):
    if request.param == "ray":
        request.getfixturevalue("one_ray")
    team = Team(SharedLocalHost() if request.param == "local" else SharedRayHost())
    yield team
    team.shared.stop()


def test_what_one_deployment_is_told_the_others_agent_does_not_hear(team):
    assert team.tell("digits", ask_labels("harm", (1,))) == []
    assert (team.questions("digits"), team.questions("mnist")) == ("1 (harm)", "none")


def test_a_question_of_the_same_name_is_answered_where_it_was_asked(team):
    for name in team.hosts:
        team.tell(name, ask_labels("harm", (1, 2)))
    [given] = team.tell("mnist", offer("harm", "one", 1))
    assert (type(given).__name__, given.deployment) == ("LabelGiven", "mnist")
    [given] = team.tell("digits", offer("harm", "zero", 1))
    assert (type(given).__name__, given.deployment) == ("LabelGiven", "digits")


def test_an_agent_that_raises_is_restored_for_its_deployment_and_the_others_never_knew(team):
    for name in team.hosts:
        team.tell(name, ask_labels("harm", (1,)))
    restored = []
    history, team.hosts["mnist"]._history = team.hosts["mnist"]._history, restored.append
    with pytest.raises(AgentError, match="Tick bad came to the desk"):
        team.hosts["digits"].deliver("desk", Tick(id="bad"))
    assert team.hosts["mnist"].deliver("desk", Tick(id="good")) == []
    assert (restored, team.questions("mnist")) == ([], "1 (harm)")
    team.hosts["mnist"]._history = history
    assert team.hosts["digits"].deliver("desk", Tick(id="good")) == []
    assert team.questions("digits") == "1 (harm)"


def test_one_deployments_end_is_not_the_others(team):
    for name in team.hosts:
        team.tell(name, ask_labels("harm", (1,)))
    team.hosts["digits"].stop()
    assert team.questions("digits") == "none"
    assert team.questions("mnist") == "1 (harm)"
    assert team.tell("mnist", offer("harm", "one", 1))[0].label.label == 1


@pytest.mark.ray
@pytest.mark.usefixtures("one_ray")
class TestOneProcess:
    """What only Ray has: both deployments' agents live in one process, and may lose it."""

    @pytest.fixture
    def team(self):
        team = Team(SharedRayHost())
        yield team
        team.shared.stop()

    def test_one_process_handles_both(self, team):
        assert team.hosts["digits"].pid("desk") == team.hosts["mnist"].pid("desk")

    def test_a_killed_process_costs_neither_deployment_what_it_knew(self, team):
        for name in team.hosts:
            team.tell(name, ask_labels(f"of-{name}", (1,)))
        killed = team.hosts["digits"].pid("desk")
        os.kill(killed, signal.SIGKILL)
        for name in team.hosts:
            [given, _closed] = team.tell(name, offer(f"of-{name}", "one", 1))
            assert (given.deployment, given.question) == (name, f"of-{name}")
        assert team.hosts["mnist"].pid("desk") != killed

    def test_a_deployment_that_waits_behind_a_hanging_one_is_not_taken_for_hanging(self, team, monkeypatch):
        monkeypatch.setattr(ray_host, "CALL_SECONDS", 4.0)
        team.tell("mnist", ask_labels("harm", (1,)))
        with ThreadPoolExecutor() as threads:
            hanging = threads.submit(team.hosts["digits"].deliver, "desk", Tick(id="deep"))
            while not team.shared.turn("desk").locked():
                os.sched_yield()
            waiting = threads.submit(team.tell, "mnist", offer("harm", "one", 1))
            with pytest.raises(AgentError, match="gave no answer within 4 s"):
                hanging.result()
            assert waiting.result()[0].deployment == "mnist"
        assert team.hosts["digits"].deliver("desk", Tick(id="good")) == []
