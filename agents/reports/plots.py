"""Plots of a report as PNG files: drift over the records, accuracy with its intervals, what each remedy gains, who labelled.

Colours are those of Okabe and Ito, which stay apart for colour-blind eyes. Matplotlib is imported here and nowhere else in the agents' room.
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agents.board import Board
from agents.messages import HarmAssessed, IncidentOpened, LogBegun, Message, RemediesMeasured, RemedyChosen, WindowAnalysed
from agents.reports.account import Account

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#666666"
DPI = 144


def draw(account: Account, messages: Sequence[Message]) -> dict[str, bytes]:
    """PNG files by name, without an ending; only those for which there is something to draw. `messages` are those of the whole ledger."""
    plots: dict[str, bytes | None] = {}
    for name in account.deployments:
        mine = [one for one in messages if one.time <= account.until and one.deployment in (name, "")]
        plots["evidence" if len(account.deployments) == 1 else f"{name}-evidence"] = _evidence(name, mine)
    for told in account.incidents:
        story = [one for one in messages if one.incident == told.incident and one.time <= account.until]
        plots[f"{told.incident}-accuracy"] = _accuracy(story)
        plots[f"{told.incident}-remedies"] = _remedies(story)
    plots["people"] = _people(account)
    return {name: plot for name, plot in plots.items() if plot is not None}


def _evidence(deployment: str, messages: Sequence[Message]) -> bytes | None:
    """As far as the ledger keeps it: where it was saved, and at alarms."""
    board, alarms = Board(deployment), list[tuple[int, float]]()
    for message in messages:
        board.listen(message)
        if isinstance(message, LogBegun):
            alarms.clear()  # records count from 1 again
        elif isinstance(message, IncidentOpened):
            alarms.append((message.alarm_at, message.log_evidence))
    trace, line = board.trace(), board.status().alarm_line
    points = sorted({*trace.points, *alarms})
    if not points:
        return None
    figure, axes = _figure(3.2)
    # No line between the points: what the evidence did there is not kept.
    axes.plot(*zip(*points, strict=True), color=BLUE, marker="o", markersize=4, linestyle="", label="log evidence, where the ledger has it")
    axes.set_ylim(bottom=min(0.0, *(value for _, value in points)) - 0.5)
    if line:
        axes.axhline(line, color=RED, linestyle="--", linewidth=1, label="alarm line")
    for mark in trace.marks:
        colour = RED if mark.kind == "alarm" else GREEN
        axes.axvline(mark.record, color=colour, linewidth=1)
        axes.annotate(
            f"{mark.kind}: {mark.text}", (mark.record, 1.0), xycoords=("data", "axes fraction"), rotation=90, va="top", ha="right",
            fontsize=7, color=colour,
        )  # fmt: skip
    axes.set(xlabel="record", ylabel="log evidence of drift")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=8)
    return _png(figure)


def _accuracy(story: Sequence[Message]) -> bytes | None:
    """What is known of the accuracy on clean and on drifted data, before and after."""
    rows: list[tuple[str, float, float, float, str]] = []
    seen = next((one for one in reversed(story) if isinstance(one, WindowAnalysed)), None)
    harm = next((one for one in reversed(story) if isinstance(one, HarmAssessed) and one.audit), None)
    measured = next((one for one in reversed(story) if isinstance(one, RemediesMeasured)), None)
    chosen = next((one for one in reversed(story) if isinstance(one, RemedyChosen)), None)
    if seen:
        rows.append(("clean data", seen.clean_accuracy, seen.clean_accuracy, seen.clean_accuracy, GREEN))
        rows.append(("drifted, estimated without labels", seen.estimated_accuracy, *seen.estimate_range, ORANGE))
    if harm:
        rows.append((f"drifted, measured with {len(harm.audit)} labels", harm.accuracy, *harm.interval, RED))
    if measured and chosen:
        rows += [(f"drifted, with {one.name}", one.accuracy_drift, *one.interval, BLUE) for one in measured.remedies if one.name == chosen.remedy]
    return _intervals(rows, "accuracy", (0.0, 1.02)) if rows else None


def _remedies(story: Sequence[Message]) -> bytes | None:
    """The gain of each remedy over doing nothing."""
    measured = next((one for one in reversed(story) if isinstance(one, RemediesMeasured)), None)
    if measured is None:
        return None
    chosen = next((one.remedy for one in reversed(story) if isinstance(one, RemedyChosen)), "")
    rows = [
        (f"{one.name} (chosen)" if one.name == chosen else one.name, one.gain, *one.gain_interval, ORANGE if one.name == chosen else BLUE)
        for one in measured.remedies
    ]
    return _intervals(rows, "gain in accuracy over doing nothing, with its interval", None)


def _intervals(rows: Sequence[tuple[str, float, float, float, str]], title: str, limits: tuple[float, float] | None) -> bytes:
    figure, axes = _figure(0.9 + 0.38 * len(rows))
    for place, (_, value, low, high, colour) in enumerate(reversed(rows)):
        axes.plot((low, high), (place, place), color=colour, linewidth=3, solid_capstyle="round", alpha=0.6)
        axes.plot(value, place, "o", color=colour)
        axes.annotate(f"{value:.3f}", (value, place), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [row[0] for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.3)
    axes.set_xlabel(title)
    if limits:
        axes.set_xlim(*limits)
    else:
        axes.axvline(0, color=GREY, linestyle=":", linewidth=1)
    return _png(figure)


def _people(account: Account) -> bytes | None:
    shown = [one for one in account.people if one.audit or one.teaching]
    if not shown:
        return None
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(1.2 + 0.4 * len(shown))
    names = [one.name for one in reversed(shown)]
    audit, teaching = ([getattr(one, kind) for one in reversed(shown)] for kind in ("audit", "teaching"))
    axes.barh(names, audit, color=BLUE, height=0.6, label="to measure")
    axes.barh(names, teaching, left=audit, color=ORANGE, height=0.6, label="to learn from")
    axes.set_xlabel("labels")
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=8)
    return _png(figure)


def _figure(height: float) -> "tuple[Any, Axes]":
    from matplotlib.figure import Figure  # not pyplot: no state is shared, and no screen is looked for

    figure = Figure(figsize=(8.0, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes


def _png(figure: Any) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def titles(names: Mapping[str, bytes]) -> dict[str, str]:
    """What each plot shows, in words."""
    endings = {
        "evidence": "Evidence of drift over the records, against the alarm line", "accuracy": "Accuracy, with intervals",
        "remedies": "What each remedy gains, with intervals", "people": "Labels by person",
    }  # fmt: skip
    return {name: endings[name.rsplit("-", 1)[-1]] for name in names}
