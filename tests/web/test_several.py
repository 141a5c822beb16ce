"""Pages of several deployments: a card for each in front, and below `/at/NAME` all that is one's own."""

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

import agents.web
from agents.messages import EvidenceUpdated, Paused, PipelineLive, PolicySet
from agents.web.access import Access
from agents.web.several import FrontSite
from scenarios.datasets import to_float
from tests.console.building import Building
from tests.web.clean import hang
from tests.web.conftest import InProcess, Person
from workflows.serving.service import Service

TEMPLATES = Path(agents.web.__file__).parent / "templates"
ADDRESSES = ("href", "action", "src", "hx-get", "hx-post", "hx-sse:connect", "data-points", "formaction")
FOR_ALL = re.compile(r"/$|/leave$|/static/")  # addresses outside of `/at/NAME` that a page below it may name


@pytest.fixture
def building(state, images):
    """Two deployments, each with an incident of its own."""
    with Building(state, images) as place:
        for office in (place.digits, place.left):
            office.open_incident()
        yield place


@pytest.fixture
def front(building):
    return FrontSite(building.receptions, Access("scanflow-8765"))


@pytest.fixture
def come(front, loop):
    """People with a session."""
    clients = []

    def person(token=None, name="ana"):
        transport = InProcess(front.app, loop)
        clients.append(httpx.Client(base_url="http://127.0.0.1:8765", transport=transport, follow_redirects=True))
        return Person(clients[-1], token or front.access.token, name)

    yield person
    for client in clients:
        client.close()


@pytest.fixture
def ana(come):
    return come()


class Addresses(HTMLParser):
    """Every address of this server that a page names, where it names it."""

    def __init__(self, text):
        super().__init__()
        self.found = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found |= {value for name, value in attrs if name in ADDRESSES and value and value.startswith("/")}


def card(page, name):
    """What the card of a deployment says, without the markup."""
    [text] = re.findall(rf'<li>\s*<h2><a href="/at/{name}/">.*?</li>\n(?=  <li>\s*<h2>|</ul>)', page, re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_each_deployment_has_a_card_with_how_it_stands(building, ana):
    building.left.say(PolicySet, policy={"detection": {"run_length": 1e6}})
    building.left.say(EvidenceUpdated, cursor=1200, log_evidence=21.0)
    building.left.ask_labels()
    building.digits.say(Paused, by="bob", reason="")
    gated = {"previous": "left-first", "reference": "r", "base": "left-first", "gated": True, "since": 9, "version": "2", "reason": "it helps"}
    building.left.say(PipelineLive, pipeline="left-1-filter", **gated)
    shown = ana.get("/").text
    left, digits = card(shown, "left"), card(shown, "digits")
    for words in ("1 open question", "left-1 open drift", "Live left-1-filter", "Filter on", "Records checked 1,200", "drift 21.0 over the alarm line, 13.8"):
        assert words in left
    for words in ("remedies paused", "Nothing is asked", "digits-1 open drift", "Live digits-first", "Filter none"):
        assert words in digits
    assert 'href="/at/left/questions"' in shown and 'href="/at/left/incident/left-1"' in shown


def test_how_all_stand_for_programs(ana):
    assert [(one["deployment"], one["pipeline"]) for one in ana.get("/status.json").json()] == [("digits", "digits-first"), ("left", "left-first")]
    assert ana.get("/at/left/status.json").json()["deployment"] == "left"


def test_every_address_on_every_page_of_one_stays_with_it(building, ana):
    gallery = building.left.reception.gallery = hang(building.left.state, "left-first")
    service = building.left.reception._inference = Service()
    service.load(building.left.state.pipeline("left-first"))
    service.activate("left-first")
    service.infer(to_float(next(iter(building.left.images.values()))[None]))
    assert gallery.hall("left-first") is not None
    building.left.ask_labels()
    building.left.ask_choice()
    left, seen, strays = ["/at/left/"], set(), set()
    while left:
        address = left.pop()
        if address in seen or "/report.html" in address:
            continue
        seen.add(address)
        got = ana.get(address)
        if not got.headers["content-type"].startswith("text/html"):
            continue
        assert got.status_code == 200, address
        named = Addresses(got.text).found
        strays |= {(address, one) for one in named if not one.startswith("/at/left/") and not FOR_ALL.match(one)}
        left += [one for one in named if one.startswith("/at/left/") and not re.search(r"/(live|leave|press|decide|undo|grid|map/first)(\?|$)", one)]
    assert not strays
    pages = {"questions", "incidents", "map", "agents", "graph", "incident/left-1", "question/left-1/audit", "question/left-1/approve", "grid/left-1/audit"}
    assert {f"/at/left/{page}" for page in pages} <= seen


def test_no_template_names_an_address_that_a_mounted_page_would_lose():
    """Pages that need something rare are not met above; an address begins with `{{ at }}`, or is one that all share."""
    known = {("cards.html", "/"), ("page.html", "/")}
    pattern = re.compile(rf'(?:{"|".join(ADDRESSES)})="(/[^"]*)"')
    found = {(file.name, address) for file in TEMPLATES.glob("*.html") for address in pattern.findall(file.read_text(encoding="utf-8"))}
    assert found == known


def test_an_answer_goes_to_whose_page_it_was_given_on_and_leads_back_there(building, ana):
    for office in (building.digits, building.left):
        office.ask_labels()
    shown = ana.post("/at/left/press", question="left-1/audit", key="7", item="12")
    ana.post("/at/left/press", question="left-1/audit", key="3", item="15")
    assert building.left.taken == [(12, 7)] and building.digits.taken == []  # the newest is held back
    assert shown.url.path == "/at/left/question/left-1/audit"


def test_a_choice_and_an_undo_are_that_ones(building, ana):
    for office in (building.digits, building.left):
        office.ask_choice()
    assert ana.post("/at/left/decide", question="left-1/approve", option="decline").url.path.startswith("/at/left/")
    assert (building.left.closed, building.digits.closed) == ({"left-1/approve": "answered"}, {})
    ana.post("/at/digits/undo")
    assert [type(one).__name__ for one in building.digits.messages].count("UndoAsked") == 1
    assert "UndoAsked" not in {type(one).__name__ for one in building.left.messages}


def test_who_only_watches_may_answer_nowhere(building, front, come):
    building.left.ask_labels()
    watching = come(front.access.watch_token)
    assert "left-1" in watching.get("/").text and "A link for watching" not in watching.get("/").text
    assert watching.client.post("/at/left/press", data={"question": "left-1/audit", "key": "7", "item": "12"}).status_code == 403
    assert building.left.taken == []


@pytest.mark.parametrize("address", ["/", "/status.json", "/at/left/", "/at/left/questions", "/at/left/map.json"])
def test_a_stranger_comes_in_nowhere(front, loop, address):
    with httpx.Client(base_url="http://127.0.0.1:8765", transport=InProcess(front.app, loop)) as client:
        assert client.get(address).status_code in (401, 403)


def test_who_leaves_one_has_left_all(ana):
    ana.post("/at/left/leave")
    assert ana.get("/at/digits/").status_code in (401, 403)


def test_a_page_of_no_deployment_is_not_found(ana):
    missing = ana.get("/at/right/")
    assert missing.status_code == 404 and 'href="/"' in missing.text
