"""The science benchmark: what the loop, each remedy and each control make of a drift, beside an oracle with all labels.

    python -m benchmarks.science                          # all families, three seeds: many hours; resumable, Ctrl-C loses one row
    python -m benchmarks.science --quick                  # one corruption, one seed, remedies as the loop prepares them: under five minutes
    python -m benchmarks.science --labels 0,20            # fewer points on the curves; a later run with more adds them to the same rows
    python -m benchmarks.science --external FILE.npz --family mnist    # a corruption that the project has never seen

Each row goes to `benchmarks/results/science_FAMILY.json` as soon as it is measured; the table and the plots come from there, also with
`--show`, which measures nothing. Rows of different code are never averaged.
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.common.incident import RESULTS, World, code_digest, first_model
from benchmarks.science.plots import draw
from benchmarks.science.row import Row, measure, measure_apart
from benchmarks.science.table import show
from benchmarks.science.worlds import FAMILIES, corruptions_of, external_world, make_world
from scenarios.datasets import shared_data

LABELS = "0,10,20,50,100"
BATCH = 10  # worlds measured by the same processes, which grow; an executor that replaces its own workers can wait for ever (cpython#115634)


def main(
    quick: Annotated[bool, typer.Option(help="One corruption, one seed, remedies as the loop prepares them.")] = False,
    family: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(FAMILIES)}.")] = ",".join(FAMILIES),
    only: Annotated[str, typer.Option(help="Comma-separated corruptions.")] = "",
    severity: Annotated[int | None, typer.Option(help="1 to 5, for cifar10 alone; 5 by default.")] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    labels: Annotated[str, typer.Option(help="Comma-separated teaching labels for the remedies outside the loop.")] = LABELS,
    external: Annotated[Path | None, typer.Option(help="A file with images and labels, uint8, in the order of the test split.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder with the data sets and mnist_c; by default those beside the repository.")] = None,
    controls: Annotated[int, typer.Option(help="For how many of the seeds the controls are run.")] = 3,
    processes: Annotated[int, typer.Option(help="Parts of rows measured at the same time; one a core.")] = 2,
    again: Annotated[bool, typer.Option(help="Measure anew what the results files have already.")] = False,
    show_only: Annotated[bool, typer.Option("--show", help="Measure nothing: print the tables and draw the plots.")] = False,
) -> None:
    """Measure how well the loop mends, and print a table."""
    families = family.split(",")
    if unknown := set(families) - set(FAMILIES):
        raise typer.BadParameter(f"no family {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    if external is not None and len(families) > 1:
        raise typer.BadParameter(f"{external} holds images of one data set; say which with --family, one of {', '.join(FAMILIES)}")
    if quick:
        families, seeds, labels = families[:1], 1, "" if labels == LABELS else labels
    counts = _numbers(labels)
    for name in families:
        known_as = f"{f'_{external.stem}' if external else ''}{f'_severity_{severity}' if severity else ''}{'_quick' if quick else ''}"
        file = RESULTS / f"science_{name}{known_as}.json"
        if show_only:
            report(read(file), file)
            continue
        data = root or shared_data()
        if data is None:
            raise typer.BadParameter("no data: give --root FOLDER with the data sets and mnist_c/reference_*.npz (see docs/benchmarks.md)")
        if external is not None:
            worlds = [external_world(name, external, seed, data) for seed in range(seeds)]
        else:
            corruptions = only.split(",") if only else corruptions_of(name)[-1:] if quick else corruptions_of(name)
            worlds = [make_world(name, corruption, seed, data, severity) for seed in range(seeds) for corruption in corruptions]
        run(worlds, counts, controls, file, processes, again=again)


def _numbers(labels: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(count) for count in labels.split(",") if count)
    except ValueError:
        counts = (-1,)
    if any(count < 0 for count in counts):
        raise typer.BadParameter(f"--labels {labels}: expected whole numbers with commas between them, such as {LABELS}")
    return counts


def read(file: Path) -> list[Row]:
    """The rows of a results file; none where there is no file."""
    rows: list[Row] = json.loads(file.read_text()) if file.exists() else []
    return rows


def run(worlds: list[World], counts: tuple[int, ...], controls: int, file: Path, processes: int, *, again: bool) -> None:
    """Measure what `file` does not hold yet of the worlds, write each row to it, and show them all."""
    rows = [] if again else read(file)
    console, code = Console(), code_digest()
    if any(row["code"] != code for row in rows):
        raise typer.BadParameter(f"{file} was measured with other code; measure all anew with --again, or move it away")
    known: dict[tuple[Any, Any], Row] = {(row["corruption"], row["seed"]): row for row in rows}
    todo = [world for world in worlds if _lacks(known.get((world.corruption, world.seed)), counts, controlled=world.seed < controls)]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    file.parent.mkdir(parents=True, exist_ok=True)
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(worlds[0].dataset, total=len(worlds), completed=len(worlds) - len(todo))
        for begin in range(0, len(todo), BATCH):
            for row in _measured(todo[begin : begin + BATCH], known, counts, controls, processes):
                known[row["corruption"], row["seed"]] = row | {"code": code}
                draft = file.with_suffix(".part")
                draft.write_text(json.dumps(list(known.values()), indent=1) + "\n")
                draft.replace(file)
                progress.advance(bar)
                name, seconds = f"{row['corruption']} seed {row['seed']}", row["seconds"] + row["seconds_apart"]
                console.print(f"{name}: {row['as_is']:.3f} -> {row['after']:.3f} by {row['chosen']}, {seconds:.0f} s")
    report(list(known.values()), file)


def _measured(
    todo: list[World], known: dict[tuple[Any, Any], Row], counts: tuple[int, ...], controls: int, processes: int
) -> Iterator[Row]:
    """The rows of some worlds, by processes of their own, each as soon as all of its parts are there."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as workers:
        for training in [workers.submit(first_model, world.dataset, world.root, world.seed) for world in {one.seed: one for one in todo}.values()]:
            training.result()
        parts: dict[Future[Row], World] = {}
        for world in todo:
            row, controlled = known.get((world.corruption, world.seed)), world.seed < controls
            if _lacks(row, counts, controlled=False):
                parts[workers.submit(measure, world, counts, row)] = world
            if row is None or (controlled and not row["controls"]):
                parts[workers.submit(measure_apart, world, controls=controlled)] = world
        for world in _completed(parts):
            row = known.get((world.corruption, world.seed), {})
            for part in (part for part, its in parts.items() if its is world):  # in the order in which they were begun
                row = row | part.result()
            yield row


def _completed(parts: dict[Future[Row], World]) -> Iterator[World]:
    """Each world once all of its parts are measured."""
    left = Counter(parts.values())
    for done in as_completed(parts):
        world = parts[done]
        left[world] -= 1
        if not left[world]:
            yield world


def _lacks(row: Row | None, counts: tuple[int, ...], *, controlled: bool) -> bool:
    """Whether there is something to measure; fine-tuning can be done with any number of labels."""
    if row is None or any(str(count) not in row["remedies"].get("fine_tune", {}) for count in counts):
        return True
    return controlled and not row["controls"]


def report(rows: list[Row], file: Path) -> None:
    """Print the table and draw the plots."""
    console = Console()
    if not rows:
        console.print(f"{file} holds no rows yet; measure some first")
        return
    show(rows, console)
    for picture in draw(rows, file.with_suffix("")):
        console.print(f"drawn: {picture}")


if __name__ == "__main__":
    typer.run(main)
