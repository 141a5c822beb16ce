"""Our batch checks beside those of alibi-detect and frouros: power at few samples, on the same latents at the same level, and time.

    python -m benchmarks.peers             # some twenty minutes on one core, nearly all of them frouros' and alibi-detect's
    python -m benchmarks.peers --quick     # few draws and few corruptions

The libraries live in an environment of their own (benchmarks/peers/pyproject.toml, locked), which uv makes at the first run; nothing of them
enters the product. alibi-detect 0.12 is under the Business Source License 1.1, which allows use that is not production, such as this;
frouros is under BSD-3-Clause. Both are called, none is copied.

Clean images are the first 4,000 of the MNIST test split, which the classifier has not seen: a reference is drawn from them, and batches from
the images that are left, so that clean batches are exchangeable with the reference and the level of each test can be seen at work. Corrupted
batches are the same pictures in the reference files of MNIST-C, and under mild corruptions of our own, which no test finds at once. Two
comparisons: on the classifier's latents (64 numbers), and on the features that the monitor sees (latents and early moments, standardised), so
that nobody wins by features only.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common.incident import RESULTS, first_model
from benchmarks.loop import CORRUPTIONS
from models.detectors.batch import BatchTest
from models.detectors.ks import KolmogorovSmirnov
from models.detectors.mmd import mmd
from models.export import load_modules
from models.reference import Reference
from models.training import look
from scenarios.corruptions import corrupt
from scenarios.corruptions.published import load_reference
from scenarios.datasets import load, shared_data

HERE = Path(__file__).parent
SIZES = (10, 20, 50, 100)
MILD = (("shot_noise", 1), ("shot_noise", 3), ("impulse_noise", 1), ("shear", 1), ("scale", 1), ("rotate", 1), ("translate", 1), ("spatter", 1))
LEVEL, GROUPS, KNOWN = 0.05, 10, 250
"""Level of every test, references, and records in each: frouros computes its kernel anew for each permutation, so more would take hours."""
CHECK = (1000, 256, 64, 20)
"""The timed check: reference x batch x features, and rounds of it."""
Singles = NDArray[np.float32]


def clean_and_drifted(seed: int, root: Path, cells: list[str]) -> dict[str, dict[str, Singles]]:
    """For "latents" and "features" the vectors of "clean" and of each cell, [4000, d]; row i always shows the same picture."""
    folder = first_model("mnist", root, seed)
    classifier, reference = load_modules(folder).classifier, Reference.load(folder / "reference.npz")
    images = load("mnist", "test", root).images[:4000]
    pictures = {"clean": images}
    for cell in cells:
        name, severity = cell.partition(" ")[::2]
        pictures[cell] = corrupt(images, name, int(severity), seed=seed) if severity else load_reference(root / "mnist_c", name)[0]
    found: dict[str, dict[str, Singles]] = {"latents": {}, "features": {}}
    for name, some in pictures.items():
        seen = look(classifier, some)
        found["latents"][name] = seen.latent.numpy()
        found["features"][name] = reference.features(seen.early.numpy(), seen.latent.numpy()).astype(np.float32)
    return found


def draw(vectors: dict[str, Singles], cells: list[str], draws: int, rng: np.random.Generator) -> dict[str, Singles]:
    """Draw references and batches: the arrays that `theirs.py` reads. "clean" gets as many draws as all corruptions get together, at most 200."""
    orders = [rng.permutation(len(vectors["clean"])) for _ in range(GROUPS)]
    work = {"reference": np.stack([vectors["clean"][order[:KNOWN]] for order in orders])}
    rows = ["clean"] * max(1, min(len(cells), 200 // draws)) + cells
    for n in SIZES:
        picks = [[vectors[name][rng.choice(orders[i % GROUPS][KNOWN:], n, replace=False)] for i in range(draws)] for name in rows]
        work[f"batch_{n}"] = np.array(picks, np.float32)
    return work


def ours(work: dict[str, Singles]) -> dict[str, NDArray[np.bool_]]:
    """Whether our tests reject: the batch check, and the MMD and KS that the analysis of an incident reports; bool [cells, draws]."""
    batch_tests = [BatchTest(reference) for reference in work["reference"]]
    scales = [(reference.mean(0), np.maximum(reference.std(0), 1e-6)) for reference in work["reference"]]
    ks_tests = [KolmogorovSmirnov(reference) for reference in work["reference"]]

    def plain(batch: Singles, at: int) -> float:
        middle, scale = scales[at]
        return mmd((work["reference"][at] - middle) / scale, (batch - middle) / scale, permutations=199).p_value

    tests = {
        "ours": lambda batch, at: batch_tests[at].compare(batch).p_value,
        "ours, MMD alone": plain,
        "ours, KS alone": lambda batch, at: ks_tests[at].compare(batch).p_value,
    }
    return {
        f"{name}/{n}": np.array([[test(batch, i % GROUPS) <= LEVEL for i, batch in enumerate(cell)] for cell in work[f"batch_{n}"]])
        for name, test in tests.items() for n in SIZES
    }


def in_their_environment(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """Start `theirs.py` in the environment of the comparison libraries."""
    for_them = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"}}
    for_them |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    command = ["uv", "run", "--frozen", "--project", str(HERE), "python", str(HERE / "theirs.py"), *arguments]
    try:
        return subprocess.Popen(command, env=for_them, text=True, **options)
    except FileNotFoundError as error:
        raise SystemExit(f"uv is not on PATH. Install it, then: uv sync --project {HERE}, and again: python -m benchmarks.peers") from error


def theirs(work: dict[str, Singles], folder: Path) -> dict[str, NDArray[np.bool_]]:
    """Whether their tests reject, bool [cells, draws]."""
    np.savez(folder / "work.npz", **work)
    if in_their_environment("judge", str(folder / "work.npz"), str(folder / "answer.npz")).wait():
        raise SystemExit(f"the comparison libraries did not run. Once, with a network: uv sync --project {HERE}")
    with np.load(folder / "answer.npz", allow_pickle=False) as file:
        return dict(file)


def measure_time(folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Processor seconds of one check, ours and alibi-detect's MMDDrift, in turns, one thread each, 100 permutations each."""
    m, n, d, rounds = CHECK
    known, batch = (rng.normal(size=(size, d)).astype(np.float32) for size in (m, n))
    np.savez(folder / "time.npz", reference=known[None], **{f"batch_{n}": batch[None, None]})
    test = BatchTest(known, permutations=100)
    begun = time.process_time()
    test.compare(batch)  # draws and sums the permutations of this size
    first, seconds = time.process_time() - begun, {"ours": [], "alibi-detect MMD": []}  # type: dict[str, Any]
    with in_their_environment("time", str(folder / "time.npz"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if child.stdout.readline().strip() != "ready":
            raise SystemExit(f"the comparison libraries did not run. Once, with a network: uv sync --project {HERE}")
        for _ in range(rounds):
            child.stdin.write("again\n")
            seconds["alibi-detect MMD"].append(float(child.stdout.readline()))
            begun = time.process_time()
            test.compare(batch)
            seconds["ours"].append(time.process_time() - begun)
        child.stdin.close()
    ratios = np.array(seconds["alibi-detect MMD"]) / seconds["ours"]
    return {name: float(np.median(some)) for name, some in seconds.items()} | {
        "ours, first of its size": first, "ratio": float(np.median(ratios)), "ratios": ratios.round(1).tolist(),
    }


def main(
    quick: Annotated[bool, typer.Option(help="Few draws of few corruptions.")] = False,
    draws: Annotated[int, typer.Option(help="Batches of each size for each corruption.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the classifier and all draws.")] = 0,
    only: Annotated[str, typer.Option(help="latents or features; both if left out.")] = "",
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST and mnist_c; by default the shared data beside the repository.")] = None,
) -> None:
    """Compare power and time with other libraries, and print tables."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    published, mild = list(CORRUPTIONS), [f"{name} {severity}" for name, severity in MILD]
    cells, draws = (published[:2] + mild[:2], 3) if quick else (published + mild, draws)
    rng, result = np.random.default_rng(seed), {"seed": seed, "draws": draws, "known": KNOWN, "cells": cells}  # type: Any, dict[str, Any]
    file = RESULTS / ("peers_quick.json" if quick else "peers.json")
    vectors = clean_and_drifted(seed, root, cells)
    with tempfile.TemporaryDirectory(prefix="scanflow-peers-") as place:
        result["time"] = measure_time(Path(place), rng)
        for kind in [only] if only else list(vectors):
            work = draw(vectors[kind], cells, draws, rng)
            nulls = len(work[f"batch_{SIZES[0]}"]) - len(cells)
            verdicts = ours(work) | theirs(work, Path(place))
            result[kind] = {
                name: {"size": rejected[:nulls].mean(), "clean": rejected[:nulls].size, "power": rejected[nulls:].mean(1).tolist()}
                for name, rejected in verdicts.items()
            }
            file.write_text(json.dumps(result, indent=1) + "\n")
    show(result, Console())


def show(result: dict[str, Any], console: Console) -> None:
    """Print the share of batches that each test rejects, over all corruptions, over the mild, and over clean batches; and the times."""
    cells, draws = result["cells"], result["draws"]
    milds = np.array([" " in cell for cell in cells])
    for kind in ("latents", "features"):
        if kind not in result:
            continue
        names = list(dict.fromkeys(name.rpartition("/")[0] for name in result[kind]))
        for title, chosen in (("MNIST-C", ~milds), ("mild", milds), ("clean", None)):
            table = Table("test", *(f"{n} samples" for n in SIZES), title=f"Share rejected at level {LEVEL}, {kind}: {title}")
            for name in names:
                shares = []
                for one in (result[kind][f"{name}/{n}"] for n in SIZES):
                    power = np.array(one["power"])
                    shares.append((one["size"], one["clean"]) if chosen is None else (float(power[chosen].mean()), draws * int(chosen.sum())))
                table.add_row(name, *(f"{share:.3f} ({low:.3f} to {high:.3f})" for share, (low, high) in ((s, interval(s, n)) for s, n in shares)))
            console.print(table)
        peers = [name for name in names if not name.startswith("ours")]
        for n in SIZES:
            gaps = {name: np.mean(result[kind][f"ours/{n}"]["power"]) - np.mean(result[kind][f"{name}/{n}"]["power"]) for name in peers}
            nearest = min(gaps, key=lambda name: gaps[name])
            console.print(f"{kind}, {n} samples: {gaps[nearest]:+.3f} over the best of the others, {nearest} (must be above 0)")
    clock = result["time"]
    console.print(
        f"one check, {CHECK[0]:,} reference x {CHECK[1]} batch x {CHECK[2]} features, 100 permutations: ours {clock['ours'] * 1e3:.1f} ms, "
        f"alibi-detect {clock['alibi-detect MMD'] * 1e3:.0f} ms, median ratio {clock['ratio']:.0f} (must be 20); "
        f"our first of a size {clock['ours, first of its size'] * 1e3:.0f} ms"
    )


def interval(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n."""
    z = 1.96
    middle, half = (share + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float(middle - half), float(middle + half)


if __name__ == "__main__":
    sys.exit(typer.run(main))
