"""`python -m agents.console`: attaches a console to a running cluster. Any number may be attached; leaving one changes nothing.

With a terminal it is a prompt that shows what happens and asks for labels by keys (`agents.terminal`); without one it reads commands
line by line; with a command as arguments it carries that out and ends.
"""

import asyncio
import getpass
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, NoReturn, TextIO

import typer

from agents.commands import JSON, LABELLING, LIVE, CommandError, Commands, help_lines
from agents.graphics import Graphics, graphics_of
from agents.live import LiveError, live
from agents.state import FrontDoor, State, StateError, default_state
from agents.terminal import Terminal
from agents.visitor import Visitor
from workflows.serving.wire import RemoteError, WireError

EPILOG = "\n\n".join(["Commands:", *(f"* {one}" for one in help_lines()), f"* {LIVE.usage} {LIVE.help}"])


def main(
    words: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]...", help="Carry this out and end; without it, attach.")] = None,
    state: Annotated[Path | None, typer.Option(help="State folder of the cluster; by default SCANFLOW_STATE, else scanflow-state.")] = None,
    name: Annotated[str | None, typer.Option(help="Who answers, as the story will tell; by default the user's name.")] = None,
    deployment: Annotated[str, typer.Option(help="Of several deployments, the one that is meant; `status` lists them.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help=f"For {', '.join(JSON)} and live: one line of JSON.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="For undo: do not ask whether it is meant.")] = False,
    at: Annotated[str, typer.Option(help="For live: the time that is asked about, such as 2026-03-31T14:05; without a zone it is UTC.")] = "",
) -> None:
    """Look at a running cluster, label images for it, and decide."""
    line = " ".join(words or [])
    place = State(state or default_state())
    if words and words[0].lower() == "live":  # from the record, whether or not a cluster runs
        _live(words[1:], at, place, as_json=as_json)
    if at:
        _refuse("--at belongs to `live DEPLOYMENT`, as in: live mnist --at 2026-03-31T14:05")
    if line.lower() in ("help", "quit"):
        print("\n".join(help_lines() if line == "help" else []))
        raise typer.Exit
    try:
        door = _door(place)
        visitor = Visitor(door)
        try:
            if deployment:
                visitor.use(deployment)
            code = _serve(visitor, line, place, door, name or _user(), as_json=as_json, sure=yes)
        finally:
            visitor.close()
    except (StateError, WireError, CommandError) as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code)


def attend(visitor: Visitor, *, until: Callable[[], bool], name: str, history: Path | None = None) -> None:
    """Be the console of this terminal until `until()` holds or the person leaves it (Ctrl-D, `quit`).

    For a program that runs a cluster itself; to be called in its main thread, which alone reads the keyboard. Ctrl-C leaves the labelling
    of images; at the prompt it does what it would do to the program without a console: it raises SIGINT. `until` is asked five times a
    second, in the same thread.

    Parameters
    ----------
    visitor : a way to the front desk.
    name : who answers.
    history : file that keeps what was typed.

    Raises
    ------
    WireError : the front desk does not answer any more.
    """
    terminal = Terminal(visitor, name, over=lambda: "" if until() else None, history=history, graphics=_graphics())
    if asyncio.run(terminal.run()) == "interrupted":
        signal.raise_signal(signal.SIGINT)


def gone(state: State, door: FrontDoor) -> str | None:
    """A sentence if the cluster behind `door` does not run any more."""
    again = f"start one with `python -m agents.cluster --state {state.folder}`"
    try:
        if state.front_door() != door:
            return f"another cluster runs on {state.folder} now; attach again"
    except StateError:
        return f"the cluster on {state.folder} has stopped"
    try:
        os.kill(door.pid, 0)
    except ProcessLookupError:
        return f"the cluster on {state.folder} (process {door.pid}) ended without a word; {again}"
    except PermissionError:
        return None  # it runs, as another user
    return None


def converse(commands: Commands, lines: Iterable[str], out: TextIO, err: TextIO, *, as_json: bool = False) -> int:
    """Carry out commands line by line, without a terminal; empty lines and lines that begin with # are passed over.

    Returns the exit code: 1 when a command failed; the ones after it are carried out all the same.
    """
    code = 0
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.lower() in ("quit", "exit"):
            break
        try:
            told = commands.run(text, as_json=as_json)
        except (CommandError, RemoteError) as error:  # any other WireError ends it: nobody is there
            code = 1
            print(f"error: {error}", file=err, flush=True)
        else:
            print("\n".join(told), file=out, flush=True)
    return code


def _live(words: list[str], at: str, place: State, *, as_json: bool) -> NoReturn:
    """What was live, and why; ends the program."""
    from workflows.tracking import MlflowTracking, TrackingError

    def store() -> MlflowTracking:
        tracking = MlflowTracking(place.folder)
        if tracking.own and not tracking.database.is_file():
            raise LiveError(f"nothing is on record in {place.folder}: no cluster has run there; name its folder with --state")
        return tracking

    try:
        print("\n".join(live(words, at, store, time.time(), as_json=as_json)))
    except (LiveError, TrackingError) as error:
        _refuse(str(error))
    raise typer.Exit


def _refuse(why: str) -> NoReturn:
    typer.echo(f"error: {why}", err=True)
    raise typer.Exit(1)


def _door(place: State) -> FrontDoor:
    """A door with a cluster behind it. Raises `StateError`."""
    door = place.front_door()
    if lost := gone(place, door):
        raise StateError(lost)
    return door


def _serve(visitor: Visitor, line: str, place: State, door: FrontDoor, name: str, *, as_json: bool, sure: bool) -> int:
    commands = Commands(visitor, name)
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if line and not (terminal and line.lower() in LABELLING):
        if terminal and not sure and line.lower() == "undo" and (text := commands.about_undo()) and not typer.confirm(text.removesuffix(" y / n")):
            raise CommandError("not undone")
        print("\n".join(commands.run(line, as_json=as_json)))
        return 0
    if not terminal:
        return converse(commands, sys.stdin, sys.stdout, sys.stderr, as_json=as_json)
    talk = Terminal(visitor, name, over=lambda: gone(place, door), history=place.folder / "console_history", graphics=_graphics())
    ending = asyncio.run(talk.run())
    print(talk.reason if ending == "over" else "detached; the cluster goes on, and so do its questions")
    return 0


def _graphics() -> Graphics | None:
    return graphics_of(sys.stdin.fileno(), sys.stdout.fileno()) if sys.stdin.isatty() and sys.stdout.isatty() else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a user that has no name
        return "somebody"


app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
app.command(epilog=EPILOG)(main)

if __name__ == "__main__":
    app()
