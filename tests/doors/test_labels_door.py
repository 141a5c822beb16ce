"""True labels that come late find their records, as far as the log still has them."""

import numpy as np
import pytest

from agents.doors.labels import CHUNK, LabelDoor
from agents.doors.log import LogDoor
from agents.doors.slices import SliceBook
from agents.messages import JoinLabels
from tests.doors.test_log_door import Log, hand_over, read
from workflows.inference import Images


def join(log, labels, **more):
    [told] = LabelDoor(log, SliceBook())(JoinLabels(id="join", source="console", labels=labels, **more))
    return told


def numbers(data):
    return np.frombuffer(data, np.int64).tolist()


def test_labels_are_joined_with_what_was_answered_by_which_pipeline():
    told = join(Log(["first", "first", "filter"]), {3: 8, 1: 5}, slices={"site": {3: "north"}})
    assert (numbers(told.seqs), numbers(told.labels), numbers(told.truth)) == ([1, 3], [1, 3], [5, 8])
    assert (told.pipelines, told.slices, told.lost, told.to) == (("first", "filter"), {"site": ("", "north")}, 0, "")
    assert np.frombuffer(told.latent, np.float32).reshape(2, -1).tolist() == [[1, -1], [3, -3]]


def test_labels_of_records_that_have_left_the_log_or_never_came_are_counted_as_lost():
    told = join(Log(["first"] * 9, oldest=4), {2: 0, 5: 1, 40: 2})
    assert (numbers(told.seqs), told.lost) == ([5], 2)


def test_labels_far_apart_are_found_without_reading_all_between():
    log = Log(["first"] * 5 * CHUNK)
    told = join(log, {1: 0, 5 * CHUNK: 1})
    assert numbers(told.seqs) == [1, 5 * CHUNK]
    assert log.asked == 2


def test_where_no_record_is_found_it_says_what_to_do():
    with pytest.raises(LookupError, match="check their numbers, or enlarge the log"):
        join(Log(["first"] * 3), {70: 1})


def test_labels_of_a_file_that_counts_classes_from_1_are_refused_and_none_is_counted():
    with pytest.raises(ValueError, match=r"labels are 1 to 10, the model's classes 0 to 9: none was counted; does the file count from 1\?"):
        join(Log(["first"] * 3), {1: 1, 2: 10})


def test_facts_of_pictures_are_handed_over_where_a_check_asks_and_the_pictures_are_not():
    log = Log(["first"] * 4)
    log.images = lambda seqs: Images(seqs[1:], np.stack([np.full((2, 2), seq, np.uint8) for seq in seqs[1:]]))
    door = LogDoor(log, answers=True, facts=True)
    window = hand_over(door, read(door))
    facts = np.frombuffer(window.facts, np.float64).reshape(4, 4)
    assert np.isnan(facts[0]).all(), "its image had left the ring"
    assert facts[1:, 1:].tolist() == [[2, 2, 0], [3, 3, 0], [4, 4, 0]]
    assert numbers(window.labels) == [1, 2, 3, 4]
    assert window.refused == 0


def test_where_no_image_of_the_window_is_in_the_ring_any_more_its_records_are_handed_over_all_the_same():
    log = Log(["first"] * 4)
    log.images = lambda seqs: Images(seqs[:0], np.zeros((0, 2, 2), np.uint8))
    door = LogDoor(log, answers=True, facts=True)
    window = hand_over(door, read(door))
    assert np.isnan(np.frombuffer(window.facts, np.float64)).all()
    assert numbers(window.labels) == [1, 2, 3, 4]
