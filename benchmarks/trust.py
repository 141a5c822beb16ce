"""Is the trust score of an answer worth something: accuracy by trust, and what handing the least trusted answers to a person brings.

    python -m benchmarks.trust               # MNIST-C and Fashion-MNIST, 15 corruptions x 3 seeds; resumable, about 20 minutes on a core
    python -m benchmarks.trust --quick       # three corruptions of MNIST, one seed
    python -m benchmarks.trust --remedies recalibrate,filter,fine_tune,retrain    # trust after these, too: half a minute each and more

Accuracies are those on fresh images, at odd positions of the corrupted test images; the remedies learn from those at even positions,
without a label. A person to whom an image is handed is right, so handing on 5 % raises accuracy by the share of wrong answers among
them, at most by 0.05. Controls: handing on at random, the answers with the least softmax probability, and the trust score as published
(Jiang et al. 2018: distance to the nearest latent of a class, the tenth of each class in the thinnest regions left out).
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import numpy as np
import typer
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common.incident import RESULTS, World, code_digest, first_model
from benchmarks.loop import CORRUPTIONS
from benchmarks.science.worlds import FAMILIES, make_world
from models.export import load_modules, save_pipeline
from models.pipeline import Pipeline
from models.reference import Reference
from models.remedies.catalogue import remedies
from models.remedies.context import RemedyContext
from models.training import make_reference
from scenarios.datasets import Dataset, load, shared_data, to_float
from workflows.serving.service import softmax
from workflows.serving.trust import Trust
from workflows.steps.prepare import CLEAN_IMAGES

HANDED_ON = 0.05
WINDOW = 1500  # drifted images that a remedy learns from, as the policy has it
DECILES = 10
AS_IS = "as is"
SCORES = ("trust", "published", "softmax", "random")
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # 97.5 % point of Student's t for so many seeds

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Answered:
    """Answers to one stream: whether each is right, bool [n], and how sure each score is of it, float [n]."""

    right: NDArray[np.bool_]
    scores: dict[str, Singles]

    @classmethod
    def by(cls, pipeline: Pipeline, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> "Answered":
        """Let a pipeline answer uint8 `images` with true `labels`."""
        outputs = [pipeline.run(to_float(images[at : at + 256])) for at in range(0, len(images), 256)]
        logits, latents = (np.concatenate([getattr(one, name) for one in outputs]) for name in ("logits", "final_latent"))
        said, reference = logits.argmax(1), (pipeline.fit_latent, pipeline.fit_labels)
        scores = {
            "trust": Trust(*reference, logits.shape[1])(latents, said), "published": published(*reference)(latents, said),
            "softmax": softmax(logits).max(1),
        }
        return cls(said == labels, scores)

    def gain(self, score: str) -> float:
        """How much accuracy rises when the part `HANDED_ON` of which `score` is least sure goes to a person who is right."""
        if score == "random":
            return HANDED_ON * float((~self.right).mean())
        least = np.argsort(self.scores[score], kind="stable")[: round(HANDED_ON * len(self.right))]
        return float((~self.right[least]).sum() / len(self.right))

    def auroc(self, score: str) -> float | None:
        """Probability that a right answer scores higher than a wrong one; None where all are right or all wrong."""
        if self.right.all() or not self.right.any() or score == "random":
            return None
        right, wrong = self.scores[score][self.right], np.sort(self.scores[score][~self.right])
        below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
        return float(below.mean() / 2 / len(wrong))


def published(
    latents: Singles, labels: NDArray[np.int64], *, left_out: float = 0.1, neighbours: int = 10
) -> Callable[[Singles, NDArray[np.int64]], Singles]:
    """The trust score as Jiang et al. published it, mapped to [0, 1]: the distance to the nearest latent of each class.

    Of each class the part `left_out` whose `neighbours`-th nearest latent is farthest away is not counted (their alpha-high-density set).
    """
    classes = np.unique(labels)
    kept = []
    for label in classes:
        mine = latents[labels == label]
        radius = np.sort(_distances(mine, mine), 1)[:, min(neighbours, len(mine) - 1)]
        kept.append(mine[radius <= np.quantile(radius, 1 - left_out)])

    def trust(points: Singles, said: NDArray[np.int64]) -> Singles:
        nearest = np.stack([_distances(points, mine).min(1) for mine in kept], 1)
        own = classes[None] == said[:, None]
        predicted, other = np.where(own, nearest, np.inf).min(1), np.where(own, np.inf, nearest).min(1)
        return np.asarray(1 / (1 + predicted / np.maximum(other, 1e-12)), np.float32)

    return trust


def _distances(a: Singles, b: Singles) -> Singles:
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float32)


class Bench:
    """The first classifier of a family and seed, and remedies made from it."""

    def __init__(self, family: str, seed: int, root: Path) -> None:
        self.folder, self.seed = first_model(family, root, seed), seed
        self.classifier = load_modules(self.folder).classifier
        self.training, self.calibration = (load(family, split, root) for split in ("train", "calibration"))
        self.reference = self._reference(self.classifier, self.calibration)

    def _reference(self, classifier: Any, calibration: Dataset) -> Reference:
        return make_reference(classifier, (self.training.images, self.training.labels), (calibration.images, calibration.labels))

    def answered(self, world: World, remedy: str) -> Answered:
        """Fresh drifted images, as the pipeline answers them that `remedy` makes of the stream without a label."""
        if remedy == AS_IS:
            return Answered.by(Pipeline.load(self.folder), *world.fresh)
        drifted = world.pool[world.corruption][0]
        chosen = np.random.default_rng([self.seed, 7]).permutation(len(drifted))[:WINDOW]
        none = np.zeros(0, np.int64)
        context = RemedyContext(
            classifier=self.classifier, clean_images=self.training.images[:CLEAN_IMAGES], clean_labels=self.training.labels[:CLEAN_IMAGES],
            reference=self.reference, drifted=drifted[chosen], teaching=none, teaching_labels=none, seed=self.seed, budget=300.0,
        )
        candidate = remedies()[remedy](context)
        # As when a remedy is prepared: what is known of the old classifier's latents says nothing about those of another one.
        known = self.reference if candidate.classifier is None else self._reference(candidate.classifier, self.calibration)
        with tempfile.TemporaryDirectory(prefix="scanflow-bench-") as folder:
            save_pipeline(
                Path(folder), candidate.classifier or self.classifier, routes=candidate.routes, reference=known, name=remedy, version=remedy,
                classes=self.training.classes,
            )
            return Answered.by(Pipeline.load(folder), *world.fresh)


def measure(family: str, seed: int, names: tuple[str, ...], prepared: tuple[str, ...], root: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """One family and seed: a row for each corruption and state (as is, or after a remedy), and accuracy by decile of trust for each state.

    The drifted images of a curve are those of all corruptions together.
    """
    bench = Bench(family, seed, root)
    pooled: dict[str, list[Answered]] = {}
    rows = []
    for name in names:
        world = make_world(family, name, seed, root)
        for state in (AS_IS, *prepared):
            answered = bench.answered(world, state)
            pooled.setdefault(f"drifted, {state}", []).append(answered)
            rows.append({"dataset": family, "seed": seed, "corruption": name, "state": state, **_figures(answered)})
        say(f"{family} seed {seed} {name}: {rows[-1]['accuracy']:.3f} after {rows[-1]['state']}")
    clean = Answered.by(Pipeline.load(bench.folder), *world.clean)
    pooled["clean"] = [clean]
    rows.append({"dataset": family, "seed": seed, "corruption": "none", "state": AS_IS, **_figures(clean)})
    return {"dataset": family, "seed": seed, "rows": rows, "curves": {key: curve(answers) for key, answers in pooled.items()}}


def _figures(answered: Answered) -> dict[str, Any]:
    return {
        "accuracy": float(answered.right.mean()), "gain": {score: answered.gain(score) for score in SCORES},
        "auroc": {score: answered.auroc(score) for score in SCORES},
    }


def curve(answers: list[Answered]) -> dict[str, list[float]]:
    """By decile of trust, least trusted first: mean trust and accuracy."""
    trust = np.concatenate([one.scores["trust"] for one in answers])
    right = np.concatenate([one.right for one in answers])
    parts = np.array_split(np.argsort(trust, kind="stable"), DECILES)
    return {"trust": [float(trust[part].mean()) for part in parts], "accuracy": [float(right[part].mean()) for part in parts]}


def interval(values: list[float]) -> tuple[float, float]:
    """Mean over seeds and half the width of its 95 % interval by Student's t; the half is nan for one seed."""
    if len(values) < 2:
        return float(np.mean(values)), float("nan")
    return float(np.mean(values)), STUDENT[len(values)] * float(np.std(values, ddof=1)) / len(values) ** 0.5


