"""One row of the science benchmark: a corruption and a seed, through the loop, every remedy and every control."""

import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policy import Labels, Policy
from benchmarks.common.incident import Drifted, World, first_model, incident, right_answers
from benchmarks.controls import continued, scanflow_demo, tent
from benchmarks.science.worlds import oracle
from models.export import load_modules, save_pipeline
from models.queries.random import random
from models.queries.typical import typical
from models.reference import Reference
from models.remedies.catalogue import remedies
from models.remedies.context import Candidate, RemedyContext
from models.training import look, make_reference
from scenarios.datasets import Dataset, load
from workflows.steps.prepare import CLEAN_IMAGES

UNLABELLED = ("recalibrate",)
TRAINED = ("simulate", "filter", "fine_tune", "retrain", "transfer")
PICKED_AT_RANDOM = ("fine_tune", "transfer")
TEACHING = 20
WINDOW = 1500  # as the policy keeps them
BUDGET = 80.0  # seconds, as the workshop gives a remedy
DEMO_IMAGES = 10_000  # of the training split, for the autoencoder of Scanflow's demo
WITHOUT_TEACHING = Policy(labels=Labels(teaching=0))
Scores = dict[str, float]
Row = dict[str, Any]


def measure(world: World, label_counts: Iterable[int], known: Row | None = None) -> Row:
    """Run all parts of a row that `known`, an earlier result with fewer label counts, does not hold yet.

    `label_counts` are those of the remedies outside the loop; the loop itself runs with at most 20 teaching labels, and with none.
    """
    begun = time.monotonic()
    row = _loops(world) if known is None else known
    drifted = row.pop("drifted", None)
    bench = Bench(world, drifted, _named(row))
    if known is None:
        row["random_picks"] = {name: bench.remedy(name, TEACHING, random) for name in PICKED_AT_RANDOM}
    always = [(name, 0) for name in UNLABELLED] + [(name, TEACHING) for name in PICKED_AT_RANDOM]
    for name in (*UNLABELLED, *TRAINED):
        scores = row["remedies"].setdefault(name, {})
        for count in sorted({*label_counts, *(number for one, number in always if one == name)}):
            if str(count) not in scores and bench.can(name, count):
                scores[str(count)] = bench.remedy(name, count)
    row["recalibrated"] = row["remedies"]["recalibrate"]["0"]["drift"]
    return row | {"seconds": row["seconds"] + time.monotonic() - begun}


def measure_apart(world: World, *, controls: bool) -> Row:
    """Run the parts of a row that need nothing from the loop: the oracle and, if wanted, the controls."""
    begun = time.monotonic()
    bench = Bench(world, None, None)
    row = {"oracle": bench.oracle(), "controls": bench.controls() if controls else {}}
    return row | {"seconds_apart": time.monotonic() - begun}


def _loops(world: World) -> Row:
    """The loop with teaching labels and without; what it prepared on the way need not be prepared again."""
    row, drifted = incident(world)
    taught = row["teaching_labels"] == TEACHING
    without = incident(world, WITHOUT_TEACHING)[0] if row["teaching_labels"] else row
    scores: dict[str, dict[str, Scores]] = {}
    for one, count in ((row, TEACHING if taught else 0), (without, 0)):
        for name, found in one["prepared"].items():
            if name != "nothing":
                scores.setdefault(name, {})["0" if name in UNLABELLED else str(count)] = found
    labels = {"teaching": row["teaching_labels"], "audit": row["audit_labels"]}
    chosen = next((one for one in row["remedies"] if one["name"] == row["chosen"]), None)
    return row | {
        "severity": world.severity, "measured": row["remedies"], "remedies": scores, "labels_used": sum(labels.values()), "drifted": drifted,
        "loop_without_teaching": {key: without[key] for key in ("after", "chosen", "state", "audit_labels", "clean_after", "prepared")},
        "latency_added_ms": chosen["latency_added_ms"] if chosen else 0.0, "seconds": 0.0,
    }


def _named(row: Row) -> tuple[str, float | None] | None:
    like = row["likeness"]
    return (like["name"], like["severity"]) if like and like["name"] not in ("none", "unlike any") else None


