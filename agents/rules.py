"""The rules in force, one a line, each with what it is by default: the same for the console and for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from workflows.words import nearest


class Rule(msgspec.Struct, frozen=True):
    """A key of a section of the policy. Values are plain, as they stand in TOML; those of a check have no default here."""

    section: str
    key: str
    value: Any
    default: Any = None

    @property
    def differs(self) -> bool:
        """Whether somebody has set it."""
        return bool(self.value != self.default)


def in_force(policy: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[Rule]:
    """Every rule of a policy, as `msgspec.to_builtins` gives it.

    >>> [rule] = in_force({"labels": {"harm": 9}}, {"labels": {"harm": 6}})
    >>> rule.value, rule.default, rule.differs
    (9, 6, True)
    """
    return [
        Rule(section, key, value, defaults[section].get(key) if isinstance(defaults.get(section), Mapping) else None)
        for section, keys in policy.items()
        for key, value in (keys.items() if isinstance(keys, Mapping) else [("", keys)])
    ]


def rule_lines(rules: Sequence[Rule]) -> list[str]:
    r"""As in a policy's file; what differs from the defaults is marked, with what it would be.

    >>> print("\n".join(rule_lines([Rule("labels", "harm", 9, 6), Rule("labels", "verify", 10, 10)])))
    [labels]
    * harm = 9    (default 6)
      verify = 10
    """
    lines: list[str] = []
    section = ""
    for rule in rules:
        if rule.section != section:
            section = rule.section
            lines += [*([""] if lines else []), f"[{section}]"]
        name = f"{rule.key} = " if rule.key else ""
        was = f"    (default {_toml(rule.default)})" if rule.default is not None else "    (off by default)"
        lines.append(f"{'*' if rule.differs else ' '} {name}{_toml(rule.value)}{was if rule.differs else ''}")
    return lines


def of_section(rules: Sequence[Rule], section: str) -> list[Rule]:
    """Those of one section. Raises `KeyError` with a sentence where there is none."""
    found = [rule for rule in rules if rule.section == section]
    if not found:
        raise KeyError(f"the policy in force has no section {section!r}{nearest(section, dict.fromkeys(rule.section for rule in rules))}")
    return found


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return msgspec.json.encode(value).decode()
