"""What is shown: the overview as it changes, the story of an incident and what people take away."""

import json
import re
import socket
import threading
from contextlib import suppress

import httpx
import pytest

from agents.board import Trace
from agents.messages import EvidenceUpdated, PipelineLive, PolicySet
from agents.web.plot import draw
from agents.web.serve import WebError, WebPage, open_page


def test_the_overview_shows_what_is_live_and_how_far_the_alarm_is(office, ana):
    office.say(PolicySet, policy={"detection": {"run_length": 1e6}})
    for cursor in range(100, 1000, 100):
        office.say(EvidenceUpdated, cursor=cursor, log_evidence=cursor / 100)
    shown = ana.get("/").text
    for words in ("digits-first", "<b>900</b>", "<b>9.0</b>", "the alarm line is 13.8", "digits-1", "Nothing is asked of you now"):
        assert words in shown
    assert "Log evidence of drift is 9.0 after record 900; the alarm line is 13.8" in shown


def test_a_filter_before_the_classifier_is_shown(office, ana):
    assert "every image goes straight to the classifier" in ana.get("/").text
    office.say(PipelineLive, pipeline="digits-1-filter", previous="digits-first", reference="r", base="digits-first", gated=True, since=9, version="2", reason="it helps")
    shown = ana.get("/").text
    assert "digits-1-filter" in shown and "for images that look different" in shown


def test_status_for_programs(office, ana):
    office.ask_labels()
    assert ana.get("/status.json").json()["questions"] == ["digits-1/audit"]


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
    assert not [thread for thread in threading.enumerate() if thread.name in ("web", "web-live")]


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
        assert [httpx.get(link).status_code for link in links] == [200, 200] and len(said) == 2
    finally:
        page.close()


def test_the_story_is_a_timeline_with_the_evidence_of_each_step(office, ana):
    office.ask_labels()
    for item, key in ((12, "7"), (15, "s"), (19, "1"), (23, "n")):
        ana.press(key, item)
    office.ask_choice()
    ana.post("/decide", question="digits-1/approve", option="approve")
    shown = ana.get("/incident/digits-1").text
    assert shown.count("<details") == shown.count('class="when"') >= 5
    assert "digits-1 opened: records since 900 look different" in shown and "<dt>alarm at</dt><dd>960</dd>" in shown
    assert re.findall(r"<span>([^<]+)</span><span class=\"dim\">ana</span>", shown) == ["7", "no answer", "1", "none of these"]
    assert "0.965" in shown and "ana chose approve" in shown
    assert ana.get("/incident/digits-1/image/12").headers["content-type"] == "image/png"


def test_a_report_stands_alone(office, ana):
    office.ask_labels()
    ana.press("7", 12)
    answer = ana.get("/incident/digits-1/report.html")
    assert "attachment" in answer.headers["content-disposition"] and "digits-1.html" in answer.headers["content-disposition"]
    assert answer.text.count("data:image/png;base64,") == 4 and "<style>" in answer.text
    assert not re.search(r'(?:src|href)="(?!data:)', answer.text) and "<script" not in answer.text and "secret" not in answer.text


def test_a_story_for_programs(office, ana):
    answer = ana.get("/incident/digits-1/story.json")
    assert [one["type"] for one in json.loads(answer.text)] == ["IncidentOpened"]


def test_an_incident_that_is_not_known_is_one_sentence(ana):
    for address in ("/incident/digits-9", "/incident/digits-9/story.json", "/incident/..%2F..%2Fetc/report.html"):
        answer = ana.get(address)
        assert answer.status_code == 404
    assert "known: digits-1" in ana.get("/incident/digits-9").text


def test_a_thousand_open_questions_are_listed(office, ana):
    for number in range(1000):
        office.ask_labels(f"digits-1/q{number}")
    for address, shows in (("/", "All 1000 questions"), ("/questions", "digits-1/q999")):
        assert shows in ana.get(address).text


def test_evidence_far_above_the_line_does_not_squeeze_the_line_away():
    drawn = draw(Trace(((0, 0.0), (100, 1.0), (200, 900.0)), ()), 13.8)
    assert drawn.alarm < 140 and drawn.path.endswith(",22.0")
    assert draw(Trace((), ()), 13.8) is None
