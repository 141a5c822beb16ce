"""Every message survives the wire, and the same cause gives the same id."""

import typing

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.messages import KINDS, Draw, Elsewhere, Finding, IncidentClosed, Label, Likeness, Message, Remedy, Request, Tick, WindowObserved, decode, derived_id, encode
from tests.agents.helpers import records

SAMPLES = {
    str: "text", int | None: 5, int: 7, float: 0.25, bool: True, bytes: b"\x00\xff", tuple[int, ...]: (3, 1), tuple[str, ...]: ("a", "b"), tuple[float, float]: (0.1, 0.9),
    tuple[int, int]: (16, 64), dict[int, int]: {3: 1}, dict[str, typing.Any]: {"labels": {"harm": 6}}, dict[str, str]: {"filter": "no room"}, dict[str, float]: {"model differs": 0.4},
    Label: Label(3, None, "ann"), Likeness | None: Likeness("fog", 3.0, 1.0, 0.98, "fog"), tuple[Label, ...]: (Label(1, -1), Label(2, 0, "ann")), tuple[Draw, ...]: (Draw(5, (0, 3), 0.5, "model differs", {"first": 1}),),
    float | None: 0.5, Elsewhere | None: Elsewhere(9, {"model differs": 0.2}, (), {}), tuple[float, float] | None: (0.1, 0.2), tuple[str, ...] | None: ("harden",), dict[str, bytes]: {"decay": b"\x01"}, dict[str, dict[int, str]]: {"site": {3: "north"}},
    dict[str, tuple[str, ...]]: {"site": ("north", "south")}, Finding | None: Finding("decay", "decay", "less right", 20.0, 11.5, "look", ("retrain",), 0.8, (0.7, 0.9)),
    tuple[Remedy, ...]: (Remedy("filter", "f", 0.9, (0.8, 1.0), 0.2, (0.1, 0.3), 2.5, 0.99, 0.0, 0.001, 3.0, 20),),
}  # fmt: skip


CAUSES = ("a", "b", "measured-1", "measured-11")


def example(kind: type[Message]) -> Message:
    """A message of a kind with something in every field."""
    hints = typing.get_type_hints(kind)
    return kind(**{field.name: SAMPLES[hints[field.name]] for field in msgspec.structs.fields(kind)})


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_comes_back_from_the_wire_as_it_was(kind):
    message = example(kind)
    assert decode(encode(message)) == message
    assert type(decode(encode(message))) is kind


def test_bytes_that_are_no_message_of_ours_are_refused():
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode({"type": "Nonsense", "id": "a"}))
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.msgpack.encode({"type": "IncidentClosed", "id": "a"}))


def test_a_message_cannot_be_changed_after_it_was_said():
    with pytest.raises(AttributeError):
        IncidentClosed(id="a", outcome="verified", reason="").outcome = "undone"


@given(st.sampled_from(CAUSES), st.sampled_from(CAUSES))
def test_the_same_cause_gives_the_same_id_and_another_cause_another_one(cause, other):
    assert derived_id("planner", cause, "DeployPipeline") == derived_id("planner", cause, "DeployPipeline")
    assert (derived_id("planner", cause, "DeployPipeline") == derived_id("planner", other, "DeployPipeline")) == (cause == other)


def test_an_id_depends_on_who_says_what_about_which_key():
    ids = {derived_id(source, "m", kind, key) for source in ("planner", "checker") for kind in ("A", "B") for key in ("", "x")}
    assert len(ids) == 8


def test_features_come_back_in_their_shapes():
    read = WindowObserved(
        id="r", first=1, last=2, early=np.arange(6, dtype=np.float32).tobytes(), latent=np.arange(4, dtype=np.float32).tobytes(), routed=b"\x00\x01", widths=(3, 2)
    )
    early, latent = read.features()
    assert early.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert latent.tolist() == [[0, 1], [2, 3]]
    assert read.routed_flags().tolist() == [False, True]


def test_only_heartbeat_and_bulk_stay_out_of_the_ledger():
    transient = {name for name, kind in KINDS.items() if kind.transient}
    assert transient == {"Tick", "ReadRecords", "RecordsRead", "HandOverRecords", "WindowObserved", "EvidenceUpdated"}
    assert records(1, 3).transient
    assert Tick(id="t").transient


def test_every_request_has_a_deadline():
    assert all(kind.__struct_defaults__ is not None and example(kind).deadline > 0 for kind in KINDS.values() if issubclass(kind, Request))
