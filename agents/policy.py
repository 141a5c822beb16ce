r"""The written rules by which the agents act: what they may do alone, what needs a person, costs and limits.

A policy is a TOML file; every key has a default, so a file holds only what differs.

>>> from_toml('[labels]\nteaching = 10\n').labels.teaching
10
>>> from_toml('[labels]\nteachin = 10\n', "mine.toml")
Traceback (most recent call last):
agents.policy.PolicyError: mine.toml: [labels] has no key 'teachin'; did you mean 'teaching'? Allowed: harm, teaching, choose, verify, second_price
"""

import difflib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from agents.strategy.settings import SECTIONS, Actuator, Rule, Sensor, StrategyError, read
from agents.rule_workflows import located
from models.remedies.catalogue import PRESENT, names
from models.weaknesses import catalogue as weaknesses
from models.weaknesses.synthetic import labelled_reference


class PolicyError(ValueError):
    """The policy file cannot be used; the text names the file, the key and what is allowed."""


class Detection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When records count as different.

    `run_length`: mean clean records to a false alarm. `window` and `least`: how many drifted records to learn from. `ended_below`: share
    of drifted records under which a drift is over. `cool_down`: records before a drift that hurts unmended is asked about again.
    `records_per_second`: when more come, every k-th is looked at; at most 5,000 or so are looked at anyway. `block`: consecutive records
    that count as one observation, for frames that follow one another closely.
    """

    run_length: float = 1e6
    block: int = 1
    window: int = 1500
    least: int = 200
    save_every: int = 2000
    ended_below: float = 0.1
    cool_down: int = 20_000
    records_per_second: float = 1000.0


class Labels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most how many labels a person is asked for, per incident, and what for. Audit labels are harm + choose + verify.

    What an audit leaves over, because it was settled early, the next one may use. `second_price`: accuracy that a second of a person's time
    is worth; where labels turn out to be slow, fewer are asked for to learn from (`agents.pace`).
    """

    harm: int = 6
    teaching: int = 20
    choose: int = 14
    verify: int = 10
    second_price: float = 0.0


class Harm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Loss of accuracy that is put up with, and the share of "none of these" answers that makes it an unknown class."""

    tolerance: float = 0.01
    unknown_share: float = 0.3


class Remedies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which remedies are prepared, how long one may take (seconds), and on how many fresh records they are compared.

    `level` is that of the two-sided interval of each gain: asking stops early when it is settled which is best. A remedy is chosen only if
    the labels speak for it after the correction for choosing; then it is verified by other labels on other records.
    """

    prepare: tuple[str, ...] = ("recalibrate", "simulate", "filter", "fine_tune", "retrain")
    deadline: float = 600.0
    compare_records: int = 500
    level: float = 0.8


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a remedy must keep to, and what a second of added latency and a changed classifier are worth in accuracy."""

    max_clean_loss: float = 0.005
    latency_price: float = 2.0
    max_latency_added: float = 0.05
    new_weights_price: float = 0.002


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a person approves before a remedy goes live, and what holds when nobody answers."""

    ask: Literal["always", "new weights", "never"] = "always"
    default: Literal["approve", "decline"] = "decline"
    deadline: float = 900.0


