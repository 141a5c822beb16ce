r"""The written rules by which the agents act: what they may do alone, what needs a person, costs and limits.

A policy is a TOML file; every key has a default, so a file holds only what differs.

>>> from_toml('[labels]\nteaching = 10\n').labels.teaching
10
>>> from_toml('[labels]\nteachin = 10\n', "mine.toml")
Traceback (most recent call last):
agents.policy.PolicyError: mine.toml: [labels] has no key 'teachin'; did you mean 'teaching'? Allowed: harm, teaching, choose, verify
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec


class PolicyError(ValueError):
    """The policy file cannot be used; the text names the file, the key and what is allowed."""


class Detection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When records count as different.

    `run_length`: mean clean records to a false alarm. `window` and `least`: how many drifted records to learn from. `ended_below`: share
    of routed records under which a drift is over. `cool_down`: records before a drift that hurts unmended is asked about again.
    `records_per_second`: when more come, every k-th is looked at; at most 5,000 or so are looked at anyway.
    """

    run_length: float = 1e6
    window: int = 1500
    least: int = 200
    save_every: int = 2000
    ended_below: float = 0.1
    cool_down: int = 20_000
    records_per_second: float = 1000.0


class Labels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most how many labels a person is asked for, per incident, and what for. Audit labels are harm + choose + verify.

    What an audit leaves over, because it was settled early, the next one may use.
    """

    harm: int = 6
    teaching: int = 20
    choose: int = 14
    verify: int = 10


class Harm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Loss of accuracy that is put up with, and the share of "none of these" answers that makes it an unknown class."""

    tolerance: float = 0.01
    unknown_share: float = 0.3


class Remedies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which remedies are prepared, how long one may take (seconds), and on how many fresh records they are compared.

    `level` is that of the two-sided interval of each gain: asking stops early when it is settled which is best. A remedy is chosen only if
    the labels speak for it after the correction for choosing; then it is verified by other labels on other records.
    """

    prepare: tuple[str, ...] = ("recalibrate", "filter", "fine_tune", "retrain")
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
    """How long a person has to label, in seconds."""

    deadline: float = 900.0


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a provisional remedy is verified: on how many fresh records, and what to do in doubt.

    `level` is that of the two-sided interval of the gain on fresh records. Nine tenths of its error are spent on the lower end. So at 0.8
    all labels together must be evidence of 1 / 0.18 that the remedy helps, and one that does not is kept at most 18 times in 100.
    """

    records: int = 400
    level: float = 0.8
    deadline: float = 300.0
    in_doubt: Literal["undo", "keep"] = "undo"


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


def from_toml(text: str, name: str = "policy") -> Policy:
    """Parse a policy. Raises `PolicyError`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name}: not valid TOML: {error}") from error
    _check_keys(raw, name)
    try:
        policy = msgspec.convert(raw, Policy)
    except msgspec.ValidationError as error:
        raise PolicyError(f"{name}: {error}. The defaults are in agents/policy.py") from error
    _check_values(policy, name)
    return policy


def load_policy(path: Path | None) -> Policy:
    """The policy in `path`, or the default one. Raises `PolicyError`."""
    if path is None:
        return Policy()
    try:
        text = path.read_text()
    except OSError as error:
        raise PolicyError(f"{path}: cannot be read ({error.strerror}); give an existing TOML file with --policy") from error
    return from_toml(text, str(path))


def _check_keys(raw: dict[str, Any], name: str) -> None:
    sections = {field.name: field.type for field in msgspec.structs.fields(Policy)}
    for section, values in raw.items():
        if section not in sections:
            raise PolicyError(f"{name}: no section [{section}]{_nearest(section, list(sections))}")
        if not isinstance(values, dict):
            raise PolicyError(f"{name}: {section} is a section; write [{section}] and its keys below it")
        allowed = [field.name for field in msgspec.structs.fields(sections[section])]
        for key in values:
            if key not in allowed:
                raise PolicyError(f"{name}: [{section}] has no key {key!r}{_nearest(key, allowed)}")


def _nearest(word: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(word, allowed, 1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"{hint} Allowed: {', '.join(allowed)}"


def _check_values(policy: Policy, name: str) -> None:
    """Numbers that no rule of the type system catches."""
    wrong = {
        "detection.run_length must be at least 100 records": policy.detection.run_length < 100,
        "detection.records_per_second must be at least 10": not policy.detection.records_per_second >= 10,
        "detection.window must not be below detection.least, and that not below 20": policy.detection.window < policy.detection.least
        or policy.detection.least < 20,
        "labels must not be negative": min(msgspec.structs.astuple(policy.labels)) < 0,
        "labels.verify must be at least 1: a remedy that nobody checks is not kept": policy.labels.verify < 1,
        "harm.tolerance must lie in [0, 1]": not 0 <= policy.harm.tolerance <= 1,
        "choice.max_clean_loss must lie in [0, 1]": not 0 <= policy.choice.max_clean_loss <= 1,
        "remedies.level and verification.level must lie in (0.5, 1)": not 0.5 < policy.remedies.level < 1
        or not 0.5 < policy.verification.level < 1,
        "remedies.prepare must name at least one remedy": not policy.remedies.prepare,
    }
    for sentence, is_wrong in wrong.items():
        if is_wrong:
            raise PolicyError(f"{name}: {sentence}")
