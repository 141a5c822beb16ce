"""What sensors and audits are told of the newest records; with a real pipeline it is tried in tests/loop."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from agents.doors.looks import ENOUGH, Looks, NothingToLookAtError
from agents.messages import DrawAudit, LookAtRecords
from tests.doors.test_log_door import Log


class Served(Log):
    """A log that knows its newest record and keeps the newest two images."""

    def stats(self):
        return msgspec.structs.replace(super().stats(), last=len(self.versions))

    def images(self, seqs):
        return SimpleNamespace(seqs=seqs[-2:], images=np.zeros((2, 4, 4), np.uint8))


def looks(versions):
    return Looks(Served(versions), SimpleNamespace(reference=lambda name: f"{name}.npz"), None)


def look(versions, count=1000, reads=("routed", "confidence")):
    [told] = looks(versions).look(LookAtRecords(id="look", source="tracker", sensor="pulse", reads=reads, count=count, at=0.0, record=0))
    return told


def test_it_tells_what_was_asked_of_so_many_newest_records():
    told = look(["first"] * 100, count=50)
    assert (told.sensor, told.records, told.to, told.cause) == ("pulse", 50, "tracker", "look")
    assert told.values == {"routed": 0.5, "confidence": pytest.approx(0.1)}
    assert look(["first"] * 100, reads=("routed",)).values == {"routed": 0.5}


def test_records_that_another_pipeline_answered_say_nothing_of_the_live_one():
    assert look(["first"] * 60 + ["filter"] * 40).records == 40


@pytest.mark.parametrize("versions", [[], ["first"] * (ENOUGH - 1), ["first"] * 90 + ["filter"] * (ENOUGH - 1)])
def test_what_a_few_records_look_like_is_chance_so_it_is_not_told(versions):
    with pytest.raises(NothingToLookAtError, match=f"records of the live pipeline are in the log, {ENOUGH} are needed"):
        look(versions)


def test_an_audit_of_more_images_than_are_kept_says_what_to_do():
    with pytest.raises(NothingToLookAtError, match="2 images are in the ring, 5 are to be drawn; enlarge the image ring"):
        looks(["first"] * 100).draw(DrawAudit(id="draw", source="checker", incident="digits-audit-1", labels=5, count=50, seed=1))
