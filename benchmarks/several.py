"""What do further deployments cost a team of agents, in memory and in the time of a drift check?

    python -m benchmarks.several             # some three minutes on two cores
    python -m benchmarks.several --quick     # fewer rounds

Real Ray, real agents; the services are objects of this process. Memory is that of the agents' processes (proportional set size, which counts
shared pages once), with one deployment and with ten. The check is that of a deployment with 200 new records each heartbeat: alone, beside nine
others to which nothing comes, and beside nine with 20 new records each heartbeat, in short rounds by turns. Their heartbeats are spread evenly.
"""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from agents.homes import home
from agents.hosts.ray_host import RayHost, SharedRayHost
from agents.in_process import InProcess
from agents.messages import HEARTBEAT
from agents.policy import Policy
from agents.state import State
from agents.team import Wiring, built_in, factories
from benchmarks.page import BEATS, PER_BEAT, RESULTS, beat, ratio_of
from models.pipeline import MANIFEST
from scenarios.datasets import load, to_float
from scenarios.replay import load_scenario
from workflows.steps.train import train

MANY = 10
FEW = PER_BEAT // 10  # records of each heartbeat where little comes in


@contextmanager
def begun(count: int) -> Iterator[tuple[SharedRayHost, list[InProcess], list[float]]]:
    """So many deployments of one classifier on one host, begun one after the other; and the megabytes of the agents' processes after each."""
    with tempfile.TemporaryDirectory() as folder, State(Path(folder)) as state, ExitStack() as cleanup:
        shared, wiring, scenario, policy = SharedRayHost(), Wiring(built_in()), load_scenario("default"), Policy()
        cleanup.callback(shared.stop)
        train("digits", state.pipeline("first"), name="first")
        places: list[InProcess] = []
        sizes: list[float] = []
        clean = clean_images()
        for number in range(count):
            name = f"line-{number}"
            own, first = home(state, name, alone=False), f"{name}-first"
            shutil.copytree(state.pipeline("first"), own.pipeline(first))
            manifest = own.pipeline(first) / MANIFEST
            manifest.write_text(json.dumps(json.loads(manifest.read_bytes()) | {"name": first, "version": first}))
            host = shared.open(name, factories(name, policy, wiring.team))
            places.append(InProcess(own, scenario, policy=policy, host=host, wiring=wiring, name=name, clock=time.time))
            cleanup.callback(places[-1].system.switchboard.run_until_idle)
            places[-1].system.start()
            places[-1].system.switchboard.run_until_idle()
            beat(places[-1], clean, 5)  # its reference has been read, and all that is needed imported
            sizes.append(megabytes(host))
        yield shared, places, sizes


def clean_images() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Images in which nothing has changed."""
    return to_float(load("digits", "calibration").images)


def megabytes(host: RayHost) -> float:
    """Of all agents' processes together."""
    found = [Path(f"/proc/{host.pid(agent)}/smaps_rollup").read_text() for agent in Wiring(built_in()).team]
    return sum(int(match.group(1)) for text in found if (match := re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE))) / 1024


def checks(places: list[InProcess], rounds: int) -> list[list[list[float]]]:
    """Seconds of each drift check of the first deployment, round by round: alone, beside others without records, beside others with some."""
    clean = clean_images()
    took: list[list[list[float]]] = [[], [], []]

    def work(number: int, count: int) -> None:
        time.sleep(HEARTBEAT * number / len(places))
        beat(places[number], clean, BEATS, count)

    with ThreadPoolExecutor(len(places)) as threads:
        for _ in range(rounds):
            for kind, found in enumerate(took):
                others = [threads.submit(work, number, (0, FEW)[kind - 1]) for number in range(1, len(places))] if kind else []
                found.append(beat(places[0], clean, BEATS))
                for other in others:
                    other.result()
    return took


def main(*, quick: Annotated[bool, typer.Option(help="Fewer rounds.")] = False) -> None:
    """Measure, print, and keep the figures."""
    with begun(MANY) as (_, places, sizes):
        beats = {count: beat(places[-1], clean_images(), BEATS, count) for count in (0, FEW)}
        alone, idle, busy = checks(places, 3 if quick else 12)
    one, each = sizes[0], (sizes[-1] - sizes[0]) / (MANY - 1)
    table = Table("what", "measured")
    table.add_row("memory of the agents' processes, one deployment", f"{one:.0f} MB")
    table.add_row("a further deployment adds", f"{each:.1f} MB, {each / one:.3f} of that")
    for count, took in beats.items():
        table.add_row(f"a heartbeat of a deployment with {count} new records, alone", f"median {1000 * float(np.median(took)):.1f} ms")
    table.add_row("a drift check of 200 records, alone", f"median {1000 * float(np.median(alone)):.1f} ms")
    ratios = [ratio_of(alone, beside) for beside in (idle, busy)]
    for what, (ratio, low, high) in zip(("to which nothing comes", f"with {FEW} records each heartbeat"), ratios, strict=True):
        table.add_row(f"the same beside {MANY - 1} others {what}", f"{ratio:.2f} times that, 95 % interval {low:.2f} to {high:.2f}")
    table.add_row("one check in twenty takes longer than", f"{1000 * float(np.quantile(busy, 0.95)):.0f} ms")
    Console().print(table)
    if not quick:
        found = {
            "deployments": MANY, "megabytes": sizes, "heartbeats": beats, "alone": alone, "beside_idle": idle, "beside_busy": busy, "ratios": ratios,
        }  # fmt: skip
        (RESULTS / "several.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
