"""What the rows of the science benchmark say, by corruption and on the whole."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

Row = dict[str, Any]
Z = 1.96


def gap_closed(row: Row, after: float) -> float | None:
    """(after - as is) / (oracle - as is), not above 1; None where the oracle gains less than two points, or is not known."""
    gap = (row["oracle"] or 0.0) - row["as_is"]
    return None if gap < 0.02 else min(1.0, (after - row["as_is"]) / gap)


def mean_of(rows: list[Row], value: Callable[[Row], float | None]) -> tuple[float, float]:
    """Mean over corruptions of the mean of seeds, and half the width of its 95 % interval over seeds."""
    seeds = sorted({row["seed"] for row in rows})
    found = [[value(row) for row in rows if row["seed"] == seed] for seed in seeds]
    means = [float(np.mean([one for one in ones if one is not None])) for ones in found if any(one is not None for one in ones)]
    error = Z * float(np.std(means, ddof=1)) / len(means) ** 0.5 if len(means) > 1 else float("nan")
    return (float(np.mean(means)), error) if means else (float("nan"), float("nan"))


NAMED = ("simulate", "retrain")  # learn from images spoiled as the drift was named


def best_prepared(row: Row, without: tuple[str, ...] = ()) -> float:
    """What the best of the remedies that the loop had prepared would have got, doing nothing among them; `without` some of them."""
    return max([row["as_is"], *(one["drift"] for name, one in row["prepared"].items() if name not in without)])


def better_than_random(name: str) -> Callable[[Row], float | None]:
    """What chosen teaching samples gain over random picks in a remedy, from the same records, at 20 labels; None where that is not known."""

    def gain(row: Row) -> float | None:
        chosen = row["remedies"].get(name, {}).get("20")
        return chosen["drift"] - row["random_picks"][name]["drift"] if chosen else None

    return gain


SUMMARY: dict[str, Callable[[Row], float | None]] = {
    "as is": lambda row: row["as_is"],
    "after the loop": lambda row: row["after"],
    "after the loop, without teaching labels": lambda row: row["loop_without_teaching"]["after"],
    "best prepared remedy in hindsight": best_prepared,
    "the same, had the corruption no name": lambda row: best_prepared(row, without=NAMED),
    "short of the best prepared remedy": lambda row: best_prepared(row) - row["after"],
    "oracle": lambda row: row["oracle"],
    "gap closed": lambda row: gap_closed(row, row["after"]),
    "gap closed, without teaching labels": lambda row: gap_closed(row, row["loop_without_teaching"]["after"]),
    "error of the estimate without labels": lambda row: abs(row["estimate"] - row["as_is"]) if row["estimate"] is not None else None,
    "clean accuracy lost": lambda row: row["clean_before"] - row["clean_after"],
    "labels used": lambda row: row["labels_used"],
    "chosen teaching samples against random picks, fine_tune": better_than_random("fine_tune"),
    "chosen teaching samples against random picks, transfer": better_than_random("transfer"),
}


def always(name: str, count: str) -> Callable[[Row], Row | None]:
    """A policy that takes the same remedy whatever comes."""
    return lambda row: row["remedies"].get(name, {}).get(count)


CONTROLS: dict[str, Callable[[Row], Row | None]] = {
    "recalibration alone": always("recalibrate", "0"),
    "always filter, no labels": always("filter", "0"),
    "always fine-tune, no labels": always("fine_tune", "0"),
    "always fine-tune, 20 labels": always("fine_tune", "20"),
    "always retrain, no labels": always("retrain", "0"),
    "continued training on clean images": lambda row: row["controls"].get("continued training"),
    "TENT, one pass": lambda row: row["controls"].get("TENT"),
    "TENT, 20 passes": lambda row: row["controls"].get("TENT, 20 passes"),
    "rule of Scanflow's demo, 75 labels": lambda row: row["controls"].get("Scanflow demo"),
}
"""What does not choose: accuracy on drifted images, on clean ones."""


def show(rows: list[Row], console: Console) -> None:
    """Print one line a corruption, what each remedy is worth at each number of labels, and the means."""
    console.print(_by_corruption(rows))
    console.print(_by_remedy(rows))
    for name, value in SUMMARY.items():
        mean, error = mean_of(rows, value)
        console.print(f"{name}: {mean:.4f}{_spread(error)}{_rows(value(row) for row in rows)}")
    for name, scores in CONTROLS.items():
        drift, error = mean_of(rows, lambda row, scores=scores: (scores(row) or {}).get("drift"))
        clean, _ = mean_of(rows, lambda row, scores=scores: (scores(row) or {}).get("clean"))
        console.print(f"control, {name}: {drift:.4f}{_spread(error)}, on clean images {clean:.4f}{_rows(scores(row) for row in rows)}")
    worse = [f"{row['corruption']} ({row['seed']})" for row in rows if row["after"] < row["as_is"]]
    console.print(f"rows that end below as is: {', '.join(worse) or 'none'}")


def _spread(error: float) -> str:
    return "" if np.isnan(error) else f" ± {error:.4f}"


def _by_corruption(rows: list[Row]) -> Table:
    table = Table("corruption", "as is", "est.", "seen", "after", "0 labels", "oracle", "gap", "chosen")
    for corruption in dict.fromkeys(row["corruption"] for row in rows):
        ours = [row for row in rows if row["corruption"] == corruption]
        table.add_row(
            corruption.rpartition("/")[2], _mean(row["as_is"] for row in ours), _mean(row["estimate"] for row in ours),
            ", ".join(str(row["detected_after"] or "-") for row in ours), _mean(row["after"] for row in ours),
            _mean(row["loop_without_teaching"]["after"] for row in ours), _mean(row["oracle"] for row in ours),
            _mean(gap_closed(row, row["after"]) for row in ours), ", ".join(row["chosen"] for row in ours),
        )
    return table


def _by_remedy(rows: list[Row]) -> Table:
    """Mean accuracy on drifted images over the corruptions for which it was prepared with so many labels."""
    counts = sorted({int(count) for row in rows for scores in row["remedies"].values() for count in scores})
    table = Table("remedy", *(f"{count} labels" for count in counts), title="accuracy on drifted images, mean of rows (how many, where not all)")
    for name in dict.fromkeys(name for row in rows for name in row["remedies"]):
        scores = [[row["remedies"].get(name, {}).get(str(count), {}).get("drift") for row in rows] for count in counts]
        table.add_row(name, *(f"{_mean(some)}{_rows(some)}" for some in scores))
    return table


def _rows(values: Iterable[Any]) -> str:
    """How many of the rows a mean is of, where it is not of all."""
    there = [value is not None for value in values]
    return "" if all(there) or not any(there) else f" ({sum(there)} of {len(there)})"


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3f}" if known else "-"
