"""Is the end of a drift seen, and seen only then? A simulation of gates and of the rate below which a drift counts as over.

    python -m benchmarks.drift_end            # some minutes on one core
    python -m benchmarks.drift_end --quick    # three seeds

Real gates are fitted to records of an imaginary model, for several sizes of the calibration part and for drifts that lie apart from clean
data or overlap with it. Then come 20,000 drifted records, or 20,000 of which one in five is drifted: an end in these is false. And 5,000 clean
ones: the end should come soon. Three ways to know the share of clean records that the gate routes: counted on all of the calibration part, the
half that the gate was fitted on included; on the other half; or on that and with its upper bound, as the loop does (`clean_share`).
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, cast

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from models.detectors.end import DriftEnd, Share, clean_share, rate_of_the_end
from models.detectors.synthetic import mixture, mixture_reference
from models.networks.classifier import Answer
from models.remedies.context import RemedyContext
from models.remedies.gate import Fitted, fit_gate

RESULTS = Path(__file__).parent / "results"
SIZES, SHIFTS = (60, 150, 300, 1000), (0.5, 1.0, 2.0)
WINDOW = 1500
LASTING, RARE, CLEAN = 20_000, 0.2, 5_000
ENDED_BELOW = 0.1  # as in the policy
WAYS = ("all, fitted on or not", "the other half", "the same, with its bound")


def gate_of(size: int, shift: float, seed: int) -> tuple[Fitted, dict[str, Share], float]:
    """A fitted gate, the share of clean records that it routes as each way has it, and that of the drift."""
    reference = mixture_reference(seed=seed, calibration=size)
    early, latent = mixture(WINDOW, seed=9000 + seed, shift=shift)
    drifted = Answer(torch.zeros(WINDOW, 10), torch.tensor(early), torch.tensor(latent))
    with torch.no_grad():
        fitted = fit_gate(cast("RemedyContext", SimpleNamespace(reference=reference)), drifted)
    routed = routes(fitted, reference.calibration_early, reference.calibration_latent)
    other = routed[reference.held_out]
    shares = (*(Share(float(some.mean()), 0.0) for some in (routed, other)), clean_share(int(other.sum()), len(other)))
    return fitted, dict(zip(WAYS, shares, strict=True)), fitted.routed


@torch.no_grad()
def routes(fitted: Fitted, early: NDArray[np.float32], latent: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which records the gate is sure of."""
    return np.asarray((fitted.gate(torch.tensor(early), torch.tensor(latent)) > fitted.threshold).numpy())


def trial(size: int, shift: float, seed: int) -> list[dict[str, Any]]:
    """One gate before three streams, with each way of knowing."""
    fitted, shares, drift = gate_of(size, shift, seed)
    drifted = routes(fitted, *mixture(LASTING, seed=20_000 + seed, shift=shift))
    clean = routes(fitted, *mixture(LASTING, seed=30_000 + seed))
    some = np.where(np.random.default_rng(seed).random(LASTING) < RARE, drifted, clean)
    rows = []
    for way, share in shares.items():
        rate = rate_of_the_end(share, drift, ENDED_BELOW)
        end = DriftEnd(rate)
        ended = end.update(clean[:CLEAN])
        rows.append({
            "size": size, "shift": shift, "seed": seed, "way": way, "told": max(share), "clean": float(clean.mean()), "rate": rate,
            "false": DriftEnd(rate).update(drifted), "false, some": DriftEnd(rate).update(some), "after": end.ended_at if ended else None,
        })  # fmt: skip
    return rows


def main(
    quick: Annotated[bool, typer.Option(help="Three seeds.")] = False,
    seeds: Annotated[int, typer.Option(help="Gates for each size and drift.")] = 20,
) -> None:
    """Simulate ends of drifts."""
    torch.set_num_threads(1)
    rows = [row for size in SIZES for shift in SHIFTS for seed in range(3 if quick else seeds) for row in trial(size, shift, seed)]
    if not quick:
        lines = ",\n".join(json.dumps(row) for row in rows)
        (RESULTS / "drift_end.json").write_text(f"[\n{lines}\n]\n")
    heads = (
        "share of clean routed", "false ends", f"false ends, {RARE:.0%} drifted", "never seen", "records until seen: median", "worst",
        "share told below the true one",
    )  # fmt: skip
    table = Table("calibration", *heads)
    for size in SIZES:
        for way in WAYS:
            mine = [row for row in rows if (row["size"], row["way"]) == (size, way)]
            seen = [row["after"] for row in mine if row["after"] is not None]
            counts = [sum(row[name] for row in mine) for name in ("false", "false, some")]
            told = sum(row["told"] < row["clean"] for row in mine)
            told_of = [f"{count} of {len(mine)}" for count in (*counts, len(mine) - len(seen))]
            table.add_row(str(size), way, *told_of, f"{np.median(seen):.0f}", str(max(seen)), f"{told} of {len(mine)}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
