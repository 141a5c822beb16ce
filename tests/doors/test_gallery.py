"""The gallery: clean images near a drifted one, and what filters make of it."""

import numpy as np
import pytest

from agents.state import State
from tests.web.clean import clean_images, hang


@pytest.fixture
def place(state):
    with State(state) as held:
        yield held


def grey(value):
    return np.full((28, 28), value, np.uint8)


def test_the_nearest_clean_images_come_first_with_their_classes(place):
    found = hang(place).neighbours("digits-first", grey(230), 5)
    assert [one.name for one in found] == ["bright"] * 5
    distances = [one.distance for one in found]
    assert distances == sorted(distances) and abs(int(found[0].image[0, 0]) - 230) <= 2


def test_a_neighbour_is_found_again_by_its_place(place):
    gallery = hang(place)
    (first, *_) = gallery.neighbours("digits-first", grey(20))
    assert first.name == "dark" and np.array_equal(gallery.clean("digits-first", first.row), first.image)
    assert gallery.clean("digits-first", 60) is None and gallery.clean("digits-first", -1) is None


def test_a_filter_is_tried_on_an_image_and_where_there_is_none_nothing_is_said(place):
    gallery = hang(place)
    hang(place, "digits-1-filter", remedy="filter", gate_threshold=0.5)
    hang(place, "digits-1-adapted", remedy="adapted", gate_threshold=0.5)
    assert np.array_equal(gallery.filtered("digits-1-filter", grey(55)), grey(200))  # the tiny filter inverts
    assert gallery.filtered("digits-first", grey(55)) is None and gallery.filtered("digits-1-adapted", grey(55)) is None


def test_of_pipelines_that_are_not_there_nothing_is_shown(place):
    gallery = hang(place)
    assert gallery.neighbours("gone", grey(9)) == () and gallery.filtered("gone", grey(9)) is None and gallery.clean("gone", 0) is None


def test_clean_data_that_the_reference_was_not_made_of_are_not_shown(place):
    gallery = hang(place)
    images, labels = clean_images()
    np.savez(place.folder / "data" / "tiny" / "train.npz", images=images, labels=(labels + 1) % 3)
    assert gallery.neighbours("digits-first", grey(9)) == ()


def test_where_the_data_are_gone_there_is_no_gallery(place):
    gallery = hang(place)
    (place.folder / "data" / "tiny" / "train.npz").unlink()
    assert gallery.neighbours("digits-first", grey(9)) == ()


def test_rows_of_a_table_have_no_pictures(place):
    assert hang(place).neighbours("digits-first", np.zeros(4, np.float32)) == ()


def test_what_is_shown_of_a_reference_is_what_training_has_drawn():
    from models.networks.classifier import Classifier
    from models.reference import FIT_SAMPLES, drawn
    from models.training import make_reference
    from scenarios.datasets import load

    data, held = load("digits", "train"), load("digits", "calibration")
    reference = make_reference(Classifier(1, 10, 28).eval(), (data.images, data.labels), (held.images, held.labels))
    assert np.array_equal(reference.fit_labels, data.labels[drawn(np.random.default_rng(0), len(data), FIT_SAMPLES)])
