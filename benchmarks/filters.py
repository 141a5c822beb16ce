"""Filters learned without pairs, from several starts: what they mend, what the gate is for, how often one settles on a wrong solution.

    python -m benchmarks.filters                   # MNIST-C, three starts, 0 and 20 labels: half an hour on a free core; resumable
    python -m benchmarks.filters --quick           # three corruptions, two starts, no label
    python -m benchmarks.filters --family fashion-mnist --labels 0
    python -m benchmarks.filters --own --method one_start,short_starts,few_images   # compare methods; never on the reference files

A start is a seed of the filter and of its training alone: classifier, reference, window and labels stay the same. Of a corruption's stream
(`benchmarks.science.worlds`), 1,500 images without labels are the window that the filter learns from; the rest, unseen, gives the score
without labels by which starts are told apart; accuracies are those of fresh images. Nothing was tuned on them: methods are compared with
`--own`, on corruptions made here on images of the training split, kept from the classifier's training.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import t
from torch import Tensor

from benchmarks.common.incident import RESULTS, World, code_digest, first_model
from benchmarks.common.filter_methods import METHODS
from benchmarks.loop import CORRUPTIONS
from benchmarks.science.worlds import FAMILIES, make_world
from models.export import load_modules, save_pipeline
from models.networks.classifier import Answer
from models.networks.filter import Filter
from models.networks.numerics import BATCH, thread_count, to_tensor
from models.queries.typical import typical
from models.reference import Reference
from models.remedies.context import RemedyContext
from models.remedies.gate import fit_gate
from models.remedies.learning import Target, drifted_source
from models.training import look, make_reference
from scenarios.corruptions import corrupt
from scenarios.datasets import load, shared_data

WINDOW = 1500  # as the policy keeps them
WRONG = 0.05  # a start this far below the best one of its row settled on a wrong solution
NEAR = 0.01  # a pick this close to the best start is a good one
PATIENCE = 600.0  # seconds that a training may take, so that a busy machine cuts none short
PASSES = 2000  # timed runs of ONNX Runtime
KEYS = ("dataset", "source", "corruption", "seed", "labels", "method", "start")
GROUP = ("dataset", "source", "seed", "labels", "method")
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

    @cached_property
    def raw(self) -> dict[str, NDArray[np.int64]]:
        """Answers of the classifier alone, int64 [n], to fresh drifted and to clean images."""
        return {name: np.asarray(answer.logits.argmax(1).numpy()) for name, answer in self._seen.items()}

    @cached_property
    def routed(self) -> dict[str, NDArray[np.bool_]]:
        """Which of these images the gate calls drifted, bool [n]; no start changes it. (A pipeline blends where the gate is in doubt.)"""
        gate, threshold, *_ = fit_gate(self.context, look(self.context.classifier, self.context.drifted))
        return {name: np.asarray((gate(answer.early, answer.latent) > threshold).numpy()) for name, answer in self._seen.items()}

    @cached_property
    def _seen(self) -> dict[str, Answer]:
        return {name: look(self.context.classifier, images) for name, (images, _) in (("drift", self.fresh), ("clean", self.clean))}

    def answers(self, filter_: Filter, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits, latent) behind the filter, float32 [n, k] and [n, d]."""
        with torch.no_grad():
            parts = [self.context.classifier.answer(filter_(part)) for part in torch.split(images, BATCH)]
        return torch.cat([logits for logits, _ in parts]), torch.cat([latent for _, latent in parts])

    def told(self, filter_: Filter) -> dict[str, float]:
        """What can be said of a filter without a label, on images that it never saw; smaller is better for all but `agreement`.

        `score` is the distance of the latents plus the share of answers that augmentation changes. The loss of training tells less: it
        leaves out what the classifier is unsure of, so a filter that makes it unsure of everything costs little there.
        """
        generator = torch.Generator().manual_seed(0)  # the same augmentation for every start
        images, target = to_tensor(self.held), Target.of(self.context)
        logits, latent = self.answers(filter_, images)
        changed, _ = self.answers(filter_, drifted_source(self.context, generator).augmented(images))
        distance = float(target.distance(latent))
        agreement = float((changed.argmax(1) == logits.argmax(1)).float().mean())
        loss = float(target.loss(logits, latent, changed))
        return {"score": distance + 1 - agreement, "distance": distance, "agreement": agreement, "loss": loss}


def own_world(family: str, corruption: str, seed: int, root: Path) -> World:
    """A corruption made here on the second half of the calibration images: of the training split, neither trained on nor in the reference."""
    kept = load(family, "calibration", root)
    half = len(kept) // 2
    clean, labels = kept.images[half:], kept.labels[half:]
    pools = {name: (data[0::2], labels[0::2], data[1::2], labels[1::2]) for name, data in (
        (corruption, corrupt(clean, corruption, seed=100 + seed)), ("none", clean),
    )}
    return World(family, corruption, seed, pools, root)


