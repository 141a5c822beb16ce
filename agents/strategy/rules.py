"""Rules at work: conditions over what sensors have read, with hysteresis, and what follows from them. Hosted by the planner.

    off -- `when` holds for `for_looks` looks in a row --> on -- `until` holds (or `when` no longer does) --> off

What cannot be done at once, because its brake holds, is tried again at the next looks for as long as the rule is on.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from agents.messages import (
    ActuatorFired, ActuatorHeld, Message, NoteMade, RequestExpired, RequestFailed, RuleSwitched, RunWorkflow, SensorRead, WorkflowRan,
)
from agents.strategy.actuators import Brake, Hold, brakes
from agents.strategy.catalogue import BY_RULE
from agents.strategy.settings import Actuator, Rule, Sensor
from workflows.expressions import ExpressionError, evaluate, names

Say = Callable[..., Any]
LONGEST_RUN = 6 * 3600.0
"""Seconds after which a workflow is no longer waited for."""


class Standing(msgspec.Struct):
    """How things stand with one rule."""

    on: bool = False
    looks: int = 0  # in a row at which its condition held
    waiting: tuple[str, ...] = ()  # actuators that are still held back
    told: str = ""  # the error or hold that is on record already


class Rules:
    """Follows what sensors read; `say` makes a message of the host."""

    def __init__(
        self, chosen: Mapping[str, Rule], sensors: Mapping[str, Sensor], limits: Mapping[str, Actuator], say: Say,
        paused: Callable[[], bool] = lambda: False,
    ) -> None:
        self.chosen, self._say, self._paused = dict(chosen), say, paused
        self.running: dict[str, str] = {}  # by rule the id of the request to run its workflow
        self._newest = {name: max(sensors[one].of for one in _sensors(rule)) for name, rule in self.chosen.items()}
        self.standing = {name: Standing() for name in self.chosen}
        self.values: dict[str, float] = {}  # SENSOR.VALUE, as it was read last
        self.brakes: dict[str, Brake] = brakes((name for name in BY_RULE if name != "open"), limits)  # the checker has that of `open`

    def follow(self, read: SensorRead) -> list[Message]:
        """What a reading brings about."""
        self.values |= {f"{read.sensor}.{name}": value for name, value in read.values.items()}
        said: list[Message] = []
        for name, rule in self.chosen.items():
            if rule.each == read.sensor:
                said += self._act(read, name, rule.then, f"{read.sensor} has looked")
            elif rule.when and read.sensor in _sensors(rule):
                said += self._weigh(read, name, rule)
        return said

    def begin_log(self) -> None:
        """Records count from 1 again."""
        for brake in self.brakes.values():
            brake.begin_log()

    def _weigh(self, read: SensorRead, name: str, rule: Rule) -> list[Message]:
        standing = self.standing[name]
        if any(asked not in self.values for asked in _asked(rule)):
            return []  # a sensor that the rule asks has not looked yet
        try:
            holds = bool(evaluate(rule.when, self.values))
            ends = bool(evaluate(rule.until, self.values)) if rule.until else not holds
        except ExpressionError as error:  # such as a division by nought: it says neither yes nor no
            return self._once(read, name, f"the rule {name!r} could not be followed: {error}")
        standing.looks = standing.looks + 1 if holds else 0
        if standing.on:
            if ends:
                standing.on, standing.waiting, standing.told, standing.looks = False, (), "", 0
                return [self._say(RuleSwitched, read, key=name, rule=name, on=False, reason=self._why(rule.until or rule.when), incident=read.during)]
            return self._act(read, name, standing.waiting, self._why(rule.when)) if standing.waiting else []
        if standing.looks < rule.for_looks:
            return []
        standing.on = True
        times = f"{rule.when} held at {standing.looks} looks in a row" if rule.for_looks > 1 else f"{rule.when} holds"
        reason = f"{times}: {self._why(rule.when)}"
        switched = self._say(RuleSwitched, read, key=name, rule=name, on=True, reason=reason, incident=read.during)
        return [switched, *self._act(read, name, rule.then, reason)]

    def _act(self, read: SensorRead, name: str, actuators: tuple[str, ...], reason: str) -> list[Message]:
        """Fire each of the actuators that may be; the others wait, if the rule is one that stays on."""
        said: list[Message] = []
        held: list[str] = []
        for actuator in actuators:
            brake = self.brakes.get(actuator)
            hold = self._why_not_run(name) if actuator == "run" else None
            hold = hold or (brake.hold(read.at, read.record, read.during) if brake else None)
            if hold is not None:
                held.append(actuator)
                said += self._hold(read, name, actuator, hold)
                continue
            if brake:
                brake.note(read.at, read.record, read.during)
            said += self._fire(read, name, actuator, reason)
        standing = self.standing[name]
        standing.waiting = tuple(held) if standing.on else ()
        if not held:
            standing.told = ""
        return said

    def _fire(self, read: SensorRead, name: str, actuator: str, reason: str) -> list[Message]:
        rule, key = self.chosen[name], f"{name}/{actuator}"
        fired = self._say(
            ActuatorFired, read, key=key, actuator=actuator, rule=name, reason=reason, labels=rule.labels if actuator == "audit" else 0,
            newest=self._newest[name], incident=read.during,
        )
        note = [self._say(NoteMade, read, key=key, text=rule.text or f"{name}: {reason}", incident=read.during)] if actuator == "notify" else []
        if actuator == "run":
            run = self._say(RunWorkflow, read, key=key, rule=name, file=rule.run, deadline=LONGEST_RUN, incident=read.during)
            self.running[name] = run.id
            return [fired, run]
        return [fired, *note]

    def _why_not_run(self, name: str) -> Hold | None:
        if name in self.running:
            return Hold(f"{self.chosen[name].run} is still running")
        return Hold("a person has paused remedies") if self._paused() else None

    def ran(self, ended: WorkflowRan | RequestFailed | RequestExpired) -> list[Message]:
        """A workflow has come to its end, or will not."""
        name = next((name for name, request in self.running.items() if request == ended.cause), None)
        if name is None:  # it was given up, and has come to its end all the same
            return []
        del self.running[name]
        if isinstance(ended, WorkflowRan):
            return []
        reason = ended.reason if isinstance(ended, RequestFailed) else f"it has taken more than {LONGEST_RUN:.0f} s"
        return [self._say(NoteMade, ended, key=name, text=f"{name}: {self.chosen[name].run} did not come to its end: {reason}")]

    def _hold(self, read: SensorRead, name: str, actuator: str, hold: Hold) -> list[Message]:
        standing, told = self.standing[name], f"{actuator} {hold}"
        if standing.on and told in standing.told:
            return []
        standing.told = f"{standing.told}\n{told}" if standing.on else ""
        hold = hold._replace(reason=f"{name}: {hold.reason}")
        return [self._say(ActuatorHeld, read, key=f"{name}/{actuator}", actuator=actuator, incident=read.during, **hold._asdict())]

    def _once(self, read: SensorRead, name: str, text: str) -> list[Message]:
        standing = self.standing[name]
        if standing.told == text:
            return []
        standing.told = text
        return [self._say(NoteMade, read, key=name, text=text, incident=read.during)]

    def _why(self, condition: str) -> str:
        return ", ".join(f"{name} is {self.values[name]:.6g}" for name in names(condition))


def _asked(rule: Rule) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names(rule.when), *(names(rule.until) if rule.until else ()))))


def _sensors(rule: Rule) -> set[str]:
    return {rule.each} if rule.each else {name.partition(".")[0] for name in _asked(rule)}
