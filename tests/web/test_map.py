"""The latent map: clean images and records in one plane, what lies inside a line, and which of it is labelled first."""

import numpy as np
import pytest

from agents.atlas import Atlas
from agents.messages import AskLabels
from scenarios.datasets import to_float
from tests.web.clean import hang
from workflows.serving.service import Service


def grey(*values):
    return np.stack([np.full((28, 28), value, np.uint8) for value in values])


@pytest.fixture
def images():
    """What is asked about are records that the service has answered."""
    return dict(zip(range(1, 5), grey(60, 120, 180, 240), strict=True))


@pytest.fixture
def traffic(office, images):
    """A service with a few records, all but two of which are asked about by nobody."""
    office.reception.gallery = hang(office.state)
    service = office.reception._inference = Service()
    service.load(office.state.pipeline("digits-first"))
    service.activate("digits-first")
    service.infer(to_float(np.stack(list(images.values()))))
    service.infer(to_float(grey(25, 230)))
    service.infer(to_float(np.tile(np.array([0, 255], np.uint8), (1, 28, 14))))  # of much contrast, as no clean image is
    return service


def teach(office):
    text = "Typical ones; they teach."
    office.ask_labels()  # keeps the window
    office.say(AskLabels, question="digits-1/teach", items=(1, 2, 3, 4), purpose="teaching", text=text, classes=tuple("0123456789"), deadline=600.0)


def test_records_lie_where_clean_images_like_them_lie(office, traffic):
    shown = Atlas().map(office.reception)
    middle = {label: np.mean([point.x for point in shown.reference if point.label == label]) for label in range(3)}
    by_key = {point.key: point for point in shown.recent}
    assert abs(by_key[5].x - middle[0]) < 0.3 < abs(by_key[5].x - middle[2])
    assert by_key[5].label == 0 and by_key[6].label == 2 and shown.explained > 0.99


def test_the_distance_is_that_of_the_monitor_and_far_records_are_listed_first(office, traffic):
    shown = Atlas().map(office.reception)
    assert [point.key for point in shown.furthest(1)] == [7]
    assert shown.furthest(1)[0].distance > 5 * shown.ordinary


def test_of_what_somebody_is_asked_about_no_answer_is_told(office, traffic, ana):
    teach(office)
    drawn = ana.get("/map.json").json()
    assert {key: label for key, _, _, label, _ in drawn["recent"]} == {1: -1, 2: -1, 3: -1, 4: -1, 5: 0, 6: 2, 7: 1}
    assert [key for key, *_ in drawn["asked"]] == [1, 2, 3, 4]
    assert ana.get("/map/look?seqs=1,5").text.count("answer not told") == 1


def test_records_of_another_classifier_are_left_out(office, traffic):
    hang(office.state, "digits-2", rotate=1)
    traffic.load(office.state.pipeline("digits-2"))
    traffic.activate("digits-2")
    office.live("digits-2")
    traffic.infer(to_float(grey(10)))
    assert [point.key for point in Atlas().map(office.reception).recent] == [8]


def test_the_plane_stays_while_records_come(office, traffic):
    atlas = Atlas()
    before = atlas.map(office.reception)
    traffic.infer(to_float(grey(*range(0, 250, 3))))
    after = atlas.map(office.reception)
    assert after.reference == before.reference and set(before.recent) < set(after.recent)


def test_beside_neighbours_only_the_places_differ_and_the_same_points_are_not_laid_out_twice(office, traffic, monkeypatch):
    atlas = Atlas()
    plane, beside = atlas.map(office.reception), atlas.map(office.reception, "neighbours")
    told = [(point.key, point.label, point.distance) for point in plane.reference + plane.recent]
    assert [(point.key, point.label, point.distance) for point in beside.reference + beside.recent] == told
    assert beside.recent != plane.recent
    monkeypatch.setattr("agents.atlas.lay_out", lambda _latents: pytest.fail("laid out again"))
    assert atlas.map(office.reception, "neighbours") == beside


def test_beside_neighbours_like_lies_with_like(office, traffic, ana):
    drawn = ana.get("/map.json?layout=neighbours").json()
    clean = {label: np.mean([[x, y] for _, x, y, one, _ in drawn["reference"] if one == label], axis=0) for label in range(3)}
    [place] = [np.array([x, y]) for key, x, y, *_ in drawn["recent"] if key == 5]
    assert min(clean, key=lambda label: np.linalg.norm(clean[label] - place)) == 0


def test_the_page_works_without_its_script(office, traffic, ana):
    shown = ana.get("/map").text
    assert "Furthest from clean data" in shown and 'alt="record 7"' in shown
    assert ana.get("/map/image/7").headers["content-type"] == "image/png" and ana.get("/map/image/99").status_code == 404


def test_without_clean_images_there_is_no_map(office, ana):
    assert "There is no map" in ana.get("/map").text
    assert ana.get("/map.json").status_code == 404


def test_what_was_chosen_is_labelled_first_where_labels_teach(office, traffic, ana):
    teach(office)
    office.reception.answer("digits-1/audit", "expected", "ana", 1)  # only one question stays open
    look = ana.get("/map/look?seqs=5,3,4").text
    assert "Label these 2 first" in look and 'value="3,4"' in look
    ana.post("/map/first", question="digits-1/teach", seqs="3,4")
    assert 'id="image-3"' in ana.get("/question/digits-1/teach").text


def test_the_order_of_labels_that_measure_is_nobodys_choice(office, traffic, ana):
    office.ask_labels()
    look = ana.get("/map/look?seqs=3,4").text
    assert "their order was drawn at random" in look and "<form" not in look
    ana.post("/map/first", question="digits-1/audit", seqs="3,4")
    assert 'id="image-1"' in ana.get("/question/digits-1/audit").text


def test_who_watches_chooses_nothing(office, page, traffic, person):
    teach(office)
    office.reception.answer("digits-1/audit", "expected", "ana", 1)
    watching = person(token=page.access.watch_token)
    assert "<form" not in watching.get("/map/look?seqs=3").text
