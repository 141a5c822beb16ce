"""How long does the product itself take, as a user starts it: from the command to the end, and from the alarm to all remedies?

    python -m benchmarks.first_run            # digits (the default scenario) and MNIST (stripes), scripted person
    python -m benchmarks.first_run --quick    # digits only

Times are of this machine, with nothing else to do if you want to compare them. The environment must be set up already.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.loop import RESULTS
from scenarios.datasets import shared_data

LIMITS = {"digits": 300.0}  # seconds for the whole of it
PREPARED = 180.0  # seconds from the alarm until all remedies are prepared
RUNS = (("digits", "default"), ("mnist", "sudden_stripe"))


def play(dataset: str, scenario: str, root: Path | None, runtime: str) -> dict[str, Any]:
    """Start the cluster as `make run` does, on a fresh state folder."""
    with tempfile.TemporaryDirectory(prefix="scanflow-first-run-") as folder:
        report, begun = Path(folder) / "report.json", time.monotonic()
        arguments = ["--once", "--dataset", dataset, "--scenario", scenario, "--runtime", runtime, "--state", f"{folder}/state"]
        environment = {"SCANFLOW_DATA": str(root)} if root is not None else {}
        done = subprocess.run(
            [sys.executable, "-m", "agents.cluster", *arguments, "--report", str(report)], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, env={**os.environ, **environment},
        )  # fmt: skip
        if not report.exists():
            raise typer.BadParameter(f"the cluster wrote no report:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        outcome: dict[str, Any] = json.loads(report.read_text())
        return {**outcome, "seconds": time.monotonic() - begun, "exit": done.returncode}


def main(
    quick: Annotated[bool, typer.Option(help="Digits only.")] = False,
    runtime: Annotated[str, typer.Option(help="Where inference runs.")] = "auto",
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST; by default the shared data beside the repository.")] = None,
) -> None:
    """Time whole runs of the product."""
    rows = [play(dataset, scenario, root or shared_data(), runtime) for dataset, scenario in RUNS[: 1 if quick else None]]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "first_run.json").write_text(json.dumps(rows, indent=1) + "\n")
    table = Table("data set", "scenario", "runtime", "whole run", "alarm to remedies", "outcome", "drifted: as is", "after", "failed requests")
    for row in rows:
        prepared = row["phases"].get("alarm to remedies prepared")
        table.add_row(
            row["dataset"], row["scenario"], row["runtime"], f"{row['seconds']:.0f} s", "-" if prepared is None else f"{prepared:.0f} s",
            f"{row['state']}, {row['chosen']}", f"{row['as_is']:.3f}", f"{row['after']:.3f}", str(row["failed_requests"]),
        )
    Console().print(table)
    typer.echo(f"must hold: digits in at most {LIMITS['digits']:.0f} s, all remedies prepared {PREPARED:.0f} s after the alarm")


if __name__ == "__main__":
    typer.run(main)
