"""Scenarios: what data comes when, who answers, and what must hold. Written as TOML; the suite's are in `scenarios/suite`.

    name = "sudden_fog"
    description = "Fog rolls in, stays until the incident has come to rest, and lifts."
    rate = 100                # images per second; 0 = as fast as they are answered

    [[segment]]
    records = 500             # clean

    [[segment]]
    corruption = "fog"
    until = "closed"          # at the latest after `records`
    records = 60_000
"""

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from scenarios.brought import DRIFTED
from scenarios.corruptions import catalogue
from scenarios.corruptions.registry import choices, did_you_mean
from scenarios.datasets import DATASETS
from scenarios.errors import ScenarioError

__all__ = ["Must", "Person", "Scenario", "ScenarioError", "Segment", "load_scenario", "suite"]

Share = Annotated[float, Meta(ge=0, le=1)]
Outcome = Literal["verified", "harmless", "expected", "unknown_class", "none"]
FOREIGN = ("letters", "fashion-mnist")


class Segment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stretch of traffic of one kind.

    Attributes
    ----------
    records : images to send; with `until`, the most to send.
    corruption : "none" or a name of the catalogue: plain for MNIST-C, such as "fog", else with its benchmark, such as "cifar10_c/fog";
        or "drifted", data that somebody brought with a deployment file.
    severity : 1 to 5; left out, the published one.
    share : share of the images that are corrupted (or foreign), in [0, 1]; two numbers change it evenly from the first to the last record.
    until : "closed" ends the segment when the incident has come to rest, "alarm" at the alarm; whoever replays knows when that is.
    unknown_class : in place of a corruption, what the images show that the classifier has no class for: "letters" or "fashion-mnist".
    where : in which slice of the traffic alone images are changed, such as { site = "south" }; the scenario's `attributes` name the slices.
    """

    records: Annotated[int, Meta(ge=1)]
    corruption: str = "none"
    severity: Annotated[int, Meta(ge=1, le=5)] | None = None
    share: Share | Annotated[tuple[Share, ...], Meta(min_length=2, max_length=2)] = 1.0
    until: Literal["closed", "alarm"] | None = None
    unknown_class: str | None = None
    where: dict[str, str] = {}

    @property
    def kind(self) -> str:
        """What makes this segment different, in a word: "clean", a corruption, or "unknown class"."""
        if self.unknown_class is not None:
            return "unknown class"
        return "clean" if self.corruption == "none" else self.corruption

    def share_at(self, record: int) -> float:
        """Share of corrupted images at the `record`-th record of the segment, counted from 0."""
        if not isinstance(self.share, tuple):
            return self.share
        first, last = self.share
        return first + (last - first) * min(record / max(self.records - 1, 1), 1.0)


class Person(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who answers where nobody sits at the console; see `scenarios.people.ScriptedPerson`. Delay in seconds."""

    kind: Literal["scripted"] = "scripted"
    delay: Annotated[float, Meta(ge=0)] = 0.0
    error_rate: Share = 0.0
    expected: bool = False


