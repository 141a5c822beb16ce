"""The door to the log: says what is there, then hands it over, as it is."""

import math

import numpy as np
import pytest

from agents.doors.log import LogDoor
from agents.messages import HandOverRecords, ReadRecords, WindowObserved
from workflows.inference import CursorAhead, Images, Records, Stats


class Log:
    """As much of an inference service as the door needs: records 1..n, of which those before `oldest` were overwritten."""

    def __init__(self, versions, oldest=1):
        self.name, self.versions, self.oldest, self.asked = "log", versions, oldest, 0

    def records(self, after, limit, *, spread=False):
        self.asked += 1
        if after > len(self.versions):
            raise CursorAhead("it began anew")
        first = max(after + 1, self.oldest)
        every = max(1, math.ceil((len(self.versions) - first + 1) / limit)) if spread else 1
        seqs = np.arange(first + every - 1, len(self.versions) + 1, every)[:limit]
        lost = (after + 1, first - 1) if first > after + 1 else None
        column = seqs.astype(np.float32)[:, None]
        return Records(
            log=self.name, first=first, last=first + len(seqs) * every - 1, every=every, lost=lost, seqs=seqs, time=seqs * 1.0, version=np.array(self.versions)[seqs - 1],
            label=seqs, routed=seqs % 2 == 0, logits=np.tile(column, 10), early=column, latent=np.hstack([column, -column]),
        )  # fmt: skip

    def stats(self):
        return Stats(
            log=self.name, started=0.0, first=1, last=0, first_image=1, requests=0, rejected=0, seconds=0.0, active="first", previous=None, version="first"
        )


def read(door, after=0, limit=1024):
    [told] = door.read(ReadRecords(id=f"read-{after}", source="tracker", after=after, limit=limit))
    return told


def hand_over(door, told):
    request = HandOverRecords(id="over", source="tracker", log=told.log, first=told.first, last=told.last, pipeline=told.pipeline, lost=told.lost, every=told.every)
    [window] = door.hand_over(request)
    return window


def test_what_was_read_is_handed_over_as_it_is_and_fetched_once():
    log = Log(["first"] * 5)
    door = LogDoor(log)
    window = hand_over(door, read(door, after=2))
    assert isinstance(window, WindowObserved)
    assert (window.first, window.last, window.pipeline, window.lost, window.to) == (3, 5, "first", 0, "")
    early, latent = window.features()
    assert early.tolist() == [[3], [4], [5]]
    assert latent.tolist() == [[3, -3], [4, -4], [5, -5]]
    assert window.routed_flags().tolist() == [False, True, False]
    assert log.asked == 1


def test_a_window_ends_where_another_pipeline_began_to_answer():
    door = LogDoor(Log(["first", "first", "filter", "filter"]))
    told = read(door)
    assert (told.first, told.last, told.pipeline) == (1, 2, "first")
    assert len(hand_over(door, told).features()[0]) == 2
    told = read(door, after=told.last)
    assert (told.first, told.last, told.pipeline) == (3, 4, "filter")


def test_what_it_has_not_kept_it_reads_again():
    log = Log(["first"] * 9)
    told = read(LogDoor(log), after=5, limit=4)
    another = LogDoor(log)
    read(another, after=7)
    assert hand_over(another, told).features()[0].ravel().tolist() == [6, 7, 8, 9]
    assert log.asked == 3


def test_records_that_have_left_the_log_meanwhile_are_not_made_up():
    log = Log(["first"] * 9)
    told = read(LogDoor(log), limit=9)
    log.oldest = 3
    with pytest.raises(LookupError, match="records 1 to 9 have left the log"):
        hand_over(LogDoor(log), told)


@pytest.mark.parametrize("kept", [True, False])
def test_of_more_records_than_may_be_looked_at_every_kth_is_handed_over(kept):
    log = Log(["first"] * 21 + ["filter"] * 10)
    door = LogDoor(log)
    told = read(door, limit=10)
    assert (told.first, told.last, told.every) == (1, 20, 4)
    assert hand_over(door if kept else LogDoor(log), told).features()[0].ravel().tolist() == [4, 8, 12, 16, 20]
    told = read(door, after=told.last, limit=10)
    assert (told.first, told.last, told.every, told.pipeline) == (21, 30, 2, "filter")


def test_lost_records_are_counted_and_a_new_log_is_told_without_records():
    door = LogDoor(Log(["first"] * 9, oldest=4))
    told = read(door)
    assert (told.first, told.last, told.lost) == (4, 9, 3)
    begun = read(door, after=20)
    assert (begun.log, begun.first, begun.last) == ("log", 1, 0)


class Looks:
    """Says of images how bright they are."""

    def of(self, images):
        return images.mean((1, 2)) / 255


def test_by_how_much_pictures_look_spoiled_is_told_of_those_that_are_still_there_and_no_picture_is():
    log = Log(["first"] * 4)
    log.images = lambda seqs: Images(seqs=seqs[2:], images=np.full((len(seqs) - 2, 8, 8), 51, np.uint8))
    door = LogDoor(log, spoiled=Looks())
    window = hand_over(door, read(door))
    assert np.frombuffer(window.spoiled, np.float64).tolist() == pytest.approx([np.nan, np.nan, 0.2, 0.2], nan_ok=True)
    assert window.facts == b""
