"""How well are adversarial inputs told from clean ones, and how often do the checks cry wolf?

    python -m benchmarks.adversarial             # three seeds; about twenty minutes on one core
    python -m benchmarks.adversarial --hardening # only what the remedy `harden` is worth; some minutes
    python -m benchmarks.adversarial --mixed     # only how soon an attack on a part of the traffic is seen; two minutes a seed
    python -m benchmarks.adversarial --quick     # one seed, fewer images and records: two minutes

White-box attacks (FGSM; PGD of 20 steps with a random start) on MNIST test images, changed by at most `size` of the range of a pixel, and
stored as whole numbers as the service gets them. Counted are images that were right before and are answered wrongly then. Each AUROC tells
those from other clean test images: by the check's score, by its two halves, by the distance of the drift monitor, and by the confidence
of the classifier. "Noise" is no attack: the same size at random signs, all images counted; what a score says of it, it says of harmless noise.

The attacker who knows has the classifier, the reference and the check's score with its gradients, 40 steps, and three prices for being noticed. The
table shows the price at which most images are wrong and unnoticed (p-value above 0.05).

In mixed traffic one record of five, or of twenty, is attacked, whether or not its answer becomes wrong; the others are other clean test images.
Told is after how many records the check and the monitor of drift raise their alarms. After 500 clean records, up to 3,000 are sent.

False alarms are counted on clean records drawn again and again from MNIST test images, and on draws at the very edge of what is no weakness.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import chi2
from sklearn.metrics import roc_auc_score

from benchmarks.common.attacker import Knowing
from benchmarks.common.incident import RESULTS, first_model
from models.detectors.distance import Distance
from models.detectors.monitor import Monitor
from models.export import load_modules
from models.networks.attack import error_of, fgsm, pgd
from models.networks.classifier import Answer, Classifier
from models.networks.numerics import to_tensor
from models.reference import Reference
from models.remedies import harden
from models.remedies.context import RemedyContext
from models.training import look
from models.weaknesses.adversarial import ODD, Adversarial, Contradiction
from models.weaknesses.bias import Bias
from models.weaknesses.check import Check, Records
from models.weaknesses.decay import Decay
from models.weaknesses.quality import Quality, facts_of
from scenarios.datasets import load, shared_data

SIZES = (0.05, 0.1, 0.2, 0.3)
KNOWN_SIZES = (0.1, 0.2, 0.3)
"""Sizes at which the attacker who knows is tried."""

PRICES = (0.3, 1.0, 3.0)
IMAGES, OTHERS, BATCH, KNOWING_STEPS = 400, 3000, 200, 40
PART, CLEAN = 2000, 30_000
SHARES, STREAMS, BEFORE, LONGEST, STEP = (0.2, 0.05), 20, 500, 3000, 100
Images = NDArray[np.uint8]
SCORES = ("check", "far from its class", "nearer to others", "monitor's distance", "confidence")


def records_of(answer: Answer, images: Images, labels: NDArray[np.int64]) -> Records:
    """What would be logged of images, and their true labels."""
    logits, early, latent = (part.numpy() for part in answer)
    return Records(np.arange(1, len(images) + 1), logits.argmax(1), logits, early, latent, truth=labels, images=images, facts=facts_of(images))


class Subject:
    """The classifier of a seed, with everything that scores."""

    def __init__(self, seed: int, root: Path) -> None:
        folder = first_model("mnist", root, seed)
        self.seed, self.classifier = seed, load_modules(folder).classifier
        self.reference = Reference.load(folder / "reference.npz")
        self.check, self.score, self.distance = Adversarial(self.reference), Contradiction(self.reference), Distance(self.reference)
        self.knowing = Knowing(self.classifier, self.reference, self.score)
        test = load("mnist", "test", root)
        self.images, self.labels = test.images, test.labels

    def scores(self, records: Records) -> dict[str, NDArray[np.float64]]:
        """Every score of records; larger is more suspicious."""
        whole = self.score(records.early, records.latent, records.labels)
        place = np.searchsorted(self.score.classes, records.labels)
        features = self.reference.features(records.early, records.latent)
        far = self.score.far_scale(self.score.spread.score(features - self.score.means[place]))
        logits = records.logits - records.logits.max(1, keepdims=True)
        confidence = 1 / np.exp(logits).sum(1)
        return dict(zip(SCORES, (whole, far, whole - far, self.distance.score(records.early, records.latent), -confidence), strict=True))

    def look(self, images: Images, labels: NDArray[np.int64]) -> Records:
        return records_of(look(self.classifier, images), images, labels)


def attacked(images: Images, labels: NDArray[np.int64], change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Images:
    """Images changed in batches, as whole numbers."""
    parts = []
    for at in range(0, len(images), BATCH):
        moved = change(to_tensor(images[at : at + BATCH]), torch.tensor(labels[at : at + BATCH]))
        parts.append((moved * 255).round().to(torch.uint8)[:, 0].numpy())
    return np.concatenate(parts)


def ways(classifier: Classifier, size: float, generator: torch.Generator) -> dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]:
    """Attacks of one size by name, and harmless noise."""
    return {
        "FGSM": lambda images, labels: fgsm(images, error_of(classifier, labels), size),
        "PGD": lambda images, labels: pgd(images, error_of(classifier, labels), size, generator=generator),
        "noise": lambda images, _labels: (images + size * (torch.randint(0, 2, images.shape, generator=generator) * 2.0 - 1)).clamp(0, 1),
    }


def told_apart(
    subject: Subject, records: Records, clean: dict[str, NDArray[np.float64]], right_before: NDArray[np.bool_], way: str
) -> dict[str, Any]:
    """Figures of one attack."""
    wrong = (records.labels != records.truth) & right_before
    counted = wrong if way != "noise" else np.ones(len(records), bool)
    found = subject.scores(records)
    unnoticed = subject.check.p_values(records) > ODD
    share = {"wrong": wrong, "wrong_unnoticed": wrong & unnoticed}
    row: dict[str, Any] = {name: float(rows.sum() / right_before.sum()) for name, rows in share.items()}
    if counted.sum() >= 10:
        sides = np.concatenate([np.zeros(len(clean["check"])), np.ones(counted.sum())])
        row["auroc"] = {name: float(roc_auc_score(sides, np.concatenate([clean[name], found[name][counted]]))) for name in SCORES}
    return row


def attacks(subject: Subject, images: int) -> list[dict[str, Any]]:
    """All attacks on a subject."""
    generator = torch.Generator().manual_seed(subject.seed)
    shown, labels = subject.images[:images], subject.labels[:images]
    clean = subject.scores(subject.look(subject.images[-OTHERS:], subject.labels[-OTHERS:]))
    before = subject.look(shown, labels)
    right = before.labels == labels
    rows = []
    for size in SIZES:
        for way, change in ways(subject.classifier, size, generator).items():
            records = subject.look(attacked(shown, labels, change), labels)
            rows.append({"seed": subject.seed, "attack": way, "size": size, **told_apart(subject, records, clean, right, way)})
        tried = []
        for price in PRICES if size in KNOWN_SIZES else ():

            def knows(one: torch.Tensor, said: torch.Tensor, price: float = price, size: float = size) -> torch.Tensor:
                return pgd(one, subject.knowing.loss(said, price), size, steps=KNOWING_STEPS, generator=generator)

            moved = subject.look(attacked(shown, labels, knows), labels)
            tried.append({"price": price, **told_apart(subject, moved, clean, right, "knows")})
        if tried:
            rows.append({"seed": subject.seed, "attack": "knows the check", "size": size, **max(tried, key=lambda one: one["wrong_unnoticed"])})
    return rows


def streamed(
    check: Check, monitor: Monitor, hit: Records, clean: Records, share: float, rng: np.random.Generator
) -> tuple[int | None, int | None, int]:
    """After how many records of mixed traffic the check and the monitor alarm, None if never; and alarms of either before it begins."""
    check.reset()
    monitor.reset()
    found: dict[str, int | None] = {"check": None, "monitor": None}
    for after in range(-BEFORE, LONGEST, STEP):
        attacked = (rng.random(STEP) < share) & (after >= 0)
        rows = rng.integers(0, len(clean), STEP), rng.integers(0, len(hit), STEP)
        columns = {
            name: np.where(attacked.reshape(-1, *[1] * (own.ndim - 1)), getattr(hit, name)[rows[1]], own[rows[0]])
            for name in ("labels", "logits", "early", "latent")
            for own in (getattr(clean, name),)
        }
        evidence = check.update(Records(np.arange(after, after + STEP), **columns))
        reading = monitor.update(columns["early"], columns["latent"])
        found["check"] = evidence.at
        found["monitor"] = reading.alarm_at - BEFORE if reading.alarm_at is not None else None
        if None not in found.values():
            break
    cries = sum(at is not None and at < 0 for at in found.values())
    by_check, by_monitor = (None if at is None or at < 0 else at + 1 for at in found.values())
    return by_check, by_monitor, cries


def mixed(subject: Subject, images: int) -> list[dict[str, Any]]:
    """How soon an attack on a part of the traffic is seen."""
    generator, rng = torch.Generator().manual_seed(subject.seed), np.random.default_rng([subject.seed, 12])
    shown, labels = subject.images[:images], subject.labels[:images]
    clean, monitor = subject.look(subject.images[-OTHERS:], subject.labels[-OTHERS:]), Monitor(subject.reference)
    rows = []
    for size in SIZES:
        for way, change in ways(subject.classifier, size, generator).items():
            hit = subject.look(attacked(shown, labels, change), labels)
            wrong = float((hit.labels != labels).mean())
            for share in SHARES:
                seen = [streamed(subject.check, monitor, hit, clean, share, rng) for _ in range(STREAMS)]
                told = dict(zip(("check", "monitor", "cries"), map(list, zip(*seen, strict=True)), strict=True))
                rows.append({"seed": subject.seed, "attack": way, "size": size, "share": share, "wrong": share * wrong, **told})
    return rows


def show_mixed(rows: list[dict[str, Any]], console: Console) -> None:
    heads = ("answers that are wrong", "seen by the check after", "by the monitor of drift after", "false alarms before")
    table = Table("attack", "size", "share", *heads)
    for case in dict.fromkeys((row["attack"], row["size"], row["share"]) for row in rows):
        mine = [row for row in rows if (row["attack"], row["size"], row["share"]) == case]
        cells = [_delay([at for row in mine for at in row[who]]) for who in ("check", "monitor")]
        wrong, cries = np.mean([row["wrong"] for row in mine]), sum(sum(row["cries"]) for row in mine)
        table.add_row(case[0], f"{case[1]}", f"{case[2]:.0%}", f"{wrong:.3f}", *cells, str(cries))
    console.print(table)


def _delay(found: list[int | None]) -> str:
    """Median and slowest, in records; and how many streams raised no alarm."""
    seen = [at for at in found if at is not None]
    missed = f", {len(found) - len(seen)} of {len(found)} never" if len(seen) < len(found) else ""
    return f"{np.median(seen):.0f} (slowest {max(seen)}{missed})" if seen else f"never in {len(found)}"


def alarms(check: Check, parts: Iterable[Records]) -> int:
    """How many alarms a stream raises; after each the check begins anew with the next part."""
    count = 0
    for part in parts:
        if check.update(part).alarm:
            count += 1
            check.reset()
    return count


def at_random(records: Records, total: int, rng: np.random.Generator) -> Iterable[Records]:
    """Parts of a stream of clean records, drawn with replacement."""
    columns = ("labels", "logits", "early", "latent", "truth", "facts")
    for at in range(0, total, PART):
        rows = rng.integers(0, len(records), PART)
        yield Records(np.arange(at + 1, at + PART + 1), **{name: getattr(records, name)[rows] for name in columns})


def drawn(records: Records, total: int, accuracy: float, rng: np.random.Generator) -> Iterable[Records]:
    """The same, with answers that are right with a probability of `accuracy` and belong to slices that mean nothing."""
    for part in at_random(records, total, rng):
        wrong = rng.random(len(part)) >= accuracy
        yield replace(part, labels=(part.known("truth") + wrong) % 10, slices={"any": rng.integers(0, 8, len(part)).astype(str)})


def false_alarms(subject: Subject, records: int) -> list[dict[str, Any]]:
    """Alarms on clean records, and what is permitted, for every check that sounds one."""
    clean = subject.look(subject.images, subject.labels)
    edge = Decay(subject.reference).needed
    rng = np.random.default_rng([subject.seed, 11])
    few = records // 5
    cases: list[tuple[str, str, Check, Iterable[Records], int, float]] = []
    for length in (1e4, 1e6):
        check, third = Adversarial(subject.reference, run_length=length), records // 3
        cases += [("adversarial", "clean test images", check, at_random(clean, third, rng), third, third / length)]
    for length in (1e3, 1e5):
        streams = {"clean test images": at_random(clean, records, rng), f"right with probability {edge:.4f}": drawn(clean, records, edge, rng)}
        cases += [
            ("decay", stream, Decay(subject.reference, run_length=length), parts, records, records / length) for stream, parts in streams.items()
        ]
    for period in (1000, 5000):
        fair = Bias(subject.reference, attributes=("any",), tolerance=0.0, period=period)
        cases.append(("bias", f"fair slices, none tolerated, periods of {period}", fair, drawn(clean, few, 0.9, rng), few, 0.05 * few / period))
    cases += [
        ("bias", "clean test images, found slices", Bias(subject.reference), at_random(clean, few, rng), few, 0.05 * few / 5000),
        ("quality", "clean test images", Quality(), at_random(clean, few, rng), few, 0.0),
    ]
    return [
        {"seed": subject.seed, "check": name, "stream": stream, "records": total, "alarms": alarms(check, parts), "permitted": permitted}
        for name, stream, check, parts, total, permitted in cases
    ]


def hardening(subject: Subject, root: Path, images: int) -> dict[str, Any]:
    """Accuracy under attack before and after `harden`; each classifier is attacked anew, with all that an attacker can know of it."""
    train = load("mnist", "train", root)
    clean, nobody = (train.images[:CLEAN], train.labels[:CLEAN]), np.zeros(0, np.int64)
    context = RemedyContext(subject.classifier, *clean, subject.reference, subject.images[:200], nobody, nobody, seed=subject.seed, budget=600.0)
    hardened = harden.prepare(context).classifier
    assert hardened is not None
    shown, labels = subject.images[-images:], subject.labels[-images:]
    row: dict[str, Any] = {"seed": subject.seed}
    for name, one in (("before", subject.classifier), ("after", hardened)):
        answers = look(one, subject.images[: OTHERS + images]).logits.argmax(1).numpy()
        row[f"{name}, clean"] = float((answers == subject.labels[: OTHERS + images]).mean())
        for size in SIZES:
            generator = torch.Generator().manual_seed(subject.seed)
            moved = attacked(shown, labels, ways(one, size, generator)["PGD"])
            row[f"{name}, PGD {size}"] = float((look(one, moved).logits.argmax(1).numpy() == labels).mean())
    return row


def show_hardening(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table("", "clean", *(f"PGD {size}" for size in SIZES), title="Accuracy: mean over seeds (smallest, largest)")
    for name in ("before", "after"):
        table.add_row(name, *(_spread([row[f"{name}, {case}"] for row in rows]) for case in ("clean", *(f"PGD {size}" for size in SIZES))))
    console.print(table)


def show(rows: list[dict[str, Any]], wolf: list[dict[str, Any]], console: Console) -> None:
    table = Table("attack", "size", "wrong", "wrong, unnoticed", *SCORES, title="AUROC against clean images: mean over seeds (smallest, largest)")
    for attack, size in dict.fromkeys((row["attack"], row["size"]) for row in rows):
        mine = [row for row in rows if (row["attack"], row["size"]) == (attack, size)]
        found = [row["auroc"] for row in mine if "auroc" in row]
        cells = [_spread([one[name] for one in found]) for name in SCORES] if found else ["too few"] * len(SCORES)
        table.add_row(attack, str(size), *(f"{np.mean([row[key] for row in mine]):.3f}" for key in ("wrong", "wrong_unnoticed")), *cells)
    console.print(table)
    table = Table("check", "stream", "records or labels", "false alarms, by seed", "permitted for each", "within", title="False alarms")
    for check, stream, permitted in dict.fromkeys((row["check"], row["stream"].split(" 0.")[0], row["permitted"]) for row in wolf):
        mine = [row for row in wolf if (row["check"], row["stream"].split(" 0.")[0], row["permitted"]) == (check, stream, permitted)]
        total = sum(row["alarms"] for row in mine)
        low = chi2.ppf(0.025, 2 * total) / 2 if total else 0.0
        within = "yes" if low <= permitted * len(mine) else "NO"
        table.add_row(check, stream, f"{mine[0]['records']:,}", ", ".join(str(row["alarms"]) for row in mine), f"{permitted:g}", within)
    console.print(table)


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f}" + (f" ({min(values):.3f}, {max(values):.3f})" if len(values) > 1 else "")


def main(
    quick: Annotated[bool, typer.Option(help="One seed, a quarter of the images, a fifteenth of the records.")] = False,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    harden_only: Annotated[bool, typer.Option("--hardening", help="Only what the remedy `harden` is worth.")] = False,
    mixed_only: Annotated[bool, typer.Option("--mixed", help="Only how soon an attack on a part of the traffic is seen.")] = False,
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST; by default the shared data beside the repository.")] = None,
) -> None:
    """Attack, tell apart, and count false alarms."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw (see docs/benchmarks.md)")
    torch.set_num_threads(1)
    if harden_only:
        worth = [hardening(Subject(seed, root), root, IMAGES // 4 if quick else IMAGES) for seed in range(1 if quick else seeds)]
        if not quick:
            (RESULTS / "hardening.json").write_text(json.dumps(worth, indent=1) + "\n")
        show_hardening(worth, Console())
        return
    if mixed_only:
        delays = [row for seed in range(1 if quick else seeds) for row in mixed(Subject(seed, root), IMAGES // 4 if quick else IMAGES)]
        if not quick:
            (RESULTS / "adversarial_mixed.json").write_text(json.dumps(delays) + "\n")
        show_mixed(delays, Console(width=150))
        return
    rows: list[dict[str, Any]] = []
    wolf: list[dict[str, Any]] = []
    for seed in range(1 if quick else seeds):
        subject = Subject(seed, root)
        rows += attacks(subject, IMAGES // 4 if quick else IMAGES)
        wolf += false_alarms(subject, 20_000 if quick else 300_000)
        if not quick:  # what there is so far, should somebody lose patience
            (RESULTS / "adversarial.json").write_text(json.dumps({"attacks": rows, "false_alarms": wolf}, indent=1) + "\n")
    show(rows, wolf, Console())


if __name__ == "__main__":
    typer.run(main)