def measure(scene: Scene, learn: Callable[[RemedyContext], Filter], start: int) -> dict[str, Any]:
    """What came of one start of a method."""
    begun = time.process_time()
    filter_ = learn(replace(scene.context, seed=start))
    row: dict[str, Any] = {"seconds": time.process_time() - begun, "weights": sum(one.numel() for one in filter_.parameters())}
    for name, (images, labels) in (("drift", scene.fresh), ("clean", scene.clean)):
        raw, routed = scene.raw[name], scene.routed[name]
        mended = scene.answers(filter_, to_tensor(images))[0].argmax(1).numpy()
        row |= {
            f"{name}_as_is": float((raw == labels).mean()), f"{name}_ungated": float((mended == labels).mean()),
            f"{name}_gated": float((np.where(routed, mended, raw) == labels).mean()), f"{name}_routed": float(routed.mean()),
        }
    return row | scene.told(filter_)


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
    method: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(METHODS)}.")] = "one_start",
    own: Annotated[bool, typer.Option(help="Corruptions made on the training split, in place of the reference files.")] = False,
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
    methods = method.split(",")
    if unknown := set(methods) - set(METHODS):
        raise typer.BadParameter(f"no method {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    make, source = (own_world, "own") if own else (make_world, "reference")
    corruptions = tuple(only.split(",")) if only else ("stripe", "scale", "fog") if quick else CORRUPTIONS
    counts, starts = ((0,), 2) if quick else (tuple(int(one) for one in labels.split(",")), starts)
    file = RESULTS / ("filters_quick.json" if quick else "filters.json")
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() and not again else {"rows": []}
    rows, console, code = found["rows"], Console(width=150), code_digest()
    if any(row["code"] != code for row in rows):
        raise typer.BadParameter(f"{file} was measured with other code; measure all anew with --again, or move it away")
    RESULTS.mkdir(exist_ok=True)
    known = {tuple(row[key] for key in KEYS) for row in rows}
    with thread_count(1):
        found["latency"] = latency(first_model(family, root, seed))
        for count, name in product(counts, corruptions):
            todo = [key for key in product([family], [source], [name], [seed], [count], methods, range(starts)) if key not in known]
            if not todo:
                continue
            scene = Scene.of(make(family, name, seed, root), count)
            for key in todo:
                row = dict(zip(KEYS, key, strict=True)) | measure(scene, METHODS[key[-2]], key[-1]) | {"code": code}
                rows.append(row)
                file.write_text(json.dumps(found, indent=1) + "\n")
                console.print(
                    f"{name:14s} {row['method']} {count:2d} labels, start {row['start']}: {row['drift_as_is']:.3f} -> {row['drift_gated']:.3f}, "
                    f"score {row['score']:.2f}, {row['seconds']:.0f} s", soft_wrap=True,
                )
    groups = dict.fromkeys(tuple(row[key] for key in GROUP) for row in rows)
    for group in groups:
        show([row for row in rows if tuple(row[key] for key in GROUP) == group], ", ".join(f"{one}" for one in group), console)
    compare(rows, console)
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
    as_is, gated, ungated = (_mean(rows, key) for key in ("drift_as_is", "drift_gated", "drift_ungated"))
    console.print(f"as is {as_is:.4f}, mean of starts {gated:.4f}, without gate {ungated:.4f}")
    console.print(f"wrong solutions (over {WRONG:g} below the best start): {wrong} of {len(rows)}")
    right = np.mean(np.array(picks) <= NEAR)
    console.print(f"the lowest score without labels is within {NEAR:g} of the best start: {right:.2f} (any start: {blind:.2f})")
    console.print(f"seconds of processor time for a training: {_mean(rows, 'seconds'):.1f}")


def compare(rows: list[dict[str, Any]], console: Console) -> None:
    """Print for each other method how much better it is than the remedy's, on what both were measured on, with a 95 % interval over corruptions."""
    same = tuple(key for key in KEYS if key != "method")
    base = {tuple(row[key] for key in same): row for row in rows if row["method"] == "one_start"}
    others = [row for row in rows if row["method"] != "one_start"]
    for method, source, labels in dict.fromkeys((row["method"], row["source"], row["labels"]) for row in others):
        gains: dict[tuple[str, str], list[float]] = {}
        for row in others:
            twin = base.get(tuple(row[key] for key in same))
            if twin and (row["method"], row["source"], row["labels"]) == (method, source, labels):
                gains.setdefault((row["dataset"], row["corruption"]), []).append(row["drift_gated"] - twin["drift_gated"])
        if len(gains) > 1:
            means = np.array([np.mean(one) for one in gains.values()])
            wide = float(t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / len(means) ** 0.5)
            console.print(f"{method} against one_start, {source}, {labels} labels: {means.mean():+.4f} +- {wide:.4f} over {len(means)} corruptions")


def _below_best(row: dict[str, Any], rows: list[dict[str, Any]]) -> float:
    return float(max(one["drift_gated"] for one in rows if one["corruption"] == row["corruption"]) - row["drift_gated"])


def _mean(rows: list[dict[str, Any]], key: str) -> float:
    return float(np.mean([row[key] for row in rows]))


if __name__ == "__main__":
    typer.run(main)
