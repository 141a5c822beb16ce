"""Workflows from the command line: `python -m workflows run FILE`, `check FILE`."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

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
) -> None:
    """Run a graph. Ends with 0; 1 if a step failed; 2 if it could not begin; 130 if it was interrupted."""
    from workflows.engine import Interrupted
    from workflows.engine import run as run_graph
    from workflows.plan import parse_params, plan
    from workflows.report import Teller, summary

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
        result = run_graph(
            graph, base=base, state=folder, params=params, given=outside, runner=runner or None, jobs=jobs, anew=anew, resume=resume,
            listen=Teller(_say, list(plan(known, params).tasks)),
        )  # fmt: skip
    except REFUSALS as error:
        _refuse(str(error))
    except Interrupted as interrupted:
        _say("\n".join(summary(interrupted.result)))
        raise typer.Exit(130) from None
    _say("\n".join(summary(result)))
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def check(file: Annotated[Path, FILE]) -> None:
    """Say whether a graph is sound, and what is wrong with it if not."""
    from workflows.plan import plan

    tasks = _or_refuse(lambda: plan(load(file)).tasks)
    _say(f"{file}: sound; {len(tasks)} tasks: {', '.join(list(tasks)[:12])}{' ...' if len(tasks) > 12 else ''}")


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
