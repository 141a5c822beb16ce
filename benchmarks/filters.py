"""Filters learned without pairs, from several starts: what they mend, what the gate is for, how often one settles on a wrong solution.

    python -m benchmarks.filters                   # MNIST-C, three starts, 0 and 20 labels: half an hour on a free core; resumable
    python -m benchmarks.filters --quick           # three corruptions, two starts, no label
    python -m benchmarks.filters --family fashion-mnist --labels 0

A start is a seed of the filter and of its training alone: classifier, reference, window and labels stay the same. Of a corruption's stream
(`benchmarks.science.worlds`), 1,500 images without labels are the window that the filter learns from; the rest, unseen, gives the score
without labels by which starts are told apart; accuracies are those of fresh images. Nothing was tuned on them.
"""

import json
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.common.incident import RESULTS, World, code_digest, first_model
from benchmarks.science.worlds import FAMILIES, MNIST_C, make_world
from models.export import load_modules, save_pipeline
from models.networks.filter import Filter
from models.networks.numerics import BATCH, thread_count, to_tensor
from models.queries.typical import typical
from models.reference import Reference
from models.remedies.context import RemedyContext
from models.remedies.filter import STEPS, learn_filter
from models.remedies.gate import fit_gate
from models.remedies.learning import Target, drifted_source
from models.training import look, make_reference
from scenarios.datasets import load, shared_data

WINDOW = 1500  # as the policy keeps them
WRONG = 0.05  # a start this far below the best one of its row settled on a wrong solution
NEAR = 0.01  # a pick this close to the best start is a good one
PATIENCE = 600.0  # seconds that a training may take, so that a busy machine cuts none short
PASSES = 2000  # timed runs of ONNX Runtime
BARS = {"clean lost": 0.002, "added ms": 1.0, "weights": 200_000}


