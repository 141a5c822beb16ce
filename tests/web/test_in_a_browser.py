"""What people do, in a real browser: label by keyboard, decide, undo, reload, on a phone, beside somebody else."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from agents.messages import UndoAsked
from agents.web.serve import WebPage
from tests.web.chromium import chromium, resize
from tests.web.scene import APPROVE, AUDIT, Scene

pytestmark = pytest.mark.browser

IN_PLACE = "const image = document.querySelector('#seat img.big'); return image && image.complete && image.naturalWidth ? image.id : ''"


@pytest.fixture(scope="module")
def drivers():
    """Two browsers of two people."""
    with chromium() as first, chromium() as second:
        yield first, second


@pytest.fixture
def office(state):
    with Scene(state) as place:
        place.watch()
        yield place


@pytest.fixture
def page(office):
    served = WebPage(office.reception, port=0)
    yield served
    served.close()


class Seated:
    """Somebody in front of a browser."""

    def __init__(self, driver, page, name):
        self.driver, self.page = driver, page
        driver.get_log("browser")  # forget what came before
        resize(driver, 1100, 800)
        driver.get(page.link)
        driver.find_element(By.ID, "name").send_keys(name, Keys.ENTER)
        self.sees("Overview")

    def opens(self, address):
        self.driver.get(self.page.address + address)
        return self

    def until(self, condition, what):
        return WebDriverWait(self.driver, 10, 0.01).until(lambda _: condition(), f"{what}; the page:\n{self.text}")

    @property
    def text(self):
        return self.driver.execute_script("return document.body.innerText")

    def sees(self, words):
        self.until(lambda: words in self.text, f"{words!r} did not appear")
        return self

    def press(self, keys):
        self.driver.switch_to.active_element.send_keys(keys)
        return self

    def image(self, before=""):
        """Id of the image that is shown, once it is another than before."""
        return self.until(lambda: (now := self.driver.execute_script(IN_PLACE)) and now != before and now, "no other image")

    def clicks(self, words):
        self.driver.find_element(By.XPATH, f"//button[contains(., '{words}')] | //a[contains(., '{words}')]").click()
        return self

    def is_at_peace(self):
        """The browser has complained of nothing, such as something that the content policy forbids."""
        assert [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.fixture
def ana(drivers, page):
    seated = Seated(drivers[0], page, "ana")
    yield seated
    seated.is_at_peace()


@pytest.fixture
def bob(drivers, page):
    return Seated(drivers[1], page, "bob")


def test_from_the_alarm_to_the_decision_and_back_by_keyboard(office, ana):
    office.ask_labels(AUDIT)
    ana.sees("Label 20 images").opens(f"/question/{AUDIT}")  # the overview told by itself
    shown = ""
    for number, answer in enumerate(office.answers, 1):
        shown = ana.image(shown)
        assert f"Image {number} of 20" in ana.text
        ana.press(answer)
    ana.sees("all answered, thank you")
    assert [label for _, label in office.taken] == [int(answer) for answer in office.answers]
    assert {one.by for one in office.messages if getattr(one, "answer", "")} == {"ana"}

    office.measure()
    ana.opens("/").sees(APPROVE)
    ana.driver.find_element(By.PARTIAL_LINK_TEXT, "Decide").send_keys(Keys.ENTER)
    ana.sees("the labels do not speak for it").driver.find_element(By.ID, "reason").send_keys("the filter it is")
    ana.driver.find_element(By.CSS_SELECTOR, "button[value=approve]").send_keys(Keys.SPACE)
    ana.sees("Your answer was taken: approve").sees("“the filter it is”")
    assert office.closed[APPROVE] == "answered"

    office.mend()
    ana.opens("/").sees("digits-1-filter").sees("verified")
    ana.opens(f"/question/{APPROVE}").clicks("Undo").sees("The pipeline before comes back")
    assert [one.by for one in office.messages if isinstance(one, UndoAsked)] == ["ana"]


def test_from_key_to_next_image_in_a_tenth_of_a_second(office, ana):
    office.ask_labels(AUDIT)
    ana.opens(f"/question/{AUDIT}").image()
    ana.driver.execute_script("""
      window.took = []; let since = 0, before = document.querySelector('#seat img.big').id;
      document.addEventListener('keydown', () => { since = performance.now(); }, true);
      const look = () => {
        const image = document.querySelector('#seat img.big');
        if (image && image.id !== before && image.complete && image.naturalWidth) { before = image.id; window.took.push(performance.now() - since); }
        requestAnimationFrame(look);
      };
      look();
    """)
    for number, answer in enumerate(office.answers[:-1], 1):
        ana.press(answer)
        ana.until(lambda number=number: len(ana.driver.execute_script("return window.took")) >= number, "no next image")
    took = sorted(ana.driver.execute_script("return window.took"))
    print(f"key to next image, ms: median {took[len(took) // 2]:.0f}, most {took[-1]:.0f}")
    assert took[int(len(took) * 0.95) - 1] < 100


def test_a_reload_in_the_middle_loses_nothing(office, ana):
    office.ask_labels(AUDIT)
    shown = ana.opens(f"/question/{AUDIT}").image()
    for answer in office.answers[:3]:
        ana.press(answer)
        shown = ana.image(shown)
    ana.driver.refresh()
    ana.sees("Image 4 of 20").sees(f"{office.answers[2]} for the last one")
    ana.press("b").sees("Image 3 of 20")
    assert len(office.taken) == 2


def test_two_browsers_answer_the_same_question(office, ana, bob):
    office.ask_labels(AUDIT)
    for one in (ana, bob):
        one.opens(f"/question/{AUDIT}").sees("Image 1 of 20")
    first = bob.image()
    bob.press(office.answers[0])
    second = bob.image(first)
    bob.press(office.answers[1])  # hands in the first
    bob.image(second)
    ana.sees("somebody else has answered that one").sees("Image 2 of 20")
    assert [label for _, label in office.taken] == [int(office.answers[0])]
    ana.image(first)
    ana.press("u").sees("unsure for the last one")
    bob.press("u")  # hands in the second
    ana.sees("somebody else was quicker with the last one; your unsure was not needed").sees("18 more answers are asked for")
    office.enough = 3
    bob.image()
    bob.press("u")
    for one in (ana, bob):
        one.sees("settled early")


def test_an_expected_change_takes_two_keys(office, ana):
    office.ask_labels(AUDIT)
    ana.opens(f"/question/{AUDIT}").image()
    ana.press("e").sees("Is the change meant").press("n").sees("not marked as expected")
    ana.press("e").sees("Is the change meant").press("y").sees("the change is expected")
    assert office.closed == {AUDIT: "expected"}


def test_enter_leads_to_the_next_question(office, ana):
    office.ask_labels(AUDIT)
    office.ask_choice()
    ana.opens(f"/question/{AUDIT}").image()
    ana.press("e").sees("Is the change meant").press("y").sees("Next: decide").press(Keys.ENTER).sees("A decision")


def test_a_decision_elsewhere_shows_without_a_reload(office, ana, bob):
    office.measure()
    ana.opens(f"/question/{APPROVE}").sees("A decision").driver.find_element(By.ID, "reason").send_keys("half a thou")
    bob.opens(f"/question/{APPROVE}").sees("A decision").clicks("decline").sees("Your answer was taken")
    ana.sees("Decided").sees("bob: decline")


def test_the_title_says_how_many_questions_are_open(office, ana):
    office.ask_labels(AUDIT)
    ana.until(lambda: ana.driver.title.startswith("(1) Overview"), "no number in the title")


def test_a_wrong_link_opens_nothing(drivers, page):
    drivers[0].get(f"{page.address}/enter?token=guess")
    assert "Each start prints a new one" in drivers[0].page_source
    drivers[0].delete_all_cookies()
    drivers[0].get(page.address)
    assert "Open the link that the cluster printed" in drivers[0].page_source


def test_nothing_is_wider_than_a_phone(office, ana):
    office.analyse()
    office.ask_labels(AUDIT)
    office.answer_all(AUDIT, "bob")
    office.assess()
    office.measure()
    office.ask_labels("digits-1/choose")
    resize(ana.driver, 375, 667, phone=True)
    for address in ("/", "/questions", "/question/digits-1/choose", f"/question/{APPROVE}", "/incidents", "/incident/digits-1"):
        ana.opens(address).sees("digits")
        wide, shown = ana.driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert (wide, shown) == (375, 375), address
    ana.opens("/question/digits-1/choose").image()
    tall = ana.driver.execute_script("return Math.max(...[...document.querySelectorAll('.class')].map(one => one.getBoundingClientRect().bottom))")
    assert tall <= 667  # the image and a button for each class without scrolling


def test_who_cannot_see_is_told_what_changes(office, ana):
    office.ask_labels(AUDIT)
    heard = ana.driver.find_element(By.ID, "heard")
    assert heard.get_attribute("aria-live") == "polite"
    ana.until(lambda: "1 open question" in heard.get_attribute("textContent"), "nothing heard")
    ana.opens(f"/question/{AUDIT}").image()
    for element in ana.driver.find_elements(By.CSS_SELECTOR, "button, a, input:not([type=hidden]), img, progress, svg[role=img]"):
        assert element.accessible_name, element.get_attribute("outerHTML")
    assert ana.driver.find_element(By.ID, "note").get_attribute("role") == "status"


def test_a_cluster_that_goes_away_is_told_without_a_click(ana, page):
    ana.until(lambda: ana.driver.execute_script("return !!document.getElementById('live')._htmx?.sse"), "no connection")
    page.close()
    ana.sees("The connection to the cluster is lost")
    ana.driver.get_log("browser")  # that it cannot connect is what it should say
