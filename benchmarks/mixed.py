"""Two corruptions in one stream, at once and one after another: are both mended, and is the first not forgotten?

    python -m benchmarks.mixed                     # six pairs, two seeds, both ways; resumable; about two hours on one core
    python -m benchmarks.mixed --quick             # one pair of each kind, one seed

Three courses of events, each through the whole loop on MNIST, in this process:

* `at once`: every image bears one of two corruptions; one incident.
* `after`: first the one until its incident rests, then the other until its own rests.
* `joined`: as `after`, but the first stays, so that half of the images bear it while the second comes.

The corrupted images are the reference files of MNIST-C: at even positions the stream, at odd ones the fresh images on which accuracies are
reported. Nothing was tuned on them. `kept` is the accuracy on the first corruption after the second incident less that after the
first; it must be at least -0.02. `prepared` holds what each remedy of an incident would have been worth on the first, the second and clean
images: what the choice could have been.
"""

import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from agents.in_process import InProcess
from agents.messages import IncidentClosed, IncidentOpened, PipelineLive, RemediesMeasured, RemedyChosen
from agents.state import State
from benchmarks.common.incident import RESULTS, code_digest, first_model, right_answers
from models.pipeline import MANIFEST, Manifest
from scenarios.corruptions.published import load_reference
from scenarios.datasets import load, shared_data
from scenarios.scenario import Scenario, Segment
from scenarios.source import Pool

PAIRS = (
    ("fog", "stripe"), ("impulse_noise", "glass_blur"), ("translate", "fog"), ("stripe", "shot_noise"), ("brightness", "impulse_noise"),
    ("canny_edges", "translate"),
)  # fmt: skip
COURSES = ("at once", "after", "joined")
RECORDS = 40_000
FORGOTTEN = 0.02
Scores = dict[str, float]


def pool_of(first: str, second: str, root: Path) -> Pool:
    """Reference images of both corruptions, of clean data, and of a stream in which every image bears one of the two."""
    parts = {name: load_reference(root / "mnist_c", name) for name in (first, second)}
    images, labels = parts[first]
    parts["none"] = load("mnist", "test", root).images[: len(images)], labels
    coin = np.random.default_rng(0).random(len(images)) < 0.5
    parts["both"] = np.where(coin[:, None, None], images, parts[second][0]), labels
    return {name: (shown[0::2], truth[0::2], shown[1::2], truth[1::2]) for name, (shown, truth) in parts.items()}


def segments_of(course: str, first: str, second: str) -> tuple[Segment, ...]:
    """The traffic of a course of events; each changed segment lasts until its incident has come to rest."""
    changed = {"at once": ("both",), "after": (first, second), "joined": (first, "both")}[course]
    return (Segment(records=500), *(Segment(corruption=name, until="closed", records=RECORDS) for name in changed))


def run_one(course: str, first: str, second: str, seed: int, root: Path) -> dict[str, Any]:
    """One row: accuracies on fresh images of the pipeline that was live at the start and after each incident."""
    begun = time.monotonic()
    pool, start = pool_of(first, second, root), first_model("mnist", root, seed)
    scenario = Scenario(name="mixed", segment=segments_of(course, first, second), dataset="mnist", seed=seed)
    with tempfile.TemporaryDirectory(prefix="scanflow-bench-") as folder, State(Path(folder)) as state:
        (state.folder / "pipelines" / start.name).symlink_to(start)
        loop = InProcess(state, scenario, root=root, pool=pool, clock=time.time, seed=seed)
        loop.run()
        shown = {key: pool[name][2:] for key, name in (("first", first), ("second", second), ("clean", "none"))}

        def scores(pipeline: str) -> Scores:
            return {key: float(right_answers(state.pipeline(pipeline), *images).mean()) for key, images in shown.items()}

        as_is, live, chosen, opened_on = scores(start.name), start.name, "nothing", ""
        prepared: dict[str, Scores] = {}
        incidents: list[dict[str, Any]] = []
        for message in loop.ledger.messages():
            match message:
                case IncidentOpened():
                    chosen, opened_on, prepared = "nothing", message.pipeline, {}
                case RemediesMeasured():
                    prepared = {remedy.name: scores(remedy.pipeline) for remedy in message.remedies}
                case RemedyChosen():
                    chosen = message.remedy
                case PipelineLive():
                    live = message.pipeline
                case IncidentClosed():
                    routes = len(Manifest.parse((state.pipeline(live) / MANIFEST).read_bytes()).routes)
                    told = {"outcome": message.outcome, "reason": message.reason, "chosen": chosen, "routes": routes, "pipeline": live}
                    incidents.append(told | {"opened_on": opened_on, "accuracy": scores(live), "prepared": prepared})
    return {
        "course": course, "first": first, "second": second, "seed": seed, "as_is": as_is, "incidents": incidents,
        "after": scores_at_the_end(as_is, incidents), "kept": kept(course, incidents), "seconds": time.monotonic() - begun,
    }  # fmt: skip


