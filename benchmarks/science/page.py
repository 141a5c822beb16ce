"""The tables of docs/science.md, written into the page from the results files, so that no figure is copied by hand.

    python -m benchmarks.science.page             # fills what stands between `<!-- mnist: by corruption -->` and `<!-- end -->`, and so on
    python -m benchmarks.science.page --check     # changes nothing; fails where the page says something else than the results
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.common.incident import RESULTS
from benchmarks.science.table import CONTROLS, SUMMARY, Row, gap_closed, mean_of
from benchmarks.science.worlds import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "science.md"
BLOCK = re.compile(r"(<!-- (?P<family>[\w-]+): (?P<table>[\w ]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)
WORSE = 0.002  # two errors of 0.001: what 6,000 fresh images, three seeds of 2,000, cannot tell from nothing


LEAST: dict[str, tuple[float, ...]] = {
    "gap closed": (0.97, 0.87, 0.75), "gap closed, without teaching labels": (0.90, 0.75, 0.60), "after the loop": (0.98,),
    "chosen teaching samples against random picks, fine_tune": (0, 0, 0), "chosen teaching samples against random picks, transfer": (0, 0, 0),
}
MOST: dict[str, tuple[float, ...]] = {
    "short of the best prepared remedy": (0.01, 0.02, 0.02), "error of the estimate without labels": (0.03, 0.05, 0.05),
}
"""What was asked of each line of the summary, by family."""


def by_corruption(rows: list[Row]) -> list[list[str]]:
    """One line a corruption: means of seeds, and what was chosen in each."""
    heads = ["corruption", "as is", "estimated", "alarm after", "after", "no teaching", "oracle", "gap closed", "clean lost", "labels", "chosen"]
    table = [heads]
    for name in dict.fromkeys(row["corruption"] for row in rows):
        ours = [row for row in rows if row["corruption"] == name]
        after = [row["after"] for row in ours]
        spread = f" ± {np.std(after):.3f}" if len(after) > 1 else ""
        gaps = [gap for row in ours if (gap := gap_closed(row, row["after"])) is not None]
        table.append([
            name.rpartition("/")[2].replace("_", " "), _mean(row["as_is"] for row in ours), _mean(row["estimate"] for row in ours),
            ", ".join("-" if row["detected_after"] is None else str(row["detected_after"]) for row in ours),
            f"{np.mean(after):.3f}{spread}", _mean(row["loop_without_teaching"]["after"] for row in ours),
            _mean(row["oracle"] for row in ours), f"{np.mean(gaps):.2f}" if gaps else "-",
            f"{max(row['clean_before'] - row['clean_after'] for row in ours):.4f}", f"{np.mean([row['labels_used'] for row in ours]):.0f}",
            ", ".join(_outcome(row) for row in ours),
        ])
    return table


def _outcome(row: Row) -> str:
    return str(row["chosen"]).replace("_", "-") if row["state"] == "verified" else str(row["state"] or "no alarm")


def must_hold(rows: list[Row]) -> list[list[str]]:
    """What was asked for, and what was measured, with a 95 % interval over the seeds."""
    table = [["must hold", "asked", "measured"]]
    place = FAMILIES.index(rows[0]["dataset"])
    for name, value in SUMMARY.items():
        asked = LEAST.get(name, MOST.get(name, ()))[place : place + 1]
        mean, error = mean_of(rows, value)
        measured = f"{mean:.4f}{'' if np.isnan(error) else f' ± {error:.4f}'}{_count(rows, value)}"
        prefix = "at most " if name in MOST else "at least " if asked and asked[0] else "more than "
        table.append([name.replace("_", "-"), f"{prefix}{asked[0]:g}" if asked else "", measured])
    means = {name: [row["after"] - row["as_is"] for row in rows if row["corruption"] == name] for name in {row["corruption"] for row in rows}}
    below = sorted(name for name, gains in means.items() if np.mean(gains) < -WORSE)
    single = [f"{row['corruption'].rpartition('/')[2]} seed {row['seed']}" for row in rows if row["after"] < row["as_is"] - WORSE]
    table.append(["corruptions that end below as is", "none", f"{', '.join(below) or 'none'} (single runs: {', '.join(single) or 'none'})"])
    return table


def by_remedy(rows: list[Row]) -> list[list[str]]:
    """Accuracy on drifted images by remedy and number of teaching labels, and on clean images with the fewest."""
    counts = sorted({int(count) for row in rows for scores in row["remedies"].values() for count in scores})
    table = [["remedy", *(f"{count} labels" for count in counts), "on clean images"]]
    for name in dict.fromkeys(name for row in rows for name in row["remedies"]):
        scores = [[row["remedies"].get(name, {}).get(str(count)) for row in rows] for count in counts]
        if any(one for some in scores for one in some):
            clean = [one["clean"] for some in scores for one in some if one]
            table.append([name.replace("_", "-"), *(_mean_of_some(some) for some in scores), f"{np.mean(clean):.4f}"])
    return table


def controls(rows: list[Row]) -> list[list[str]]:
    """What does not choose, beside the loop, over the rows in which each was run."""
    table = [["control", "on drifted images", "the loop, same rows", "on clean images"]]
    for name, scores in {"never act": lambda row: {"drift": row["as_is"], "clean": row["clean_before"]}, **CONTROLS}.items():
        found = [(score, row["after"]) for row in rows if (score := scores(row))]
        if found:
            drift, clean = (np.mean([score[part] for score, _ in found]) for part in ("drift", "clean"))
            number = "" if len(found) == len(rows) else f" ({len(found)} rows)"
            table.append([name + number, f"{drift:.3f}", f"{np.mean([after for _, after in found]):.3f}", f"{clean:.4f}"])
    return table


TABLES: dict[str, Callable[[list[Row]], list[list[str]]]] = {
    "by corruption": by_corruption, "must hold": must_hold, "by remedy": by_remedy, "controls": controls,
}


def filled(page: str, results: Path = RESULTS) -> str:
    """Return the page with its tables made anew from the results files."""

    def table(match: re.Match[str]) -> str:
        file = results / f"science_{match['family']}.json"
        rows: list[dict[str, Any]] = json.loads(file.read_text())
        rows.sort(key=lambda row: row["seed"])
        return f"{match[1]}{_markdown(TABLES[match['table']](rows))}{match[5]}"

    return BLOCK.sub(table, page)


def _markdown(table: list[list[str]]) -> str:
    heads, *lines = table
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *lines)) + "\n"


def _mean(values: Any) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3f}" if known else "-"


def _mean_of_some(scores: list[dict[str, float] | None]) -> str:
    known = [score["drift"] for score in scores if score]
    return "-" if not known else f"{np.mean(known):.3f}" + ("" if len(known) == len(scores) else f" ({len(known)} rows)")


def _count(rows: list[Row], value: Callable[[Row], float | None]) -> str:
    known = sum(value(row) is not None for row in rows)
    return "" if known == len(rows) else f" ({known} of {len(rows)} rows)"


def main(check: Annotated[bool, typer.Option(help="Change nothing; fail where the page and the results differ.")] = False) -> None:
    """Write the tables of docs/science.md."""
    page = PAGE.read_text(encoding="utf-8")
    made = filled(page)
    if check and made != page:
        typer.echo(f"{PAGE} differs from the results; write it anew with: python -m benchmarks.science.page", err=True)
        raise typer.Exit(1)
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
