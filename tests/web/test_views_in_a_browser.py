"""The views that only a script can draw, in a real browser: the map and its lasso, the grid, the graph."""

import numpy as np
import pytest

from agents.messages import AskLabels
from agents.web.serve import WebPage
from scenarios.datasets import to_float
from tests.console.office import Office
from tests.web.chromium import chromium
from tests.web.clean import hang
from tests.web.screenshots import MAPPED, lasso
from tests.web.test_in_a_browser import Seated
from workflows.serving.service import Service

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def driver():
    with chromium() as one:
        yield one


@pytest.fixture
def office(state):
    greys = np.array([100, 120, 140, 160], np.uint8)
    images = np.broadcast_to(greys[:, None, None], (4, 28, 28)).copy()
    with Office(state, dict(zip(range(1, 5), images, strict=True))) as place:
        place.reception.gallery = hang(place.state)
        service = place.reception._inference = Service()
        service.load(place.state.pipeline("digits-first"))
        service.activate("digits-first")
        service.infer(to_float(images))
        place.live()
        place.open_incident()
        yield place


@pytest.fixture
def page(office):
    served = WebPage(office.reception, port=0)
    yield served
    served.close()


@pytest.fixture
def ana(driver, page):
    seated = Seated(driver, page, "ana")
    yield seated
    seated.is_at_peace()


def test_a_line_around_points_shows_their_records_and_lets_them_be_labelled_first(office, ana):
    office.ask_labels()
    office.reception.answer("digits-1/audit", "expected", "ana", 1)
    office.say(
        AskLabels, question="digits-1/teach", items=(1, 2, 3, 4), purpose="teaching", text="They teach.", classes=tuple("0123456789"), deadline=600.0
    )
    ana.opens("/map").until(lambda: ana.driver.execute_script(f"return {MAPPED}"), "no points were drawn")
    lasso(ana.driver, 0.06, 0.45)  # the middle: greys near 128, which are two of the four
    ana.sees("Label these 2 first").clicks("Label these 2 first")
    assert ana.image() == "image-2"
    assert office.board.question("digits-1/teach").items == (1, 2, 3, 4)  # only this person's order has changed
