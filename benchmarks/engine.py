"""What does the engine itself cost?

    python -m benchmarks.engine             # 1,000 steps that do nothing; seconds on one core
    python -m benchmarks.engine --quick     # 200 steps, one round

A graph of independent steps that do nothing, 8 side by side: as functions in this process, for the first time (each is noted on disk and
its outputs are moved into the store) and again (each is found there); then fewer of them as processes of /bin/true, where the price of
starting a process is measured beside it by the same number of plain `subprocess.run` calls, 8 side by side as well.

Then, where a container engine answers, what a container costs: a chain of steps that do nothing, one after the other, as processes and as
containers in alternating runs. The overhead is the difference of the two for each pair of runs.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from workflows.engine import run
from workflows.events import Event
from workflows.graph import Builder, Graph
from workflows.runners.runner import RunnerError
from workflows.step import step

JOBS = 8
TARGET = 5.0  # milliseconds for a step in this process
CONTAINER_TARGET = 1.0  # seconds that a step may take longer in a container than as a process
RESULTS = Path(__file__).parent / "results"


@step()
def nothing(*, number: int) -> None:
    """Do nothing."""
    del number


def graph(steps: int, program: object) -> Graph:
    """`steps` independent steps; the number makes each another one, so that none is taken from before in the first run."""
    made = Builder("nothing")
    for number in range(steps):
        made.step(f"s{number}", program, params={"number": number})
    return made.build()


def seconds(made: Graph, state: Path, runner: str) -> float:
    """How long one run takes; all of its tasks must end well."""
    begun = time.perf_counter()
    result = run(made, state=state, runner=runner, jobs=JOBS)
    took = time.perf_counter() - begun
    assert result.ok
    return took


def plain(count: int) -> float:
    """The same number of processes without an engine."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(lambda _: subprocess.run(["true"], check=True, stdout=subprocess.PIPE), range(count)))
    return time.perf_counter() - begun


def chain(steps: int) -> Graph:
    """`steps` steps that do nothing, each after the one before."""
    made = Builder("chain")
    for number in range(steps):
        made.step(f"s{number}", ["sh", "-c", "echo '{\"done\": 1}' > $4/metrics.json", "step"], params={"number": number},
                  when=f"s{number - 1}.done > 0" if number else "")  # fmt: skip
    return made.build()


def containers(steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds a step as processes and as containers, in alternating runs; nothing if no engine answers."""
    made, taken = chain(steps), {"process": [], "container": []}
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(chain(1), base=RESULTS, state=Path(folder), runner="container")  # the image is made ready once
    except RunnerError as error:
        print(f"containers are not measured: {error}")
        return {}
    for _ in range(rounds):
        for runner, values in taken.items():
            with tempfile.TemporaryDirectory() as folder:
                begun: dict[str, float] = {}
                ended: dict[str, float] = {}

                def note(event: Event, begun: dict[str, float] = begun, ended: dict[str, float] = ended) -> None:
                    if event.kind in {"started", "ended"}:
                        (begun if event.kind == "started" else ended)[event.task] = time.perf_counter()

                result = run(made, base=RESULTS, state=Path(folder), runner=runner, jobs=1, listen=note)
                assert len(result.of("finished")) == steps
                values.append((max(ended.values()) - min(begun.values())) / steps)
    return taken


def main(quick: Annotated[bool, typer.Option(help="Fewer steps, one round.")] = False) -> None:
    """Measure, print a table, write benchmarks/results/engine.json."""
    steps, rounds = (200, 1) if quick else (1000, 3)
    processes = steps // 5
    inline, commands = graph(steps, nothing), graph(processes, ["true"])
    taken: dict[str, list[float]] = {"first run": [], "second run": [], "processes": [], "plain processes": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            taken["first run"].append(seconds(inline, Path(folder), "inline") / steps)
            taken["second run"].append(seconds(inline, Path(folder), "inline") / steps)
            taken["processes"].append(seconds(commands, Path(folder), "process") / processes)
            taken["plain processes"].append(plain(processes) / processes)
    title = f"The engine, {steps} steps in process and {processes} processes, {JOBS} side by side"
    table = Table("", "best, ms a step", "median, ms a step", title=title)
    report = {}
    for name, values in taken.items():
        best, median = (1000 * sorted(values)[place] for place in (0, len(values) // 2))
        table.add_row(name, f"{best:.2f}", f"{median:.2f}")
        report[name] = {"best_ms": round(best, 3), "median_ms": round(median, 3)}
    Console().print(table)
    apart = containers(*((3, 2) if quick else (10, 7)))
    if apart:
        more = sorted(container - process for process, container in zip(apart["process"], apart["container"], strict=True))
        overhead = statistics.median(more)
        medians = {name: statistics.median(values) for name, values in apart.items()}
        print(f"a step as a process {medians['process']:.3f} s, in a container {medians['container']:.3f} s (medians of {len(more)} runs)")
        print(f"overhead: median {overhead:.3f} s, from {more[0]:.3f} to {more[-1]:.3f} s")
        print(f"target for a container step: at most {CONTAINER_TARGET:g} s over a process: {'kept' if overhead <= CONTAINER_TARGET else 'MISSED'}")
    kept = report["first run"]["median_ms"] < TARGET
    print(f"target for the first run in process: under {TARGET:g} ms a step: {'kept' if kept else 'MISSED'}")
    if not quick:
        content = {"steps": steps, "processes": processes, "jobs": JOBS, "rounds": rounds, "load": round(os.getloadavg()[0], 1), "ms_a_step": report,
                   "seconds_a_step": {name: [round(value, 3) for value in values] for name, values in apart.items()}}  # fmt: skip
        (RESULTS / "engine.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
