"""The Ray host on a real Ray: agents live in processes of their own, and killing any of them changes nothing in the story."""

import importlib
import os
import signal
from collections import Counter
from functools import partial

import pytest

from agents.desk import Desk
from agents.hosts.host import AgentError, LocalHost
from agents.hosts.ray_host import RayHost
from agents.ledger import Ledger
from agents.messages import EvidenceUpdated, IncidentClosed, Tick, WindowObserved
from tests.agents.helpers import INCIDENT, ask_labels, kinds, window
from tests.agents.world import FACTORIES, Loop, World, drift_comes_and_goes

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("one_ray")]


class CountingHost(LocalHost):
    """Notes who is given how many messages."""

    def __init__(self):
        super().__init__(FACTORIES)
        self.deliveries = Counter()

    def deliver(self, agent, message):
        self.deliveries[agent] += 1
        return super().deliver(agent, message)


class KillingHost(RayHost):
    """Sends SIGKILL to the process of `victim` just before some of the messages that it is given."""

    def __init__(self, victim, moments):
        super().__init__(FACTORIES)
        self.victim, self.moments, self.given, self.killed = victim, moments, 0, []

    def deliver(self, agent, message):
        if agent == self.victim:
            self.given += 1
            if self.given in self.moments:
                self.killed.append(self.pid(agent))
                os.kill(self.killed[-1], signal.SIGKILL)
        return super().deliver(agent, message)


def story_on(host):
    ledger, world = Ledger(clock=lambda: 1.0), World()
    loop = Loop(world, ledger, host)
    drift_comes_and_goes(lambda: loop, world)
    [ended] = ledger.messages(IncidentClosed)
    return Counter(kinds(ledger.story(INCIDENT))), ended.outcome, world


@pytest.fixture(scope="module")
def undisturbed():
    host = CountingHost()
    story, outcome, _ = story_on(host)
    return story, outcome, host.deliveries


@pytest.mark.parametrize("agent", sorted(FACTORIES))
def test_the_story_ends_the_same_when_an_agents_process_is_killed_again_and_again(undisturbed, agent):
    story, outcome, deliveries = undisturbed
    moments = {1 + deliveries[agent] // 4, 1 + 3 * deliveries[agent] // 4}
    host = KillingHost(agent, moments)
    try:
        told, ended, world = story_on(host)
        assert len(set(host.killed)) == len(moments), "each kill must have met a process of its own"
        assert host.pid(agent) not in host.killed
    finally:
        host.stop()
    assert (told, ended) == (story, outcome)
    assert world.live == "first"
    assert set(world.done.values()) == {1}, "no request may be carried out twice"


class Fussy(Desk):
    """A desk that cannot stand ticks."""

    def handle(self, message):
        if isinstance(message, Tick):
            raise self.illegal(message)
        return super().handle(message)


def test_an_error_of_an_agent_comes_back_in_its_own_words_and_the_agent_lives_on():
    host = RayHost({"desk": partial(Fussy, "digits")})
    try:
        host.start(lambda _name: ())
        with pytest.raises(AgentError, match="Tick t came to the desk while open"):
            host.deliver("desk", Tick(id="t"))
        assert host.deliver("desk", ask_labels("harm", (1,))) == []
        assert host.at("desk") == {"state": "open", "questions": "1 (harm)", "process": str(host.pid("desk"))}
    finally:
        host.stop()
    assert host.at("desk") == {"state": "(stopped)"}


def reciprocal(number):
    return os.getpid(), 1 / number


def test_a_job_runs_in_another_process_and_its_error_reaches_who_asked():
    host = RayHost({})
    pid, half = host.submit(reciprocal, number=2).result(timeout=120)
    assert (pid != os.getpid(), half) == (True, 0.5)
    with pytest.raises(ZeroDivisionError):
        host.submit(reciprocal, number=0).result(timeout=120)


class Heavy(Desk):
    """Says how much it was given."""

    handles = (WindowObserved,)

    def handle(self, message):
        early, latent = message.features()
        return [self.say(EvidenceUpdated, message, cursor=len(early), log_evidence=float(early.sum() + latent.sum()))]


@pytest.mark.parametrize("count", [0, 1, 1000, 5000])
def test_a_message_of_any_size_arrives_whole(count):
    host = RayHost({"desk": partial(Heavy, "digits")})
    try:
        host.start(lambda _name: ())
        [said] = host.deliver("desk", window(1, count, drifted=True))
        assert (said.cursor, said.log_evidence) == (count, 2.0 * count)
    finally:
        host.stop()


def test_an_agent_of_a_file_that_no_other_process_knows_travels_with_its_module(tmp_path, monkeypatch):
    (tmp_path / "passer_by.py").write_text(
        "from agents.agent import Agent\nfrom agents.messages import NoteMade, Tick\n\n\nclass PasserBy(Agent):\n    name = 'passer_by'\n"
        "    handles = (Tick,)\n    state = 'there'\n\n    def handle(self, message):\n        return [self.say(NoteMade, message, text='seen')]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    host = RayHost({"passer_by": partial(importlib.import_module("passer_by").PasserBy, "digits")})
    try:
        host.start(lambda _name: ())
        [note] = host.deliver("passer_by", Tick(id="t", source="clock"))
        assert (note.source, note.text) == ("passer_by", "seen")
    finally:
        host.stop()
