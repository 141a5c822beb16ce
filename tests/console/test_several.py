"""A console at several deployments: what has a name finds its own, what has none needs `use NAME`."""

import json

import pytest
from typer.testing import CliRunner

from agents.commands import CommandError, Commands
from agents.console import app
from agents.messages import JoinLabels, Paused, UndoAsked
from tests.console.building import Building
from workflows.serving.wire import RemoteError


@pytest.fixture
def building(state, images):
    with Building(state, images) as place:
        yield place


@pytest.fixture
def commands(building):
    visitor = building.visitor()
    yield Commands(visitor, "ana")
    visitor.close()


def said(office, kind):
    return [one for one in office.messages if isinstance(one, kind)]


def test_the_status_of_all_is_one_line_each_and_of_one_as_ever(building, commands):
    building.left.open_incident()
    title, digits, left, more = commands.run("status")
    assert title.split()[:3] == ["deployment", "live", "records"]
    assert digits.split()[:2] == ["digits", "digits-first"] and digits.split()[-2:] == ["-", "-"]
    assert left.split()[:2] == ["left", "left-first"] and "left-1" in left
    assert more == "`use digits` speaks of one of them only"
    assert [one["deployment"] for one in json.loads(commands.run("status --json")[0])] == ["digits", "left"]
    assert commands.run("use left") == ["now about left"]
    assert commands.run("status")[0] == "deployment   left"
    assert commands.run("use all") == ["now about digits, left"]


def test_an_unknown_deployment_is_refused_with_those_that_there_are_and_changes_nothing(commands):
    commands.run("use left")
    with pytest.raises(RemoteError, match=r"no deployment 'lefft'; did you mean 'left'\? There are: digits, left"):
        commands.run("use lefft")
    assert commands.run("status")[0] == "deployment   left"


@pytest.mark.parametrize("line", ["undo", "pause", "resume", "policy", "agents", "show 12"])
def test_what_has_no_name_needs_a_deployment_to_be_said(building, commands, line):
    with pytest.raises(RemoteError, match=r"which deployment is meant\? `use NAME`, or --deployment NAME; there are digits, left"):
        commands.run(line)
    assert not said(building.digits, UndoAsked) + said(building.left, Paused)


def test_once_said_it_reaches_that_one_alone(building, commands, tmp_path):
    (tmp_path / "late.csv").write_text("record,label\n12,7\n")
    commands.run("use left")
    for line in ("pause rebuilding", f"labels {tmp_path / 'late.csv'}"):
        commands.run(line)
    assert [one.deployment for kind in (Paused, JoinLabels) for one in said(building.left, kind)] == ["left", "left"]
    assert not said(building.digits, Paused) + said(building.digits, JoinLabels)
    commands.run("use all")
    assert "remedies paused" in commands.run("status")[2]


def test_an_answer_goes_to_who_asks_about_that_record(building, commands):
    building.left.open_incident()
    building.left.ask_labels()
    assert commands.run("label 12 7") == ["7 for record 12: taken"]
    assert (building.left.taken, building.digits.taken) == ([(12, 7)], [])


def test_a_record_that_two_ask_about_needs_a_deployment_to_be_said(building, commands):
    for office in (building.digits, building.left):
        office.open_incident()
        office.ask_labels()
    with pytest.raises(CommandError, match="digits and left ask about a record 12; first say `use digits`"):
        commands.run("label 12 7")
    commands.run("use left")
    commands.run("label 12 7")
    assert (building.left.taken, building.digits.taken) == ([(12, 7)], [])


def test_two_open_choices_need_a_deployment_to_be_said(building, commands):
    for office in (building.digits, building.left):
        office.open_incident()
        office.ask_choice()
    with pytest.raises(CommandError, match="digits and left wait for a choice; first say `use digits`"):
        commands.run("approve")
    commands.run("use left")
    commands.run("approve")
    assert (building.left.closed, building.digits.closed) == ({"left-1/approve": "answered"}, {})


def test_a_story_is_found_by_its_name_and_without_one_is_the_newest_of_all(building, commands):
    building.left.open_incident()
    building.digits.open_incident()
    assert "left-1 opened" in "\n".join(commands.run("story left-1"))
    assert "digits-1 opened" in "\n".join(commands.run("story"))
    assert [line.split()[0] for line in commands.run("incidents")] == ["left-1", "digits-1"]


def test_news_of_all_comes_in_the_order_of_time_and_each_names_its_deployment(building):
    visitor = building.visitor()
    building.left.open_incident()
    building.digits.open_incident()
    told = visitor.events(0)
    assert [number for number, _, _ in told] == [1, 2, 3, 4]
    assert [("left" in text, "digits" in text) for _, _, text in told] == [(False, True), (True, False), (True, False), (False, True)]
    assert visitor.events(4) == []
    visitor.use("left")
    assert [number for number, _, _ in visitor.events(0)] == [2, 3]
    visitor.close()


def test_the_image_that_is_asked_about_is_that_deployments(building):
    for office in (building.digits, building.left):
        office.open_incident()
        office.ask_labels()
    visitor = building.visitor()
    assert list(visitor.images([12], "left-1/audit")) == [12]
    visitor.close()


def test_the_command_line_names_a_deployment(building):
    call = CliRunner().invoke(app, ["--state", str(building.state.folder), "--deployment", "left", "status"])
    assert call.exit_code == 0 and call.stdout.startswith("deployment   left")
    call = CliRunner().invoke(app, ["--state", str(building.state.folder), "--deployment", "right", "status"])
    assert call.exit_code == 1 and "no deployment 'right'" in call.stderr