class Must(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must hold after the replay; what is left out is not asked for.

    Attributes
    ----------
    detected_within : most records from the start of the change to the alarm.
    outcome : how the (first) incident ends: verified (a remedy helped), harmless, expected, unknown_class, or none (there is no incident).
    min_gain : least rise of the accuracy on drifted images, against doing nothing, in [0, 1].
    """

    detected_within: Annotated[int, Meta(ge=1)] | None = None
    outcome: Outcome | None = None
    min_gain: Share | None = None


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One named course of events. `batch` is images per request, `rate` images per second (0 = as fast as they are answered).

    `labels_after`: the true label of every record becomes known so many records later; left out, only a person's answers tell any.
    `attributes`: slices of the traffic, by attribute each value with its share, such as { site = { north = 0.7, south = 0.3 } }. To which one a
    record belongs is known as soon as it has been answered.
    """

    name: str
    segment: Annotated[tuple[Segment, ...], Meta(min_length=1)]
    description: str = ""
    dataset: str = "digits"
    seed: Annotated[int, Meta(ge=0)] = 0
    batch: Annotated[int, Meta(ge=1, le=1024)] = 20
    rate: Annotated[float, Meta(ge=0)] = 0.0
    labels_after: Annotated[int, Meta(ge=0)] | None = None
    attributes: dict[str, dict[str, Share]] = {}
    person: Person = Person()
    must: Must = Must()


def suite() -> Mapping[str, Path]:
    """The scenarios that come with the package, by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "suite").glob("*.toml"))}


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Load a scenario by its name in the suite, or from a TOML file.

    Raises
    ------
    ScenarioError : there is no such scenario, or its file is wrong; the text names the file, the line, the key and what is allowed.

    Examples
    --------
    >>> load_scenario("sudden_fog").segment[1].corruption
    'fog'
    """
    named = suite()
    path = named.get(str(name_or_path), Path(name_or_path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        near = get_close_matches(str(name_or_path), named, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        msg = f"There is no scenario {str(name_or_path)!r}, and no file of that name can be read ({error})."
        raise ScenarioError(f"{msg}{hint} The suite has: {', '.join(named)}.") from error
    return _Reader(path, text).read()


class _Reader:
    """Turns one file into a Scenario, or says what is wrong with it and where."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text

    def read(self) -> Scenario:
        try:
            content = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            msg = f"{self.path} is not TOML: {error}."
            raise ScenarioError(msg) from error
        self._no_unknown_keys(content)
        try:
            scenario = msgspec.convert(content, Scenario)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$")
            table, key = _place(where.rstrip("`"))
            if lacking := re.search(r"missing required field `(\w+)`", what):
                what = f"The key {lacking[1]!r} is missing"
            elif "enum" in what:
                what = f"{what}. Allowed: {', '.join(_choices(table, key))}"
            raise self._wrong(table, key, what) from error
        self._names_exist(scenario)
        return scenario

    def _no_unknown_keys(self, content: dict[str, Any]) -> None:
        tables: list[tuple[str, Any, type[Struct]]] = [("", content, Scenario)]
        tables += [(one, content.get(one), kind) for one, kind in (("person", Person), ("must", Must))]
        segments = content.get("segment")
        tables += [(f"segment {n}", one, Segment) for n, one in enumerate(segments if isinstance(segments, list) else [], 1)]
        for table, values, kind in tables:
            allowed = [field.name for field in msgspec.structs.fields(kind)]
            for key in values if isinstance(values, dict) else ():
                if key not in allowed:
                    raise self._unknown(table, key, f"There is no key {key!r} here", key, allowed)

    def _names_exist(self, scenario: Scenario) -> None:
        if scenario.dataset not in DATASETS:
            raise self._unknown("", "dataset", f"There is no data set {scenario.dataset!r}", scenario.dataset, DATASETS)
        for attribute, values in scenario.attributes.items():
            if abs(sum(values.values()) - 1) > 1e-6:
                raise self._wrong("attributes", attribute, f"The shares of its values sum to {sum(values.values()):g}; expected 1")
        for n, segment in enumerate(scenario.segment, 1):
            table = f"segment {n}"
            for attribute, value in segment.where.items():
                if value not in (values := scenario.attributes.get(attribute, {})):
                    known = values or scenario.attributes
                    fault = f"No record has {attribute} = {value!r}, as [attributes] stands"
                    raise self._unknown(table, "where", fault, value if values else attribute, known)
            if segment.corruption not in ("none", DRIFTED, *catalogue("all")):
                fault = f"There is no corruption {segment.corruption!r}.{did_you_mean(segment.corruption)} Allowed: {choices()}"
                raise self._wrong(table, "corruption", fault)
            if segment.severity is not None and segment.corruption == "none":
                raise self._wrong(table, "severity", "A severity needs a corruption")
            if segment.unknown_class is not None and segment.corruption != "none":
                raise self._wrong(table, "unknown_class", "A segment has either a corruption or an unknown_class, not both")
            if segment.unknown_class is not None and segment.unknown_class not in FOREIGN:
                fault = f"There are no images {segment.unknown_class!r}"
                raise self._unknown(table, "unknown_class", fault, segment.unknown_class, FOREIGN)
            if segment.unknown_class == scenario.dataset:
                raise self._wrong(table, "unknown_class", f"{scenario.dataset} is what the classifier knows; name another one")

    def _unknown(self, table: str, key: str, fault: str, word: str, allowed: Any) -> ScenarioError:
        near = get_close_matches(word, allowed, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return self._wrong(table, key, f"{fault}.{hint} Allowed: {', '.join(allowed) or 'none'}")

    def _wrong(self, table: str, key: str, fault: str) -> ScenarioError:
        line = _line(self.text, table, key)
        places = [f"line {line}" if line else "", f"[{table}]" if table else "", f"key {key!r}" if key else ""]
        return ScenarioError(f"{self.path}, {', '.join(one for one in places if one) or 'top level'}: {fault}.")


def _choices(table: str, key: str) -> tuple[str, ...]:
    """The words that a key may have.

    >>> _choices("segment 2", "until")
    ('closed', 'alarm')
    """
    kind = {"person": Person, "must": Must}.get(table, Segment if table.startswith("segment") else Scenario)
    hint = get_type_hints(kind)[key]
    return tuple(word for part in (hint, *get_args(hint)) for word in get_args(part) if isinstance(word, str))


def _place(path: str) -> tuple[str, str]:
    """Table and key of a place such as `.segment[0].records`.

    >>> _place(".segment[0].records"), _place(".must.outcome"), _place(".rate"), _place(".segment[1]")
    (('segment 1', 'records'), ('must', 'outcome'), ('', 'rate'), ('segment 2', ''))
    """
    match = re.match(r"\.segment\[(\d+)\]\.?(\w*)", path)
    if match:
        return f"segment {int(match[1]) + 1}", match[2]
    table, _, key = path.removeprefix(".").rpartition(".")
    return table, re.sub(r"\W.*", "", key)


def _line(text: str, table: str, key: str) -> int | None:
    """Number of the line, counted from 1, of a key in a table, or of the table's own header; None if it is not written there."""
    current, segments, header = "", 0, None
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[+\s*([\w-]+)", line):
            segments += head[1] == "segment"
            current = f"segment {segments}" if head[1] == "segment" else head[1]
            header = number if current == table else header
        if key and current in {table, key} and re.match(rf"\s*(\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*[=\]]", line):
            return number
    return header
