"""One row of the science benchmark: a corruption and a seed, through the loop, every remedy and every control."""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.policy import Labels, Policy
from benchmarks.common.incident import World, first_model, right_answers, run_incident
from benchmarks.controls import continued, scanflow_demo, tent
from benchmarks.science.worlds import corrupted_training
from models.export import load_modules, save_pipeline
from models.queries.random import random
from models.queries.typical import typical
from models.reference import Reference
from models.remedies.catalogue import remedies
from models.remedies.context import Candidate, RemedyContext
from models.training import look, make_reference, train_classifier
from scenarios.datasets import load
from workflows.steps.prepare import CLEAN_IMAGES

UNLABELLED = ("recalibrate",)
TRAINED = ("filter", "fine_tune", "retrain", "transfer")
NEEDS_LABELS = ("transfer",)
WINDOW = 1500  # as the policy keeps them
DEMO_IMAGES = 10_000  # of the training split, for the autoencoder of Scanflow's demo
Scores = dict[str, float]


def measure(world: World, label_counts: Iterable[int]) -> dict[str, Any]:
    """Run all parts of a row; `label_counts` are those of the remedies outside the loop (the loop itself runs with 20 and with 0)."""
    begun = time.monotonic()
    loop = run_incident(world)
    bench = Bench(world)
    counts = sorted(set(label_counts))
    grid: dict[str, dict[str, Scores]] = {name: {"0": bench.remedy(name, 0)} for name in UNLABELLED}
    for name in TRAINED:
        grid[name] = {str(count): bench.remedy(name, count) for count in counts if count or name not in NEEDS_LABELS}
    row = {key: loop[key] for key in loop if key != "seconds"} | {
        "severity": None, "recalibrated": grid["recalibrate"]["0"]["drift"], "grid": grid, "oracle": bench.oracle(),
        "labels_used": loop["teaching_labels"] + loop["audit_labels"], "loop_without_teaching": _short(run_incident(world, WITHOUT_TEACHING)),
        "random_picks": {name: bench.remedy(name, 20, query=random) for name in ("filter", "fine_tune")}, "controls": bench.controls(),
        "latency_added_ms": next((one["latency_added_ms"] for one in loop["remedies"] if one["name"] == loop["chosen"]), 0.0),
    }
    return row | {"seconds": time.monotonic() - begun}


WITHOUT_TEACHING = Policy(labels=Labels(teaching=0))


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("after", "chosen", "state", "audit_labels", "clean_after")}


class Bench:
    """Remedies outside the loop, on the same kind of window that the loop would see, scored on the world's fresh images."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.first = first_model(world.dataset, world.root, world.seed)
        self.classifier = load_modules(self.first).classifier
        rng = np.random.default_rng([world.seed, 7])
        images, self.labels = world.pool[world.corruption][:2]
        chosen = rng.permutation(len(images))[:WINDOW]
        self.drifted, self.labels = images[chosen], self.labels[chosen]
        self.training, self.calibration = (load(world.dataset, split, world.root) for split in ("train", "calibration"))
        half = len(self.calibration) // 2
        self.reference = make_reference(
            self.classifier, (self.training.images, self.training.labels), (self.calibration.images[:half], self.calibration.labels[:half])
        )

    def context(self, count: int, query: Callable[..., NDArray[np.int64]]) -> RemedyContext:
        """What a remedy gets when a person has labelled `count` images that `query` chose, without an error."""
        answer = look(self.classifier, self.drifted)
        features = self.reference.features(answer.early.numpy(), answer.latent.numpy())
        teaching = query(features, count, self.world.seed)
        return RemedyContext(
            classifier=self.classifier, clean_images=self.training.images[:CLEAN_IMAGES], clean_labels=self.training.labels[:CLEAN_IMAGES],
            reference=self.reference, drifted=self.drifted, teaching=teaching, teaching_labels=self.labels[teaching], seed=self.world.seed,
            budget=300.0,
        )

    def remedy(self, name: str, count: int, query: Callable[..., NDArray[np.int64]] = typical) -> Scores:
        """Accuracy of a remedy on fresh drifted and on clean images, and the seconds that it took."""
        return self.measured(remedies()[name], self.context(count, query))

    def controls(self) -> dict[str, Scores]:
        """What the loop is compared with, beside its own remedies alone: each as its paper has it, at every alarm, without a choice."""
        unlabelled = self.context(0, typical)

        def tent_20(context: RemedyContext) -> Candidate:
            return Candidate("tent", classifier=tent.tent(context.classifier, context.drifted_tensor(), passes=20, seed=context.seed))

        return {
            "continued training": self.measured(continued.prepare, unlabelled), "TENT": self.measured(tent.prepare, unlabelled),
            "TENT, 20 passes": self.measured(tent_20, unlabelled), "Scanflow demo": self.measured(self.demo, unlabelled),
        }

    def demo(self, context: RemedyContext) -> Candidate:
        """The demo's rule on the same window; it labels 5 % of it, here 75 images."""
        half = len(self.calibration) // 2
        held = self.calibration.images[half:], self.calibration.labels[half:]
        alarm = scanflow_demo.Alarm.fit(self.training.images[:DEMO_IMAGES], seed=context.seed)
        training = self.training.images, self.training.labels
        outcome = scanflow_demo.respond(alarm, self.classifier, context.drifted, lambda rows: self.labels[rows], training, held, context.seed)
        return Candidate("demo", classifier=outcome.classifier)

    def measured(self, prepare: Callable[[RemedyContext], Candidate], context: RemedyContext) -> Scores:
        """Prepare a remedy and score it, as a pipeline, on fresh drifted and on clean images."""
        begun = time.monotonic()
        candidate = prepare(context)
        seconds = time.monotonic() - begun
        with tempfile.TemporaryDirectory(prefix="scanflow-bench-") as folder:
            save_pipeline(
                Path(folder), candidate.classifier or self.classifier, filter=candidate.filter, adapted=candidate.adapted, gate=candidate.gate,
                gate_threshold=candidate.gate_threshold, reference=Reference.load(self.first / "reference.npz"), name=candidate.name,
                version=candidate.name, classes=self.training.classes,
            )
            return self.score(Path(folder)) | {"seconds": seconds}

    def oracle(self) -> float | None:
        """Accuracy of the same network, trained with all labels on the corrupted training set; None where its rule is not known."""
        training = corrupted_training(self.world)
        if training is None:
            return None
        classifier = train_classifier(*training, len(self.training.classes), seed=self.world.seed)
        images, labels = self.world.fresh
        return float((look(classifier, images).logits.argmax(1).numpy() == labels).mean())

    def score(self, folder: Path) -> Scores:
        """Accuracy of a pipeline on the world's fresh and clean images."""
        return {"drift": float(right_answers(folder, *self.world.fresh).mean()), "clean": float(right_answers(folder, *self.world.clean).mean())}
