"""Crashes: whoever dies, and whenever, the story ends as it would have ended, and nothing is done twice that was done."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.hosts.host import LocalHost
from agents.ledger import Ledger
from agents.messages import IncidentClosed
from tests.agents.helpers import INCIDENT, kinds
from tests.agents.world import FACTORIES, Crash, Loop, World, drift_comes_and_goes


class CrashingLedger(Ledger):
    """Ends the driver just before or just after a write, once."""

    def __init__(self, crash_at=0, *, written=False):
        super().__init__(clock=lambda: 1.0)
        self.crash_at, self.written, self.writes = crash_at, written, 0

    def append(self, messages):
        return self._maybe(super().append, messages)

    def handled(self, agent, message, said):
        return self._maybe(super().handled, agent, message, said)

    def _maybe(self, write, *arguments):
        self.writes += 1
        if self.writes == self.crash_at and not self.written:
            raise Crash
        new = write(*arguments)
        if self.writes == self.crash_at:
            raise Crash
        return new


class KillingHost(LocalHost):
    """Loses an agent just before certain deliveries."""

    def __init__(self, kills):
        super().__init__(FACTORIES)
        self.kills, self.deliveries = kills, 0

    def deliver(self, agent, message):
        self.deliveries += 1
        if self.deliveries in self.kills:
            self.kill(self.kills[self.deliveries])
        return super().deliver(agent, message)


def played(ledger, host=LocalHost):
    world = World()
    drift_comes_and_goes(lambda: Loop(world, ledger, host(FACTORIES) if host is LocalHost else host), world)
    return world


def told(ledger):
    return Counter(kinds(ledger.story(INCIDENT)))


@pytest.fixture(scope="module")
def undisturbed():
    """The story without any crash, the pipeline that is live at its end, and how many writes it took."""
    ledger = CrashingLedger()
    world = played(ledger)
    [ended] = ledger.messages(IncidentClosed)
    assert (ended.incident, ended.outcome, world.live) == (INCIDENT, "verified", "first")
    assert set(world.done.values()) == {1}
    return told(ledger), len(world.done), ledger.writes


@pytest.mark.parametrize("written", [False, True], ids=["before a write", "after a write"])
@pytest.mark.parametrize("part", range(5))
def test_a_driver_that_crashes_goes_on_where_it_was(undisturbed, part, written):
    story, requests, writes = undisturbed
    crash_at = 1 + (writes * (2 * part + written)) // 10
    ledger = CrashingLedger(crash_at, written=written)
    world = played(ledger)
    assert told(ledger) == story
    assert world.live == "first"
    assert len(world.done) == requests
    assert sum(world.done.values()) <= requests + 1  # only what was in a door's hands at the crash is carried out again


@settings(max_examples=5, deadline=None)
@given(kills=st.dictionaries(st.integers(1, 260), st.sampled_from(sorted(FACTORIES)), max_size=8))
def test_agents_that_are_killed_at_any_moment_tell_the_same_story(undisturbed, kills):
    ledger = CrashingLedger()
    world = played(ledger, KillingHost(kills))
    assert told(ledger) == undisturbed[0]
    assert world.live == "first"
    assert set(world.done.values()) == {1}
