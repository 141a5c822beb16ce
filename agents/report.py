"""`python -m agents.report`: one HTML file, plots and JSON of an incident or a period, from the state folder alone; no cluster need run."""

import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agents.doors.evidence import Evidence
from agents.homes import homes
from agents.ledger import Ledger
from agents.live import LiveError, read_time
from agents.messages import Message
from agents.reception import Images
from agents.reports.account import Account, ReportError, of_incident, of_period
from agents.reports.page import render
from agents.reports.plots import draw
from agents.reports.words import span
from agents.state import State, default_state


def main(
    incident: Annotated[str, typer.Option(help="Report on this incident, such as digits-1.")] = "",
    since: Annotated[str, typer.Option(help="Report on what happened from this time on, such as 2026-03-31 or 14:05.")] = "",
    until: Annotated[str, typer.Option(help="... and until this time; by default until now.")] = "",
    last: Annotated[str, typer.Option(help="Report on the last minutes, hours, days or weeks: 90m, 24h, 7d, 2w.")] = "",
    deployment: Annotated[str, typer.Option(help="Of this deployment only.")] = "",
    state: Annotated[Path | None, typer.Option(help="The state folder; see `python -m agents.cluster --help`.")] = None,
    out: Annotated[Path | None, typer.Option(help="The HTML file to write; by default report.html, or that of the incident's name.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Write the plots into this folder as PNG files.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the account as JSON; no HTML file is written, unless --out names one.")] = False,
) -> None:
    """Write what happened, what it cost, what people did and what changed; without an incident or times: all that is on record."""
    try:
        folder = (state or default_state()).resolve()
        messages = read(folder)
        account = choose(messages, incident, since, until, last, deployment, now=time.time())
        drawn = draw(account, messages) if plots is not None or not as_json or out is not None else {}
        if out is not None or not as_json:
            out = out or Path(f"{incident or 'report'}.html")
            _write(out, render(account, messages, kept_in(folder), written=time.time(), plots=drawn).encode())
            typer.echo(f"wrote {out}", err=as_json)
        if plots is not None:
            for name, file in drawn.items():
                _write(plots / f"{name}.png", file)
            typer.echo(f"wrote {len(drawn)} plots into {plots}", err=as_json)
        if as_json:
            typer.echo(msgspec.json.format(msgspec.json.encode(account), indent=1).decode())
    except (ReportError, LiveError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


def read(folder: Path) -> list[Message]:
    """All messages of a state folder's ledgers, also while a cluster writes to them. Raises `ReportError` when there is none."""
    found = homes(State(folder))
    if not found:
        raise ReportError(f"{folder} holds no ledger. Name the state folder of a cluster with --state, or in SCANFLOW_STATE")
    told = []
    for place in found:
        ledger = Ledger.in_folder(place.folder, clock=time.time)
        try:
            told.append(ledger.messages())
        finally:
            ledger.close()
    return told[0] if len(told) == 1 else sorted(chain(*told), key=lambda message: message.time)


def kept_in(folder: Path) -> Callable[[str, Sequence[int]], Images]:
    """Finds the images that are kept of an incident; nothing is made in the folder."""

    def kept(incident: str, seqs: Sequence[int]) -> Images:
        place = next((place for place in homes(State(folder)) if (place.folder / "incidents" / incident).is_dir()), None)
        return Evidence(place).images(incident, list(seqs)) if place is not None else {}

    return kept


def choose(messages: Sequence[Message], incident: str, since: str, until: str, last: str, deployment: str, *, now: float) -> Account:
    """The account that the options ask for. Raises `ReportError` and `LiveError` when they cannot be met."""
    if incident:
        if since or until or last or deployment:
            raise ReportError("--incident tells the whole incident; leave --since, --until, --last and --deployment out")
        return of_incident(messages, incident)
    if last and (since or until):
        raise ReportError("give either --last or --since and --until, not both")
    begun, ended = read_time(since, now) if since else 0.0, read_time(until, now) if until else now
    if last:
        try:
            begun = now - span(last)
        except ValueError as error:
            raise ReportError(f"--last: {error}") from None
    if begun >= ended:
        raise ReportError(f"--since {since} is not before --until {until or 'now'}; swap them, or leave one out")
    title = f"The last {last}" if last else f"Since {since}" if since else "All on record"
    return of_period(messages, begun, ended, title + (f" until {until}" if until else ""), deployment)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ReportError(f"{path} cannot be written ({error.strerror}); name another place with --out or --plots") from error


app = typer.Typer(add_completion=False)
app.command()(main)

if __name__ == "__main__":
    app()