def over_seeds(
    parts: list[dict[str, Any]], state: str, value: Callable[[dict[str, Any]], float | None], *, clean: bool = False
) -> tuple[float, float]:
    """Mean over corruptions, for each seed; then `interval` over seeds."""
    means = []
    for part in parts:
        found = [value(row) for row in part["rows"] if row["state"] == state and (row["corruption"] == "none") == clean]
        means.append(float(np.mean([one for one in found if one is not None])))
    return interval(means)


def show(parts: list[dict[str, Any]], console: Console) -> None:
    """Print what handing on the least trusted answers brings, and accuracy by decile of trust."""
    for family in dict.fromkeys(part["dataset"] for part in parts):
        ours = [part for part in parts if part["dataset"] == family]
        states = list(dict.fromkeys(row["state"] for row in ours[0]["rows"]))
        table = Table("traffic", "accuracy", *SCORES, "trust less softmax", title=f"{family}: accuracy gained by handing on {HANDED_ON:.0%}")
        ranks = Table("traffic", *SCORES[:-1], title=f"{family}: AUROC of right against wrong answers, mean over corruptions")
        for state, clean in [(AS_IS, True), *((state, False) for state in states)]:
            name = "clean" if clean else f"drifted, {state}"
            gains = [over_seeds(ours, state, lambda row, score=score: row["gain"][score], clean=clean) for score in SCORES]  # type: ignore[misc]
            ahead = over_seeds(ours, state, lambda row: row["gain"]["trust"] - row["gain"]["softmax"], clean=clean)
            accuracy = over_seeds(ours, state, lambda row: row["accuracy"], clean=clean)
            table.add_row(name, _told(accuracy, 3), *(_told(one) for one in gains), _told(ahead, sign="+"))
            found = [over_seeds(ours, state, lambda row, score=score: row["auroc"][score], clean=clean) for score in SCORES[:-1]]  # type: ignore[misc]
            ranks.add_row(name, *(_told(one, 3) for one in found))
        curves = Table("traffic", *map(str, range(1, DECILES + 1)), title=f"{family}: accuracy by decile of trust, least trusted first")
        for key in ours[0]["curves"]:
            curves.add_row(key, *(f"{np.mean([part['curves'][key]['accuracy'][at] for part in ours]):.3f}" for at in range(DECILES)))
        for one in (table, ranks, curves):
            console.print(one)


