"""Beside an image that is labelled stand clean ones like it and what filters make of it; a decision shows both in strips."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from agents.messages import RemedyPrepared
from agents.web import beside
from tests.web.clean import hang

FILTER = "digits-1-filter"


@pytest.fixture
def gallery(office):
    office.reception.gallery = hang(office.state)
    return office.reception.gallery


@pytest.fixture
def prepared(office, gallery):
    hang(office.state, FILTER, remedy="filter", gate_threshold=0.5)
    office.say(RemedyPrepared, "workshop", remedy="filter", pipeline=FILTER, accuracy_clean=1.0, clean_loss=0.0, latency_added=0.0, seconds=1.0, version="2")


def test_an_image_is_labelled_beside_its_nearest_clean_ones(office, gallery, ana):
    office.ask_labels()
    shown = ana.get("/question/digits-1/audit").text
    assert "Clean images that the model finds most alike" in shown and shown.count('alt="A clean ') == 3
    address = re.search(r'src="(/clean/\d+\?of=digits-first)"', shown).group(1)
    assert ana.get(address).headers["content-type"] == "image/png"


def test_they_change_with_the_image(office, gallery, ana):
    office.ask_labels()
    names = set(re.findall(r'alt="A clean (\w+)"', ana.get("/question/digits-1/audit").text))
    assert names == {"dark"}  # its grey is 60 of 255
    ana.press("7", 12)
    ana.press("7", 15)
    assert set(re.findall(r'alt="A clean (\w+)"', ana.press("7", 19).text)) == {"bright"}


def test_what_a_candidate_filter_makes_of_it_is_shown_and_of_the_live_pipeline_without_one_nothing(office, prepared, ana):
    office.ask_labels()
    shown = ana.get("/question/digits-1/audit").text
    assert "What a filter makes of this one" in shown and shown.count("/filtered/12") == 1
    assert ana.get(f"/incident/digits-1/filtered/12?by={FILTER}").headers["content-type"] == "image/png"
    assert ana.get("/incident/digits-1/filtered/12?by=digits-first").status_code == 404


def test_the_live_filter_comes_first(office, prepared, ana):
    office.live(FILTER)
    office.ask_labels()
    assert "<span>live filter</span>" in ana.get("/question/digits-1/audit").text


def test_without_clean_images_the_page_says_nothing(office, ana):
    office.ask_labels()
    shown = ana.get("/question/digits-1/audit").text
    assert "/clean/" not in shown and "filter" not in shown
    assert ana.get("/clean/0?of=digits-first").status_code == 404


def test_a_decision_shows_clean_drifted_and_filtered_pictures(office, prepared, ana):
    office.ask_labels()
    office.ask_choice()
    shown = ana.get("/question/digits-1/approve").text
    assert re.findall(r'<tr><th scope="row">([^<]+)</th><td><img', shown) == ["nearest clean", "as it came", "filter"]
    assert shown.count(f"by={FILTER}") == 4


def test_a_decision_about_no_filter_has_no_strips(office, gallery, ana):
    office.ask_labels()
    office.ask_choice()
    assert "as it came" not in ana.get("/question/digits-1/approve").text


def test_what_the_next_image_needs_is_ready_before_it_is_asked_for(office, gallery, ana, monkeypatch):
    office.ask_labels()
    ana.get("/question/digits-1/audit")
    monkeypatch.setattr(office.reception, "neighbours", lambda *_, **__: pytest.fail("worked out again"))
    assert 'alt="A clean ' in ana.press("7", 12).text


def test_neighbours_and_filters_of_a_record_are_to_be_had_without_the_page(office, prepared):
    office.ask_labels()
    assert {one.name for one in office.reception.neighbours(12)} == {"dark"}
    (made,) = office.reception.filtered(12)
    assert (made.remedy, made.live) == ("filter", False) and np.array_equal(made.image, 255 - office.images[12])
    assert office.reception.neighbours(99) == () and office.reception.filtered(99) == ()


def test_only_so_many_are_kept_at_hand(monkeypatch):
    monkeypatch.setattr(beside, "KEPT", 2)
    asked = []
    board = SimpleNamespace(live=lambda: "p", prepared=lambda _: {})
    reception = SimpleNamespace(board=board, neighbours=lambda seq, **_: asked.append(seq) or (), filtered=lambda *_, **__: ())
    aside = beside.Beside()
    for seq in (1, 2, 3, 3, 1):
        aside.of(reception, "i", seq, np.zeros((2, 2), np.uint8))
    assert asked == [1, 2, 3, 1]
