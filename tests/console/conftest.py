from pathlib import Path

import numpy as np
import pytest

from tests.console.office import Office
from tests.console.seat import Seat


@pytest.fixture
def images() -> dict[int, np.ndarray]:
    """Four images of 28x28, each with one bright bar at another place, by record."""
    found = {}
    for place, seq in enumerate((12, 15, 19, 23)):
        image = np.zeros((28, 28), np.uint8)
        image[4:24, 4 + 5 * place : 8 + 5 * place] = 255
        found[seq] = image
    return found


@pytest.fixture
def office(state: Path, images):
    """A cluster with a live pipeline and an incident, that has not asked anything yet."""
    with Office(state, images) as place:
        place.live()
        place.open_incident()
        yield place


@pytest.fixture
def visitor(office):
    found = office.visitor()
    yield found
    found.close()


@pytest.fixture
def sit(office):
    """Attach consoles in terminals of their own."""
    seats = []

    def sit_down(answers=None, **env):
        seats.append(Seat("-m", "agents.console", "--state", str(office.state.folder), "--name", "ana", env=env, answers=answers))
        return seats[-1].sees("attached as ana").sees("scanflow>" if not office.board.questions() else "1 of 4")

    yield sit_down
    for seat in seats:
        seat._child.close(force=True)