def _told(mean_and_half: tuple[float, float], digits: int = 4, sign: str = "") -> str:
    mean, half = mean_and_half
    return f"{mean:{sign}.{digits}f}" + ("" if np.isnan(half) else f" ± {half:.{digits}f}")


def draw(parts: list[dict[str, Any]], file: Path) -> None:
    """Draw for each family accuracy by decile of trust, with 95 % intervals over seeds, and what handing on brings by each score."""
    mpl.use("Agg")
    families = list(dict.fromkeys(part["dataset"] for part in parts))
    figure, axes = plt.subplots(2, len(families), figsize=(5.2 * len(families), 6.6), layout="constrained", squeeze=False)
    for column, family in enumerate(families):
        ours = [part for part in parts if part["dataset"] == family]
        for key in sorted(ours[0]["curves"]):
            points = [interval([part["curves"][key]["accuracy"][at] for part in ours]) for at in range(DECILES)]
            means, halves = np.array(points).T
            axes[0, column].errorbar(range(1, DECILES + 1), means, np.nan_to_num(halves), marker="o", markersize=3, capsize=2, label=key)
        axes[0, column].set(title=family, xlabel="decile of trust, least trusted first", ylabel="accuracy", ylim=(0, 1.02))
        axes[0, column].legend(fontsize="small")
        states = list(dict.fromkeys(row["state"] for row in ours[0]["rows"]))
        width = 0.8 / len(SCORES)
        for number, score in enumerate(SCORES):
            found = np.array([over_seeds(ours, state, lambda row, score=score: row["gain"][score]) for state in states])  # type: ignore[misc]
            places = np.arange(len(states)) + (number - (len(SCORES) - 1) / 2) * width
            axes[1, column].bar(places, found[:, 0], width, yerr=np.nan_to_num(found[:, 1]), capsize=2, label=score)
        axes[1, column].set_xticks(range(len(states)), states)
        axes[1, column].set(xlabel="drifted traffic, mean of corruptions", ylabel=f"accuracy gained, {HANDED_ON:.0%} handed on")
        axes[1, column].set_ylim(0, 1.1 * HANDED_ON)
        axes[1, column].legend(fontsize="small", ncols=len(SCORES), loc="upper center")
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(
    quick: Annotated[bool, typer.Option(help="Three corruptions of MNIST and one seed.")] = False,
    seeds: Annotated[int, typer.Option(help="How many seeds.", min=1, max=5)] = 3,
    only: Annotated[str, typer.Option(help="Comma-separated corruptions.")] = "",
    families: Annotated[str, typer.Option(help="Comma-separated data sets.")] = ",".join(FAMILIES),
    remedies: Annotated[str, typer.Option(help="Comma-separated remedies after which trust is measured, too.")] = "recalibrate",
    root: Annotated[Path | None, typer.Option(help="Folder with the data; by default the shared data beside the repository.")] = None,
    again: Annotated[bool, typer.Option(help="Measure anew what the results file has already.")] = False,
) -> None:
    """Measure what the trust score is worth on clean and on drifted traffic."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw, FashionMNIST/raw and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    names = tuple(only.split(",")) if only else ("stripe", "fog", "translate") if quick else CORRUPTIONS
    prepared = tuple(remedies.split(","))
    asked = {"corruptions": list(names), "remedies": list(prepared), "code": code_digest()}
    file = RESULTS / ("trust_quick.json" if quick else "trust.json")
    console = Console()
    kept = json.loads(file.read_text()) if file.exists() and not again else asked | {"parts": []}
    if any(kept[key] != asked[key] for key in asked):
        raise typer.BadParameter(f"{file} was measured with other code, corruptions or remedies; measure anew with --again, or move it away")
    parts = kept["parts"]
    known = {(part["dataset"], part["seed"]) for part in parts}
    for family in ("mnist",) if quick else families.split(","):
        for seed in range(1 if quick else seeds):
            if (family, seed) not in known:
                parts.append(measure(family, seed, names, prepared, root, lambda text: console.print(text, soft_wrap=True)))
                file.write_text(json.dumps(asked | {"parts": parts}, indent=1) + "\n")
    show(parts, console)
    draw(parts, file.with_suffix(".png"))
    console.print(f"{file} and {file.with_suffix('.png').name} are written")


if __name__ == "__main__":
    typer.run(main)
