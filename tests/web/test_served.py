"""The page on a real port, with the streams that keep open pages up to date."""

import re
import socket
import ssl
import threading
from contextlib import suppress

import httpx
import pytest

from agents.messages import EvidenceUpdated
from agents.web.serve import WebError, WebPage, open_page

PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; by default each client would read all certificates of the world first


@pytest.fixture
def page(office):
    served = WebPage(office.reception, port=0)
    yield served
    served.close()


@pytest.fixture
def browser(page):
    return lambda: httpx.Client(base_url=page.address, follow_redirects=True, verify=PLAIN)


class Listener:
    """Reads a stream of events in a thread."""

    def __init__(self, client, topics):
        self.events, self.heard = [], threading.Condition()
        self._client, self._topics = client, topics
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        event = []
        with suppress(httpx.HTTPError), self._client.stream("GET", f"/live?topics={self._topics}", timeout=30) as answer:
            for line in answer.iter_lines():
                event.append(line)
                if not line:
                    self._take("\n".join(event))
                    event = []
        self._take("the end")

    def _take(self, event):
        with self.heard:
            self.events.append(event)
            self.heard.notify_all()

    def hears(self, words, timeout=10.0):
        with self.heard:
            assert self.heard.wait_for(lambda: any(words in event for event in self.events), timeout), self.events


def test_a_question_reaches_an_open_page_without_a_reload(office, ana):
    listener = Listener(ana.client, "now,bar")
    listener.hears("Nothing is asked of you now")
    office.ask_labels()
    listener.hears("1 open question")


def test_every_open_page_gets_the_same_news_rendered_once(office, page, person):
    rendered = []
    frames = page.site.views.frames
    page.site.live._render = lambda: rendered.append(1) or frames()
    watchers = [Listener(person(f"w{number}").client, "now") for number in range(20)]
    for one in watchers:
        one.hears("Nothing is asked")
    rendered.clear()
    office.ask_labels()
    for one in watchers:
        one.hears("Label 4 images")
    assert len(rendered) <= 3


def test_who_labels_is_told_of_others_answers_and_of_nothing_else(office, ana, person):
    office.ask_labels()
    listener = Listener(ana.client, "questions")
    listener.hears("event: questions")
    office.say(EvidenceUpdated, cursor=1, log_evidence=0.1)
    bob = person("bob")
    bob.press("7", 12)
    bob.press("7", 15)
    with listener.heard:
        assert listener.heard.wait_for(lambda: len(listener.events) == 2, 10)


def test_closing_ends_streams_and_lets_the_port_go(office, page, person):
    listener = Listener(person().client, "now")
    listener.hears("Nothing is asked")
    page.close()
    listener.hears("the end")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", page.port)) != 0
    assert not [thread for thread in threading.enumerate() if thread.name in {"web", "web-live"}]


def test_a_taken_port_is_one_line_and_the_cluster_goes_on(office, page):
    said = []
    assert open_page(office.reception, "127.0.0.1", page.port, said.append) is None
    assert said == [f"no web page: port {page.port} of 127.0.0.1 is taken; give another with --web-port, 0 for any free one, or --no-web"]
    with pytest.raises(WebError, match="no address of this machine"):
        WebPage(office.reception, "no.such.host.invalid", 0)


def test_the_printed_link_opens_the_page(office):
    said = []
    page = open_page(office.reception, "127.0.0.1", 0, said.append)
    try:
        links = re.findall(r"http://127\.0\.0\.1:\d+/enter\?token=[\w-]{32}", "\n".join(said))
        assert [httpx.get(link, verify=PLAIN).status_code for link in links] == [200, 200] and len(said) == 2
    finally:
        page.close()


def test_an_incident_that_is_not_known_is_one_sentence(ana):
    for address in ("/incident/digits-9", "/incident/digits-9/story.json", "/incident/..%2F..%2Fetc/report.html"):
        answer = ana.get(address)
        assert answer.status_code == 404
    assert "known: digits-1" in ana.get("/incident/digits-9").text


def test_what_is_held_is_handed_in_when_the_page_closes(office, ana, page):
    office.ask_labels()
    ana.press("7", 12)
    page.close()
    assert office.taken == [(12, 7)]
