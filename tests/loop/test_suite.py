"""The named scenarios on digits, played through the whole loop in one process: what each says must hold, holds."""

import pytest

from agents.in_process import InProcess
from agents.messages import DeployPipeline, PipelineLive, PolicySet
from agents.policy import Labels, Policy, Remedies
from agents.state import State
from scenarios.replay import load_scenario

pytestmark = pytest.mark.training

# The loop is tried here, not the remedies, and with so many labels that chance decides nothing.
CHEAP = Policy(remedies=Remedies(prepare=("recalibrate",)), labels=Labels(choose=40, verify=40))


@pytest.fixture
def play(first_model, tmp_path):
    """Plays a scenario; returns the loop and its outcome."""

    def play(name, policy=CHEAP):
        with State(tmp_path / name) as state:
            state.pipeline("digits-first").symlink_to(first_model)
            loop = InProcess(state, load_scenario(name), policy=policy)
            return loop, loop.run()

    return play


@pytest.mark.parametrize("name", ["clean", "harmless", "expected", "unknown_class"])
def test_where_nothing_needs_mending_nothing_is_deployed(play, name):
    loop, outcome = play(name)
    assert loop.rehearsal.broken(outcome) == []
    assert loop.ledger.messages(DeployPipeline) == []
    assert outcome["questions"] <= 1
    assert [message.policy["labels"]["harm"] for message in loop.ledger.messages(PolicySet)] == [CHEAP.labels.harm]  # once, not at every record


@pytest.mark.parametrize("name", ["default", "gradual"])
def test_what_hurts_is_mended_and_the_remedy_comes_out_when_the_drift_ends(play, name):
    loop, outcome = play(name)
    assert loop.rehearsal.broken(outcome) == []
    assert outcome["failed_requests"] == 0
    assert loop.inference.stats().active == "digits-first"
    assert outcome["clean_after"] >= outcome["clean_before"] - 0.02


def test_a_drift_that_comes_back_meets_the_remedy_that_helped_before(play):
    loop, outcome = play("recurring")
    assert loop.rehearsal.broken(outcome) == []
    lives = [message.pipeline for message in loop.ledger.messages(PipelineLive)]
    assert lives[:3] == ["digits-first", "digits-1-recalibrate", "digits-first"]
    assert len(lives) == 5 and lives[4] == "digits-first"
    assert outcome["incidents"] == 2
