"""Does the loop leave a harmless change alone?

    python -m benchmarks.harmless             # ten mild changes of MNIST; resumable, a minute or two each on one core
    python -m benchmarks.harmless --quick     # two of them

A change that costs less than a point of accuracy may be noticed, and the monitor notices most of them: different is not harmful. But no
remedy may be deployed for it, and a person may be bothered with at most one batch of questions. The changes are corruptions of MNIST-C at
mild severities, made of the first 4,000 test images: those at even positions are the stream, those at odd positions measure the cost. A
change that costs a point or more on them is shown, but counts as no harmless one.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.common.incident import RESULTS, World, code_digest, run_incident
from scenarios.corruptions import corrupt
from scenarios.datasets import load, shared_data

CHANGES = (
    ("shear", 1), ("dotted_line", 1), ("translate", 1), ("spatter", 1), ("scale", 2), ("shot_noise", 3), ("rotate", 1), ("impulse_noise", 1),
    ("scale", 1), ("shot_noise", 1),
)
"""Name and severity, 1 (mild) to 5."""
IMAGES = 4000
HARMLESS = 0.01


def world_of(name: str, severity: int, seed: int, root: Path) -> World:
    """Mildly corrupted test images, and the clean ones they were made from: even positions stream, odd ones fresh."""
    test = load("mnist", "test", root)
    clean, labels = test.images[:IMAGES], test.labels[:IMAGES]
    both = ((name, corrupt(clean, name, severity, seed=seed)), ("none", clean))
    return World("mnist", name, seed, {key: (data[0::2], labels[0::2], data[1::2], labels[1::2]) for key, data in both}, root)


def main(
    quick: Annotated[bool, typer.Option(help="Two changes.")] = False,
    seed: Annotated[int, typer.Option(help="Changes the classifier, the stream and what the remedies draw.")] = 0,
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST; by default the shared data beside the repository.")] = None,
    again: Annotated[bool, typer.Option(help="Measure anew what the results file has already.")] = False,
) -> None:
    """Run the loop against changes that do no harm."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw (see docs/benchmarks.md)")
    file, console, code = RESULTS / ("harmless_quick.json" if quick else "harmless.json"), Console(), code_digest()
    rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() and not again else []
    if any(row["code"] != code for row in rows):
        raise typer.BadParameter(f"{file} was measured with other code; measure all anew with --again, or move it away")
    known = {(row["corruption"], row["severity"], row["seed"]) for row in rows}
    for name, severity in CHANGES[: 2 if quick else None]:
        if (name, severity, seed) not in known:
            row = run_incident(world_of(name, severity, seed, root)) | {"severity": severity, "code": code}
            rows.append(row)
            file.write_text(json.dumps(rows, indent=1) + "\n")
            console.print(f"{name} {severity}: {row['state']}, {row['questions']} questions, {row['deployed']} deployed, {row['seconds']:.0f} s")
    show(rows, console)


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print a line for each change, and whether all harmless ones were left alone."""
    table = Table("change", "costs", "alarm after", "batches asked", "labels", "remedies deployed", "came of it", title="Harmless changes")
    for row in sorted(rows, key=cost):
        alarm = "none" if row["detected_after"] is None else str(row["detected_after"])
        labels = str(row["audit_labels"] + row["teaching_labels"])
        name = f"{row['corruption']} {row['severity']}"
        table.add_row(name, f"{cost(row):.4f}", alarm, str(row["questions"]), labels, str(row["deployed"]), row["reason"] or row["state"])
    console.print(table)
    harmless = [row for row in rows if cost(row) < HARMLESS]
    alone = [row for row in harmless if not row["deployed"] and row["questions"] <= 1]
    console.print(f"cost under a point: {len(harmless)}, mean {np.mean([cost(row) for row in harmless]):.4f}")
    console.print(f"left alone, with at most one batch of questions: {len(alone)} of {len(harmless)} (must be all)")


def cost(row: dict[str, Any]) -> float:
    """Accuracy that the change costs on fresh images."""
    return float(row["clean_before"] - row["as_is"])


if __name__ == "__main__":
    typer.run(main)
