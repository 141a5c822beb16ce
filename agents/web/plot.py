"""The evidence of drift over the records, with its alarm line, as an SVG that needs no script and no style of its own."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from agents.board import Mark, Trace

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 22, 30
PLAIN = 2.5  # of the alarm line: up to so much evidence the axis is linear
KNEE = 0.55  # where the alarm line stands in the height, where the axis is logarithmic above it


@dataclass(frozen=True)
class Tick:
    """A number beside an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Drawn:
    """What the template draws; all in units of the view box. `marks` are (x, mark, whether its words stand to the left)."""

    path: str
    area: str
    alarm: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[tuple[float, Mark, bool], ...]
    words: str


def draw(trace: Trace, alarm_line: float) -> Drawn | None:
    """The plot, or None while there is nothing to draw."""
    if len(trace.points) < 2 or alarm_line <= 0:
        return None
    first, last = trace.points[0][0], max(record for record, _ in trace.points)
    highest = max(evidence for _, evidence in trace.points)
    rise = _rise(alarm_line, highest)

    def across(record: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (record - first) / max(1, last - first), 1)

    def up(evidence: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rise(max(evidence, 0.0)), 1)

    dots = [f"{across(record)},{up(evidence)}" for record, evidence in trace.points]
    floor = up(0)
    record, evidence = trace.points[-1]
    alarms = [mark for mark in trace.marks if mark.kind == "alarm"]
    return Drawn(
        path="M" + " L".join(dots),
        area=f"M{across(first)},{floor} L" + " L".join(dots) + f" L{across(trace.points[-1][0])},{floor} Z",
        alarm=up(alarm_line),
        x_ticks=tuple(Tick(across(place), f"{place:,.0f}") for place in _steps(first, last)),
        y_ticks=tuple(Tick(up(value), f"{value:,.0f}") for value in _heights(alarm_line, highest)),
        marks=tuple((across(mark.record), mark, across(mark.record) > WIDTH * 0.7) for mark in trace.marks if first <= mark.record <= last),
        words=f"Log evidence of drift is {evidence:.1f} after record {record}; the alarm line is {alarm_line:.1f}. {len(alarms)} alarms are marked."
        + (" Above the line the axis is logarithmic." if highest > PLAIN * alarm_line else ""),
    )


def _rise(line: float, highest: float) -> Callable[[float], float]:
    """The share of the height at which evidence stands: linear, or linear to the alarm line and logarithmic above it.

    >>> rise = _rise(10, 1000)
    >>> rise(0), round(rise(10), 2), round(rise(100), 3), round(rise(1000), 2)
    (0.0, 0.55, 0.775, 1.0)
    """
    if highest <= PLAIN * line:
        return lambda evidence: evidence / (PLAIN * line)
    return lambda evidence: KNEE * min(evidence / line, 1.0) + (1 - KNEE) * math.log(max(evidence / line, 1.0)) / math.log(highest / line)


def _heights(line: float, highest: float) -> list[float]:
    """Numbers to write beside the axis.

    >>> _heights(13.8, 20), _heights(13.8, 5000)
    ([0.0, 10.0, 20.0, 30.0], [0.0, 5.0, 100.0, 1000.0])
    """
    if highest <= PLAIN * line:
        return _steps(0, PLAIN * line)
    powers = [10.0**power for power in range(math.ceil(math.log10(2 * line)), math.floor(math.log10(highest)) + 1)]
    return [*_steps(0, line)[:2], *(powers or [float(int(highest))])]


def _steps(low: float, high: float) -> list[float]:
    """Three to six round numbers from `low` to `high`.

    >>> _steps(0, 34.5), _steps(1, 23_000)
    ([0.0, 10.0, 20.0, 30.0], [5000.0, 10000.0, 15000.0, 20000.0])
    """
    size = 1.0
    while (high - low) / size > 6:
        size *= 2.5 if str(size)[0] == "2" else 2
    return [size * count for count in range(int(-(-low // size)), int(high // size) + 1)]
