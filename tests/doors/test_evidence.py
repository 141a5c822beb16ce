"""What an incident rests on outlasts the ring of images."""

import numpy as np
import pytest

from agents.doors.evidence import Evidence
from agents.state import State
from workflows.steps.window import Window


def window(*seqs):
    n = len(seqs)
    rows = np.zeros((n, 2), np.float32)
    images = np.full((n, 4, 4), 0, np.uint8) + np.array(seqs, np.uint8)[:, None, None]
    return Window(np.array(seqs, np.int64), images, rows, rows, rows, np.zeros(n, np.int64))


def test_images_are_found_in_whichever_window_of_the_incident_holds_them(tmp_path):
    with State(tmp_path) as state:
        evidence = Evidence(state)
        evidence.keep("digits-1", "window", window(3, 5))
        evidence.keep("digits-1", "compared-after-5", window(7, 9))
        evidence.keep("digits-2", "window", window(11))
        found = evidence.images("digits-1", [9, 3, 11])
    assert sorted(found) == [3, 9]
    assert (found[9] == 9).all() and (found[3] == 3).all()


def test_looking_for_images_leaves_nothing_behind(tmp_path):
    with State(tmp_path) as state:
        assert Evidence(state).images("digits-1", [3]) == {}
        assert not state.incident("digits-1").exists()


def test_positions_follow_the_sequence_numbers_and_not_their_order():
    assert window(8, 2, 5).positions(np.array([5, 8])).tolist() == [2, 0]


def test_a_record_that_the_window_does_not_hold_is_named():
    with pytest.raises(KeyError, match=r"records \[6\] are not part"):
        window(8, 2, 5).positions(np.array([5, 6]))


def test_a_window_comes_back_from_disk_as_it_was(tmp_path):
    kept = window(1, 2)
    kept.save(tmp_path / "w.npz")
    back = Window.load(tmp_path / "w.npz")
    assert all(np.array_equal(getattr(back, name), getattr(kept, name)) for name in Window.__struct_fields__)
