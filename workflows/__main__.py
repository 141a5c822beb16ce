"""Workflows from the command line: `python -m workflows run FILE`, `check FILE`, `draw FILE`, `track RUN`."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from workflows.events import Listener
from workflows.graph import GraphError
from workflows.graph_files import load
from workflows.runners.runner import RunnerError
from workflows.runners.steps import RUNNERS
from workflows.runs import Run, RunError
from workflows.step import StepError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
REFUSALS = (GraphError, RunnerError, RunError, StepError)
State = Annotated[Path | None, typer.Option(help="Where runs and what they made are kept; default: SCANFLOW_STATE, else scanflow-state.")]
FILE = typer.Argument(help="A graph, .toml or .yaml.")


@app.command()
def run(
    file: Annotated[Path | None, FILE] = None,
    runner: Annotated[str, typer.Option(help=f"Where steps run: {', '.join(RUNNERS)}. Default: process, or that of the run to resume.")] = "",
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the graph, or STEP.NAME=VALUE; may be repeated.")] = None,
    given: Annotated[list[str] | None, typer.Option("--input", help="inputs.NAME=PATH or NODE.PORT=PATH, from outside; may be repeated.")] = None,
    anew: Annotated[str, typer.Option("--from", help="Run this step again, and all that depend on it, whatever was made before.")] = "",
    resume: Annotated[str, typer.Option(help="Go on with this run: what it has finished is not run again.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="How many steps run side by side.")] = 4,
    state: State = None,
    track: Annotated[bool, typer.Option(envvar="SCANFLOW_TRACK", help="Record the run in MLflow, by a process of its own.")] = True,
) -> None:
    """Run a graph. Ends with 0; 1 if a step failed; 2 if it could not begin; 130 if it was interrupted."""
    from workflows.engine import Interrupted
    from workflows.engine import run as run_graph
    from workflows.plan import parse_params, plan
    from workflows.recorder import behind, hand_over
    from workflows.report import summary

    folder = state or Path(os.environ.get("SCANFLOW_STATE", "scanflow-state"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us politely gets the same order; SIGINT may be ignored in the background
    try:
        graph = load(file) if file is not None else None
        known = graph
        if known is None and resume:
            known = Run.find(folder / "runs", resume).request().graph
        if known is None:
            _refuse("give the file of a graph, or --resume RUN")
        params, outside = parse_params(param or [], known), dict(map(_pair, given or []))
        base = None if file is None else file.parent
        if base is not None:
            sys.path.insert(0, str(base.absolute()))  # for functions that run in this process
        for line in behind(folder) if track else []:
            _say(line)
        with _watched(list(plan(known, params).tasks)) as listen:
            result = run_graph(
                graph, base=base, state=folder, params=params, given=outside, runner=runner or None, jobs=jobs, anew=anew, resume=resume,
                listen=listen,
            )  # fmt: skip
    except REFUSALS as error:
        _refuse(str(error))
    except Interrupted as interrupted:
        result, code = interrupted.result, 130
    else:
        code = 0 if result.ok else 1
    _say("\n".join(summary(result)))
    if track:
        hand_over(Run(result.folder), folder, _say)
    raise typer.Exit(code)


@app.command()
def check(file: Annotated[Path, FILE]) -> None:
    """Say whether a graph is sound, and what is wrong with it if not."""
    from workflows.plan import plan

    tasks = _or_refuse(lambda: plan(load(file)).tasks)
    _say(f"{file}: sound; {len(tasks)} tasks: {', '.join(list(tasks)[:12])}{' ...' if len(tasks) > 12 else ''}")


@app.command()
def track(
    runs: Annotated[list[str] | None, typer.Argument(help="Names of runs; by default all that were to be recorded and are not.")] = None,
    state: State = None,
) -> None:
    """Record runs in MLflow that are not there yet, or wait until they are. Ends with 1 if one could not be recorded."""
    from workflows.recorder import catch_up

    folder = state or Path(os.environ.get("SCANFLOW_STATE", "scanflow-state"))
    raise typer.Exit(0 if _or_refuse(lambda: catch_up(folder, runs or [], _say)) else 1)


@app.command()
def draw(
    file: Annotated[Path, FILE],
    form: Annotated[str, typer.Option("--format", help="mermaid, svg or terminal; by default what the output's name ends with, else terminal.")] = "",
    output: Annotated[Path | None, typer.Option(help="Write it there, and not to the terminal.")] = None,
) -> None:
    """Draw a graph: its steps, graphs, services, agents and people, the artefacts and the messages between them."""
    from workflows.draw import draw_graph

    _or_refuse(lambda: draw_graph(load(file), form, output))


@contextmanager
def _watched(tasks: list[str]) -> Iterator[Listener]:
    """Tells a person what happens: a picture that changes on a terminal, lines elsewhere."""
    from rich.console import Console

    from workflows.progress import Progress
    from workflows.report import Teller

    console = Console()
    if console.is_terminal and not console.is_dumb_terminal:
        with Progress(tasks, console) as progress:
            yield progress
    else:
        yield Teller(_say, tasks)


def _pair(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if not sign:
        raise RunError(f"--input {text!r}: write inputs.NAME=PATH, or NODE.PORT=PATH")
    return name, Path(path)


def _say(text: str) -> None:
    print(text, flush=True)


def _or_refuse(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except REFUSALS as error:
        _refuse(str(error))


def _refuse(why: str) -> NoReturn:
    print(f"error: {why}", file=sys.stderr)
    raise typer.Exit(2)


if __name__ == "__main__":
    app()