@dataclass(frozen=True, eq=False)
class Scene:
    """One corruption in front of one classifier: what a remedy is given, and what it is scored on."""

    context: RemedyContext
    held: NDArray[np.uint8]
    """Unlabelled stream images outside of the window."""
    fresh: tuple[NDArray[np.uint8], NDArray[np.int64]]
    clean: tuple[NDArray[np.uint8], NDArray[np.int64]]

    @classmethod
    def of(cls, world: World, labelled: int) -> "Scene":
        """Draw the window, and let a person who never errs label `labelled` typical images of it."""
        classifier = load_modules(first_model(world.dataset, world.root, world.seed)).classifier
        training, calibration = (load(world.dataset, split, world.root) for split in ("train", "calibration"))
        half = len(calibration) // 2
        reference = make_reference(classifier, (training.images, training.labels), (calibration.images[:half], calibration.labels[:half]))
        images, labels = world.pool[world.corruption][:2]
        order = np.random.default_rng([world.seed, 7]).permutation(len(images))
        drifted, labels = images[order[:WINDOW]], labels[order[:WINDOW]]
        answer = look(classifier, drifted)
        teaching = typical(reference.features(answer.early.numpy(), answer.latent.numpy()), labelled, world.seed)
        context = RemedyContext(
            classifier=classifier, clean_images=training.images[:100], clean_labels=training.labels[:100], reference=reference, drifted=drifted,
            teaching=teaching, teaching_labels=labels[teaching], seed=world.seed, budget=PATIENCE,
        )
        return cls(context, images[order[WINDOW:]], world.fresh, world.clean)

    def routes(self, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which images the gate of this scene sends to the filter; no start changes it."""
        classifier = self.context.classifier
        gate, threshold, _ = fit_gate(self.context, look(classifier, self.context.drifted))
        answer = look(classifier, images)
        return np.asarray((gate(answer.early, answer.latent) > threshold).numpy())

    def plain(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Answers of the classifier alone, int64 [n]."""
        return np.asarray(look(self.context.classifier, images).logits.argmax(1).numpy())

    def answers(self, filter_: Filter, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits, latent) behind the filter, float32 [n, k] and [n, d]."""
        with torch.no_grad():
            parts = [self.context.classifier.answer(filter_(part)) for part in images.split(BATCH)]
        return torch.cat([logits for logits, _ in parts]), torch.cat([latent for _, latent in parts])

    def told(self, filter_: Filter) -> dict[str, float]:
        """What can be said of a filter without a label, on images that it never saw; smaller is better for all but `agreement`."""
        generator = torch.Generator().manual_seed(0)  # the same augmentation for every start
        images, target = to_tensor(self.held), Target.of(self.context)
        logits, latent = self.answers(filter_, images)
        changed, _ = self.answers(filter_, drifted_source(self.context, generator).augmented(images))
        return {
            "distance": float(target.distance(latent)), "score": float(target.loss(logits, latent, changed)),
            "agreement": float((changed.argmax(1) == logits.argmax(1)).float().mean()),
        }


def measure(scene: Scene, starts: Iterable[int]) -> Iterable[dict[str, Any]]:
    """Yield one row for each start."""
    sides = {"drift": scene.fresh, "clean": scene.clean}
    raw = {name: scene.plain(images) for name, (images, _) in sides.items()}
    routed = {name: scene.routes(images) for name, (images, _) in sides.items()}
    for start in starts:
        begun = time.process_time()
        filter_ = learn_filter(replace(scene.context, seed=start), STEPS)
        row: dict[str, Any] = {"start": start, "seconds": time.process_time() - begun, "weights": sum(one.numel() for one in filter_.parameters())}
        for name, (images, labels) in sides.items():
            mended = scene.answers(filter_, to_tensor(images))[0].argmax(1).numpy()
            row |= {
                f"{name}_as_is": float((raw[name] == labels).mean()), f"{name}_ungated": float((mended == labels).mean()),
                f"{name}_gated": float((np.where(routed[name], mended, raw[name]) == labels).mean()), f"{name}_routed": float(routed[name].mean()),
            }
        yield row | scene.told(filter_)


def latency(first: Path) -> dict[str, float]:
    """Milliseconds of one image through the classifier and through the filter, in ONNX Runtime with one thread; medians, taken in turns."""
    classifier = load_modules(first).classifier
    image = np.random.default_rng(0).random((1, classifier.channels, classifier.size, classifier.size), np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory(prefix="scanflow-bench-") as folder:
        save_pipeline(
            Path(folder), classifier, filter=Filter(classifier.channels, classifier.size).eval(), reference=Reference.load(first / "reference.npz"),
            name="filter", version="filter", classes=tuple(str(one) for one in range(classifier.classes)),
        )
        sessions = [onnxruntime.InferenceSession(str(Path(folder) / f"{role}.onnx"), options) for role in ("classifier", "filter")]
    took: list[list[float]] = [[], []]
    for _ in range(PASSES):
        for session, times in zip(sessions, took, strict=True):
            begun = time.perf_counter()
            session.run(None, {"images": image})
            times.append(time.perf_counter() - begun)
    ours, added = (1000 * float(np.median(times)) for times in took)
    return {"classifier_ms": ours, "filter_ms": added, "ratio": added / ours}


def main(
    quick: Annotated[bool, typer.Option(help="Three corruptions, two starts, no label.")] = False,
    family: Annotated[str, typer.Option(help=f"One of {', '.join(FAMILIES)}.")] = FAMILIES[0],
    only: Annotated[str, typer.Option(help="Comma-separated corruptions.")] = "",
    starts: Annotated[int, typer.Option(help="Starts of each filter.")] = 3,
    labels: Annotated[str, typer.Option(help="Comma-separated numbers of labels.")] = "0,20",
    seed: Annotated[int, typer.Option(help="Of the classifier and of the window.")] = 0,
    root: Annotated[Path | None, typer.Option(help="Folder with the data sets and mnist_c; by default those beside the repository.")] = None,
    again: Annotated[bool, typer.Option(help="Measure anew what the results file has already.")] = False,
) -> None:
    """Learn filters from several starts and print what became of them."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with the data sets and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    if family not in FAMILIES:
        raise typer.BadParameter(f"no family {family}; there are {', '.join(FAMILIES)}")
    corruptions = tuple(only.split(",")) if only else ("stripe", "scale", "fog") if quick else MNIST_C
    counts, starts = ((0,), 2) if quick else (tuple(int(one) for one in labels.split(",")), starts)
    file = RESULTS / ("filters_quick.json" if quick else "filters.json")
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() and not again else {"rows": []}
    rows, console, code = found["rows"], Console(width=150), code_digest()
    if any(row["code"] != code for row in rows):
        raise typer.BadParameter(f"{file} was measured with other code; measure all anew with --again, or move it away")
    RESULTS.mkdir(exist_ok=True)
    known = {(row["dataset"], row["corruption"], row["seed"], row["labels"], row["start"]) for row in rows}
    with thread_count(1):
        found["latency"] = latency(first_model(family, root, seed))
        for count in counts:
            for name in corruptions:
                todo = [start for start in range(starts) if (family, name, seed, count, start) not in known]
                for row in measure(Scene.of(make_world(family, name, seed, root), count), todo) if todo else ():
                    rows.append({"dataset": family, "corruption": name, "seed": seed, "labels": count, **row, "code": code})
                    file.write_text(json.dumps(found, indent=1) + "\n")
                    console.print(
                        f"{name:14s} {count:2d} labels, start {row['start']}: {row['drift_as_is']:.3f} -> {row['drift_gated']:.3f}, "
                        f"score {row['score']:.2f}, {row['seconds']:.0f} s", soft_wrap=True,
                    )
    for dataset, count in dict.fromkeys((row["dataset"], row["labels"]) for row in rows):
        show([row for row in rows if (row["dataset"], row["labels"]) == (dataset, count)], f"{dataset}, {count} labels", console)
    console.print("at batch 1: " + ", ".join(f"{name} {value:.3f}" for name, value in found["latency"].items()))
    console.print("must hold: " + ", ".join(f"{name} at most {bar:g}" for name, bar in BARS.items()))


def show(rows: list[dict[str, Any]], title: str, console: Console) -> None:
    """Print a line for each corruption, and how starts compare."""
    heads = ("corruption", "as is", "mean", "worst", "best", "picked", "wrong", "clean lost", "ungated", "routed", "distance", "agreement")
    table = Table(*heads, title=f"{title}: gated accuracy of {len({row['start'] for row in rows})} starts")
    picks: list[float] = []
    for name in dict.fromkeys(row["corruption"] for row in rows):
        ours = [row for row in rows if row["corruption"] == name]
        after = np.array([row["drift_gated"] for row in ours])
        picked = min(ours, key=lambda row: float(row["score"]))["drift_gated"]
        picks.append(float(after.max() - picked))
        table.add_row(
            name, f"{ours[0]['drift_as_is']:.3f}", f"{after.mean():.3f}", f"{after.min():.3f}", f"{after.max():.3f}", f"{picked:.3f}",
            f"{(after < after.max() - WRONG).sum()} of {len(ours)}", f"{max(row['clean_as_is'] - row['clean_gated'] for row in ours):.4f}",
            f"{max(row['clean_as_is'] - row['clean_ungated'] for row in ours):.4f}", f"{ours[0]['drift_routed']:.3f}",
            *(f"{np.mean([row[key] for row in ours]):.3f}" for key in ("distance", "agreement")),
        )
    console.print(table)
    wrong = sum(_below_best(row, rows) > WRONG for row in rows)
    blind = np.mean([_below_best(row, rows) <= NEAR for row in rows])
    as_is, after, ungated = (_mean(rows, key) for key in ("drift_as_is", "drift_gated", "drift_ungated"))
    console.print(f"as is {as_is:.4f}, mean of starts {after:.4f}, without gate {ungated:.4f}")
    console.print(f"wrong solutions (over {WRONG:g} below the best start): {wrong} of {len(rows)}")
    right = np.mean(np.array(picks) <= NEAR)
    console.print(f"the lowest score without labels is within {NEAR:g} of the best start: {right:.2f} (any start: {blind:.2f})")
    console.print(f"seconds of processor time for a training: {_mean(rows, 'seconds'):.1f}")


def _below_best(row: dict[str, Any], rows: list[dict[str, Any]]) -> float:
    return float(max(one["drift_gated"] for one in rows if one["corruption"] == row["corruption"]) - row["drift_gated"])


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


if __name__ == "__main__":
    typer.run(main)
