"""To which slice of the traffic records belong: as the house tells it, in one life of the log."""

import numpy as np

from agents.doors import slices
from agents.doors.labels import LabelDoor
from agents.doors.slices import SliceBook
from agents.messages import JoinLabels
from models.weaknesses.bias import parts
from models.weaknesses.synthetic import labelled, labelled_reference
from tests.doors.test_log_door import Log

SEQS = np.array([1, 2, 3])


class Counted(Log):
    def stats(self):
        return type("Stats", (), {"log": self.records(0, 1).log})


def test_an_attribute_that_is_told_before_the_label_is_joined_with_it():
    log, book = Counted(["first"] * 3), SliceBook()
    door = LabelDoor(log, book)
    [nothing] = door(JoinLabels(id="sites", source="house", slices={"site": {1: "north", 2: "south"}}))
    assert nothing.pipelines == ()
    [told] = door(JoinLabels(id="labels", source="house", labels={1: 4, 2: 5, 3: 6}))
    assert told.slices == {"site": ("north", "south", "")}
    assert book.is_labelled(log.records(0, 1).log, SEQS).all()


def test_a_record_of_which_nobody_has_told_the_site_is_neither_in_the_slice_nor_outside_of_it():
    book = SliceBook()
    book.note("log", {"site": {1: "north", 2: "south", 3: ""}})
    inside, known = book.rows("site=south", "log", SEQS)
    assert (inside.tolist(), known.tolist()) == ([False, True, False], [True, True, False])
    assert book.newest("site", "log") == 2


def test_what_was_told_of_a_log_that_is_gone_says_nothing_of_the_new_one():
    book = SliceBook()
    book.note("log", {"site": {1: "north"}}, labelled=[1])
    assert not book.rows("site=north", "next log", SEQS)[0].any()
    book.note("next log", {"site": {2: "north"}})
    assert book.rows("site=north", "next log", SEQS)[0].tolist() == [False, True, False]
    assert not book.is_labelled("next log", SEQS).any()


def test_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(slices, "MOST", 2)
    book = SliceBook()
    book.note("log", {"site": dict.fromkeys((1, 2, 3), "north")}, labelled=[1, 2, 3])
    assert book.rows("site=north", "log", SEQS)[0].tolist() == [False, True, True] == book.is_labelled("log", SEQS).tolist()


def test_a_slice_that_was_found_in_latent_space_needs_nobody_s_word():
    reference, records = labelled_reference(), labelled(200, seed=1)
    name, _ = parts(reference.standard_latent(reference.fit_latent), reference.fit_labels, 8)[3]
    inside, known = SliceBook(8).rows(f"looks={name}", "log", records.seqs, records.latent, reference)
    assert known.all() and 0 < inside.sum() < 100
    assert not SliceBook(8).rows(f"looks={name}", "log", records.seqs)[1].any()
