"""Without a terminal: commands in, lines out."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from agents.messages import JoinLabels, Paused, PolicySet, Resumed, UndoAsked
from agents.commands import COMMANDS, JSON, CommandError, Commands
from agents.console import app, converse
from agents.policy import Policy
from agents.roll import Seat
from agents.state import State
from workflows.serving.wire import RemoteError, WireError


@pytest.fixture
def commands(visitor):
    return Commands(visitor, "ana")


def call(office, *words):
    return CliRunner().invoke(app, ["--state", str(office.state.folder), "--name", "ana", *words])


def test_a_script_labels_line_by_line(office, commands):
    office.ask_labels()
    out, err = io.StringIO(), io.StringIO()
    script = ["# the first two", "label 12 7", "", "label 15 none of these", "label 19 skip", "label 23 0", "quit", "status"]
    assert converse(commands, script, out, err) == 0
    assert office.taken == [(12, 7), (15, -1), (19, None), (23, 0)] and office.closed == {"digits-1/audit": "answered"}
    assert "7 for record 12: taken" in out.getvalue() and "deployment" not in out.getvalue() and not err.getvalue()


def test_a_failed_line_is_told_and_the_next_one_is_carried_out(office, commands):
    office.ask_labels()
    out, err = io.StringIO(), io.StringIO()
    assert converse(commands, ["label 12 eleven", "label 12 7", "story digits-9"], out, err) == 1
    assert "'eleven' is neither a class" in err.getvalue() and "no incident 'digits-9'; known: digits-1" in err.getvalue()
    assert office.taken == [(12, 7)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("storry", "did you mean story?"), ("frobnicate", "`help` lists all"), ("label", "needs a terminal"), ("label 12", "usage: label"),
        ("label twelve 7", "is no record number"), ("label 99 7", "nobody asks about record 99; open are 12 15 19 23"),
        ("approve", "no choice is open"), ("choose", "usage: choose"), ("status now", "takes nothing after it"), ("undo --json", "has no --json"),
        ("show 99", "not kept"), ("amend 12", "usage: amend"), ("amend 99 7", "no open question is about record 99"), ("story a b", "usage: story"),
    ],
)  # fmt: skip
def test_errors_say_what_to_type(office, commands, line, says):
    office.ask_labels()
    with pytest.raises(CommandError) as error:
        commands.run(line)
    assert says in str(error.value)


def test_a_second_answer_is_refused_with_the_first_one(office, commands):
    office.ask_labels()
    commands.run("label 12 7")
    with pytest.raises(CommandError, match="record 12 has an answer already: 7"):
        commands.run("label 12 3")


def test_an_answer_is_put_right_while_its_question_is_open(office, commands):
    office.ask_labels()
    commands.run("label 12 7")
    assert commands.run("amend 12 1") == ["1 for record 12, in place of 7: taken"]
    assert office.board.question("digits-1/audit").answers == {12: "1"}
    assert "ana has amended the answer about record 12" in [text for _, _, text in office.board.events(0)]


def test_what_was_used_cannot_be_amended(office, commands):
    office.ask_labels()
    for seq in (12, 15, 19, 23):
        commands.run(f"label {seq} 7")
    with pytest.raises(CommandError, match="until its question closes, then it has been used"):
        commands.run("amend 12 1")


def test_labels_without_a_question(commands):
    with pytest.raises(CommandError, match="no question for labels is open"):
        commands.run("label 12 7")


@pytest.mark.parametrize(("line", "option"), [
    ("approve", "approve"), ("decline", "decline"), ("choose fine_tune", "fine_tune"), ("choose fine tune", "fine_tune"), ("choose Fine-tune", "fine_tune"),
])
def test_choices_by_word(office, commands, line, option):
    office.ask_choice()
    assert commands.run(line) == [f"{option} for digits-1/approve: taken"]
    assert office.board.questions() == []


def test_a_choice_that_is_not_offered(office, commands):
    office.ask_choice()
    with pytest.raises(CommandError, match="refused: 'retrain' is not one of approve, fine_tune, decline"):
        commands.run("choose retrain")


def test_images_are_shown_side_by_side_and_no_taller_than_the_half_of_a_terminal(office, commands, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "200")
    office.ask_labels()
    one, two, three = commands.run("show 12"), commands.run("show 12 15"), commands.run("show 12 15 19")
    assert len(one) == len(two) == 15 and one[-1].split() == ["record", "12"]
    assert two[-1].split() == ["record", "12", "record", "15"]
    assert len(three) == 13 and max(map(len, three)) <= 80, "each is smaller, so that all stand in one row"
    with pytest.raises(CommandError, match="record 99 is not kept"):
        commands.run("show 12 99")


def test_an_image_that_is_shown_leaves_room_in_a_small_terminal(office, commands, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    office.ask_labels()
    monkeypatch.setenv("LINES", "12")
    assert len(commands.run("show 12")) == 9, "8 of 12 rows, and its name"
    monkeypatch.setenv("LINES", "2")
    assert commands.run("show 12")[-1].split() == ["record", "12"]


def test_undo_reaches_the_planner(office, commands):
    assert commands.run("undo") == ["the pipeline before comes back; `status` says when it is live"]
    assert next(message for message in office.messages if isinstance(message, UndoAsked)).by == "ana"


def test_an_undo_that_is_refused_says_why(office, commands):
    office.undoable = False
    with pytest.raises(CommandError, match="not undone: there is no pipeline before the live one"):
        commands.run("undo")


def test_every_command_that_is_listed_can_be_run(office, commands):
    office.ask_labels()
    rules_in_force(office)
    for verb in [one for one in COMMANDS if one not in {"label", "amend", "labels", "ask", "show", "approve", "decline", "choose", "use"}]:
        assert isinstance(commands.run(verb), list)
    assert len(commands.run("show 12")) >= 14


def test_the_console_s_page_tells_of_every_command_and_which_answer_in_json():
    rows = re.findall(r"^\| (`.*?) \|.*\| (yes)? ?\|$", (Path(__file__).parents[2] / "docs/console.md").read_text(), re.MULTILINE)
    told = {word: bool(json) for first, json in rows for word in re.findall(r"`(\w+)", first)}
    assert {verb: verb in JSON for verb in COMMANDS} == {verb: told.get(verb) for verb in COMMANDS}


def test_remedies_are_paused_with_who_and_why_and_resumed(office, commands):
    assert "until `resume`" in commands.run("pause the line is being rebuilt")[0]
    status = "\n".join(commands.run("status"))
    assert "PAUSED by ana" in status and "(the line is being rebuilt)" in status
    told = [message for message in office.messages if isinstance(message, Paused | Resumed)]
    assert [(one.by, getattr(one, "reason", "")) for one in told] == [("ana", "the line is being rebuilt")]
    with pytest.raises(CommandError, match="not paused: they are paused already, by ana"):
        commands.run("pause")
    assert commands.run("resume") == ["remedies go on"] and "PAUSED" not in "\n".join(commands.run("status"))
    with pytest.raises(CommandError, match="not resumed: they are not paused"):
        commands.run("resume")


def test_a_program_pauses_and_is_told_how_it_is_now(office):
    told = json.loads(call(office, "pause", "--json").stdout)
    assert (told["paused_by"], told["paused_reason"]) == ("ana", "") and told["paused_at"] > 0
    assert json.loads(call(office, "resume", "--json").stdout)["paused_by"] == ""


def rules_in_force(office, **sections):
    policy = msgspec.to_builtins(Policy())
    office.say(PolicySet, "system", "", policy=policy | {name: {**policy[name], **keys} for name, keys in sections.items()})


def test_the_rules_in_force_are_printed_and_what_differs_from_the_defaults_is_marked(office, commands):
    rules_in_force(office, labels={"harm": 9}, checks={"decay": {"level": 0.9}})
    lines = commands.run("policy")
    assert "* harm = 9    (default 6)" in lines and "  verify = 10" in lines and "[approval]" in lines
    assert "* decay = { level = 0.9 }    (off by default)" in lines
    assert sum(line.startswith("*") for line in lines) == 2


def test_one_section_of_the_policy(office, commands):
    rules_in_force(office, labels={"harm": 9})
    assert commands.run("policy labels")[0] == "[labels]" and not any("approval" in line for line in commands.run("policy labels"))
    with pytest.raises(CommandError, match="no section 'lables'; did you mean 'labels'"):
        commands.run("policy lables")
    [harm] = [rule for rule in json.loads(call(office, "policy", "labels", "--json").stdout) if rule["key"] == "harm"]
    assert (harm["value"], harm["default"]) == (9, 6)


def test_a_policy_that_is_not_on_record_yet(commands):
    with pytest.raises(RemoteError, match="no policy is on record yet"):
        commands.run("policy")


def test_agents_with_what_they_are_at_and_what_they_could_not_handle(office, commands):
    office.seats = [
        Seat("checker", "auditing", "LabelGiven", 7.0, 12, "CloseQuestion", 8.0, 3),
        Seat("planner", "watching", failed=1, failure="UndoAsked: KeyError: 'x'"),
    ]
    lines = commands.run("agents")
    assert lines[0] == "checker      auditing"
    assert "heard LabelGiven at" in lines[1] and "(12); said CloseQuestion at" in lines[1]
    assert "heard nothing; said nothing" in lines[3] and "FAILED 1 time, last UndoAsked: KeyError: 'x'" in lines[4]
    assert json.loads(call(office, "agents", "--json").stdout)[0]["heard_count"] == 12


def test_one_command_on_the_command_line(office):
    result = call(office, "status")
    assert result.exit_code == 0 and "digits-first" in result.stdout
    assert "digits-1 opened" in call(office, "story", "digits-1").stdout


def test_json_for_programs(office):
    office.ask_labels()
    assert json.loads(call(office, "status", "--json").stdout)["pipeline"] == "digits-first"
    assert json.loads(call(office, "--json", "questions").stdout)[0]["items"] == [12, 15, 19, 23]
    assert json.loads(call(office, "incidents", "--json").stdout)[0]["incident"] == "digits-1"
    assert "digits-1 opened" in json.loads(call(office, "story", "--json").stdout)[0]


def test_commands_come_from_a_pipe(office):
    office.ask_labels()
    result = CliRunner().invoke(app, ["--state", str(office.state.folder), "--name", "pipe"], input="label 12 7\nquestions\n")
    assert result.exit_code == 0 and office.taken == [(12, 7)] and "3 of 4 labels missing" in result.stdout


def test_no_cluster_is_one_sentence(tmp_path):
    result = CliRunner().invoke(app, ["--state", str(tmp_path), "status"])
    assert result.exit_code == 1 and "no cluster runs on" in result.stderr and "python -m agents.cluster --state" in result.stderr
    assert "Traceback" not in result.output


def test_a_cluster_that_was_killed_is_found_out_at_once(office):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    State(office.state.folder).publish(msgspec.structs.replace(office.state.front_door(), pid=pid))
    result = call(office, "status")
    assert result.exit_code == 1 and f"(process {pid}) ended without a word" in result.stderr


def test_a_cluster_that_goes_away_ends_a_script(office, visitor, commands):
    office._front.close()
    visitor._wire.timeout = 0.05
    with pytest.raises(WireError, match="gave no reply"):
        converse(commands, ["status"], io.StringIO(), io.StringIO())


def test_help_needs_no_cluster(tmp_path):
    result = CliRunner().invoke(app, ["--state", str(tmp_path), "help"])
    assert result.exit_code == 0 and all(command.usage in result.stdout for command in COMMANDS.values())


def test_true_labels_that_have_come_late_are_handed_in_from_a_file(office, commands, tmp_path):
    file = tmp_path / "late labels.csv"
    file.write_text("record,label,site\n7,3,north\n9,0,south\n")
    assert commands.run(f"labels {file}") == ["2 labels handed in; the checks that the policy turns on learn from them"]
    [told] = [message for message in office.messages if isinstance(message, JoinLabels)]
    assert (told.labels, told.slices) == ({7: 3, 9: 0}, {"site": {7: "north", 9: "south"}})


def test_attributes_of_records_whose_label_is_not_known_yet_are_handed_in_too(office, commands, tmp_path):
    (tmp_path / "sites.csv").write_text("record,label,site\n7,3,north\n8,,south\n")
    assert commands.run(f"labels {tmp_path / 'sites.csv'}")[0].startswith("1 labels handed in, and attributes of 1 records without one;")
    [told] = [message for message in office.messages if isinstance(message, JoinLabels)]
    assert (told.labels, told.slices) == ({7: 3}, {"site": {7: "north", 8: "south"}})


@pytest.mark.parametrize(("text", "says"), [
    ("seq,class\n1,2\n", "expected record,label"), ("record,label\n", "holds no labels"), ("record,label\n7,three\n", "line 2: '7', 'three'; expected"),
    ("record,label\n0,3\n", "records count from 1"), (f'record,label\n7,"{"x" * 200_000}"\n', "is no CSV file"), (None, "cannot be read"),
])  # fmt: skip
def test_a_file_of_labels_that_is_none_is_refused_with_what_is_expected(commands, tmp_path, text, says):
    if text is not None:
        (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(CommandError) as error:
        commands.run(f"labels {tmp_path / 'labels.csv'}")
    assert says in str(error.value)


def test_a_console_starts_without_what_only_a_cluster_needs():
    """A wrong option must not cost seconds."""
    script = "import sys, agents.console; print([name for name in ('sqlalchemy', 'ray', 'torch', 'sklearn', 'mlflow', 'jinja2') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"
