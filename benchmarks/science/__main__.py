"""The science benchmark: what the loop, each remedy and each control make of a drift, beside an oracle with all labels.

    python -m benchmarks.science                          # MNIST-C and Fashion-MNIST, three seeds: hours; resumable, Ctrl-C loses one row
    python -m benchmarks.science --quick                  # two corruptions, one seed, few label counts: some minutes
    python -m benchmarks.science --external FILE.npz      # a corruption that the project has never seen

Each row goes to `benchmarks/results/science_FAMILY.json` as soon as it is measured. Rows of different code are never averaged.
"""

import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.common.incident import RESULTS, World, code_digest, first_model
from benchmarks.science.plots import draw
from benchmarks.science.row import measure
from benchmarks.science.table import show
from benchmarks.science.worlds import FAMILIES, MNIST_C, external_world, make_world
from scenarios.datasets import shared_data

LABEL_COUNTS = (0, 10, 20, 50, 100)
QUICK_COUNTS = (0, 20)


def main(
    quick: Annotated[bool, typer.Option(help="Two corruptions, one seed, remedies at 0 and 20 labels only.")] = False,
    family: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(FAMILIES)}.")] = ",".join(FAMILIES),
    only: Annotated[str, typer.Option(help="Comma-separated corruptions.")] = "",
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    external: Annotated[Path | None, typer.Option(help="A file with images and labels, uint8, in the order of the test split.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder with the data sets and mnist_c; by default those beside the repository.")] = None,
    processes: Annotated[int, typer.Option(help="Rows measured at the same time; one a core.")] = 2,
    again: Annotated[bool, typer.Option(help="Measure anew what the results files have already.")] = False,
) -> None:
    """Measure how well the loop mends, and print a table."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with the data sets and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    families = family.split(",")
    if unknown := set(families) - set(FAMILIES):
        raise typer.BadParameter(f"no family {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    corruptions = tuple(only.split(",")) if only else ("stripe", "fog") if quick else MNIST_C
    if quick:
        families, seeds = families[:1], 1
    counts = QUICK_COUNTS if quick else LABEL_COUNTS
    for name in families:
        file = RESULTS / f"science_{name}{f'_{external.stem}' if external else ''}{'_quick' if quick else ''}.json"
        if external is not None:
            worlds = [external_world(name, external, seed, root) for seed in range(seeds)]
        else:
            worlds = [make_world(name, corruption, seed, root) for seed in range(seeds) for corruption in corruptions]
        run(worlds, counts, file, processes, again=again)


def run(worlds: list[World], counts: tuple[int, ...], file: Path, processes: int, *, again: bool) -> None:
    """Measure the worlds that `file` does not hold yet, write each row to it, and show them all."""
    rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() and not again else []
    console, code = Console(), code_digest()
    if any(row["code"] != code for row in rows):
        raise typer.BadParameter(f"{file} was measured with other code; measure all anew with --again, or move it away")
    known = {(row["corruption"], row["seed"]) for row in rows}
    todo = [world for world in worlds if (world.corruption, world.seed) not in known]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with ProcessPoolExecutor(processes, get_context("spawn")) as workers, Progress(*columns, console=console) as progress:
        bar = progress.add_task(worlds[0].dataset, total=len(worlds), completed=len(worlds) - len(todo))
        for training in [workers.submit(first_model, world.dataset, world.root, world.seed) for world in {one.seed: one for one in todo}.values()]:
            training.result()
        for done in as_completed([workers.submit(measure, world, counts) for world in todo]):
            row = done.result() | {"code": code}
            rows.append(row)
            draft = file.with_suffix(".part")
            draft.write_text(json.dumps(rows, indent=1) + "\n")
            draft.replace(file)
            progress.advance(bar)
            name = f"{row['corruption']} seed {row['seed']}"
            console.print(f"{name}: {row['as_is']:.3f} -> {row['after']:.3f} by {row['chosen']}, {row['seconds']:.0f} s")
    show(rows, console)
    for picture in draw(rows, file.with_suffix("")):
        console.print(f"drawn: {picture}")


if __name__ == "__main__":
    typer.run(main)
