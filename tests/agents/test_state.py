"""The state folder: one cluster at a time, and keys that only their owner can read."""

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from agents.state import FrontDoor, State, StateError

DOOR = FrontDoor("tcp://127.0.0.1:5555", "server", "public", "secret", os.getpid(), "http://127.0.0.1:8000")


def test_holding_a_folder_makes_the_places_for_what_is_kept(tmp_path):
    with State(tmp_path / "new" / "state") as state:
        assert state.pipeline("first").parent.is_dir()
        assert state.incident("digits-1").parent.is_dir()


def test_a_second_holder_is_refused_with_the_process_that_holds_it_and_what_to_do(tmp_path):
    with State(tmp_path), pytest.raises(StateError, match=rf"in use by process {os.getpid()}\. Attach to it with .*agents.console --state"), State(tmp_path):
        pass


def test_the_refused_one_does_not_disturb_the_holder(tmp_path):
    with State(tmp_path) as holder:
        holder.publish(DOOR)
        with pytest.raises(StateError), State(tmp_path):
            pass
        with pytest.raises(StateError, match=str(os.getpid())), State(tmp_path):
            pass
        assert holder.front_door() == DOOR


def test_a_folder_that_was_left_can_be_held_again(tmp_path):
    for _ in range(2):
        with State(tmp_path) as state:
            assert state.folder == tmp_path.resolve()


@pytest.mark.parametrize("place", ["README.md", "README.md/state", "old"])
def test_a_file_in_place_of_the_folder_or_a_part_of_it_is_refused_in_a_sentence(tmp_path, place):
    (tmp_path / "README.md").write_text("a file")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "pipelines").write_text("a file")
    with pytest.raises(StateError, match=rf"{place} cannot be the state folder: .* is a file, not a folder\. Name another one with --state"), State(tmp_path / place):
        pass
    assert (tmp_path / "README.md").read_text() == "a file"


def test_a_folder_that_cannot_be_made_is_refused_with_the_reason():
    with pytest.raises(StateError, match=r"/proc/state cannot be the state folder: it cannot be written \(.+\)\. Name another one with --state"), State(Path("/proc/state")):
        pass


def test_a_folder_that_is_there_and_cannot_be_written_is_refused_and_not_held(tmp_path, monkeypatch):
    with State(tmp_path):
        pass

    def read_only(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", read_only)
        with pytest.raises(StateError, match=r"it cannot be written \(Read-only file system\)"), State(tmp_path):
            pass
    with State(tmp_path):
        pass


def test_the_front_door_is_readable_by_its_owner_only(tmp_path):
    with State(tmp_path) as state:
        state.publish(DOOR)
        assert stat.S_IMODE(state.front_door_file.stat().st_mode) == 0o600
        assert state.front_door() == DOOR


def test_a_front_door_is_written_anew_even_where_an_open_one_was_left(tmp_path):
    with State(tmp_path) as state:
        state.front_door_file.write_text("{}")
        state.front_door_file.chmod(0o644)
        state.publish(DOOR)
        assert stat.S_IMODE(state.front_door_file.stat().st_mode) == 0o600


def test_who_leaves_takes_the_front_door_along(tmp_path):
    with State(tmp_path) as state:
        state.publish(DOOR)
    with pytest.raises(StateError, match=r"no cluster runs on .*agents.cluster --state"):
        State(tmp_path).front_door()
