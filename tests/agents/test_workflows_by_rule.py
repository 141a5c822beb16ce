"""A rule runs a workflow: refused where it cannot, one at a time, held while remedies are paused, its end on record."""

import pytest

from agents.doors.flows import Flows
from agents.hosts.host import LocalHost
from agents.messages import ActuatorFired, ActuatorHeld, NoteMade, Paused, Resumed, RunWorkflow, WorkflowRan, decode, encode
from agents.planner import Planner
from agents.policy import Policy, PolicyError, from_toml, load_policy
from agents.story import line
from agents.strategy.settings import Actuator, Rule, Sensor
from tests.agents.helpers import DEPLOYMENT, expired, failed, kinds
from tests.agents.test_rules import reading

GRAPH = """
name = "count"
returns = { name = "lines", value = "count.lines" }
[steps.count]
command = ["sh", "-c", "echo '{\\"lines\\": 3}' > $3/metrics.json"]
"""
RULE = '[sensors.monday]\ncron = "0 6 * * mon"\n[rules.weekly]\neach = "monday"\nthen = "run"\nrun = "{}"\n'




def ran(request, **how):
    return WorkflowRan(id=f"ran-{request.id}", source="workflows", cause=request.id, rule=request.rule, file=request.file, run="r1", **{"ok": True, **how})


def fresh(**actuators):
    rule = Rule(each="monday", then=("run",), run="/flows/count.toml")
    return Planner(DEPLOYMENT, Policy(sensors={"monday": Sensor(cron="0 6 * * 1")}, rules={"weekly": rule}, actuators=actuators))


def fire(agent, time):
    return agent.receive(reading(time, "monday"))


# --- the policy ---


def test_a_workflow_is_found_beside_the_policy_from_wherever_one_starts(tmp_path):
    (tmp_path / "count.toml").write_text("name = 'count'\n[steps.a]\ncommand = ['true']\n")
    (tmp_path / "policy.toml").write_text(RULE.format("count.toml"))
    assert load_policy(tmp_path / "policy.toml").rules["weekly"].run == str(tmp_path / "count.toml")


@pytest.mark.parametrize(("name", "graph", "fault"), [
    ("missing.toml", None, r"mine.toml: \[rules.weekly\] run = 'missing.toml': there is no file .*missing.toml; paths are relative to the policy's folder"),
    ("bad.toml", "name = 'bad'\n[steps.a]\ncomand = ['true']\n", r"run = 'bad.toml': .*'comand'"),
    ("no.toml", "this is no TOML", r"run = 'no.toml': "),
    ("empty.txt", "name = 'bad'\n", r"run = 'empty.txt': "),
    ("open.toml", "name = 'open'\ninputs = { images = 'npy' }\ndata = [{ from = 'inputs.images', to = 'a.images' }]\n[steps.a]\ncommand = ['true']\ninputs = { images = 'npy' }\n",
     r"run = 'open.toml': it needs inputs.images from outside, and a rule gives nothing"),
])  # fmt: skip
def test_a_workflow_that_cannot_be_run_is_refused_with_what_is_wrong(tmp_path, name, graph, fault):
    if graph is not None:
        (tmp_path / name).write_text(graph)
    with pytest.raises(PolicyError, match=fault):
        from_toml(RULE.format(name), "mine.toml", tmp_path)


@pytest.mark.parametrize(("change", "fault"), [
    (('run = "count.toml"\n', ""), "`then` names run, and no workflow; write"), (('"run"', '"notify"'), "run = 'count.toml', and `then` does not name it"),
])  # fmt: skip
def test_a_workflow_and_the_action_belong_together(change, fault):
    with pytest.raises(PolicyError, match=fault):
        from_toml(RULE.format("count.toml").replace(*change))


# --- the rule ---


def test_a_rule_asks_for_its_workflow_and_says_why():
    fired, request = fire(fresh(), 1)
    assert isinstance(fired, ActuatorFired) and fired.actuator == "run"
    assert isinstance(request, RunWorkflow)
    assert (request.rule, request.file) == ("weekly", "/flows/count.toml")
    assert decode(encode(request)) == request


def test_one_that_is_still_running_is_not_begun_again():
    agent = fresh()
    _, request = fire(agent, 1)
    [held] = fire(agent, 2)
    assert isinstance(held, ActuatorHeld)
    assert held.reason == "weekly: /flows/count.toml is still running"
    agent.receive(ran(request))
    assert kinds(fire(agent, 3)) == ["ActuatorFired", "RunWorkflow"]


@pytest.mark.parametrize(("answer", "why"), [(failed, "no room on the disk"), (expired, "it has taken more than 21600 s")])
def test_one_that_does_not_come_to_its_end_is_on_record_and_the_next_may_begin(answer, why):
    agent = fresh()
    _, request = fire(agent, 1)
    [note] = agent.receive(answer(request))
    assert isinstance(note, NoteMade)
    assert note.text == f"weekly: /flows/count.toml did not come to its end: {why}"
    assert agent.receive(ran(request)) == [], "later than it was waited for"
    assert kinds(fire(agent, 3)) == ["ActuatorFired", "RunWorkflow"]


def test_it_has_a_cool_down_as_every_actuator():
    agent = fresh(run=Actuator(cool_down=86_400, per_day=1))
    _, request = fire(agent, 1)
    agent.receive(ran(request))
    [held] = fire(agent, 1000)
    assert (held.actuator, held.until) == ("run", 86_401)
    assert kinds(fire(agent, 86_401)) == ["ActuatorFired", "RunWorkflow"]


def test_while_remedies_are_paused_none_begins():
    agent = fresh()
    agent.receive(Paused(id="p", by="ann"))
    [held] = fire(agent, 1)
    assert held.reason == "weekly: a person has paused remedies"
    agent.receive(Resumed(id="r", by="ann"))
    assert kinds(fire(agent, 2)) == ["ActuatorFired", "RunWorkflow"]


def test_a_planner_that_is_restored_knows_what_is_running():
    agent = fresh()
    look = reading(1, "monday")
    history = [look, *agent.receive(look)]
    restored = fresh()
    restored.restore(history)
    assert kinds(fire(restored, 2)) == ["ActuatorHeld"]


# --- the door ---


def through(tmp_path, text):
    file = tmp_path / "count.toml"
    file.write_text(text)
    request = RunWorkflow(id="run", source="planner", rule="weekly", file=str(file))
    [told] = Flows(LocalHost({}).submit, tmp_path / "state")(request)
    return told


def test_a_workflow_runs_and_its_value_is_on_record(tmp_path):
    told = through(tmp_path, GRAPH)
    assert (told.ok, told.returns, told.value, told.reason, told.cause) == (True, "lines", 3.0, "", "run")
    assert (tmp_path / "state" / "runs" / told.run).is_dir()
    assert line(told) == f"the workflow {told.file} is done (run {told.run}): lines 3"


def test_a_step_that_fails_is_told_with_what_could_not_follow(tmp_path):
    told = through(tmp_path, "name = 'f'\n[steps.a]\ncommand = ['sh', '-c', 'exit 3']\noutputs = { x = 'text' }\n[steps.b]\ncommand = ['true']\ninputs = { x = 'text' }\n[[data]]\nfrom = 'a.x'\nto = 'b.x'\n")
    assert not told.ok
    assert "a: " in told.reason and "b: a has failed" in told.reason
    assert "has failed" in line(told)
