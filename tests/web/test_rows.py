"""Where a model answers rows of a table, the page shows the row with the names and units of its columns."""

import re

import numpy as np
import pytest

FEATURES = ("temperature (°C)", "pressure <bar>")


@pytest.fixture
def images():
    return {seq: np.array([20.5 + seq, 1.25], np.float32) for seq in (12, 15, 19, 23)}


def test_a_row_is_labelled_like_an_image_and_shown_as_a_table(office, ana):
    office.reception.features = FEATURES
    office.ask_labels()
    text = ana.get("/question/digits-1/audit").text
    assert "Row 1 of 4" in text and "<img" not in text
    cells = re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)</td>', text)
    assert cells == [("temperature (°C)", "32.5"), ("pressure &lt;bar&gt;", "1.25")]
    assert "35.5" in ana.press("7", 12).text
    assert ana.get("/image/12?question=digits-1/audit").status_code == 404
