from pathlib import Path

import numpy as np
import pytest

from tests.console.office import Office


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
