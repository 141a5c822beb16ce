"""Is a corruption named right, and is one that nobody knows called unlike any?

    python -m benchmarks.naming                          # both data sets; some five minutes on one core
    python -m benchmarks.naming --only mnist --quick     # 20 windows each, three corruptions withheld

The catalogue is learned from 2,000 training images. Windows are drawn at random from the first 4,000 test images: for MNIST from the
reference files of MNIST-C, for Fashion-MNIST from own corruptions of its test images at the published severities. For "withheld" the
catalogue is learned anew without the corruption in question, in all its severities. "Strangers" are changes that no catalogue here holds.
Nothing was tuned on any of these images.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

from benchmarks.common.incident import RESULTS
from models.naming.resemblance import NONE, UNLIKE_ANY, Naming, Resemblance
from models.naming.statistics import image_statistics
from scenarios.corruptions import catalogue, corrupt
from scenarios.corruptions.published import load_reference
from scenarios.datasets import load, shared_data

Images = NDArray[np.uint8]
DATASETS = ("mnist", "fashion-mnist")
FIT, POOL = 2000, 4000
SIZES = (30, 100, 300)
WINDOW = 100
STRANGERS: Mapping[str, Callable[[Images], Images]] = {
    "inverse": lambda images: 255 - images,
    "mirrored": lambda images: images[:, :, ::-1].copy(),
    "quarter turn": lambda images: np.rot90(images, axes=(1, 2)).copy(),
    "low contrast": lambda images: (images * 0.3 + 90).astype(np.uint8),
    "gaussian blur": lambda images: gaussian_filter(images, (0, 1.5, 1.5)),
    "coarse pixels": lambda images: images[:, ::2, ::2].repeat(2, 1).repeat(2, 2),
    "black square": lambda images: np.where(_square(images), 0, images).astype(np.uint8),
}


def _square(images: Images) -> NDArray[np.bool_]:
    inside = np.zeros(images.shape[1:], bool)
    inside[10:18, 10:18] = True
    return inside


def pools_of(dataset: str, root: Path) -> dict[str, Images]:
    """Clean test images and each corruption of them, by name."""
    clean = load(dataset, "test", root).images[:POOL]
    if dataset == "mnist":
        return {NONE: clean} | {name: load_reference(root / "mnist_c", name)[0] for name in catalogue()}
    return {NONE: clean} | {name: corrupt(clean, name, None, seed=2026) for name in catalogue()}


def answers(known: Resemblance, rows: NDArray[np.float32], rng: np.random.Generator, size: int, windows: int) -> list[Naming]:
    """What windows drawn at random from these statistics are called."""
    return [known.name_statistics(rows[rng.choice(len(rows), size, replace=False)]) for _ in range(windows)]


def measure(dataset: str, root: Path, windows: int, withhold: int) -> dict[str, Any]:
    """All figures of one data set."""
    rng, train = np.random.default_rng(0), load(dataset, "train", root).images[:FIT]
    begun = perf_counter()
    known = Resemblance.fit(train)
    seconds = perf_counter() - begun
    pools = pools_of(dataset, root)
    rows = {name: image_statistics(images) for name, images in pools.items()}
    begun = perf_counter()
    known.name(pools[NONE][:WINDOW])
    row: dict[str, Any] = {"dataset": dataset, "windows": windows, "fit_seconds": seconds, "name_seconds": perf_counter() - begun, "sizes": {}}
    for size in SIZES:
        found = {name: answers(known, table, rng, size, windows) for name, table in rows.items()}
        row["sizes"][str(size)] = summary(found)
    mixed = {
        name: [known.name_statistics(np.concatenate([draw(table, WINDOW // 2, rng), draw(rows[NONE], WINDOW // 2, rng)])) for _ in range(windows)]
        for name, table in rows.items() if name != NONE
    }
    row["half"] = summary(mixed)
    clean = pools[NONE][:1000]
    kinds = [(one, severity) for one in catalogue().values() for severity in range(1, len(one.parameters) + 1)]
    each = [(one, severity, answers(known, image_statistics(one(clean, severity, seed=2027)), rng, WINDOW, 10)) for one, severity in kinds]
    row["every_severity"] = {
        "right": float(np.mean([naming.name == one.name for one, _, found in each for naming in found])),
        "severity_off": float(np.mean([abs(naming.severity - severity) for _, severity, found in each for naming in found if naming.severity])),
    }
    row["between"] = {}
    for name, one in catalogue().items():
        if len(one.parameters) > 1 and isinstance(one.parameters[0], float):
            between = replace(one, parameters=(sum(one.parameters[1:3]) / 2,))
            found = answers(known, image_statistics(between(clean, 1, seed=2027)), rng, WINDOW, windows)
            row["between"][name] = summary({name: found})["by_name"][name]
    row["withheld"] = {}
    for name in list(catalogue())[:withhold]:
        fewer = Resemblance.fit(train, [one for other, one in catalogue().items() if other != name])
        row["withheld"][name] = rejection(answers(fewer, rows[name], rng, WINDOW, windows))
    row["strangers"] = {
        name: rejection(answers(known, image_statistics(change(pools[NONE])), rng, WINDOW, windows)) for name, change in STRANGERS.items()
    }
    return row


def draw(table: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return table[rng.choice(len(table), count, replace=False)]


def summary(found: Mapping[str, list[Naming]]) -> dict[str, Any]:
    """Share named right, mean confidence in the answer, what else was answered, and severities and shares found, by name."""
    corrupted = [one.name == name for name, some in found.items() if name != NONE for one in some]
    wrong = Counter((name, one.name) for name, some in found.items() for one in some if one.name != name)
    by_name = {
        name: {
            "right": float(np.mean([one.name == name for one in some])),
            "nearest_right": float(np.mean([one.nearest == name for one in some])),
            "confidence": float(np.mean([one.confidence for one in some])),
            "severity": float(np.mean(degrees)) if (degrees := [one.severity for one in some if one.name == name and one.severity]) else None,
            "share": float(np.mean([one.share for one in some])),
            "distance": float(np.median([one.distance for one in some])),
        }
        for name, some in found.items()
    }
    confusions = [{"is": pair[0], "called": pair[1], "windows": count} for pair, count in wrong.most_common()]
    return {"top_1": float(np.mean(corrupted)), "by_name": by_name, "confusions": confusions}


def rejection(found: list[Naming]) -> dict[str, Any]:
    """How often windows of what is not in the catalogue are called unlike any, and what they remind of."""
    unlike = [one.name == UNLIKE_ANY for one in found]
    sure = [one.name != UNLIKE_ANY and one.confidence >= 0.9 for one in found]
    reminds = Counter(one.nearest for one in found).most_common(1)[0][0]
    return {"unlike_any": float(np.mean(unlike)), "named_with_confidence": float(np.mean(sure)), "reminds_of": reminds,
            "distance": float(np.median([one.distance for one in found]))}  # fmt: skip


def show(row: dict[str, Any], console: Console) -> None:
    console.print(f"[b]{row['dataset']}[/b]: fitted in {row['fit_seconds']:.1f} s, a window of {WINDOW} named in {row['name_seconds']:.2f} s")
    table = Table("records", "corruptions named right", "clean called none", "confused")
    for title, part in (*row["sizes"].items(), (f"{WINDOW}, half corrupted", row["half"])):
        wrong = ", ".join(f"{one['is']} as {one['called']} ({one['windows']})" for one in part["confusions"][:6])
        clean = f"{part['by_name'][NONE]['right']:.3f}" if NONE in part["by_name"] else ""
        table.add_row(title, f"{part['top_1']:.3f}", clean, wrong or "nothing")
    console.print(table)
    table = Table("corruption", "right", "confidence", "severity", "published", "distance", "withheld: unlike any", "reminds of")
    for name, one in row["sizes"][str(WINDOW)]["by_name"].items():
        severity, published = ("", "") if not one["severity"] else (f"{one['severity']:.2f}", str(catalogue()[name].published))
        withheld = row["withheld"].get(name)
        out = ("", "") if withheld is None else (f"{withheld['unlike_any']:.2f} (distance {withheld['distance']:.1f})", withheld["reminds_of"])
        table.add_row(name, f"{one['right']:.2f}", f"{one['confidence']:.3f}", severity, published, f"{one['distance']:.2f}", *out)
    console.print(table)
    every = row["every_severity"]
    console.print(f"Own corruptions, all severities: {every['right']:.3f} named right, {every['severity_off']:.2f} is the mean error of the severity")
    for name, one in row["between"].items():
        right = f"right {one['right']:.2f}, nearest right {one['nearest_right']:.2f}"
        console.print(f"  {name} between severities 2 and 3: {right}, distance {one['distance']:.1f}")
    table = Table("stranger", "unlike any", "distance", "reminds of")
    for name, one in row["strangers"].items():
        table.add_row(name, f"{one['unlike_any']:.2f}", f"{one['distance']:.1f}", one["reminds_of"])
    console.print(table)


def main(
    quick: Annotated[bool, typer.Option(help="Fewer windows, three corruptions withheld; no results file.")] = False,
    only: Annotated[str, typer.Option(help="mnist or fashion-mnist alone; its part of the results file is replaced.")] = "",
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST, FashionMNIST and mnist_c; by default the shared data.")] = None,
) -> None:
    """Name corruptions from windows of records, and see which are told to be unlike any."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    if only and only not in DATASETS:
        raise typer.BadParameter(f"--only {only}: use one of {', '.join(DATASETS)}")
    file, console = RESULTS / "naming.json", Console(width=140)
    for dataset in (only,) if only else DATASETS:
        row = measure(dataset, root, 20 if quick else 50, 3 if quick else len(catalogue()))
        show(row, console)
        if not quick:
            rows = json.loads(file.read_text()) if file.exists() else {}
            RESULTS.mkdir(exist_ok=True)
            file.write_text(json.dumps(rows | {dataset: row}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
