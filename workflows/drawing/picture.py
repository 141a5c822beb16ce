"""What there is to draw of a graph: its shapes and arrows, nested graphs as pictures inside a shape.

Parallel edges of one kind between the same two shapes become one arrow that names them all.
"""

import unicodedata
from typing import Literal, NamedTuple

from workflows.graph import INPUTS, OUTPUTS, AgentNode, DataEdge, Graph, MessageEdge, Node, Step, Subgraph, end
from workflows.graph_check import control, node_types

Kind = Literal["step", "graph", "service", "agent", "person", "input", "output"]
KINDS: tuple[Kind, ...] = ("step", "graph", "service", "agent", "person", "input", "output")


class Shape(NamedTuple):
    """A node, or one of a graph's own ports. `id` is its dotted path; `notes` are short lines beneath its name."""

    id: str
    name: str
    kind: Kind
    notes: tuple[str, ...] = ()
    description: str = ""
    inside: "Picture | None" = None


class Arrow(NamedTuple):
    """Edges of one kind from one shape to another. `labels`: types of artefacts or messages; `titles`: each edge in full."""

    source: str
    target: str
    kind: Literal["data", "message"]
    labels: tuple[str, ...]
    titles: tuple[str, ...]


class Picture(NamedTuple):
    """A graph to be drawn. `order`: pairs of ids of which the first must have ended before the second, without an edge between them."""

    name: str
    description: str
    returns: str
    shapes: tuple[Shape, ...]
    arrows: tuple[Arrow, ...]
    order: tuple[tuple[str, str], ...]


def picture_of(graph: Graph, prefix: str = "") -> Picture:
    """What there is to draw.

    >>> from workflows.graph import Builder
    >>> graph = Builder("g").step("one", ["./a"], outputs={"x": "csv", "y": "onnx"}).step("two", ["./b"], inputs={"x": "csv", "y": "onnx"})
    >>> picture_of(graph.data("one.x", "two.x").data("one.y", "two.y").build()).arrows
    (Arrow(source='one', target='two', kind='data', labels=('csv', 'onnx'), titles=('one.x -> two.x (csv)', 'one.y -> two.y (onnx)')),)
    """
    shapes = [Shape(f"{prefix}{INPUTS}.{port}", port, "input", (kind,)) for port, kind in graph.inputs.items()]
    for name, node in graph.nodes.items():
        inside = picture_of(node.graph, f"{prefix}{name}.") if isinstance(node, Subgraph) and node.graph is not None else None
        kind: Kind = graph.kind(name)  # type: ignore[assignment]  # one of SECTIONS
        shapes.append(Shape(f"{prefix}{name}", name, kind, _notes(node), node.description, inside))
    shapes += [Shape(f"{prefix}{OUTPUTS}.{port}", port, "output", (kind,)) for port, kind in graph.outputs.items()]
    found: dict[tuple[str, str, Literal["data", "message"]], list[tuple[str, str]]] = {}
    edges: list[DataEdge | MessageEdge] = [*graph.data, *graph.messages]
    for edge in edges:
        source, target, kind_of_edge, label, title = _edge(graph, edge, prefix)
        found.setdefault((source, target, kind_of_edge), []).append((label, title))
    arrows = tuple(
        Arrow(*key, tuple(dict.fromkeys(label for label, _ in joined)), tuple(title for _, title in joined)) for key, joined in found.items()
    )
    returns = f"{graph.returns.name} = {graph.returns.value}" if graph.returns else ""
    order = tuple((f"{prefix}{first}", f"{prefix}{second}") for first, second in sorted(control(graph)))
    return Picture(graph.name, graph.description, returns, tuple(shapes), arrows, order)


def plain(text: str) -> str:
    r"""One line without characters that cannot be shown.

    >>> plain(" two\nlines\x00 ")
    'two lines'
    """
    return " ".join("".join(" " if unicodedata.category(one) in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} else one for one in text).split())


def kinds(picture: Picture) -> list[Kind]:
    """The kinds of shapes that there are, also inside of others."""
    found = {shape.kind for shape in picture.shapes}.union(*(kinds(shape.inside) for shape in picture.shapes if shape.inside is not None))
    return [kind for kind in KINDS if kind in found]


def short(text: str, most: int) -> str:
    """At most so many characters of one line.

    >>> short("a long sentence", 7)
    'a long…'
    """
    text = plain(text)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _notes(node: Node) -> tuple[str, ...]:
    notes = []
    if isinstance(node, Step):
        notes.append(node.call or " ".join(node.command))
    if isinstance(node, Subgraph):
        notes.append(node.file or (node.graph.name if node.graph is not None else ""))
    if isinstance(node, AgentNode) and node.starts:
        notes.append("starts by itself")
    if isinstance(node, Step | Subgraph):
        notes += [f"for each {name} of {len(values)}" for name, values in node.each.items()]
        notes += [f"when {node.when}"] if node.when else []
    return tuple(note for note in map(plain, notes) if note)


def _edge(graph: Graph, edge: DataEdge | MessageEdge, prefix: str) -> tuple[str, str, Literal["data", "message"], str, str]:
    """The shapes that an edge joins, its kind, its label, and all that it says."""
    if isinstance(edge, MessageEdge):
        title = f"{prefix}{edge.source} -> {prefix}{edge.target} ({edge.type})"
        return f"{prefix}{edge.source}", f"{prefix}{edge.target}", "message", edge.type, title
    source, target = end(edge.source), end(edge.target)
    ports = graph.inputs if source.node == INPUTS else node_types(graph.nodes[source.node], outputs=True) or {}
    kind = ports.get(source.port, "any")
    title = f"{prefix}{edge.source} -> {prefix}{edge.target} ({kind})"
    return _at(graph, source.node, source.port, OUTPUTS, prefix), _at(graph, target.node, target.port, INPUTS, prefix), "data", kind, title


def _at(graph: Graph, node: str, port: str, side: str, prefix: str) -> str:
    """The shape at one end of a data edge: a node; a port of the graph itself; a port of the graph that the node holds."""
    if node in {INPUTS, OUTPUTS}:
        return f"{prefix}{node}.{port}"
    inner = graph.graphs.get(node)
    return f"{prefix}{node}" if inner is None or inner.graph is None else f"{prefix}{node}.{side}.{port}"
