"""One incident from alarm to rest, in this process: what the benchmarks of the loop have in common.

The seed changes the classifier, the stream and all that the remedies draw. True labels reach the system only as the scripted person's
answers; accuracies are scored here, on fresh images that the system never saw.
"""

import hashlib
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.in_process import InProcess
from agents.messages import AskLabels, DeployPipeline, LabelGiven, RemediesMeasured, WindowAnalysed
from agents.policy import Policy
from agents.state import State
from benchmarks.weights import weights_of
from models.export import save_pipeline
from models.networks.classifier import load_classifier
from models.pipeline import MANIFEST, Pipeline
from models.remedies.catalogue import remedies
from models.training import make_reference
from scenarios.corruptions import corruptions_for
from scenarios.datasets import load, to_float
from scenarios.scenario import Person, Scenario, Segment
from scenarios.source import Pool
from workflows.steps.train import train
from workflows.steps.window import Window

RESULTS = Path(__file__).parents[1] / "results"
MODELS = RESULTS / "models"  # one for each data set and seed; kept, so that a resumed run goes on with the same ones
LIKENESS = MODELS / "likeness"  # what the catalogues make of each data set


@dataclass(frozen=True, eq=False)
class World:
    """A drift to be measured: `pool` holds for `corruption` and for "none" (stream images, labels, fresh images, labels).

    `severity` is that of the corruption, where it has several.
    """

    dataset: str
    corruption: str
    seed: int
    pool: Pool
    root: Path | None
    severity: int | None = None

    @property
    def fresh(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Corrupted images that the system never sees, and their labels."""
        return self.pool[self.corruption][2:]

    @property
    def clean(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Clean images that the system never sees, and their labels."""
        return self.pool["none"][2:]


def first_model(dataset: str, root: Path | None, seed: int) -> Path:
    """The pipeline of a seed's first classifier, made of the committed weights or, where there are none, trained, if it is not there."""
    pipeline = MODELS / f"seed-{seed}" / f"{dataset}-first"
    if not (pipeline / MANIFEST).exists():
        pipeline.parent.mkdir(parents=True, exist_ok=True)
        weights = weights_of(dataset, seed)
        if weights.exists():
            _from_weights(weights, dataset, pipeline, root)
        else:
            train(dataset, pipeline, name=pipeline.name, root=root, seed=seed)
    return pipeline


def _from_weights(weights: Path, dataset: str, pipeline: Path, root: Path | None) -> None:
    """What `workflows.steps.train` makes after training."""
    training, calibration = load(dataset, "train", root), load(dataset, "calibration", root)
    classifier = load_classifier(weights)
    clean = (training.images, training.labels), (calibration.images, calibration.labels)
    reference = make_reference(classifier, *clean, corruptions=corruptions_for(training.images))
    save_pipeline(pipeline, classifier, reference=reference, name=pipeline.name, version=pipeline.name, classes=training.classes)


@dataclass(frozen=True, eq=False)
class Drifted:
    """The records of an incident that remedies were prepared from, and what only the benchmark knows of them."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    """The true ones."""


def run_incident(world: World, policy: Policy | None = None, *, error_rate: float = 0.0) -> dict[str, Any]:
    """Send clean images, then corrupted ones until the incident rests. Returns what came of it; see the keys of `incident`."""
    return incident(world, policy, error_rate=error_rate)[0]


def incident(world: World, policy: Policy | None = None, *, error_rate: float = 0.0) -> tuple[dict[str, Any], Drifted | None]:
    """What came of an incident, and its records, if it was noticed.

    `questions` counts the batches of labels that were asked for, `deployed` the pipelines that were made live, for however short a time.
    `error_rate`: share of the images that the person names wrongly, in [0, 1].

    `prepared` holds for each remedy that was prepared its accuracy on fresh drifted and clean images: what the choice could have been.
    """
    begun = time.monotonic()
    first = first_model(world.dataset, world.root, world.seed)
    segments = (Segment(records=500), Segment(corruption=world.corruption, until="closed", records=40_000))
    name, person = f"sudden_{world.corruption.replace('/', '_')}", Person(error_rate=error_rate)
    scenario = Scenario(name=name, segment=segments, dataset=world.dataset, seed=world.seed, person=person)
    with tempfile.TemporaryDirectory(prefix="scanflow-bench-") as folder, State(Path(folder)) as state:
        shutil.copytree(first, state.folder / "pipelines" / first.name)  # no link: a change that is adopted is kept beside the pipeline
        LIKENESS.mkdir(parents=True, exist_ok=True)
        (state.folder / "likeness").symlink_to(LIKENESS)  # learned once for all rows
        loop = InProcess(state, scenario, policy=policy, root=world.root, pool=world.pool, clock=time.time, seed=world.seed)
        outcome = loop.run()
        live = loop.inference.stats().active or first.name
        right = {name: right_answers(state.pipeline(name), *world.fresh) for name in {first.name, live}}
        clean = {name: right_answers(state.pipeline(name), *world.clean).mean() for name in {first.name, live}}
        prepared = {
            remedy.name: {
                "drift": float(right_answers(state.pipeline(remedy.pipeline), *world.fresh).mean()),
                "clean": float(right_answers(state.pipeline(remedy.pipeline), *world.clean).mean()),
            }
            for measured in loop.ledger.messages(RemediesMeasured)[:1] if isinstance(measured, RemediesMeasured) for remedy in measured.remedies
        }
        analysed = next((one for one in loop.ledger.messages(WindowAnalysed) if isinstance(one, WindowAnalysed)), None)
        drifted = _drifted(loop, Path(analysed.window)) if analysed else None
    gain = right[live].astype(float) - right[first.name]
    return {
        "dataset": world.dataset, "corruption": world.corruption, "severity": world.severity, "seed": world.seed,
        "as_is": float(right[first.name].mean()),
        "after": float(right[live].mean()), "gain_error": float(gain.std() / len(gain) ** 0.5), "clean_before": float(clean[first.name]),
        "clean_after": float(clean[live]), "detected_after": outcome["detected_after"], "state": outcome["state"],
        "chosen": outcome["chosen"] if outcome["state"] == "verified" else "nothing", "reason": outcome["reason"],
        "estimate": analysed and analysed.estimated_accuracy, "estimate_error": analysed and analysed.estimate_error,
        "teaching_labels": labels_given(loop, "teaching"), "audit_labels": labels_given(loop, "audit"), "remedies": outcome["remedies"],
        "questions": len(loop.ledger.messages(AskLabels)), "deployed": len(loop.ledger.messages(DeployPipeline)),
        "likeness": analysed and analysed.likeness and msgspec.to_builtins(analysed.likeness), "prepared": prepared,
        "seconds": time.monotonic() - begun,
    }, drifted


def _drifted(loop: InProcess, window: Path) -> Drifted:
    """The records of a window with their true labels."""
    drifted = Window.load(window)
    return Drifted(drifted.images, np.array([loop.replay.true_label(int(seq)) for seq in drifted.seqs], np.int64))


def right_answers(pipeline: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the images a pipeline answers rightly, bool [n]."""
    network = Pipeline.load(pipeline)
    parts = [network.run(to_float(images[at : at + 256])).logits.argmax(1) for at in range(0, len(images), 256)]
    return np.asarray(np.concatenate(parts) == labels)


def labels_given(loop: InProcess, purpose: str) -> int:
    """Labels that the person gave for a purpose, "audit" or "teaching"."""
    asked = {one.question for one in loop.ledger.messages(AskLabels) if isinstance(one, AskLabels) and one.purpose == purpose}
    return sum(isinstance(one, LabelGiven) and one.question in asked for one in loop.ledger.messages(LabelGiven))


def code_digest() -> str:
    """Digest of the product's code that the importing benchmark runs on: rows of different code are never averaged.

    Consoles and pages, say, have no part in a row, and may change while rows are collected.
    """
    remedies()  # imports them
    root = Path(__file__).parents[2]
    rooms = [root / room for room in ("agents", "workflows", "models", "scenarios")]
    loaded = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    digest = hashlib.sha256()
    for path in sorted(path for path in loaded if any(path.is_relative_to(room) for room in rooms)):
        digest.update(f"{path.relative_to(root)} ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
