"""Without labels: is a class that the model has never seen told from a corruption?

    python -m benchmarks.novelty --only mnist --classes 0        # one class; about a minute on one core
    python -m benchmarks.novelty                                 # all twenty; results are added up in results/novelty.json

One class at a time is withheld from the classifier, from its reference and from the looks; then it comes to a share of the records. All are
fitted on training images; windows of 100 records are drawn from test images, for MNIST those of MNIST-C's reference files, for
Fashion-MNIST own corruptions at the published severities. "Not learned" are windows wholly of a corruption without which the looks
were fitted. Counted are windows with a confidence in new content of at least 0.95.

In streams the check `unknown_class` does what it does in the loop: after 300 clean records half of the records are of the withheld class, or
spoiled; where the monitor raises an alarm within 2,000 of them, the check says new class or, after its patience, drift. Nothing was tuned on
any of these images.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common.incident import RESULTS
from models.detectors.monitor import Monitor
from models.estimators.novelty import Looks
from models.networks.classifier import Classifier
from models.reference import Reference
from models.training import look, make_reference, train_classifier
from models.weaknesses.check import Records
from models.weaknesses.unknown_class import UnknownClass
from scenarios.corruptions import catalogue, corrupt, corruptions_for
from scenarios.corruptions.published import load_reference
from scenarios.datasets import load, shared_data
from scenarios.foreign import letters

Images = NDArray[np.uint8]
Seen = tuple[Images, NDArray[np.float64]]
Features = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]  # early, latent, and how spoiled the picture looks
DATASETS = ("mnist", "fashion-mnist")
TRAIN, CALIBRATION, POOL = 15_000, 5000, 4000
SHARES = (0.3, 0.5, 1.0)
SURE, WINDOW = 0.95, 100
STREAMS, BEFORE, LONGEST, BATCH, HALF = 10, 300, 2000, 50, 0.5


def without(labels: NDArray[np.int64], unseen: int) -> NDArray[np.int64]:
    """Labels of a model that has no such class; those above it move down."""
    return labels - (labels > unseen)


def records_of(monitor: Monitor, classifier: Classifier, images: Images) -> Seen:
    """Images and their p-values."""
    answer = look(classifier, images)
    return images, monitor.p_values(answer.early.numpy(), answer.latent.numpy())[:, 0]


def features_of(looks: Looks, classifier: Classifier, images: Images) -> Features:
    """What the check is told of images."""
    answer = look(classifier, images)
    return answer.early.numpy(), answer.latent.numpy(), looks.beyond_clean(images)


def said(check: UnknownClass, monitor: Monitor, changed: Features, clean: Features, rng: np.random.Generator) -> str:
    """What a stream is taken for: a new "class", "drift", or "nothing" where no alarm comes."""
    check.reset()
    monitor.reset()
    for after in range(0, BEFORE + LONGEST, BATCH):
        hit = (rng.random(BATCH) < HALF) & (after >= BEFORE)
        rows = rng.integers(len(clean[0]), size=BATCH), rng.integers(len(changed[0]), size=BATCH)
        early, latent, spoiled = (
            np.where(hit.reshape(-1, *[1] * (own.ndim - 1)), other[rows[1]], own[rows[0]]) for own, other in zip(clean, changed, strict=True)
        )
        none = np.zeros(BATCH, np.int64)
        seqs = after + 1 + np.arange(BATCH)
        if check.update(Records(seqs, none, none[:, None].astype(np.float32), early, latent, spoiled=spoiled)).alarm:
            return "class"
        reading = monitor.update(early, latent)
        if reading.alarm_at is not None and after + BATCH - reading.alarm_at > check.patience:
            return "drift"
    return "nothing"


def streams(
    reference: Reference, looks: Looks, classifier: Classifier, clean: Images, unseen: Images, spoiled: dict[str, Images], rng: np.random.Generator
) -> dict[str, dict[str, int]]:
    """How many streams are taken for what: twice as many of the withheld class as of each corruption."""
    check, monitor, usual = UnknownClass(reference), Monitor(reference), features_of(looks, classifier, clean)
    found = {}
    for name, images in {"the withheld class": unseen, **spoiled}.items():
        changed, count = features_of(looks, classifier, images), STREAMS if name in spoiled else 2 * STREAMS
        found[name] = dict(Counter(said(check, monitor, changed, usual, rng) for _ in range(count)))
    return found


def sure(looks: Looks, changed: Seen, clean: Seen, share: float, windows: int, rng: np.random.Generator) -> dict[str, float]:
    """Share of windows in which new content is told for sure, and the mean shares found."""
    some = round(share * WINDOW)
    found = []
    for _ in range(windows):
        one, other = rng.choice(len(changed[0]), some), rng.choice(len(clean[0]), WINDOW - some)
        found.append(looks.judge(*(np.concatenate([first[one], second[other]]) for first, second in zip(changed, clean, strict=True))))
    return {
        "new_content": float(np.mean([change.new_content >= SURE for change in found])),
        "changed": float(np.mean([change.changed for change in found])), "spoiled": float(np.mean([change.spoiled for change in found])),
    }  # fmt: skip


def measure(dataset: str, unseen: int, root: Path, windows: int) -> dict[str, Any]:
    """All figures of one withheld class."""
    rng = np.random.default_rng(unseen)
    train, calibration, test = (load(dataset, split, root) for split in ("train", "calibration", "test"))
    parts = []
    for split, count in ((train, TRAIN), (calibration, CALIBRATION)):
        chosen = np.flatnonzero(split.labels[:count] != unseen)
        parts.append((split.images[chosen], without(split.labels[chosen], unseen)))
    classifier = train_classifier(*parts[0], classes=len(train.classes) - 1, seed=unseen)
    reference = make_reference(classifier, *parts, corruptions=corruptions_for(parts[0][0]), seed=unseen)
    monitor = Monitor(reference)
    looks = Looks.fit(parts[0][0][:2000])
    images, labels = test.images[:POOL], test.labels[:POOL]
    known = labels != unseen
    clean = records_of(monitor, classifier, images[known])
    others = {"the withheld class": images[~known], "drawn letters": letters(500, *images.shape[1:], seed=unseen)}
    spoiled = {}
    for name in catalogue():
        shown = load_reference(root / "mnist_c", name)[0] if dataset == "mnist" else corrupt(images, name, seed=2026)
        spoiled[name] = records_of(monitor, classifier, shown[known])
    mild = {name: corrupt(images[known][:1000], name, 1, seed=2027) for name, one in catalogue().items() if len(one.parameters) > 1}
    row: dict[str, Any] = {
        "dataset": dataset, "withheld": unseen, "windows": windows,
        "clean": sure(looks, clean, clean, 0.0, 10 * windows, rng),
        "new": {name: {str(share): sure(looks, records_of(monitor, classifier, shown), clean, share, windows, rng) for share in SHARES}
                for name, shown in others.items()},
        "published": {name: {str(share): sure(looks, one, clean, share, windows, rng) for share in SHARES} for name, one in spoiled.items()},
        "mildest": {name: {"1.0": sure(looks, records_of(monitor, classifier, shown), clean, 1.0, windows, rng)} for name, shown in mild.items()},
        "not_learned": {},
        "streams": streams(reference, looks, classifier, images[known], images[~known], {name: one[0] for name, one in spoiled.items()}, rng),
    }  # fmt: skip
    for name in catalogue():
        fewer = Looks.fit(parts[0][0][:2000], [one for other, one in catalogue().items() if other != name])
        row["not_learned"][name] = {"1.0": sure(fewer, spoiled[name], clean, 1.0, windows, rng)}
    return row


def show(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table("windows of", *(f"share {share}" for share in SHARES), "worst", title=f"{rows[0]['dataset']}: told to be new content")
    classes = ", ".join(str(row["withheld"]) for row in rows)
    console.print(f"withheld one at a time: {classes}; clean windows told to be new: {np.mean([row['clean']['new_content'] for row in rows]):.3f}")
    groups = [(name, lambda row, name=name: {name: row["new"][name]}) for name in rows[0]["new"]]
    groups += [("published corruptions", lambda row: row["published"]), ("mildest corruptions", lambda row: row["mildest"]),
               ("corruptions not learned", lambda row: row["not_learned"])]  # fmt: skip
    for title, part in groups:
        cells = [[found[str(share)]["new_content"] for row in rows for found in part(row).values() if str(share) in found] for share in SHARES]
        if title == "the withheld class":
            worst = ", ".join(f"{row['withheld']} {row['new'][title]['0.3']['new_content']:.2f}" for row in rows) + " (share 0.3)"
        else:
            means = {name: float(np.mean([part(row)[name]["1.0"]["new_content"] for row in rows])) for name in part(rows[0])}
            worst = ", ".join(f"{name} {value:.2f}" for name, value in sorted(means.items(), key=lambda pair: -pair[1])[:4] if value > 0)
        table.add_row(title, *(f"{np.mean(cell):.3f}" if cell else "" for cell in cells), worst)
    console.print(table)
    show_streams([row["streams"] for row in rows if "streams" in row], console)


def show_streams(found: list[dict[str, dict[str, int]]], console: Console) -> None:
    """Of the streams that raise an alarm, how many are told for what they are."""
    new = Counter[str]()
    spoiled: dict[str, Counter[str]] = {}
    for row in found:
        for name, counts in row.items():
            (new if name == "the withheld class" else spoiled.setdefault(name, Counter())).update(counts)
    drift = sum(spoiled.values(), Counter())
    alarms = new["class"] + new["drift"], drift["class"] + drift["drift"]
    worst = ", ".join(f"{name} {one['class'] / (one['class'] + one['drift']):.2f}" for name, one in spoiled.items() if one["class"])
    if all(alarms):
        right = new["class"] / alarms[0], drift["drift"] / alarms[1]
        console.print(f"streams of a withheld class: {alarms[0]} of {new.total()} raise an alarm, {right[0]:.3f} of these as a new class")
        console.print(f"streams of corruptions: {alarms[1]} of {drift.total()}, {right[1]:.3f} of these as drift; as a new class: {worst or 'none'}")


def main(
    only: Annotated[str, typer.Option(help="mnist or fashion-mnist alone.")] = "",
    classes: Annotated[str, typer.Option(help="Which classes to withhold, such as 0,3; all ten by default.")] = "",
    windows: Annotated[int, typer.Option(help="Windows of each kind.")] = 20,
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST, FashionMNIST and mnist_c; by default the shared data.")] = None,
) -> None:
    """Tell new classes from corruptions in windows of records; results are added to those that are there."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    if only and only not in DATASETS:
        raise typer.BadParameter(f"--only {only}: use one of {', '.join(DATASETS)}")
    chosen = [int(one) for one in classes.split(",")] if classes else list(range(10))
    file, console = RESULTS / "novelty.json", Console(width=150)
    for dataset in (only,) if only else DATASETS:
        for unseen in chosen:
            row = measure(dataset, unseen, root, windows)
            rows = json.loads(file.read_text()) if file.exists() else []
            rows = [one for one in rows if (one["dataset"], one["withheld"]) != (dataset, unseen)] + [row]
            rows.sort(key=lambda one: (DATASETS.index(one["dataset"]), one["withheld"]))
            file.write_text(json.dumps(rows, indent=1) + "\n")
        show([one for one in rows if one["dataset"] == dataset], console)


if __name__ == "__main__":
    typer.run(main)