class Questions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a person has to label, in seconds, and what is done to be answered.

    `people` are reminded after `remind_after` seconds, and `escalate_to` are asked besides after `escalate_after`; 0 is never. Names only tell
    for whom a question is: anybody may answer it. `repeat`: share of the items that are shown a second time, to measure how well people agree.
    """

    deadline: float = 900.0
    remind_after: float = 0.0
    escalate_after: float = 0.0
    people: tuple[str, ...] = ()
    escalate_to: tuple[str, ...] = ()
    repeat: float = 0.0


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a provisional remedy is verified: on how many fresh records, and what to do in doubt.

    `level` is that of the two-sided interval of the gain on fresh records. Nine tenths of its error are spent on the lower end. So at 0.8
    all labels together must be evidence of 1 / 0.18 that the remedy helps, and one that does not is kept at most 18 times in 100.
    That bound is for "undo". In doubt, "imitation" keeps a remedy only if the drift has a sure name, the remedy gains on clean images that are
    spoiled alike, and the labels are evidence for it at all.
    """

    records: int = 400
    level: float = 0.8
    deadline: float = 300.0
    in_doubt: Literal["undo", "keep", "imitation"] = "imitation"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rules. See `docs/policy.md` for what each does."""

    detection: Detection = Detection()
    labels: Labels = Labels()
    harm: Harm = Harm()
    remedies: Remedies = Remedies()
    choice: Choice = Choice()
    approval: Approval = Approval()
    questions: Questions = Questions()
    verification: Verification = Verification()
    checks: dict[str, dict[str, Any]] = {}
    """Which checks look for other weaknesses than drift, each with its parameters."""
    sensors: dict[str, Sensor] = {}
    rules: dict[str, Rule] = {}
    actuators: dict[str, Actuator] = {}
    """When agents look, under which condition they act, and how often at most. See `docs/strategy.md`."""


ALWAYS = ("drift",)  # checks that need not be turned on
Bounds = tuple[float, float, str]  # least, most, and why
SOME, SHARE, SECONDS = (1, math.inf, ""), (0, 1, ""), (0, math.inf, " (seconds)")
NONE_OR_MORE = (0, math.inf, "")
BOUNDS: Mapping[str, Mapping[str, Bounds]] = {
    "detection": {
        "run_length": (100, math.inf, " (records)"), "least": (20, math.inf, " (records)"), "save_every": SOME, "ended_below": SHARE,
        "cool_down": NONE_OR_MORE, "records_per_second": (10, math.inf, ""), "block": SOME,
    },
    "labels": {
        "harm": NONE_OR_MORE, "teaching": NONE_OR_MORE, "choose": NONE_OR_MORE, "verify": (1, math.inf, ": a remedy that nobody checks is not kept"),
        "second_price": NONE_OR_MORE,
    },
    "harm": {"tolerance": SHARE, "unknown_share": SHARE},
    "remedies": {"deadline": SECONDS, "compare_records": SOME},
    "choice": {"max_clean_loss": SHARE, "latency_price": NONE_OR_MORE, "max_latency_added": SECONDS, "new_weights_price": NONE_OR_MORE},
    "approval": {"deadline": SECONDS},
    "questions": {"deadline": SECONDS, "remind_after": SECONDS, "escalate_after": SECONDS, "repeat": SHARE},
    "verification": {"records": SOME, "deadline": SECONDS},
}  # fmt: skip


def from_toml(text: str, name: str = "policy", base: Path | None = None) -> Policy:
    """Parse a policy; paths in it are relative to `base`, by default the working folder. Raises `PolicyError`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name}: not valid TOML: {error}") from error
    _check_keys(raw, name)
    try:
        strategy = read(raw)
        rules = located(strategy.rules, base or Path.cwd())
    except StrategyError as error:
        raise PolicyError(f"{name}: {error}") from error
    try:
        policy = msgspec.convert({section: values for section, values in raw.items() if section not in SECTIONS}, Policy)
    except msgspec.ValidationError as error:
        place = re.search(r"at `\$\.(\w+)\.(\w+)", str(error))
        assert place is not None  # sections and keys have been looked at, so it is a value
        raise _refused(name, place[1], place[2], raw[place[1]][place[2]]) from error
    _check_values(policy, name)
    return msgspec.structs.replace(policy, sensors=strategy.sensors, rules=rules, actuators=strategy.actuators)


def load_policy(path: Path | None) -> Policy:
    """The policy in `path`, or the default one. Raises `PolicyError`."""
    if path is None:
        return Policy()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise PolicyError(f"{path}: cannot be read ({reason}); give an existing TOML file with --policy") from error
    return from_toml(text, str(path), path.parent)


def _check_keys(raw: dict[str, Any], name: str) -> None:
    sections = {field.name: field.type for field in msgspec.structs.fields(Policy)}
    for section, values in raw.items():
        if section not in sections:
            raise PolicyError(f"{name}: no section [{section}]{_nearest(section, list(sections))}")
        if not isinstance(values, dict):
            raise PolicyError(f"{name}: {section} is a section; write [{section}] and its keys below it")
        if section in SECTIONS:  # names of the user's own; `read` looks at them
            continue
        if section == "checks":  # what can be in it depends on the checks
            for check, parameters in values.items():
                if not isinstance(parameters, dict):
                    raise PolicyError(f"{name}: [checks] {check} is a section; write [checks.{check}] and its parameters below it")
            continue
        allowed = [field.name for field in msgspec.structs.fields(sections[section])]
        for key in values:
            if key not in allowed:
                raise PolicyError(f"{name}: [{section}] has no key {key!r}{_nearest(key, allowed)}")


