"""The command line of a replay: `python -m scenarios.replay NAME --url URL`."""

from pathlib import Path
from typing import Annotated

import typer

from scenarios.client import ClientError, HttpClient
from scenarios.datasets import DATASETS
from scenarios.errors import DataError, ScenarioError
from scenarios.replay import Replay, SegmentRun
from scenarios.scenario import load_scenario, suite

_AT_MOST = 2000


def replay(
    name: Annotated[str, typer.Argument(help=f"A scenario of the suite, or a TOML file. The suite: {', '.join(suite())}.")],
    url: Annotated[str, typer.Option(help="Address of the inference service.")] = "http://127.0.0.1:8000",
    dataset: Annotated[str | None, typer.Option(help=f"In place of the scenario's: {', '.join(DATASETS)}.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data set; for a model of your own, `data` in its folder of the state.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed in place of the scenario's.")] = None,
    model: Annotated[str, typer.Option(help="Name of the model at the service.")] = "default",
    rate: Annotated[float | None, typer.Option(min=0, help="Images per second; 0 = as fast as answered. Default: the scenario's.")] = None,
    at_most: Annotated[
        int, typer.Option(min=1, help="Most images of a segment that lasts until an incident is over, which nobody tells here.")
    ] = _AT_MOST,
) -> None:
    """Send a scenario's traffic to an inference service and print the accuracy of its answers, segment by segment.

    The traffic alone: it labels nothing and tells the service no label. Exit code 1 if a request failed, 2 if the scenario, the data or
    the address is wrong.
    """
    try:
        scenario = load_scenario(name)
        with HttpClient(url, model) as client:
            client.check_ready()
            run = Replay(scenario, client, dataset, data, seed)
            typer.echo(f"{scenario.name}: {scenario.description}")
            for segment in run.segments():
                _send(segment, scenario.rate if rate is None else rate, at_most)
    except (ScenarioError, DataError, ClientError) as error:
        own = dataset is not None and dataset not in DATASETS and data is None
        typer.echo(f"error: {error}{' One that you brought is found with --data FOLDER.' if own else ''}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(130) from error
    if run.failed:
        raise typer.Exit(1)


def _send(segment: SegmentRun, rate: float, at_most: int) -> None:
    open_end = segment.segment.until is not None
    score = segment.run(lambda: open_end and segment.sent >= at_most, rate=rate)
    by_version = ", ".join(f"{version} {tally.accuracy:.3f} of {tally.total}" for version, tally in score.by_version.items())
    typer.echo(f"  segment {segment.number + 1}  {segment.kind:15}  {segment.sent:6} images  accuracy {score.accuracy:.3f}  ({by_version})")
    if score.foreign:
        typer.echo(f"    {score.foreign} images show no class that the classifier knows")
    if score.failed:
        typer.echo(f"    {score.failed} images without an answer; the latest reason: {score.last_failure}", err=True)


def application() -> typer.Typer:
    """The command line as an object, for tests and for programs that offer it among others."""
    app = typer.Typer(add_completion=False)
    app.command()(replay)
    return app


def main() -> None:
    """Run the command line."""
    application()()
