"""The sections [sensors], [rules] and [actuators] of a policy: their keys, and what is wrong with them in a sentence that helps."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from agents.strategy.catalogue import ACTUATORS, BUILT_IN, BY_RULE, EVENTS, READINGS, fields
from agents.strategy.cron import CronError, cron
from workflows.expressions import ExpressionError, names

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
WHEN = ("every_records", "every_seconds", "cron", "on")
SEE = "docs/strategy.md tells what each means"


class StrategyError(ValueError):
    """A strategy cannot be used; the text names section and key, and says what is allowed."""


class Sensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to look, by one of the first four, and what to read.

    `every_records`; `every_seconds` (or "10m"); `cron`: five fields, UTC; `on`: a type of message, whose numbers are then read, too.
    `reads`: names of `agents.strategy.catalogue.READINGS`. `of`: so many of the newest records are looked at, where some have to be.
    """

    every_records: int = 0
    every_seconds: float = 0.0
    cron: str = ""
    on: str = ""
    reads: tuple[str, ...] = ()
    of: int = 1000

    @property
    def values(self) -> tuple[str, ...]:
        """All that a rule can ask it for."""
        return (*self.reads, *(fields(self.on) if self.on else ()))


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done, and when: `when` a condition has held `for_looks` looks in a row, once `until` another holds; or at `each` look of a sensor.

    Conditions are expressions over SENSOR.VALUE. Without `until` the rule is off as soon as `when` does not hold. `then`: actuators.
    `text`: what `notify` puts on record. `labels`: how many an audit may ask for. `run`: the file of the workflow that `run` runs.
    """

    then: tuple[str, ...]
    when: str = ""
    until: str = ""
    each: str = ""
    for_looks: int = 1
    text: str = ""
    run: str = ""
    labels: int = 10


class Actuator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often something may be done: not again for `cool_down` seconds (or "10m") and `cool_down_records` records, and so many times at most.

    `per_day`, `per_incident`: 0 sets no limit.
    """

    cool_down: float = 0.0
    cool_down_records: int = 0
    per_day: int = 0
    per_incident: int = 0


class Strategy(msgspec.Struct, frozen=True, kw_only=True):
    """The three sections."""

    sensors: dict[str, Sensor] = {}
    rules: dict[str, Rule] = {}
    actuators: dict[str, Actuator] = {}


SECTIONS: Mapping[str, type[Sensor | Rule | Actuator]] = {"sensors": Sensor, "rules": Rule, "actuators": Actuator}
DURATIONS = ("every_seconds", "cool_down")
EXPECTED: Mapping[str, str] = {
    "reads": 'a list of names, such as ["records", "log_evidence"]', "then": 'the name of an actuator, or a list such as ["open", "notify"]',
    "every_seconds": 'seconds, or a text such as "10m"', "cool_down": 'seconds, or a text such as "10m"',
} | dict.fromkeys(("cron", "on", "when", "until", "each", "text", "run"), "a text")  # fmt: skip
LEAST = {"every_records": 1, "every_seconds": 1, "of": 50, "for_looks": 1, "labels": 1}


