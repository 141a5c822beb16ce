"""The mission's four workflows as processes and as containers: do equal seeds make equal artefacts?

    python -m benchmarks.mission             # train, inference, fine-tune or retrain, fit a filter; some ten minutes on two cores
    python -m benchmarks.mission --quick     # train and inference

Each workflow is run by each runner in a state folder of its own, so that nothing is taken from the other's store. An artefact is equal if its
digest is: every byte of a pipeline folder, its ONNX files, reference and manifest.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from workflows.engine import run
from workflows.graph_files import load

GRAPHS = Path(__file__).parents[1] / "workflows" / "mission"
RESULTS = Path(__file__).parent / "results"
WORKFLOWS = ("train", "inference", "fine_tune", "fit_filter")
RUNNERS = ("process", "container")


def measure(name: str, states: dict[str, Path], given: dict[str, dict[str, Path]]) -> dict[str, Any]:
    """One workflow by both runners: seconds, the return function's value, and the artefacts whose digests differ."""
    row: dict[str, Any] = {"workflow": name}
    digests: dict[str, dict[str, str]] = {}
    for runner in RUNNERS:
        begun = time.monotonic()
        outside = given[runner] if name == "inference" else None
        result = run(load(GRAPHS / f"{name}.toml"), base=GRAPHS, state=states[runner], runner=runner, given=outside)
        if not result.ok:
            raise typer.BadParameter(f"{name} by {runner} did not end well; its logs are under {result.folder}")
        row |= {f"{runner}_seconds": time.monotonic() - begun, f"{runner}_value": result.value}
        digests[runner] = {f"{task}.{port}": value for task, one in result.outcomes.items() for port, value in one.digests.items()}
        if name == "train":
            given[runner]["inputs.pipeline"] = result.artefact("train.pipeline")
    names = sorted(set(digests["process"]) | set(digests["container"]))
    return row | {"artefacts": len(names), "different": [one for one in names if digests["process"].get(one) != digests["container"].get(one)]}


def main(quick: Annotated[bool, typer.Option(help="Train and inference alone.")] = False) -> None:
    """Run the workflows both ways, and print a table."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="scanflow-mission-") as folder:
        states = {runner: Path(folder) / runner for runner in RUNNERS}
        given: dict[str, dict[str, Path]] = {runner: {} for runner in RUNNERS}
        rows = []
        for name in WORKFLOWS[: 2 if quick else None]:
            rows.append(measure(name, states, given))
            console.print(f"{name}: {rows[-1]['artefacts']} artefacts, different: {', '.join(rows[-1]['different']) or 'none'}")
    if not quick:
        (RESULTS / "mission.json").write_text(json.dumps(rows, indent=1) + "\n")
    table = Table("workflow", "returns", "seconds as processes", "as containers", "artefacts", "different", title="The mission's workflows")
    for row in rows:
        cells = (f"{row['process_value']:.4f}", f"{row['process_seconds']:.0f}", f"{row['container_seconds']:.0f}", str(row["artefacts"]))
        table.add_row(row["workflow"], *cells, ", ".join(row["different"]) or "none")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
