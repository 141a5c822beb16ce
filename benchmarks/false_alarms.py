"""How often does the monitor cry wolf, and how soon does it see a real change?

    python -m benchmarks.false_alarms             # three seeds; about five minutes on one core
    python -m benchmarks.false_alarms --quick     # one seed, a tenth of the records
    python -m benchmarks.false_alarms --long      # only 10^7 clean records, and repeated frames in blocks; about five minutes on one core

Clean records are MNIST test images, drawn again and again: the monitor's reference has never seen them, nor has the classifier. One
alarm in a million records is permitted on average; so that the bound can be seen at work, the same records are also given to
monitors that are permitted one in 1,000 and one in 10,000 (after each alarm the monitor begins anew). Drifted records are the
reference files of MNIST-C; each of 20 streams begins with 200 clean records.

The long run draws 10^7 clean records in the same way, and streams in which every record comes FRAMES times in a row, as from a camera that
looks at one thing: without blocks they show what repetition does, with blocks of FRAMES or more they must keep to the bound.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import chi2

from benchmarks.common.incident import RESULTS, first_model
from benchmarks.loop import CORRUPTIONS, world_of
from models.detectors.monitor import Monitor
from models.export import load_modules
from models.reference import Reference
from models.training import look
from scenarios.datasets import load, shared_data

RECORDS = 200_000
RUN_LENGTHS = (1e3, 1e4, 1e6)
STREAMS, BEFORE, PATIENCE = 20, 200, 1000
LONG, FRAMES, BLOCKS, PART = 10_000_000, 20, (1, 20, 100), 2_000
"""Records of the long run, repetitions of a frame, sizes of block that are tried, and records handed over at once."""
Features = tuple[NDArray[np.float32], NDArray[np.float32]]


def features_of(folder: Path, images: NDArray[np.uint8]) -> Features:
    """Early features and latents of images, as the server logs them."""
    answer = look(load_modules(folder).classifier, images)
    return answer.early.numpy(), answer.latent.numpy()


def alarms(monitor: Monitor, p_values: NDArray[np.float64]) -> int:
    """How many alarms a stream raises when the monitor begins anew after each."""
    count, at = 0, 0
    while at < len(p_values):
        reading = monitor.follow(p_values[at:])
        if reading.alarm_at is None:
            break
        count, at = count + 1, at + reading.alarm_at + 1
        monitor.reset()
    monitor.reset()
    return count


def alarms_in(monitor: Monitor, parts: Iterable[NDArray[np.float64]]) -> int:
    """How many alarms a stream raises that comes in small parts; the monitor begins anew after an alarm, and never otherwise."""
    count, seen = 0, 0
    for part in parts:
        rest = part
        while len(rest):
            at = monitor.follow(rest).alarm_at
            if at is None:
                seen += len(rest)
                break
            count, rest, seen = count + 1, rest[at + 1 - seen :], 0
            monitor.reset()
    return count


def long_run(seed: int, root: Path, records: int) -> list[dict[str, Any]]:
    """False alarms in `records` clean records, and in a tenth of them in repeated frames, for each permitted run length and size of block."""
    folder = first_model("mnist", root, seed)
    reference = Reference.load(folder / "reference.npz")
    usual = Monitor(reference).p_values(*features_of(folder, load("mnist", "test", root).images))
    rows = []
    for frames, block in ((1, 1), *((FRAMES, size) for size in BLOCKS)):
        for length in (1e4, 1e6):
            rng, total = np.random.default_rng([seed, 7]), records if frames == 1 else records // 10
            parts = (np.repeat(rng.choice(usual, PART // frames), frames, axis=0) for _ in range(total // PART))
            found = alarms_in(Monitor(reference, run_length=length, block=block), parts)
            rows.append({"seed": seed, "records": total, "frames": frames, "block": block, "run_length": length, "alarms": found})
    return rows


def show_long(rows: list[dict[str, Any]], console: Console) -> None:
    """Print what was counted, with the exact Poisson interval, beside what is permitted."""
    heads = ("frames alike", "block", "permitted mean run", "records", "false alarms", "95 % interval", "permitted", "within")
    table = Table(*heads, title="Clean streams")
    for row in rows:
        count, permitted = row["alarms"], row["records"] / row["run_length"]
        low, high = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0, chi2.ppf(0.975, 2 * count + 2) / 2
        within = "yes" if low <= permitted else "NO"
        cells = str(row["frames"]), str(row["block"]), f"{row['run_length']:,.0f}", f"{row['records']:,}", str(count)
        table.add_row(*cells, f"{low:.1f} to {high:.1f}", f"{permitted:g}", within)
    console.print(table)


def delay(monitor: Monitor, clean: Features, drifted: Features, rng: np.random.Generator) -> int | None:
    """Records from the change to the alarm, None if there is none within PATIENCE."""
    before, after = rng.integers(0, len(clean[0]), BEFORE), rng.integers(0, len(drifted[0]), PATIENCE)
    monitor.reset()
    reading = monitor.update(*(np.concatenate([one[before], other[after]]) for one, other in zip(clean, drifted, strict=True)))
    return None if reading.alarm_at is None or reading.alarm_at < BEFORE else reading.alarm_at - BEFORE + 1


def measure(seed: int, root: Path, records: int) -> dict[str, Any]:
    """False alarms and delays for the classifier of one seed."""
    folder = first_model("mnist", root, seed)
    reference, rng = Reference.load(folder / "reference.npz"), np.random.default_rng(seed)
    clean = features_of(folder, load("mnist", "test", root).images)
    monitor = Monitor(reference)
    stream = monitor.p_values(*clean)[rng.integers(0, len(clean[0]), records)]
    found = {f"{length:g}": alarms(Monitor(reference, run_length=length), stream) for length in RUN_LENGTHS}
    delays = {}
    for name in CORRUPTIONS:
        drifted = features_of(folder, world_of(name, seed, root).pool[name][0])
        waits = [delay(monitor, clean, drifted, rng) for _ in range(STREAMS)]
        delays[name] = [one if one is not None else PATIENCE for one in waits]
    return {"seed": seed, "records": records, "false_alarms": found, "delays": delays}


def main(
    quick: Annotated[bool, typer.Option(help="One seed and a tenth of the records.")] = False,
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    long: Annotated[bool, typer.Option(help="Only 10^7 clean records, and repeated frames in blocks; one seed.")] = False,
    root: Annotated[Path | None, typer.Option(help="Folder with MNIST and mnist_c; by default the shared data beside the repository.")] = None,
) -> None:
    """Count false alarms on clean records, and records until a real change is seen."""
    root = root or shared_data()
    if root is None:
        raise typer.BadParameter("no data: give --root FOLDER with MNIST/raw and mnist_c/reference_*.npz (see docs/benchmarks.md)")
    if long:
        rows = long_run(0, root, LONG // 10 if quick else LONG)
        if not quick:
            (RESULTS / "false_alarms_long.json").write_text(json.dumps(rows, indent=1) + "\n")
        show_long(rows, Console())
        return
    rows = [measure(seed, root, RECORDS // 10 if quick else RECORDS) for seed in range(1 if quick else seeds)]
    if not quick:
        (RESULTS / "false_alarms.json").write_text(json.dumps(rows, indent=1) + "\n")
    console = Console()
    table = Table("permitted mean run", "false alarms, by seed", "permitted in so many records", title=f"{rows[0]['records']:,} clean records")
    for length in RUN_LENGTHS:
        counts = ", ".join(str(row["false_alarms"][f"{length:g}"]) for row in rows)
        table.add_row(f"{length:,.0f}", counts, f"{rows[0]['records'] / length:g}")
    console.print(table)
    table = Table("corruption", "median records to the alarm, by seed", "slowest of all streams", title="Sudden change")
    for name in CORRUPTIONS:
        medians = ", ".join(f"{np.median(row['delays'][name]):.0f}" for row in rows)
        table.add_row(name, medians, str(max(max(row["delays"][name]) for row in rows)))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