def seconds(text: str) -> float:
    """A duration as people write it. Raises `StrategyError`.

    >>> seconds("90"), seconds("10m"), seconds("1.5h"), seconds("7d")
    (90.0, 600.0, 5400.0, 604800.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if found is None:
        raise StrategyError(f'{text!r} is no duration; write seconds, or such as "30s", "10m", "2h", "7d"')
    return float(found[1]) * UNITS[found[2] or "s"]


def read(raw: Mapping[str, Any]) -> Strategy:
    """The three sections, as TOML has them. Raises `StrategyError`.

    >>> read({"rules": {"low": {"when": "pulse.log_evidence > 5", "then": "notify"}}})
    Traceback (most recent call last):
    agents.strategy.settings.StrategyError: [rules.low] when asks for 'pulse.log_evidence', and there is no sensor 'pulse'; there are none
    """
    made: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for section, kind in SECTIONS.items():
        for name, values in raw.get(section, {}).items():
            if not isinstance(values, dict):
                raise StrategyError(f"[{section}] {name} is a section; write [{section}.{name}] and its keys below it")
            if section != "actuators" and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise StrategyError(f"[{section}] {name!r} is no name; write letters, digits and _, as rules name sensors by it")
            made[section][name] = _one(f"[{section}.{name}]", kind, dict(values))
    strategy = Strategy(**made)
    _check(strategy)
    return strategy


def _one(place: str, kind: type[Sensor | Rule | Actuator], values: dict[str, Any]) -> Sensor | Rule | Actuator:
    allowed = kind.__struct_fields__
    for key in values:
        if key not in allowed:
            raise StrategyError(f"{place} has no key {key!r}{nearest(key, allowed)}")
    if kind is Rule and "then" not in values:
        raise StrategyError(f"{place} has no `then`: what is to be done{nearest('', BY_RULE)}")
    for key in DURATIONS:
        if isinstance(values.get(key), str):
            values[key] = _told(place, key, values[key])
    if isinstance(values.get("then"), str):
        values["then"] = [values["then"]]
    for key, value in values.items():
        try:
            msgspec.convert({key: value} | ({"then": []} if kind is Rule and key != "then" else {}), kind)
        except msgspec.ValidationError:
            raise StrategyError(f"{place} {key} = {value!r}; expected {EXPECTED.get(key, 'a whole number')}") from None
        least = LEAST.get(key, 0)
        if isinstance(value, int | float) and not least <= value < math.inf:
            raise StrategyError(f"{place} {key} = {value}; expected a number from {least} on")
    return msgspec.convert(values, kind)


def _told(place: str, key: str, text: str) -> float:
    try:
        return seconds(text)
    except StrategyError as error:
        raise StrategyError(f"{place} {key}: {error}") from None


def _check(strategy: Strategy) -> None:
    for name, sensor in strategy.sensors.items():
        _check_sensor(f"[sensors.{name}]", sensor)
    for name, rule in strategy.rules.items():
        _check_rule(f"[rules.{name}]", rule, strategy.sensors)
    for name, actuator in strategy.actuators.items():
        if name not in ACTUATORS:
            raise StrategyError(f"[actuators] names {name!r}{nearest(name, ACTUATORS)}")
        if name in BUILT_IN and (actuator.per_day or actuator.per_incident):
            raise StrategyError(f"[actuators.{name}] takes cool_down and cool_down_records alone: what is under way must come to its end")
        if name == "open" and actuator.per_incident:
            raise StrategyError("[actuators.open] takes no per_incident: an incident opens once; per_day bounds how many there are")


def _check_sensor(place: str, sensor: Sensor) -> None:
    chosen = [key for key in WHEN if getattr(sensor, key)]
    if len(chosen) != 1:
        found = " and ".join(chosen) if chosen else "nothing"
        raise StrategyError(f"{place} says by {found} when to look; write one of {', '.join(WHEN)}")
    if sensor.cron:
        try:
            cron(sensor.cron)
        except CronError as error:
            raise StrategyError(f"{place} cron: {error}") from None
    if sensor.on and sensor.on not in EVENTS:
        raise StrategyError(f"{place} on = {sensor.on!r}: no message on which a sensor can look{nearest(sensor.on, EVENTS)}")
    for name in sensor.reads:
        if name not in READINGS:
            raise StrategyError(f"{place} reads {name!r}{nearest(name, READINGS)}; {SEE}")


def _check_rule(place: str, rule: Rule, sensors: Mapping[str, Sensor]) -> None:
    if bool(rule.when) == bool(rule.each):
        raise StrategyError(f"{place} needs either `when`, a condition, or `each`, a sensor at each look of which it acts")
    if rule.each and (rule.until or rule.for_looks != 1):
        raise StrategyError(f"{place} acts at each look of {rule.each!r}; `until` and `for_looks` belong to a rule with `when`")
    if rule.each and rule.each not in sensors:
        raise StrategyError(f"{place} each = {rule.each!r}: there is no such sensor{nearest(rule.each, sensors)}")
    for key in ("when", "until"):
        if text := getattr(rule, key):
            _check_condition(place, key, text, sensors)
    if ("run" in rule.then) != bool(rule.run):
        fault = "`then` names run, and no workflow" if not rule.run else f"run = {rule.run!r}, and `then` does not name it"
        raise StrategyError(f'{place} {fault}; write then = "run" and run = "FILE.toml", the file of a workflow')
    if not rule.then:
        raise StrategyError(f"{place} then is empty{nearest('', BY_RULE)}")
    for name in rule.then:
        if name not in BY_RULE:
            extra = " (that is what the agents do by themselves; rules cannot order it)" if name in BUILT_IN else ""
            raise StrategyError(f"{place} then names {name!r}{extra}{nearest(name, BY_RULE)}")


def _check_condition(place: str, key: str, text: str, sensors: Mapping[str, Sensor]) -> None:
    try:
        asked = names(text)
    except ExpressionError as error:
        raise StrategyError(f"{place} {key}: {error}") from None
    if not asked:
        raise StrategyError(f"{place} {key} = {text!r} asks no sensor; write a condition such as pulse.log_evidence > 5")
    for name in asked:
        sensor, _, value = name.partition(".")
        if sensor not in sensors:
            raise StrategyError(f"{place} {key} asks for {name!r}, and there is no sensor {sensor!r}{nearest(sensor, sensors)}")
        if value not in sensors[sensor].values:
            more = f"; add it to the `reads` of [sensors.{sensor}]" if value in READINGS else nearest(value, sensors[sensor].values)
            raise StrategyError(f"{place} {key} asks for {name!r}, which the sensor {sensor!r} does not read{more}")


def nearest(word: str, allowed: Iterable[str]) -> str:
    """The end of a sentence about a wrong word: the one that was probably meant, and all that are allowed."""
    known = list(allowed)
    if not known:
        return "; there are none"
    close = difflib.get_close_matches(word, known, 1)
    return f"{f'; did you mean {close[0]!r}?' if close else '.'} Allowed: {', '.join(known)}"
