"""`python -m workflows draw`: a graph in the form that was asked for, to a file or to the terminal."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from workflows.drawing.mermaid import mermaid
from workflows.drawing.svg import svg
from workflows.drawing.terminal import show, terminal
from workflows.graph import Graph, GraphError
from workflows.words import nearest

FORMS: Mapping[str, Callable[[Graph], str]] = {"mermaid": mermaid, "svg": svg, "terminal": terminal}
SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".svg": "svg", ".txt": "terminal"}


def draw_graph(graph: Graph, form: str = "", output: Path | None = None) -> None:
    """Draw `graph` in the form "mermaid", "svg" or "terminal"; by default the one that the end of the output's name stands for.

    Raises `GraphError` for an unknown form, or where the output cannot be written.
    """
    chosen = form or (SUFFIXES.get(output.suffix, "") if output else "terminal")
    if not chosen:
        raise GraphError(f"{output}: its end names no form; say --format mermaid, svg or terminal, or end it with {', '.join(SUFFIXES)}")
    if chosen not in FORMS:
        raise GraphError(f"there is no format {chosen!r}{nearest(chosen, FORMS)}")
    if output is not None:
        try:
            output.write_text(FORMS[chosen](graph), encoding="utf-8")
        except OSError as error:
            raise GraphError(f"{output} cannot be written ({error.strerror}); name another --output") from error
    elif chosen == "terminal":
        show(graph, Console() if sys.stdout.isatty() else Console(width=80))
    else:
        sys.stdout.write(FORMS[chosen](graph))
