"""What is known of accuracy in an incident, as an SVG of intervals that needs no script: before, during, after."""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.reports.accuracy import Known

WIDTH, LEFT, RIGHT, ROW, FOOT = 720, 250, 24, 34, 34


@dataclass(frozen=True)
class Bar:
    """One row: where its words, interval and value stand; `how` is the class of its colours and of its shape."""

    y: float
    name: str
    how: str
    low: float
    high: float
    at: float
    text: str


@dataclass(frozen=True)
class Bars:
    """What the template draws; all in units of the view box."""

    height: float
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    words: str


def draw_accuracy(rows: Sequence[Known]) -> Bars | None:
    """The picture, or None while nothing is known. The axis goes from 0, or from 0.5 where all is above that, to 1."""
    if not rows:
        return None
    floor = 0.5 if min(row.low for row in rows) >= 0.5 else 0.0

    def across(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - floor) / (1 - floor), 1)

    bars = tuple(
        Bar(ROW * (place + 0.5), row.name, row.how, across(row.low), across(row.high), across(row.value), f"{row.value:.3f}")
        for place, row in enumerate(rows)
    )  # fmt: skip
    ticks = tuple((across(floor + (1 - floor) * step / 5), f"{floor + (1 - floor) * step / 5:.1f}") for step in range(6))
    words = "; ".join(f"{row.name}: {row.value:.3f}" + (f", {row.low:.2f} to {row.high:.2f}" if row.low < row.high else "") for row in rows)
    return Bars(ROW * len(rows) + FOOT, bars, ticks, f"Accuracy. {words}.")
