"""Where a model answers rows of a table, a question shows the row with the names and units of its columns."""

import io

import numpy as np
import pytest
from rich.console import Console

from agents.labelling import LabellingSession
from agents.screens import label_screen
from tests.console.office import Office

FEATURES = ("temperature (°C)", "pressure (bar)")


@pytest.fixture
def images():
    return {seq: np.array([20.5 + seq, 1.25], np.float32) for seq in (12, 15, 19, 23)}


@pytest.fixture
def office(state, images):
    with Office(state, images) as place:
        place.reception.features = FEATURES
        place.live()
        place.open_incident()
        yield place


@pytest.mark.parametrize("columns", [40, 79])
def test_the_console_writes_the_row_beside_the_keys_or_above_them(office, visitor, columns):
    office.ask_labels()
    (question,) = visitor.questions()
    rows = visitor.images([12])
    assert visitor.features == FEATURES and rows[12].dtype == np.float32
    console = Console(file=io.StringIO(), width=columns, color_system=None)
    with console.capture() as capture:
        console.print(label_screen(LabellingSession(question), rows[12], columns, 30, "shades", visitor.features))
    text = capture.get()
    assert "temperature (°C)  32.5" in text and "pressure (bar)    1.25" in text and "s skip" in text
