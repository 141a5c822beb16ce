"""Two deployments under one team of agents: one drifts and is mended, the other goes on as if it were alone."""

import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents.homes import home
from agents.hosts.host import SharedLocalHost
from agents.hosts.ray_host import SharedRayHost
from agents.in_process import InProcess
from agents.messages import AskLabels, IncidentClosed, IncidentOpened, PipelineLive, PolicySet
from agents.policy import Labels, Policy, Remedies
from agents.state import State
from agents.team import Wiring, built_in, factories
from models.pipeline import MANIFEST
from scenarios.replay import load_scenario

pytestmark = pytest.mark.training

CHEAP = Remedies(prepare=("recalibrate",))
POLICIES = {"left": Policy(remedies=CHEAP, labels=Labels(choose=40, verify=40)), "right": Policy(remedies=CHEAP, labels=Labels(harm=9))}
SCENARIOS = {"left": "sudden_brightness", "right": "clean"}


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.ray)])
def shared(request):
    """The host of both; on Ray, the process of the checkers is killed as soon as one of them has opened an incident."""
    if request.param == "ray":
        request.getfixturevalue("one_ray")
    host = SharedRayHost() if request.param == "ray" else SharedLocalHost()
    yield host
    host.stop()


@pytest.fixture
def loops(shared, first_model, tmp_path):
    """Each deployment with its scenario, in one state folder, not yet begun."""
    wiring = Wiring(built_in())
    with State(tmp_path / "state") as state:
        made = {}
        for name, policy in POLICIES.items():
            place = home(state, name, alone=False)
            first = place.pipeline(f"{name}-first")
            shutil.copytree(first_model, first)
            told = json.loads((first / MANIFEST).read_bytes())
            (first / MANIFEST).write_text(json.dumps(told | {"name": first.name, "version": first.name}))
            host = shared.open(name, factories(name, policy, wiring.team, {}))
            made[name] = InProcess(place, load_scenario(SCENARIOS[name]), policy=policy, host=host, wiring=wiring, name=name)
        yield made


def test_a_drift_of_one_is_mended_there_and_the_other_hears_nothing_of_it(loops, shared):
    killed = []

    def kill(message):
        if isinstance(message, IncidentOpened) and not killed:
            killed.append(loops["left"].host.pid("checker"))
            os.kill(killed[0], signal.SIGKILL)

    if isinstance(shared, SharedRayHost):
        loops["left"].system.switchboard.listen(kill)
    with ThreadPoolExecutor() as threads:
        outcomes = dict(zip(loops, threads.map(InProcess.run, loops.values()), strict=True))
    left, right = (loops[name].ledger for name in ("left", "right"))
    assert [loop.rehearsal.broken(outcomes[name]) for name, loop in loops.items()] == [[], []]
    assert [(one.incident, one.outcome) for one in left.messages(IncidentClosed)] == [("left-1", "verified")]
    assert right.messages(IncidentOpened, AskLabels) == []
    assert [one.pipeline for one in left.messages(PipelineLive)] == ["left-first", "left-1-recalibrate", "left-first"]
    assert [one.pipeline for one in right.messages(PipelineLive)] == ["right-first"]
    assert {one.deployment for ledger in (left, right) for one in ledger.messages(PipelineLive)} == {"left", "right"}
    assert [ledger.messages(PolicySet)[0].policy["labels"]["harm"] for ledger in (left, right)] == [6, 9], "each has rules of its own"
    if isinstance(shared, SharedRayHost):
        assert len({loops[name].host.pid("checker") for name in loops}) == 1, "one process for both"
        assert killed and loops["right"].host.pid("checker") != killed[0]