def _nearest(word: object, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(word), allowed, 1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"{hint} Allowed: {', '.join(allowed)}"


def _refused(name: str, section: str, key: str, value: object) -> PolicyError:
    """The error for a value of a type or a word that the key does not take."""
    kind = get_type_hints(type(getattr(Policy(), section)))[key]
    if get_origin(kind) is Literal:
        fault = _nearest(value, get_args(kind))
    else:
        wanted = {int: "a whole number", float: "a number"}.get(kind, 'a list of names, such as ["filter", "retrain"]')
        fault = f"; expected {wanted}"
    return PolicyError(f"{name}: [{section}] {key} = {value!r}{fault}")


def _check_values(policy: Policy, name: str) -> None:
    """Numbers and names that no rule of the type system catches."""
    for section, keys in BOUNDS.items():
        for key, (least, most, why) in keys.items():
            value = getattr(getattr(policy, section), key)
            if not least <= value <= most:  # so also what is no number at all (nan)
                span = f"from {least} on" if most == math.inf else f"from {least} to {most}"
                raise PolicyError(f"{name}: [{section}] {key} = {value}; expected a number {span}{why}")
    least, window = policy.detection.least, policy.detection.window
    if window < least:
        raise PolicyError(f"{name}: [detection] window = {window}; expected at least as many records as `least`, which is {least}")
    for section in ("remedies", "verification"):
        level = getattr(policy, section).level
        if not 0.5 < level < 1:
            raise PolicyError(f"{name}: [{section}] level = {level}; expected a number between 0.5 and 1, such as 0.8")
    _check_questions(policy.questions, name)
    _check_remedies(policy.remedies.prepare, name)
    _check_checks(policy.checks, name)


def _check_questions(rules: Questions, name: str) -> None:
    """Whoever is to be reminded or asked besides can be, while the question is open."""
    for key in ("remind_after", "escalate_after"):
        if (after := getattr(rules, key)) >= rules.deadline > 0:
            raise PolicyError(f"{name}: [questions] {key} = {after}; expected less than `deadline`, which is {rules.deadline}, or 0 for never")
    if bool(rules.escalate_after) != bool(rules.escalate_to):
        missing, given = ("escalate_to", "escalate_after") if rules.escalate_after else ("escalate_after", "escalate_to")
        example = 'escalate_to = ["chief"]' if missing == "escalate_to" else "escalate_after = 600"
        raise PolicyError(f"{name}: [questions] {given} is set and {missing} is not; write {example} beside it")


def _check_remedies(prepare: tuple[str, ...], name: str) -> None:
    try:
        allowed = [one for one in names() if one != PRESENT]
    except ValueError as error:  # two packages with a remedy of the same name
        raise PolicyError(f"{name}: [remedies] {error}") from error
    if not prepare:
        raise PolicyError(f"{name}: [remedies] prepare is empty; name at least one remedy. Allowed: {', '.join(allowed)}")
    for remedy in prepare:
        if remedy not in allowed:
            raise PolicyError(f"{name}: [remedies] prepare names {remedy!r}{_nearest(remedy, allowed)}")
        if prepare.count(remedy) > 1:
            raise PolicyError(f"{name}: [remedies] prepare names {remedy!r} more than once; name each remedy once")


def _check_checks(chosen: Mapping[str, Mapping[str, Any]], name: str) -> None:
    """Each check is known, takes these parameters, and can be made with them (of a small made-up reference)."""
    for check, parameters in chosen.items():
        try:
            allowed = [one for one in weaknesses.names() if one not in ALWAYS]
        except ValueError as error:  # two packages with a check of the same name
            raise PolicyError(f"{name}: [checks] {error}") from error
        if check in ALWAYS:
            raise PolicyError(f"{name}: [checks.{check}] the checker always looks for drift; set it in [detection]")
        if check not in allowed:
            raise PolicyError(f"{name}: [checks] names {check!r}{_nearest(check, allowed)}")
        for key in parameters:
            if key not in weaknesses.parameters(check):
                raise PolicyError(f"{name}: [checks.{check}] has no key {key!r}{_nearest(key, weaknesses.parameters(check))}")
        try:
            made = weaknesses.make(check, labelled_reference(), parameters)
        except (TypeError, ValueError) as error:
            raise PolicyError(f"{name}: [checks.{check}] {error}") from error
        if "images" in made.needs:
            raise PolicyError(
                f"{name}: [checks.{check}] needs the images themselves, which never leave the inference service for the agents; "
                "run this check beside the service"
            )
