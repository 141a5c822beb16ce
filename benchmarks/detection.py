"""How well is one corrupted image told from a clean one, and how soon is a stream of them noticed?

    python -m benchmarks.detection             # MNIST-C, three seeds; about five minutes on one core
    python -m benchmarks.detection --quick     # one seed
    python -m benchmarks.detection --family cifar10 --seeds 1    # CIFAR-10-C at severity 5; detection_cifar10.json

All of it at a mean run length of a million clean records to a false alarm, with the distance and the monitor that the tracker uses. The
area under the ROC curve is that of the distance of one image, corrupted against clean; the delays are those of streams that begin with
clean records and then change suddenly, in all records or in one of ten. Corrupted images are the reference files of MNIST-C, or those that
the science benchmark makes for another family; clean ones are test images: neither the classifier nor its reference has seen them. "Costly" are
corruptions that cost five points or more.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from benchmarks.common.incident import RESULTS, first_model
from benchmarks.science.worlds import FAMILIES, corruptions_of, make_world
from models.detectors.distance import Distance
from models.detectors.monitor import Monitor
from models.export import load_modules
from models.reference import Reference
from models.training import look
from scenarios.datasets import load, shared_data

Floats = NDArray[np.float64]

RUN_LENGTH = 1e6
STREAMS, BEFORE = 40, 200
PATIENCE = {1.0: 2_000, 0.1: 10_000}
"""Share of the records that is corrupted, and how many are waited for."""
COSTLY = 0.05


def delay(monitor: Monitor, clean: Floats, drifted: Floats, share: float, rng: np.random.Generator) -> int | None:
    """Records from the change to the alarm, None if there is none in time; `clean` and `drifted` are p-values to draw from."""
    before, after = rng.choice(clean, BEFORE), rng.choice(clean, PATIENCE[share])
    corrupted = rng.random(len(after)) < share
    after[corrupted] = rng.choice(drifted, int(corrupted.sum()))
    monitor.reset()
    reading = monitor.follow(np.concatenate([before, after]))
    return None if reading.alarm_at is None or reading.alarm_at < BEFORE else reading.alarm_at - BEFORE + 1


def measure(family: str, seed: int, root: Path) -> list[dict[str, Any]]:
    """One row a corruption for the classifier of a seed."""
    folder = first_model(family, root, seed)
    classifier, reference = load_modules(folder).classifier, Reference.load(folder / "reference.npz")
    distance, monitor = Distance(reference, reference.components[0]), Monitor(reference, RUN_LENGTH)
    rng, test = np.random.default_rng([seed, 11]), load(family, "test", root)

    def judged(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[NDArray[np.bool_], Floats, Floats]:
        seen = look(classifier, images)
        features = seen.early.numpy(), seen.latent.numpy()
        return seen.logits.argmax(1).numpy() == labels, distance.score(*features), monitor.p_values(*features)

    clean_right, scores, usual = judged(test.images, test.labels)
    rows = []
    for name in corruptions_of(family):
        stream, stream_labels, fresh, fresh_labels = make_world(family, name, seed, root).pool[name]
        right, odd_scores, odd = judged(np.concatenate([stream, fresh]), np.concatenate([stream_labels, fresh_labels]))
        labels = np.repeat([0, 1], [len(scores), len(odd_scores)])
        waits = {f"{share:g}": [delay(monitor, usual, odd, share, rng) for _ in range(STREAMS)] for share in PATIENCE}
        auroc = float(roc_auc_score(labels, np.concatenate([scores, odd_scores])))
        cost = float(clean_right[: len(right)].mean() - right.mean())
        rows.append({"dataset": family, "corruption": name, "seed": seed, "cost": cost, "auroc": auroc, "delays": waits})
    return rows


def main(
    quick: Annotated[bool, typer.Option(help="One seed.")] = False,
    family: Annotated[str, typer.Option(help=f"One of {', '.join(FAMILIES)}.")] = "mnist",
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST and mnist_c; by default the shared data beside the repository.")] = None,
) -> None:
    """Measure detection of single images and of streams, and print a table."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    if family not in FAMILIES:
        raise typer.BadParameter(f"no family {family}; there are {', '.join(FAMILIES)}")
    rows = [row for seed in range(1 if quick else seeds) for row in measure(family, seed, root)]
    if not quick:
        (RESULTS / ("detection.json" if family == "mnist" else f"detection_{family}.json")).write_text(json.dumps(rows, indent=1) + "\n")
    show(rows, Console())


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print one line a corruption, and the means over those that are costly."""
    heads = ("corruption", "cost", "AUROC of one image", "records to the alarm, all corrupted", "one of ten corrupted")
    table = Table(*heads, title="Detection, mean of seeds")
    for name in dict.fromkeys(row["corruption"] for row in rows):
        ours = [row for row in rows if row["corruption"] == name]
        cells = [_median(ours, share) for share in ("1", "0.1")]
        table.add_row(name, f"{np.mean([row['cost'] for row in ours]):.3f}", f"{np.mean([row['auroc'] for row in ours]):.3f}", *cells)
    console.print(table)
    costly = [row for row in rows if row["cost"] >= COSTLY]
    console.print(f"costly corruptions ({len(costly)} rows): mean AUROC {np.mean([row['auroc'] for row in costly]):.4f} (must be 0.97 on MNIST-C)")
    for share, most in (("1", 40), ("0.1", 400)):
        console.print(f"median records to the alarm, {float(share):.0%} corrupted: {_median(costly, share)} (must be at most {most})")


def _median(rows: list[dict[str, Any]], share: str) -> str:
    waits = [wait for row in rows for wait in row["delays"][share]]
    never = sum(wait is None for wait in waits)
    middle = np.median([PATIENCE[float(share)] if wait is None else wait for wait in waits])
    return f"{middle:.0f}" + (f" ({never} of {len(waits)} not in time)" if never else "")


if __name__ == "__main__":
    typer.run(main)
