"""The views that only a script can draw, in a real browser: the map and its lasso, the grid, the graph."""

import os
from pathlib import Path

import axe_core_python
import numpy as np
import pytest

from selenium.webdriver.common.keys import Keys

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

AXE = Path(axe_core_python.__file__).with_name("axe.min.js")
FINDINGS = """
    const done = arguments[0];
    axe.run(document, {resultTypes: ["violations"]}).then((found) => done(
        found.violations.map((one) => `${one.impact}: ${one.id} at ${one.nodes.map((node) => node.target).join(" and ")}`)
    ));
"""


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


def test_the_map_is_laid_out_beside_neighbours_when_asked(office, ana):
    where = "[document.getElementById('map').dataset.layout, document.getElementById('laying').hidden]"
    ana.opens("/map").until(lambda: ana.driver.execute_script(f"return {where}") == ["plane", True], "no points were drawn")
    ana.driver.find_element("css selector", "input[value=neighbours]").click()
    ana.until(lambda: ana.driver.execute_script(f"return {where}") == ["neighbours", True], "they were not laid out anew")


def test_the_grid_is_filled_by_keyboard_alone(office, ana):
    office.ask_labels()
    ana.opens("/grid/digits-1/audit").sees("0 of 4 labelled")
    ana.press("1").press("2").press(Keys.BACKSPACE).press("3")  # the third was not named yet, so nothing is taken back
    ana.press(Keys.ARROW_LEFT).press("u").press("n").press(Keys.ENTER)
    ana.sees("4 answers taken")
    assert office.taken == [(1, 1), (2, 2), (3, None), (4, -1)]


def test_no_page_has_a_serious_barrier(office, ana):
    """As axe-core knows them, in light colours; SCANFLOW_AXE names a newer axe.min.js than the package brings."""
    axe = Path(os.environ.get("SCANFLOW_AXE", AXE)).read_text(encoding="utf-8")
    office.ask_labels()
    office.ask_choice()
    addresses = ["/", "/questions", "/question/digits-1/audit", "/grid/digits-1/audit", "/question/digits-1/approve", "/incidents", "/incident/digits-1"]
    barriers = {}
    for address in [*addresses, "/map", "/agents", "/graph"]:
        ana.opens(address).driver.execute_script(axe)
        if found := ana.driver.execute_async_script(FINDINGS):
            barriers[address] = found
    assert barriers == {}
