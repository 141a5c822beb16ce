"""What is shown: the overview as it changes, the story of an incident and what people take away."""

import json
import re

import numpy as np

from agents.board import Trace
from agents.doors.evidence import Evidence
from agents.messages import AskLabels, EvidenceUpdated, Finding, HarmAssessed, IncidentOpened, Label, PipelineLive, PolicySet, WindowAnalysed
from agents.web.plot import draw
from workflows.steps.window import Window


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


def test_the_overview_tells_how_much_comes_in_and_when_the_newest_came(office, ana):
    assert "a second" not in ana.get("/").text
    for second in range(5):
        office.ahead = 2.0 * second
        office.say(EvidenceUpdated, cursor=1000 + 50 * second, log_evidence=1.0)
    shown = ana.get("/").text
    assert re.search(r"<b>1,200</b><span class=\"dim\">2[45]\.?\d* a second, the newest at \d\d:\d\d", shown)


def test_the_overview_tells_accuracy_as_far_as_it_is_known_and_how(office, ana):
    assert "no incident has given cause to estimate it" in ana.get("/").text
    office.say(
        WindowAnalysed, window="window", last=2400, records=1500, mmd=1.5, mmd_p=0.002, ks=1.0, ks_p=0.0, clean_accuracy=0.99, estimated_accuracy=0.545,
        estimate_error=0.055, audit=(), teaching=(), predicted={}, classes=("0", "1"),
    )
    shown = ana.get("/").text
    assert '<dt>Accuracy</dt><dd><b>0.55</b><span class="dim">drifted, estimated without labels, 0.49 to 0.60</span>' in shown


def test_the_overview_tells_who_has_paused_remedies_and_why(office, ana):
    assert "<dt>Remedies</dt>" not in ana.get("/").text
    office.reception.pause("bob", "the line is <rebuilt>")
    shown = ana.get("/").text
    assert "<b>paused</b>" in shown and "by bob since" in shown and "the line is &lt;rebuilt&gt;" in shown
    office.reception.resume("bob")
    assert "<dt>Remedies</dt>" not in ana.get("/").text


def test_status_for_programs(office, ana):
    office.ask_labels()
    assert ana.get("/status.json").json()["questions"] == ["digits-1/audit"]


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


def test_an_audit_without_an_incident_has_a_story_with_its_images_and_what_nobody_told_has_none(office, ana, images):
    empty = np.zeros((len(images), 1), np.float32)
    window = Window(np.array(list(images)), np.stack(list(images.values())), empty, empty, empty, np.zeros(len(empty), np.int64))
    Evidence(office.state).keep("digits-audit-1", "audit", window)
    ask = {"items": tuple(images), "purpose": "audit", "text": "How right?", "classes": ("0", "1"), "deadline": 600.0}
    office.say(AskLabels, incident="digits-audit-1", question="digits-audit-1/audit", **ask)
    assert "4 labels to measure" in ana.get("/incident/digits-audit-1").text
    assert ana.get("/incident/digits-audit-1/image/12").headers["content-type"] == "image/png"
    assert ana.get("/incident/digits-audit-2/image/12").status_code == 404


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


def test_a_thousand_open_questions_are_listed(office, ana):
    for number in range(1000):
        office.ask_labels(f"digits-1/q{number}")
    for address, shows in (("/", "All 1000 questions"), ("/questions", "digits-1/q999")):
        assert shows in ana.get(address).text


def test_evidence_far_above_the_line_does_not_squeeze_the_line_away():
    drawn = draw(Trace(((0, 0.0), (100, 1.0), (150, 90.0), (200, 900.0)), ()), 13.8)
    *_, middle, top = (float(dot.split(",")[1]) for dot in drawn.path[1:].split(" L"))
    assert drawn.alarm < 140 and top == 22.0 < middle < drawn.alarm - 10, "what is above the line is not flat"
    assert [tick.text for tick in drawn.y_ticks] == ["0", "5", "100"] and "logarithmic" in drawn.words
    assert draw(Trace((), ()), 13.8) is None


def test_an_incident_tells_its_kind_and_what_was_found(office, ana):
    sentence, advice = "Accuracy of scanner <2> is 0.61, of the others 0.97", "label more of that scanner"
    finding = Finding(check="bias", kind="bias", sentence=sentence, value=7.25, alarm_line=4.6, advice=advice, remedies=(), accuracy=0.61, interval=(0.5, 0.7))
    office.say(IncidentOpened, incident="digits-2", pipeline="digits-first", onset=900, alarm_at=960, log_evidence=14.2, finding=finding)
    for address in ("/", "/incidents", "/incident/digits-2"):
        shown = ana.get(address).text
        assert "scanner &lt;2&gt;" in shown, address
    assert '<span class="tag kind">bias</span>' in ana.get("/").text and '<span class="tag kind">drift</span>' in ana.get("/incidents").text
    assert "7.25, against 4.6" in shown and advice in shown and "0.610 (0.50 to 0.70)" in shown
    assert "do not look like the clean data. Whether that hurts" in ana.get("/incident/digits-1").text


def test_accuracy_is_drawn_before_during_and_after(office, ana):
    assert 'class="plot accuracy"' not in ana.get("/incident/digits-1").text
    known = {"window": "w", "last": 9, "classes": ("a", "b"), "clean_accuracy": 0.99, "estimated_accuracy": 0.56}
    shift = {"records": 600, "mmd": 0.1, "mmd_p": 0.01, "ks": 0.5, "ks_p": 0.01, "audit": (), "teaching": (), "predicted": {}}
    office.say(WindowAnalysed, estimate_error=0.08, **known, **shift)
    labels = (Label(12, 1, "ana"), Label(15, 0, "ana"))
    office.say(HarmAssessed, harmful=True, reason="r", accuracy=0.5, interval=(0.3, 0.8), pipeline="p", audit=labels, teaching=(), **known)
    office.ask_choice()
    shown = ana.get("/incident/digits-1").text
    words = re.search(r'aria-label="(Accuracy[^"]+)"', shown).group(1)
    assert "clean data: 0.990; drifted, estimated without labels: 0.560, 0.48 to 0.64; drifted, measured with 2 labels: 0.500, 0.30 to 0.80" in words
    assert "drifted, with filter: 0.965" in words
    assert re.findall(r'<g class="(\w+)">', shown) == ["clean", "estimated", "measured", "mended"]


def test_the_alarm_line_is_that_of_the_policy_blocks_of_records_and_all(office, ana):
    office.say(PolicySet, "system", "", policy={"detection": {"run_length": 1e6, "block": 100}})
    assert "the alarm line is 9.2" in ana.get("/").text
