"""A graph as lines for a terminal: nodes in an order that works, beneath each what it hands on, and to whom."""

import io
from collections.abc import Iterable

import networkx as nx
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from workflows.drawing.colours import COLOURS, MESSAGE
from workflows.drawing.picture import Arrow, Picture, Shape, kinds, picture_of, plain
from workflows.graph import Graph

SIGNS = {"step": "■", "graph": "▣", "service": "●", "agent": "⬢", "person": "☻", "input": "▷", "output": "◁"}
PLAIN = {"step": "#", "graph": "@", "service": "o", "agent": "*", "person": "&", "input": ">", "output": "<"}  # where there is no Unicode
WIDTH = 80


def terminal(graph: Graph) -> str:
    """The lines, at most 80 characters wide and without colours.

    >>> from workflows.graph import Builder
    >>> graph = Builder("g").step("one", ["./a"], outputs={"x": "csv"}).step("two", ["./b"], inputs={"x": "csv"}).data("one.x", "two.x").build()
    >>> print(terminal(graph))
    g
    ├── ■ one  ./a
    │   └── ── csv ──▶ two
    └── ■ two  ./b
    ■ step
    <BLANKLINE>
    """
    out = io.StringIO()
    show(graph, Console(file=out, width=WIDTH, no_color=True, force_terminal=False))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def show(graph: Graph, console: Console) -> None:
    """Print a graph in the console's width and colours."""
    picture = picture_of(graph)
    unicode = (console.encoding or "utf-8").lower().startswith("utf")
    root = Tree(Text(plain(picture.name), style="bold"), guide_style="dim")
    for text in (plain(picture.description), picture.returns and f"returns {picture.returns}"):
        if text:
            root.add(Text(text, style="dim"))
    _grow(root, picture, picture.arrows, unicode=unicode)
    console.print(root, highlight=False)
    signs = SIGNS if unicode else PLAIN
    console.print(Text("  ").join(Text.assemble((signs[kind], COLOURS[kind].terminal), f" {kind}") for kind in kinds(picture)))


def _grow(tree: Tree, picture: Picture, above: Iterable[Arrow], *, unicode: bool) -> None:
    """Add a picture's shapes; `above`: arrows of this level and of the one above, since a nested graph's ports hand on there."""
    arrows = [*picture.arrows, *(arrow for arrow in above if arrow not in picture.arrows)]
    for shape in _ordered(picture):
        sign = (SIGNS if unicode else PLAIN)[shape.kind]
        label = Text.assemble((f"{sign} ", COLOURS[shape.kind].terminal), (shape.name, "bold"))
        if shape.notes:
            label.append(f"  {', '.join(shape.notes)}", style="dim")
        branch = tree.add(label)
        if shape.description:
            branch.add(Text(plain(shape.description), style="dim"))
        for arrow in arrows:
            if arrow.source == shape.id:
                branch.add(_line(arrow, unicode=unicode))
        if shape.inside is not None:
            _grow(branch, shape.inside, picture.arrows, unicode=unicode)


def _line(arrow: Arrow, *, unicode: bool) -> Text:
    stroke, head = {("data", True): ("──", "▶"), ("message", True): ("╌╌", "▶"), ("data", False): ("--", ">"), ("message", False): ("..", ">")}[
        arrow.kind, unicode
    ]  # fmt: skip
    style = MESSAGE.terminal if arrow.kind == "message" else ""
    return Text.assemble((f"{stroke} {', '.join(arrow.labels)} {stroke}{head} ", style), arrow.target)


def _ordered(picture: Picture) -> list[Shape]:
    """Shapes in an order in which data flows; else as they are written."""
    place = {shape.id: number for number, shape in enumerate(picture.shapes)}

    def holder(where: str) -> str:
        return where if where in place else next(name for name in place if where.startswith(f"{name}."))

    flow: nx.DiGraph[str] = nx.DiGraph()
    flow.add_nodes_from(place)
    flow.add_edges_from((holder(arrow.source), holder(arrow.target)) for arrow in picture.arrows if arrow.kind == "data")
    flow.add_edges_from(picture.order)
    return [picture.shapes[place[name]] for name in nx.lexicographical_topological_sort(flow, key=place.__getitem__)]

