"""`python -m agents.exchange`: questions as files, for people without access to console or page, and back."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from agents.console import gone
from agents.exchange import folder, label_studio
from agents.exchange.answers import ExchangeError, Filled, take
from agents.exchange.watch import Watch
from agents.state import State, StateError, default_state
from agents.visitor import Visitor
from workflows.serving.wire import WireError

POLL = 2.0  # seconds between two looks at the folder
app = typer.Typer(add_completion=False, no_args_is_help=True)

StateFolder = Annotated[Path | None, typer.Option("--state", help="State folder of the cluster; by default SCANFLOW_STATE, else scanflow-state.")]
Name = Annotated[str, typer.Option(help="Who has answered, where the file does not say; for Label Studio in place of whom it names.")]


@app.command("export")
def write_out(
    into: Annotated[Path, typer.Argument(metavar="FOLDER", help="Each question gets a folder in it.")],
    question: Annotated[str, typer.Option(help="Only this one; by default all open ones.")] = "",
    as_tasks: Annotated[bool, typer.Option("--label-studio", help="As tasks of Label Studio, in place of PNG files and a CSV file.")] = False,
    predictions: Annotated[bool, typer.Option(help="Label Studio: show what the model says, except where the labels measure it.")] = False,
    state: StateFolder = None,
) -> None:
    """Write open questions as files: images and a CSV file to fill in, or tasks of Label Studio."""
    if predictions and not as_tasks:
        _refuse("--predictions belongs to --label-studio; a CSV file never shows what the model says")
    with _cluster(state) as (visitor, _):
        views = [view for view in visitor.questions() if view.kind == "labels"]
        if question and question not in {view.question for view in views}:
            known = ", ".join(view.question for view in views) or "none"
            raise ExchangeError(f"there is no open question {question!r} about labels; open are: {known}")
        for view in views:
            if question in ("", view.question):
                images = visitor.images(folder.wanted(view), view.question)
                if as_tasks:
                    told = label_studio.write(into, view, images, visitor.features, predictions=predictions)
                else:
                    told = folder.write(into, view, images, visitor.features)
                print("\n".join(told))
        if not views:
            print("no question about labels is open")


@app.command("import")
def read_in(
    path: Annotated[Path, typer.Argument(help="A CSV file, a folder with some, or Label Studio's export as JSON.")],
    name: Name = "",
    state: StateFolder = None,
) -> None:
    """Hand in what people have filled in. Half a file will do; handing it in again changes nothing."""
    with _cluster(state) as (visitor, _):
        wrong = 0
        for file, read, channel in _sources(path):
            filled = read(file, name)
            outcome = take(visitor, filled.answers, channel)
            for line in outcome.lines() or ["no answers" if not filled.answers else "nothing taken"]:
                print(f"{file}: {line}")
            for problem in (*filled.problems, *outcome.problems):
                typer.echo(f"error: {problem}", err=True)
            wrong += len(filled.problems) + len(outcome.problems)
    if wrong:
        raise typer.Exit(1)


@app.command("watch")
def keep(
    at: Annotated[Path, typer.Argument(metavar="FOLDER", help="Each question gets a folder in it.")],
    name: Name = "",
    state: StateFolder = None,
) -> None:
    """Export every question as soon as it opens and import what is filled in, until Ctrl-C or the cluster ends."""
    with _cluster(state) as (visitor, lost):
        watch = Watch(visitor, at, name)
        print(f"watching {at}; Ctrl-C ends it", flush=True)
        while (reason := lost()) is None:
            if told := watch.look():
                print("\n".join(told), flush=True)
            time.sleep(POLL)
        print(reason)


def _sources(path: Path) -> list[tuple[Path, Callable[[Path, str], Filled], str]]:
    if path.is_dir():
        if not (files := folder.files_in(path)):
            raise ExchangeError(f"{path} holds no {folder.LABELS}; write some with `python -m agents.exchange export {path}`")
        return [(file, folder.read, folder.CHANNEL) for file in files]
    if path.suffix.lower() == ".json":
        return [(path, label_studio.read, label_studio.CHANNEL)]
    return [(path, folder.read, folder.CHANNEL)]


@contextmanager
def _cluster(state: Path | None) -> Iterator[tuple[Visitor, Callable[[], str | None]]]:
    place = State(state or default_state())
    try:
        door = place.front_door()
        if reason := gone(place, door):
            _refuse(reason)
        visitor = Visitor(door)
        try:
            yield visitor, lambda: gone(place, door)
        finally:
            visitor.close()
    except (StateError, WireError, ExchangeError) as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _refuse(why: str) -> NoReturn:
    typer.echo(f"error: {why}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