def scores_at_the_end(as_is: Scores, incidents: list[dict[str, Any]]) -> Scores:
    """Accuracies after the last incident."""
    return incidents[-1]["accuracy"] if incidents else as_is


def kept(course: str, incidents: list[dict[str, Any]]) -> float | None:
    """Accuracy on the first corruption after the last incident less that after the first one; None where there was only one incident.

    >>> kept("after", [{"accuracy": {"first": 0.98}}, {"accuracy": {"first": 0.97}}])
    -0.01
    """
    if course == "at once" or len(incidents) < 2:
        return None
    return round(incidents[-1]["accuracy"]["first"] - incidents[0]["accuracy"]["first"], 6)


def main(
    quick: Annotated[bool, typer.Option(help="One pair in each course of events, one seed.")] = False,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 2,
    only: Annotated[str, typer.Option(help="One pair, as first,second.")] = "",
    courses: Annotated[str, typer.Option(help="Comma-separated: at once, after, joined.")] = ",".join(COURSES),
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST and mnist_c; by default the shared data beside the repository.")] = None,
    processes: Annotated[int, typer.Option(help="Rows measured at the same time; one a core.")] = 1,
    again: Annotated[bool, typer.Option(help="Measure anew what the results file has already.")] = False,
) -> None:
    """Run the loop against streams of two corruptions and print what became of both."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    pairs = [tuple(only.split(","))] if only else list(PAIRS)
    asked = courses.split(",")
    if any(len(pair) != 2 for pair in pairs) or not set(asked) <= set(COURSES):
        raise typer.BadParameter(f"give --only first,second with two corruptions of MNIST-C, and --courses of {', '.join(COURSES)}")
    file = RESULTS / ("mixed_quick.json" if quick else "mixed.json")
    rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() and not again else []
    console, code = Console(), code_digest()
    RESULTS.mkdir(exist_ok=True)
    if any(row["code"] != code for row in rows):
        raise typer.BadParameter(f"{file} was measured with other code; measure all anew with --again, or move it away")
    known = {(row["course"], row["first"], row["second"], row["seed"]) for row in rows}
    wanted = [(course, *pair, seed) for seed in range(1 if quick else seeds) for pair in (pairs[:1] if quick else pairs) for course in asked]
    with ProcessPoolExecutor(processes, get_context("spawn")) as workers:
        for done in as_completed([workers.submit(run_one, *one, root) for one in wanted if one not in known]):
            rows.append(done.result() | {"code": code})
            file.write_text(json.dumps(rows, indent=1) + "\n")
            console.print(_line(rows[-1]), soft_wrap=True)
    show(rows, console)


def _line(row: dict[str, Any]) -> str:
    steps = [row["as_is"], *(one["accuracy"] for one in row["incidents"])]
    path = "; ".join(f"{key} " + " -> ".join(f"{step[key]:.3f}" for step in steps) for key in ("first", "second", "clean"))
    ways = ", ".join(f"{one['chosen']} ({one['outcome']}, {one['routes']} routes)" for one in row["incidents"])
    return f"{row['first']} and {row['second']}, {row['course']}, seed {row['seed']}: {path}; {ways or 'no incident'}; {row['seconds']:.0f} s"


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print a table by course of events and pair, and what must hold."""
    heads = ("course", "first", "second", "first as is, after", "second as is, after", "clean lost", "kept")
    table = Table(*heads, title="Two corruptions, mean of seeds")
    for course, first, second in dict.fromkeys((row["course"], row["first"], row["second"]) for row in rows):
        ours = [row for row in rows if (row["course"], row["first"], row["second"]) == (course, first, second)]
        before, after = ({key: np.mean([row[when][key] for row in ours]) for key in row_keys(ours)} for when in ("as_is", "after"))
        change = [row["kept"] for row in ours if row["kept"] is not None]
        table.add_row(
            course, first, second, f"{before['first']:.3f} {after['first']:.3f}", f"{before['second']:.3f} {after['second']:.3f}",
            f"{before['clean'] - after['clean']:.4f}", f"{np.mean(change):+.4f}" if change else "",
        )  # fmt: skip
    console.print(table)
    changes = [row["kept"] for row in rows if row["kept"] is not None]
    if changes:
        console.print(f"most forgotten of the first: {-min(changes):+.4f} (at most {FORGOTTEN}), in {len(changes)} runs with two incidents")


def row_keys(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """What accuracies are reported on."""
    return tuple(rows[0]["as_is"])


if __name__ == "__main__":
    typer.run(main)
