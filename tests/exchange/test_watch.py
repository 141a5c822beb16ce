"""A watched folder keeps in step with a cluster, and `python -m agents.exchange` does the same by hand."""

import pytest
from typer.testing import CliRunner

from agents.exchange.__main__ import app
from agents.exchange.watch import Watch
from tests.exchange.test_folder import fill

PLACE = "digits-1/audit"


@pytest.fixture
def watch(visitor, tmp_path):
    return Watch(visitor, tmp_path)


@pytest.fixture
def call(office):
    def exchange(*words):
        result = CliRunner().invoke(app, [*words, "--state", str(office.state.folder)])
        return result.exit_code, result.stdout, result.stderr

    return exchange


def test_a_question_is_written_when_it_opens_and_handed_in_each_time_the_file_changes(office, watch, tmp_path):
    assert watch.look() == []
    office.ask_labels()
    [told] = watch.look()
    place = tmp_path / "digits-1" / "audit"
    assert "4 rows to fill in" in told and watch.look() == []
    fill(place, {12: "7"})
    assert watch.look() == [f"{place / 'labels.csv'}: 1 answer taken"] and watch.look() == []
    fill(place, {12: "7", 15: "3", 19: "4", 23: "5"})
    assert watch.look() == [f"{place / 'labels.csv'}: 3 answers taken", f"{PLACE} is closed: nothing more is needed"]
    assert office.taken == [(12, 7), (15, 3), (19, 4), (23, 5)] and "Thank you" in (place / "closed.txt").read_text()


def test_a_file_that_cannot_be_read_is_told_once_and_read_again_when_it_changes(office, watch, tmp_path):
    office.ask_labels()
    watch.look()
    file = tmp_path / "digits-1" / "audit" / "labels.csv"
    whole = file.read_text()
    file.write_text("half a")
    assert "read again when it has changed" in watch.look()[0] and watch.look() == []
    file.write_text(whole.replace("12.png,,", "12.png,7,ana"))
    assert "1 answer taken" in watch.look()[0]


def test_a_watch_that_begins_anew_takes_up_the_folder_as_it_is(office, watch, visitor, tmp_path):
    office.ask_labels()
    watch.look()
    fill(tmp_path / "digits-1" / "audit", {12: "7"})
    assert Watch(visitor, tmp_path).look()[-1].endswith("1 answer taken")
    assert not any("taken" in line for line in Watch(visitor, tmp_path).look()) and office.taken == [(12, 7)]


def test_by_hand_a_question_goes_out_and_comes_back(office, call, tmp_path):
    assert call("export", str(tmp_path / "out")) == (0, "no question about labels is open\n", "")
    office.ask_labels()
    assert "4 rows to fill in" in call("export", str(tmp_path / "out"))[1]
    fill(tmp_path / "out" / "digits-1" / "audit", {12: "7", 15: "sven"})
    code, out, err = call("import", str(tmp_path / "out"))
    assert code == 1 and "1 answer taken" in out and "column answer: 'sven' is neither a class" in err and office.taken == [(12, 7)]


def test_by_hand_tasks_of_label_studio_go_out(office, call, tmp_path):
    office.ask_labels()
    assert "4 tasks for a project" in call("export", str(tmp_path), "--label-studio", "--question", PLACE)[1]
    assert (tmp_path / "digits-1" / "audit" / "config.xml").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("export", "out", "--question", "nope"), "there is no open question 'nope' about labels; open are: digits-1/audit"),
        (("export", "out", "--predictions"), "--predictions belongs to --label-studio"),
        (("import", "."), "holds no labels.csv; write some with"),
        (("import", "nope.csv"), "nope.csv cannot be read"), (("import", "nope.json"), "nope.json cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_sentence(office, call, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    office.ask_labels()
    code, _, err = call(*words)
    assert code == 1 and sentence in err and "Traceback" not in err


def test_a_folder_whose_question_is_closed_is_left_alone(office, watch, tmp_path):
    office.ask_labels()
    watch.look()
    fill(tmp_path / "digits-1" / "audit", {12: "7", 15: "3", 19: "4", 23: "5"})
    watch.look()
    fill(tmp_path / "digits-1" / "audit", {12: "1"})
    assert watch.look() == [] and office.taken[0] == (12, 7)