class Bench:
    """Remedies outside the loop, prepared from the same records as within it, scored on the world's fresh images."""

    def __init__(self, world: World, drifted: Drifted | None, named: tuple[str, float | None] | None) -> None:
        self.world, self.named = world, named
        self.first = first_model(world.dataset, world.root, world.seed)
        self.classifier = load_modules(self.first).classifier
        self.drifted = drifted or self._unnoticed()
        self.training, self.calibration = (load(world.dataset, split, world.root) for split in ("train", "calibration"))
        half = len(self.calibration) // 2
        self.reference = make_reference(
            self.classifier, (self.training.images, self.training.labels), (self.calibration.images[:half], self.calibration.labels[:half])
        )
        answer = look(self.classifier, self.drifted.images)
        self.features = self.reference.features(answer.early.numpy(), answer.latent.numpy())

    def _unnoticed(self) -> Drifted:
        """As many records of the stream, for what is measured apart from the loop, or where the drift raised no alarm."""
        images, labels = self.world.pool[self.world.corruption][:2]
        chosen = np.random.default_rng([self.world.seed, 7]).permutation(len(images))[:WINDOW]
        return Drifted(images[chosen], labels[chosen])

    def can(self, name: str, count: int) -> bool:
        """Whether a remedy makes sense with so many labels."""
        return {"recalibrate": count == 0, "transfer": count > 0, "simulate": self.named is not None}.get(name, True)

    def context(self, count: int, query: Callable[..., NDArray[np.int64]] = typical) -> RemedyContext:
        """What a remedy gets when a person has labelled `count` images that `query` chose, without an error."""
        teaching = query(self.features, count, self.world.seed)
        return RemedyContext(
            classifier=self.classifier, clean_images=self.training.images[:CLEAN_IMAGES], clean_labels=self.training.labels[:CLEAN_IMAGES],
            reference=self.reference, drifted=self.drifted.images, calibration_images=self.calibration.images[: len(self.calibration) // 2],
            teaching=teaching, teaching_labels=self.drifted.labels[teaching], named=self.named, seed=self.world.seed, budget=BUDGET,
        )

    def remedy(self, name: str, count: int, query: Callable[..., NDArray[np.int64]] = typical) -> Scores:
        """Accuracy of a remedy on fresh drifted and on clean images, and the seconds that it took."""
        context = self.context(count, query)
        return self.measured(lambda: remedies()[name](context))

    def controls(self) -> dict[str, Scores]:
        """What the loop is compared with, beside its own remedies alone: each as its paper has it, at every alarm, without a choice."""
        context = self.context(0)
        passes = {"TENT": 1, "TENT, 20 passes": 20}
        world = self.world
        return {
            "continued training": self.measured(lambda: _continued(world.dataset, world.seed, world.root)),
            "Scanflow demo": self.measured(lambda: self.demo(context)),
        } | {
            name: self.measured(
                lambda count=count: Candidate("tent", classifier=tent.tent(self.classifier, context.drifted_tensor(), passes=count, seed=world.seed))
            )
            for name, count in passes.items()
        }

    def demo(self, context: RemedyContext) -> Candidate:
        """The demo's rule on the same records; it labels 5 % of them, here 75 images."""
        half = len(self.calibration) // 2
        held = self.calibration.images[half:], self.calibration.labels[half:]
        alarm = _alarm(self.world.dataset, self.world.seed, self.world.root)
        training = self.training.images, self.training.labels
        labels = self.drifted.labels
        outcome = scanflow_demo.respond(alarm, self.classifier, context.drifted, lambda rows: labels[rows], training, held, context.seed)
        return Candidate("demo", classifier=outcome.classifier)

    def measured(self, prepare: Callable[[], Candidate]) -> Scores:
        """Prepare a remedy and score it, as a pipeline, on fresh drifted and on clean images."""
        begun = time.monotonic()
        candidate = prepare()
        seconds = time.monotonic() - begun
        with tempfile.TemporaryDirectory(prefix="scanflow-bench-") as folder:
            save_pipeline(
                Path(folder), candidate.classifier or self.classifier, routes=candidate.routes,
                reference=Reference.load(self.first / "reference.npz"), name=candidate.name,
                version=candidate.name, classes=self.training.classes,
            )
            return self.score(Path(folder)) | {"seconds": seconds}

    def oracle(self) -> float | None:
        """Accuracy of the same network, trained with all labels on the corrupted training set; None where its rule is not known."""
        classifier = oracle(self.world)
        if classifier is None:
            return None
        images, labels = self.world.fresh
        return float((look(classifier, images).logits.argmax(1).numpy() == labels).mean())

    def score(self, folder: Path) -> Scores:
        """Accuracy of a pipeline on the world's fresh and clean images."""
        return {"drift": float(right_answers(folder, *self.world.fresh).mean()), "clean": float(right_answers(folder, *self.world.clean).mean())}


@cache
def _training(dataset: str, root: Path | None) -> Dataset:
    return load(dataset, "train", root)


@cache
def _continued(dataset: str, seed: int, root: Path | None) -> Candidate:
    """Continued training looks at no drifted image, so it is the same for every corruption."""
    first = first_model(dataset, root, seed)
    classifier, training = load_modules(first).classifier, _training(dataset, root)
    clean = training.images[:CLEAN_IMAGES], training.labels[:CLEAN_IMAGES]
    nothing = np.empty(0, np.int64)
    return continued.prepare(
        RemedyContext(
            classifier=classifier, clean_images=clean[0], clean_labels=clean[1], reference=Reference.load(first / "reference.npz"),
            drifted=clean[0][:WINDOW], teaching=nothing, teaching_labels=nothing, seed=seed, budget=BUDGET,
        )
    )


@cache
def _alarm(dataset: str, seed: int, root: Path | None) -> scanflow_demo.Alarm:
    """The autoencoder of Scanflow's demo sees clean images alone, too."""
    return scanflow_demo.Alarm.fit(_training(dataset, root).images[:DEMO_IMAGES], seed=seed)
