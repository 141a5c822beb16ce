"""Rules act when their condition has held for long enough, once, until another one ends it; what their brakes hold back is on record and tried again."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.messages import ActuatorFired, ActuatorHeld, NoteMade, RuleSwitched, SensorRead
from agents.planner import Planner
from agents.policy import Policy
from agents.strategy.actuators import Brake
from agents.strategy.settings import Actuator, Rule, Sensor
from tests.agents.helpers import DEPLOYMENT, INCIDENT, kinds, live

SENSORS = {"pulse": Sensor(every_seconds=10, reads=("records", "unlike")), "monday": Sensor(cron="0 6 * * 1")}


def planner(rule, **actuators):
    return Planner(DEPLOYMENT, Policy(sensors=SENSORS, rules={"r": rule}, actuators=actuators))


def reading(time, sensor="pulse", record=0, during="", **values):
    return SensorRead(id=f"read-{sensor}-{time}", source="tracker", sensor=sensor, values=values, at=float(time), record=record, during=during, time=float(time))


def told(agent, *unlike):
    """What is said at looks that see these shares."""
    return [kinds(agent.receive(reading(10 * number, unlike=share))) for number, share in enumerate(unlike)]


ON, OFF = ["RuleSwitched", "ActuatorFired"], ["RuleSwitched"]


def test_a_rule_acts_once_when_its_condition_begins_to_hold_and_again_only_after_it_has_ended():
    agent = planner(Rule(when="pulse.unlike > 0.5", then=("open",)))
    assert told(agent, 0.1, 0.6, 0.7, 0.4, 0.9) == [[], ON, [], OFF, ON]


def test_a_condition_must_hold_at_so_many_looks_in_a_row():
    agent = planner(Rule(when="pulse.unlike > 0.5", for_looks=3, then=("open",)))
    assert told(agent, 0.6, 0.7, 0.1, 0.6, 0.6, 0.6, 0.6) == [[], [], [], [], [], ON, []]


def test_between_when_and_until_nothing_flips():
    agent = planner(Rule(when="pulse.unlike > 0.5", until="pulse.unlike < 0.2", then=("open",)))
    assert told(agent, 0.6, 0.4, 0.6, 0.4, 0.1, 0.4, 0.6) == [ON, [], [], [], OFF, [], ON]


def test_it_says_what_it_saw():
    agent = planner(Rule(when="pulse.unlike > 0.5", for_looks=2, then=("open",)))
    agent.receive(reading(1, unlike=0.6))
    switched, fired = agent.receive(reading(2, unlike=0.75, during=INCIDENT))
    assert switched.reason == "pulse.unlike > 0.5 held at 2 looks in a row: pulse.unlike is 0.75"
    assert (switched.on, fired.rule, fired.actuator, fired.incident) == (True, "r", "open", INCIDENT)


def test_a_rule_that_asks_two_sensors_waits_until_both_have_looked():
    agent = Planner(
        DEPLOYMENT, Policy(sensors=SENSORS | {"other": Sensor(every_records=5, reads=("records",))}, rules={"r": Rule(when="pulse.unlike > 0.5 and other.records > 3", then=("open",))})
    )  # fmt: skip
    assert kinds(agent.receive(reading(1, unlike=0.9))) == []
    assert kinds(agent.receive(reading(2, "other", records=4.0))) == ON


def test_a_rule_may_act_at_each_look():
    agent = planner(Rule(each="monday", then=("audit",), labels=7))
    for week in range(3):
        [fired] = agent.receive(reading(week, "monday"))
        assert (fired.actuator, fired.labels) == ("audit", 7)
    assert agent.receive(reading(9, unlike=1.0)) == []


def test_a_note_is_put_on_record_in_the_words_of_the_policy():
    agent = planner(Rule(when="pulse.unlike > 0.5", then=("notify",), text="call Ada"))
    [note] = [one for one in agent.receive(reading(1, unlike=0.9)) if isinstance(one, NoteMade)]
    assert note.text == "call Ada"


def test_a_condition_without_a_value_is_on_record_once_and_neither_true_nor_false():
    agent = planner(Rule(when="1 / pulse.unlike > 2", then=("open",)))
    assert told(agent, 0.0, 0.0, 0.1) == [["NoteMade"], [], ON]


def test_what_a_cool_down_holds_back_is_on_record_once_and_done_when_it_is_over_if_the_rule_is_still_on():
    agent = planner(Rule(when="pulse.unlike > 0.5", then=("notify",)), notify=Actuator(cool_down=35))
    assert told(agent, 0.9, 0.1, 0.9, 0.9, 0.9) == [
        ["RuleSwitched", "ActuatorFired", "NoteMade"], OFF, ["RuleSwitched", "ActuatorHeld"], [], ["ActuatorFired", "NoteMade"],
    ]  # fmt: skip


def test_what_is_held_back_is_not_done_when_the_rule_has_ended_meanwhile():
    agent = planner(Rule(when="pulse.unlike > 0.5", then=("notify",)), notify=Actuator(cool_down=35))
    assert told(agent, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1)[3:] == [OFF, [], []]


def test_a_hold_tells_until_when():
    agent = planner(Rule(each="pulse", then=("audit",)), audit=Actuator(cool_down=35, cool_down_records=100))
    agent.receive(reading(10, record=50))
    [held] = agent.receive(reading(20, record=60))
    assert isinstance(held, ActuatorHeld)
    assert (held.actuator, held.until, held.until_record, held.waits) == ("audit", 45.0, 150, False)
    assert kinds(agent.receive(reading(45, record=149))) == ["ActuatorHeld"]
    assert kinds(agent.receive(reading(46, record=150))) == ["ActuatorFired"]


def test_so_many_times_in_a_day_and_in_an_incident_are_enough():
    agent = planner(Rule(each="pulse", then=("notify",)), notify=Actuator(per_day=3, per_incident=2))
    fired = [
        any(isinstance(one, ActuatorFired) for one in agent.receive(reading(time, during=incident)))
        for time, incident in [(0, "a"), (1, "a"), (2, "a"), (3, "b"), (4, "b"), (86_399, "b"), (86_400, "c"), (86_401, "c")]
    ]
    assert fired == [True, True, False, True, False, False, True, True]


def test_a_rule_may_bring_back_the_pipeline_before():
    agent = planner(Rule(when="pulse.unlike > 0.5", then=("undo",)))
    agent.receive(live("first"))
    agent.receive(live("filter", previous="first", cause="by hand"))
    *_, deploy = agent.receive(reading(1, unlike=0.9))
    assert (kinds([deploy]), deploy.pipeline) == (["DeployPipeline"], "first")
    assert deploy.reason == "undone by the rule 'r': pulse.unlike > 0.5 holds: pulse.unlike is 0.9"


def test_a_rule_that_cannot_undo_says_why():
    agent = planner(Rule(when="pulse.unlike > 0.5", then=("undo",)))
    agent.receive(live("first"))
    *_, held = agent.receive(reading(1, unlike=0.9))
    assert isinstance(held, ActuatorHeld)
    assert held.reason == "r: there is no pipeline before the live one"


def test_what_a_day_allows_is_allowed_again_a_day_after_the_first_of_them():
    brake = Brake(Actuator(per_day=2))
    brake.note(100.0, 0)
    brake.note(200.0, 0)
    assert brake.hold(300.0, 0).until == 100.0 + 86_400


SHARES = st.lists(st.sampled_from([0.0, 0.3, 0.6, 0.9]), max_size=40)


@given(SHARES, st.integers(1, 4))
def test_whatever_is_seen_a_rule_alternates_and_is_on_only_after_enough_looks(shares, enough):
    agent = planner(Rule(when="pulse.unlike > 0.5", until="pulse.unlike < 0.2", for_looks=enough, then=("open",)))
    switches = []
    for number, share in enumerate(shares):
        for said in agent.receive(reading(10 * number, unlike=share)):
            if isinstance(said, RuleSwitched):
                switches.append(said.on)
                assert all(one > 0.5 for one in shares[number + 1 - enough : number + 1]) if said.on else share < 0.2
    assert switches == [number % 2 == 0 for number in range(len(switches))]


@given(SHARES, st.integers(0, 39))
def test_a_restored_planner_goes_on_with_its_rules_as_if_nothing_had_happened(shares, crash):
    policy = Policy(sensors=SENSORS, rules={"r": Rule(when="pulse.unlike > 0.5", for_looks=2, then=("notify",))}, actuators={"notify": Actuator(cool_down=35)})
    agent, twin, heard = Planner(DEPLOYMENT, policy), Planner(DEPLOYMENT, policy), []
    for number, share in enumerate(shares):
        message = reading(10 * number, unlike=share)
        if number == crash:
            agent = Planner(DEPLOYMENT, policy)
            agent.restore(heard)
        said = agent.receive(message)
        assert said == twin.receive(message)
        heard += [message, *said]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=40), st.integers(0, 60), st.integers(0, 60))
def test_whatever_happens_a_brake_keeps_its_distance_in_seconds_and_in_records(steps, seconds, records):
    brake, now, record, done = Brake(Actuator(cool_down=seconds, cool_down_records=records)), 0, 0, []
    for later, more in steps:
        now, record = now + later, record + more
        if hold := brake.hold(now, record):
            assert hold.until > now or hold.until_record > record
        else:
            brake.note(now, record)
            done.append((now, record))
    assert all(b[0] - a[0] >= seconds and b[1] - a[1] >= records for a, b in pairwise(done))


@pytest.mark.parametrize("days", [1, 7])
def test_a_cool_down_may_be_longer_than_a_day(days):
    brake = Brake(Actuator(cool_down=days * 86_400))
    brake.note(5.0, 0)
    assert brake.hold(5.0 + days * 86_400 - 1, 0) is not None
    assert brake.hold(5.0 + days * 86_400, 0) is None
