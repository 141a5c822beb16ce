"""Each deployment of a state folder keeps what is its own apart; a folder of a single one goes on as it is."""

import msgspec
import pytest

from agents.homes import home, homes
from agents.ledger import Ledger
from agents.state import State
from tests.agents.helpers import live


@pytest.fixture
def state(tmp_path):
    with State(tmp_path / "state") as held:
        yield held


def answers(place, name):
    """What a run of `name` leaves in its place."""
    ledger = Ledger.in_folder(place.folder, clock=lambda: 1.0)
    known = len(ledger.messages())
    ledger.append([msgspec.structs.replace(live(f"{name}-first"), id=f"{name}-{known}", deployment=name)])
    ledger.close()


def test_a_deployment_that_is_alone_has_the_top_of_a_new_folder_and_finds_it_again(state):
    for _ in range(2):
        assert home(state, "digits") is state
        answers(state, "digits")


def test_several_have_a_folder_each_and_find_it_again_when_they_are_alone(state):
    both = [home(state, name, alone=False) for name in ("digits", "mnist")]
    assert [place.folder.relative_to(state.folder).as_posix() for place in both] == ["deployments/digits", "deployments/mnist"]
    assert all(place.pipeline("first").parent.is_dir() for place in both)
    assert home(state, "mnist").folder == both[1].folder


def test_who_was_alone_at_first_keeps_the_top_when_another_comes(state):
    answers(home(state, "digits"), "digits")
    assert home(state, "digits", alone=False) is state
    assert home(state, "mnist", alone=False).folder == state.folder / "deployments" / "mnist"


def test_a_second_run_of_another_deployment_does_not_read_the_ledger_of_the_first(state):
    answers(home(state, "digits"), "digits")
    assert home(state, "mnist").folder == state.folder / "deployments" / "mnist"
    assert home(state, "digits") is state


def test_a_run_that_ended_before_anything_answered_leaves_the_top_to_whoever_is_next(state):
    Ledger.in_folder(state.folder, clock=lambda: 1.0).close()
    assert home(state, "mnist") is state


def test_all_places_with_a_ledger_are_found(state):
    answers(home(state, "digits"), "digits")
    answers(home(state, "mnist", alone=False), "mnist")
    home(state, "pets", alone=False)
    assert [place.folder.name for place in homes(state)] == ["state", "mnist"]
