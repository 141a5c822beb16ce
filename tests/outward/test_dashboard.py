"""The Grafana dashboard, as far as it can be judged without Grafana: its shape, its variables, and what its legends say."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

FILE = Path(__file__).resolve().parents[2] / "deploy/grafana/scanflow.json"
BUILT_IN = {"__range", "__rate_interval", "__interval", "__all"}
OF_THE_LEDGER = {"scanflow_incidents_closed_total", "scanflow_questions_closed_total", "scanflow_labels_total"}  # they outlast a restart
Name = Annotated[str, msgspec.Meta(min_length=1)]


class Shape(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """A part of a dashboard. A key that it does not have is a slip of the pen: Grafana would pass over it without a word."""


class Source(Shape):
    type: Literal["prometheus"]
    uid: Literal["${datasource}"]


class Place(Shape):
    x: Annotated[int, msgspec.Meta(ge=0, le=23)]
    y: Annotated[int, msgspec.Meta(ge=0)]
    w: Annotated[int, msgspec.Meta(ge=1, le=24)]
    h: Annotated[int, msgspec.Meta(ge=2)]


class Target(Shape):
    ref_id: Annotated[str, msgspec.Meta(pattern="^[A-Z]$")]
    expr: Name
    legend_format: Name


class Step(Shape):
    color: Name
    value: float | None


class Thresholds(Shape):
    mode: Literal["absolute", "percentage"]
    steps: list[Step]


class Defaults(Shape):
    unit: Literal["short", "s", "percentunit", "cps", "reqps"]
    min: float | None = None
    max: float | None = None
    thresholds: Thresholds | None = None
    mappings: list[dict[str, Any]] = []


class Matcher(Shape):
    id: Literal["byName", "byRegexp", "byFrameRefID"]
    options: str


class Override(Shape):
    matcher: Matcher
    properties: list[dict[str, Any]]


class FieldConfig(Shape):
    defaults: Defaults
    overrides: list[Override]


class Panel(Shape):
    id: int
    title: Name
    description: str
    type: Literal["stat", "timeseries"]
    datasource: Source
    grid_pos: Place
    targets: Annotated[list[Target], msgspec.Meta(min_length=1)]
    field_config: FieldConfig
    options: dict[str, Any]


class Annotation(Shape):
    name: Name
    enable: bool
    icon_color: str
    datasource: Source
    expr: Name
    title_format: Name


class Annotations(Shape):
    list: list[Annotation]


class Templating(Shape):
    list: list[dict[str, Any]]


class Span(Shape, rename=None):
    begin: str = msgspec.field(name="from")
    to: str


class Dashboard(Shape):
    title: Name
    uid: Annotated[str, msgspec.Meta(pattern=r"^[\w-]{1,40}$")]
    tags: list[str]
    schema_version: Annotated[int, msgspec.Meta(ge=36)]
    version: int
    editable: bool
    refresh: Annotated[str, msgspec.Meta(pattern=r"^\d+[smh]$")]
    time: Span
    timezone: Literal["utc", "browser", ""]
    templating: Templating
    annotations: Annotations
    panels: list[Panel]


@pytest.fixture(scope="module")
def dashboard():
    return msgspec.json.decode(FILE.read_bytes(), type=Dashboard)


def spoken(dashboard):
    """Each query with the words that are made of its labels."""
    found = [(target.expr, target.legend_format) for panel in dashboard.panels for target in panel.targets]
    return found + [(one.expr, one.title_format) for one in dashboard.annotations.list]


def test_the_dashboard_has_the_shape_of_one_and_a_misspelt_key_is_refused(dashboard):
    wrong = json.loads(FILE.read_text())
    wrong["panels"][0]["targets"][0]["legend"] = "x"
    with pytest.raises(msgspec.ValidationError, match=r"unknown field `legend`.*panels"):
        msgspec.convert(wrong, Dashboard)
    assert len(dashboard.panels) > 10


def test_every_variable_that_is_used_is_one_that_the_dashboard_or_grafana_has(dashboard):
    names = [one["name"] for one in dashboard.templating.list]
    used = set(re.findall(r"\$\{?(\w+)", FILE.read_text()))
    assert used - BUILT_IN == set(names) and len(names) == len(set(names))
    assert all({"type", "query", "label"} <= one.keys() for one in dashboard.templating.list)


def test_queries_close_what_they_open_and_look_at_the_chosen_deployments_only(dashboard):
    for expr, _ in spoken(dashboard):  # how long agents are at work is told for all deployments together
        plain = re.sub(r'"[^"]*"', "", expr)
        assert all(plain.count(one) == plain.count(other) for one, other in ("()", "{}", "[]")), expr
        assert len(re.findall(r"scanflow_(?!agent_hand)\w+", expr)) == expr.count('deployment=~"$deployment"'), expr
        assert all(window in ("$__range", "$__rate_interval") or re.fullmatch(r"\d+[smhd]", window) for window in re.findall(r"\[([^\]]*)\]", expr)), expr


def test_counters_that_begin_anew_with_a_process_are_never_drawn_as_they_stand(dashboard):
    for expr, _ in spoken(dashboard):
        for place in re.finditer(r"scanflow_\w+_(?:total|sum|count|bucket)\b", expr):
            assert place.group() in OF_THE_LEDGER or re.search(r"(rate|increase|changes)\($", expr[: place.start()]), expr


def test_legends_speak_of_labels_that_the_query_leaves(dashboard):
    for expr, words in spoken(dashboard):
        wanted = set(re.findall(r"\{\{(\w+)\}\}", words))
        kept = re.search(r"\bby \(([^)]*)\)", expr)
        if kept:
            assert wanted <= set(re.split(r",\s*", kept.group(1))), expr
        elif re.match(r"(sum|max|min)\(", expr):
            assert not wanted, expr


def test_colours_begin_below_everything_and_rise(dashboard):
    for panel in dashboard.panels:
        if panel.field_config.defaults.thresholds:
            first, *rest = [step.value for step in panel.field_config.defaults.thresholds.steps]
            assert first is None and rest == sorted(rest), panel.title
        refs = [target.ref_id for target in panel.targets]
        assert len(refs) == len(set(refs)), panel.title
