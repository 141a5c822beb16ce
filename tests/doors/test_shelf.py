"""Pipelines by name: what one descends from, and what going over to it would lose."""

import pytest

from agents.doors.shelf import Shelf
from agents.doors.workshop import Workshop
from agents.messages import PrepareRemedy
from agents.state import State
from models.pipeline import PipelineError
from tests.serving.tiny import write_pipeline
from workflows.tracking import MemoryTracking

GATED = dict(remedy="filter", gate_threshold=0.7)


@pytest.fixture
def state(tmp_path):
    """A first pipeline; `a` and `b` were each made from it and have a route, `ab` was made from `a`; `new` from `a` by a retraining."""
    with State(tmp_path) as held:
        pipelines = (("first", None, {}), ("a", "first", GATED), ("b", "first", GATED), ("ab", "a", GATED), ("new", "a", {}))
        for name, parent, remedy in pipelines:
            write_pipeline(held.pipeline(name), name, version=name, parent=parent, **remedy)
        yield held


def test_the_base_is_what_is_left_without_any_route(state):
    shelf = Shelf(state)
    assert [shelf.base(name) for name in ("first", "a", "ab", "new")] == ["first", "first", "first", "new"]


@pytest.mark.parametrize(
    ("name", "live", "lost"),
    [("a", "first", False), ("ab", "a", False), ("a", "a", False), ("b", "a", True), ("a", "ab", True), ("first", "a", True), ("b", "new", False)],
)
def test_a_pipeline_that_was_not_made_from_the_live_one_would_lose_its_routes(state, name, live, lost):
    assert Shelf(state).forgets(name, live) == lost


def test_what_would_forget_a_drift_that_is_served_is_not_used_again(state):
    workshop = Workshop(None, Shelf(state), MemoryTracking(), dataset="digits", root=None, model="digits")
    again = PrepareRemedy(
        id="1", time=0.0, source="improver", deployment="digits", remedy="reuse", base="a", pipeline="b", window="", teaching=(), seed=0, deadline=1.0,
    )  # fmt: skip
    with pytest.raises(PipelineError, match="b lacks the routes of a: it would forget drifts that a serves"):
        workshop(again)
