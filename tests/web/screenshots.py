"""`python -m tests.web.screenshots FOLDER`: each view of the web page as a PNG file, from an office with real digits in it."""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from agents.messages import EvidenceUpdated, PolicySet
from agents.web.serve import WebPage
from tests.console.building import Building
from tests.web.chromium import browser_error, chromium, resize
from tests.web.furnished import Furnished
from tests.web.scene import APPROVE, AUDIT, digits

DESK, PHONE = (1100, 780), (375, 740)
DRAWN = "return document.readyState === 'complete' && [...document.images].every(one => one.complete || !one.offsetParent)"  # but for folded ones


MAPPED = "document.getElementById('map').dataset.drawn > 0"


def by_class(driver):
    """Colour the map by class."""
    driver.find_element(By.CSS_SELECTOR, "input[value=class]").click()


def beside_neighbours(driver):
    """Lay the map out anew, coloured by class."""
    by_class(driver)
    driver.find_element(By.CSS_SELECTOR, "input[value=neighbours]").click()
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script("return document.getElementById('map').dataset.layout") == "neighbours")


def lasso(driver, across=0.22, down=0.18):
    """Draw a line around a part of the map, and wait for what lies inside."""
    plane = driver.find_element(By.ID, "plane")
    corners = [(-across, -down), (across, -down), (across, down), (-across, down), (-across, -down + 0.02)]
    width, height = plane.size["width"], plane.size["height"]
    hand = ActionChains(driver, duration=60).move_to_element_with_offset(plane, int(corners[0][0] * width), int(corners[0][1] * height)).click_and_hold()
    for x, y in corners[1:]:
        hand = hand.move_to_element_with_offset(plane, int(x * width), int(y * height))
    hand.release().perform()
    WebDriverWait(driver, 10).until(lambda _: "Furthest" not in driver.find_element(By.ID, "look").text)


def small(file):
    """A picture in 128 colours, as a page of few colours bears it: a quarter of the bytes."""
    return Image.open(io.BytesIO(file)).convert("RGB").quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


class Camera:
    """Takes pictures of a page in one browser."""

    def __init__(self, driver, page, folder):
        self._driver, self._page, self._folder = driver, page, folder
        driver.get(page.link)
        driver.find_element(By.ID, "name").send_keys("ana")
        driver.find_element(By.CSS_SELECTOR, "button").click()

    def take(self, name, address, size=DESK, *, whole=False, before="", until="", then=None):
        """`before` runs on the page as it has come, `until` must hold after that, `then` does something with the driver."""
        driver = self._driver
        resize(driver, *size, scale=2, phone=size == PHONE)
        driver.get(self._page.address + address)
        if until:
            WebDriverWait(driver, 10).until(lambda _: driver.execute_script(f"return {until}"))
        if then:
            then(driver)
        if before:
            driver.execute_script(before)
        if whole:
            resize(driver, size[0], driver.execute_script("return document.documentElement.scrollHeight"), scale=2, phone=size == PHONE)
        WebDriverWait(driver, 10).until(lambda _: driver.execute_script(DRAWN))
        small(driver.get_screenshot_as_png()).save(self._folder / f"{name}.png", optimize=True)
        print(self._folder / f"{name}.png")


def cards(folder, driver):
    """Two deployments side by side: one whose sensor fails, one on which nothing has happened."""
    with tempfile.TemporaryDirectory() as state, Building(Path(state), digits()[0]) as building:
        page = WebPage(building.receptions, port=0)
        try:
            failing, well = building.left, building.digits
            for office in (failing, well):
                office.say(PolicySet, policy={"detection": {"run_length": 1e6}})
            for cursor in range(30, 900, 30):
                well.say(EvidenceUpdated, cursor=cursor, log_evidence=1.0)
                failing.say(EvidenceUpdated, cursor=cursor, log_evidence=1.5)
            failing.open_incident()
            failing.say(EvidenceUpdated, cursor=930, log_evidence=21.0)
            failing.ask_labels()
            Camera(driver, page, folder).take("cards", "/", (1100, 560))
        finally:
            page.close()


def main(folder):
    """Play an incident and take a picture of each view when there is something to see."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state, Furnished(Path(state)) as office, chromium() as light, chromium(dark=True) as dark:
        page = WebPage(office.reception, port=0)
        try:
            day, night = Camera(light, page, folder), Camera(dark, page, folder)
            office.furnish()
            office.watch()
            office.analyse()
            office.learn()
            office.ask_labels(AUDIT)
            for seq, answer in zip(list(office.images)[:6], office.answers, strict=False):
                office.ahead += 1.5
                office.reception.answer(AUDIT, answer, "ana", seq)
            day.take("label", f"/question/{AUDIT}", (1100, 720))
            day.take("label-phone", f"/question/{AUDIT}", PHONE)
            day.take("grid", f"/grid/{AUDIT}", whole=True)
            day.take("overview", "/", whole=True)
            day.take("map", "/map", (1100, 1000), until=MAPPED, then=lasso)
            day.take("map-neighbours", "/map", (1100, 1000), until=MAPPED, then=beside_neighbours)
            day.take("map-phone", "/map", PHONE, until=MAPPED)
            night.take("map-dark", "/map", (1100, 1000), until=MAPPED, then=by_class)
            day.take("overview-phone", "/", PHONE)
            day.take("agents", "/agents", whole=True)
            day.take("graph", "/graph", whole=True)
            office.ahead += 21
            office.answer_all(AUDIT, "ana")
            office.assess()
            office.measure()
            day.take("decision", f"/question/{APPROVE}", whole=True)
            night.take("decision-dark", f"/question/{APPROVE}", whole=True)
            office.ahead += 48
            office.reception.answer(APPROVE, "approve", "ana", reason="the classifier stays as it was certified")
            office.mend()
            day.take("incident", "/incident/digits-1", whole=True, before="document.querySelectorAll('.story .asked details')[0].open = true")
            day.take("incident-phone", "/incident/digits-1", PHONE)
            night.take("overview-dark", "/", whole=True)
        finally:
            page.close()
        cards(folder, light)


if __name__ == "__main__":
    if len(sys.argv) != 2 or (reason := browser_error()):
        raise SystemExit("usage: python -m tests.web.screenshots FOLDER" if len(sys.argv) != 2 else reason)
    main(Path(sys.argv[1]))
