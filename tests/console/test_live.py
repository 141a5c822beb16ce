import json

import pytest
from typer.testing import CliRunner

from agents.console import app
from agents.live import LiveError, live, read_time
from workflows.tracking import MemoryTracking, MlflowTracking

NOON = 1_774_958_400.0  # 2026-03-31 12:00 UTC


@pytest.fixture
def tracking():
    made = MemoryTracking()
    made.live_changed("mnist", "1", "first", "started", None, NOON)
    made.live_changed("mnist", "2", "filter", "filter for incident-7, provisional", "incident-7", NOON + 3600, "ada")
    made.live_changed("mnist", "1", "first", "undo: fresh records did not show that it helps", "incident-7", NOON + 7200)
    return made


@pytest.fixture
def ask(tracking):
    return lambda *words, at="", as_json=False: live(words, at, lambda: tracking, NOON, as_json=as_json)


def test_it_is_told_what_was_live_at_a_time_and_why(ask):
    told = "\n".join(ask("mnist", at="2026-03-31T13:30"))
    for part in ("pipeline    filter", "version     2", "2026-03-31 13:00:00 UTC", "2026-03-31 14:00:00 UTC", "filter for incident-7", "approved by ada", "before      first"):
        assert part in told
    assert "nobody was asked" in "\n".join(ask("mnist", at="12:30")) and "incident    none" in "\n".join(ask("mnist", at="12:30"))
    assert "until       now" in "\n".join(ask("mnist", at=str(NOON + 9000)))


def test_at_the_very_moment_of_a_change_the_new_one_is_live(ask):
    assert "pipeline    filter" in "\n".join(ask("mnist", at="2026-03-31T13:00:00Z"))


def test_without_a_time_all_that_ever_was_live_is_told(ask):
    assert [line.split("  ")[1] for line in ask("mnist") if not line.startswith(" ")] == ["first (version 1)", "filter (version 2)", "first (version 1)"]


def test_json_says_the_same(ask):
    one = json.loads(ask("mnist", at="13:30", as_json=True)[0])
    assert one == {"deployment": "mnist", "pipeline": "filter", "version": "2", "reason": "filter for incident-7, provisional", "incident": "incident-7",
                   "by": "ada", "since": NOON + 3600, "until": NOON + 7200}  # fmt: skip
    assert [change["pipeline"] for change in json.loads(ask("mnist", as_json=True)[0])] == ["first", "filter", "first"]


@pytest.mark.parametrize(("words", "at", "taught"), [
    (["mnits"], "", "did you mean 'mnist'"), (["mnist"], "yesterday", "'yesterday' is no time; write 2026-03-31"), (["mnist"], "2026-03-31T11:59", "on record since 2026-03-31 12:00"),
    ([], "", "usage: live DEPLOYMENT"), (["a", "b"], "", "usage: live DEPLOYMENT"), (["mnist"], "25:00", "is no time"),
    (["mnist"], "1774958400000", "not milliseconds"), (["mnist"], "9" * 400, "not milliseconds"), (["mnist"], "0001-01-01T00:00+02:00", "beyond the years"),
])
def test_what_cannot_be_told_is_answered_with_what_can_be_asked(ask, words, at, taught):
    with pytest.raises(LiveError, match=taught):
        ask(*words, at=at)


@pytest.mark.parametrize(("text", "seconds"), [("2026-03-31", NOON - 43200), ("20260331", NOON - 43200), ("2026-03-31 14:00+02:00", NOON), ("9:05", NOON - 10500), (f"{NOON:.0f}", NOON)])
def test_times_are_read_as_people_write_them(text, seconds):
    assert read_time(text, NOON) == seconds


def test_a_folder_without_a_record_is_refused_before_anything_is_made(tmp_path):
    done = CliRunner().invoke(app, ["live", "mnist", "--state", str(tmp_path)])
    assert done.exit_code == 1 and "no cluster has run there" in done.stderr and list(tmp_path.iterdir()) == []


def test_a_time_without_live_is_refused(tmp_path):
    done = CliRunner().invoke(app, ["status", "--at", "12:00", "--state", str(tmp_path)])
    assert done.exit_code == 1 and "belongs to `live DEPLOYMENT`" in done.stderr


@pytest.mark.slow
def test_the_command_answers_from_mlflow_without_a_cluster(tmp_path):
    MlflowTracking(tmp_path).live_changed("mnist", "2", "filter", "filter for incident-7, provisional", "incident-7", NOON, "ada")
    done = CliRunner().invoke(app, ["live", "mnist", "--at", "2026-04-01", "--state", str(tmp_path)])
    assert done.exit_code == 0 and "approved by ada" in done.stdout and "incident-7" in done.stdout
    done = CliRunner().invoke(app, ["live", "mnits", "--state", str(tmp_path)])
    assert done.exit_code == 1 and "did you mean 'mnist'" in done.stderr
