"""Pictures of the science benchmark: accuracy against labels, by corruption and on the mean, and what the loop made of each corruption."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from benchmarks.science.table import Row

COLOURS = {  # Okabe and Ito
    "recalibrate": "#999999", "simulate": "#e69f00", "filter": "#0072b2", "fine_tune": "#d55e00", "retrain": "#009e73", "transfer": "#cc79a7",
}


def draw(rows: list[Row], stem: Path) -> list[Path]:
    """Write `STEM_labels.png`, `STEM_outcome.png` and `STEM_delay.png`; returns their paths."""
    mpl.use("Agg")
    return [made(rows, stem.with_name(f"{stem.name}_{name}.png")) for name, made in (("labels", _labels), ("outcome", _outcome), ("delay", _delay))]


def _labels(rows: list[Row], file: Path) -> Path:
    """Accuracy on fresh drifted images against teaching labels: a line for each remedy, its mean over corruptions, with one standard error."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    seeds = sorted({row["seed"] for row in rows})
    for remedy, colour in COLOURS.items():
        counts = sorted({int(count) for row in rows for count in row["remedies"].get(remedy, {})})
        full = [row for row in rows if all(str(count) in row["remedies"].get(remedy, {}) for count in counts)]
        if not counts or not full:
            continue
        means = np.array([
            [np.mean([row["remedies"][remedy][str(count)]["drift"] for row in full if row["seed"] == seed]) for count in counts]
            for seed in seeds if any(row["seed"] == seed for row in full)
        ])
        middle, error = means.mean(0), means.std(0) / len(means) ** 0.5
        axes.plot(counts, middle, marker="o", color=colour, label=remedy.replace("_", " "))
        axes.fill_between(counts, middle - error, middle + error, color=colour, alpha=0.2, linewidth=0)
    for name, style, label in (("as_is", ":", "as is"), ("after", "-", "the loop"), ("oracle", "--", "oracle")):
        found = [row[name] for row in rows if row[name] is not None]
        if found:
            axes.axhline(float(np.mean(found)), color="black", linestyle=style, linewidth=1, label=label)
    corruptions = len({row["corruption"] for row in rows})
    axes.set(xlabel="teaching labels", ylabel="accuracy on fresh drifted images", title=f"{rows[0]['dataset']}, mean of {corruptions} corruptions")
    axes.legend(fontsize="small")
    return _saved(figure, file)


def _outcome(rows: list[Row], file: Path) -> Path:
    """For each corruption: as is, after the loop and the oracle, with what was chosen; the worst one first."""
    names = sorted({row["corruption"] for row in rows}, key=lambda name: np.mean([row["as_is"] for row in rows if row["corruption"] == name]))
    figure, axes = plt.subplots(figsize=(8, max(2.5, 0.8 + 0.32 * len(names))), layout="constrained")
    for place, name in enumerate(names):
        ours = [row for row in rows if row["corruption"] == name]
        before, after = (float(np.mean([row[key] for row in ours])) for key in ("as_is", "after"))
        axes.plot([before, after], [place, place], color="#bbbbbb", zorder=1)
        axes.scatter(before, place, color="black", marker="x", zorder=2)
        axes.scatter([row["after"] for row in ours], [place] * len(ours), color=[COLOURS.get(row["chosen"], "black") for row in ours], zorder=3)
        oracles = [row["oracle"] for row in ours if row["oracle"] is not None]
        if oracles:
            axes.scatter(float(np.mean(oracles)), place, color="black", marker="|", s=120, zorder=2)
    for remedy, colour in COLOURS.items():
        axes.scatter([], [], color=colour, label=remedy.replace("_", " "))
    axes.scatter([], [], color="black", marker="x", label="as is")
    axes.scatter([], [], color="black", marker="|", s=120, label="oracle")
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set(xlabel="accuracy on fresh drifted images", title=f"{rows[0]['dataset']}: what the loop chose, one dot a seed")
    figure.legend(fontsize="small", loc="outside right upper")
    return _saved(figure, file)


def _delay(rows: list[Row], file: Path) -> Path:
    """Records until the alarm against what the corruption costs, a dot a row; a cross on the upper edge where there was none."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    seen = [(max(1e-4, row["clean_before"] - row["as_is"]), row["detected_after"]) for row in rows]
    slowest = max((delay for _, delay in seen if delay is not None), default=1)
    alarms = [(cost, delay) for cost, delay in seen if delay is not None]
    axes.scatter(*np.array(alarms or [(np.nan, np.nan)]).T, color=COLOURS["filter"], label="alarm")
    missed = [cost for cost, delay in seen if delay is None]
    if missed:
        axes.scatter(missed, [2 * slowest] * len(missed), color=COLOURS["fine_tune"], marker="x", label="no alarm")
    axes.set_ylim(1, max(20, 4 * slowest))
    axes.axvline(0.05, color="#999999", linestyle=":", linewidth=1, label="5 points")
    axes.set(
        xscale="log", yscale="log", xlabel="accuracy that the corruption costs", ylabel="records until the alarm",
        title=f"{rows[0]['dataset']}: sudden corruptions, {len(rows)} rows",
    )
    axes.legend(fontsize="small")
    return _saved(figure, file)


def _saved(figure: plt.Figure, file: Path) -> Path:
    figure.savefig(file, dpi=120)
    plt.close(figure)
    return file
