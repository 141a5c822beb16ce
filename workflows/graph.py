"""The multigraph of a workflow: what there is to do, who takes part, and what passes between them.

A `Graph` is directed and labelled. Its nodes are *steps* (a program that runs and ends), *graphs* (a graph as a node), *services* (a
deployment that stays up), *agents* and *people*; all of them share one space of names. Its edges are *data* edges, which carry a typed
artefact from an output port to an input port, and *message* edges, which carry messages of one type. Two nodes may be joined by any
number of edges, which is what makes it a multigraph. Its *return function* is a named expression over logged metrics: what the
improver raises (Bravo-Rocca et al. 2021, arXiv 2111.03003).

A graph is checked when it is built (`workflows.graph_check`), so there is no `Graph` with a cycle, a missing port or an edge to nowhere.
`Builder` makes one in Python, `workflows.graph_files` reads and writes TOML and YAML.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import networkx as nx

from workflows.environment import PLAIN, Environment
from workflows.words import nearest

Ports = dict[str, str]  # the name of each port, and the type of the artefact that passes through it
Params = dict[str, Any]  # what JSON and TOML have in common: bool, int, float, str, lists and tables of these

ANY = "any"  # the type of a port that takes everything
INPUTS, OUTPUTS = "inputs", "outputs"  # the graph's own ports, as the ends of data edges: "inputs.data", "outputs.model"


class GraphError(Exception):
    """A graph is not what a graph must be; the text says where, what was expected, and what to write."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all parts of a graph have in common: they never change, and say only what is not the default."""


class _Node(_Part, frozen=True, kw_only=True):
    description: str = ""
    inputs: Ports = {}
    outputs: Ports = {}


class Step(_Node, frozen=True, kw_only=True):
    """A program that runs and ends: either `command` or `call`.

    Parameters
    ----------
    command : the program and its first arguments, in any language; `--inputs DIR --outputs DIR --params FILE` are added. It runs in the
        folder of the graph's file. The word python as the first stands for the Python that runs the engine.
    call : "package.module:function", a function decorated with `workflows.step.step`.
    inputs, outputs : ports by name, with their types. The artefact of an output port is the file or folder of that name in the outputs.
    params : handed to the program; "${name}" stands for the graph's own parameter of that name.
    when : an expression over metrics of other steps; where it is false, the step is not needed.
    each : parameters with the list of their values: the step runs once for each value (each combination, where there are several), and
        an output of type T becomes one of type list[T].
    files : further files and folders that belong to its code, relative to the graph's file: a change of them is a change of the step.
    cache : whether what it made for the same inputs, code, parameters and environment may be used again.
    retries, backoff : how often to try again after a failure, and seconds before the first of these, doubled each time.
    timeout : seconds until a try is ended; 0 is no limit.
    environment : the image that it runs in, and how much of the machine and of the world it may use.
    """

    command: tuple[str, ...] = ()
    call: str = ""
    params: Params = {}
    when: str = ""
    each: dict[str, list[Any]] = {}
    files: tuple[str, ...] = ()
    cache: bool = True
    retries: int = 0
    backoff: float = 1.0
    timeout: float = 0.0
    environment: Environment = PLAIN


class Subgraph(_Part, frozen=True, kw_only=True):
    """A graph as a node: either `file`, relative to the file that names it, or `graph`. Its ports are those of that graph.

    `params` overrides that graph's own; `when` and `each` are those of `Step`.
    """

    description: str = ""
    file: str = ""
    graph: "Graph | None" = None
    params: Params = {}
    when: str = ""
    each: dict[str, list[Any]] = {}

    @property
    def inputs(self) -> Ports:
        """The input ports; none are known before the file is read."""
        return {} if self.graph is None else self.graph.inputs

    @property
    def outputs(self) -> Ports:
        """The output ports; none are known before the file is read."""
        return {} if self.graph is None else self.graph.outputs


class Service(_Node, frozen=True, kw_only=True):
    """A deployment that stays up. The engine does not start it; what data edges bring to it is part of a run's result."""


class AgentNode(_Node, frozen=True, kw_only=True):
    """One who decides. `starts`: it acts by itself, and not only when a message reaches it. `call`: its class, "module:Class", where it has one."""

    starts: bool = False
    call: str = ""


class Person(_Node, frozen=True, kw_only=True):
    """One who is asked, and who answers."""


class DataEdge(_Part, frozen=True, kw_only=True, rename={"source": "from", "target": "to"}):
    """An artefact from an output port to an input port, each written "node.port"."""

    source: str
    target: str


class MessageEdge(_Part, frozen=True, kw_only=True, rename={"source": "from", "target": "to"}):
    """Messages of one type from one node to another."""

    source: str
    target: str
    type: str


class Return(_Part, frozen=True, kw_only=True):
    """The quality that the improver raises: an expression over metrics (`workflows.expressions`), computed after a run."""

    name: str
    value: str


Node = Step | Subgraph | Service | AgentNode | Person
SECTIONS: Mapping[str, str] = {"steps": "step", "graphs": "graph", "services": "service", "agents": "agent", "people": "person"}


class Graph(_Part, frozen=True, kw_only=True):
    """A checked multigraph. Raises `GraphError` when it is built and something is wrong with it.

    Parameters
    ----------
    params : its parameters with their defaults; steps refer to one as "${name}".
    inputs, outputs : its own ports, for where it is a node of another graph. Data edges from "inputs.NAME" and to "outputs.NAME" join
        them to what is inside. A run is given the inputs of the outermost graph.
    returns : its return function.
    """

    name: str
    description: str = ""
    params: Params = {}
    inputs: Ports = {}
    outputs: Ports = {}
    returns: Return | None = None
    data: tuple[DataEdge, ...] = ()
    messages: tuple[MessageEdge, ...] = ()
    steps: dict[str, Step] = {}
    graphs: dict[str, Subgraph] = {}
    services: dict[str, Service] = {}
    agents: dict[str, AgentNode] = {}
    people: dict[str, Person] = {}

    def __post_init__(self) -> None:
        from workflows.graph_check import check

        check(self)

    @property
    def nodes(self) -> dict[str, Node]:
        """All nodes by name."""
        return {name: node for section in SECTIONS for name, node in getattr(self, section).items()}

    def kind(self, name: str) -> str:
        """What node `name` is: "step", "graph", "service", "agent" or "person". Raises KeyError."""
        return next(kind for section, kind in SECTIONS.items() if name in getattr(self, section))

    def accepts(self, source: str, target: str, message: str) -> bool:
        """Whether there is an edge for messages of this type from `source` to `target`."""
        return any((edge.source, edge.target, edge.type) == (source, target, message) for edge in self.messages)


class End(NamedTuple):
    """One end of a data edge."""

    node: str
    port: str


def end(text: str) -> End:
    """Read "node.port". Raises `GraphError`."""
    node, dot, port = text.partition(".")
    if not (node and dot and port):
        raise GraphError(f"{text!r} is no end of a data edge; write NODE.PORT, such as train.model")
    return End(node, port)


def as_networkx(graph: Graph) -> "nx.MultiDiGraph[str]":
    """The same graph for networkx: nodes with `kind`; edges with `kind` "data" (and `source`, `target` ports) or "message" (and `type`).

    >>> graph = Builder("small").step("one", ["true"], outputs={"x": "text"}).step("two", ["true"], inputs={"x": "text"})
    >>> sorted(as_networkx(graph.data("one.x", "two.x").build()).edges(data="kind"))
    [('one', 'two', 'data')]
    """
    made: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=graph.name)
    for name in graph.nodes:
        made.add_node(name, kind=graph.kind(name))
    for edge in graph.data:
        source, target = end(edge.source), end(edge.target)
        if source.node != INPUTS and target.node != OUTPUTS:
            made.add_edge(source.node, target.node, kind="data", source=source.port, target=target.port)
    for message in graph.messages:
        made.add_edge(message.source, message.target, kind="message", type=message.type)
    return made


class Builder:
    """Writes a graph in Python; each method returns the builder, and `build` the checked graph.

    >>> graph = (
    ...     Builder("digits", params={"seed": 0})
    ...     .step("train", ["python", "train.py"], outputs={"model": "onnx"}, params={"seed": "${seed}"})
    ...     .step("evaluate", ["./evaluate"], inputs={"model": "onnx"})
    ...     .data("train.model", "evaluate.model")
    ...     .returns("accuracy", "evaluate.accuracy")
    ...     .build()
    ... )
    >>> list(graph.nodes), graph.returns.value
    (['train', 'evaluate'], 'evaluate.accuracy')
    """

    def __init__(self, name: str, description: str = "", *, params: Params | None = None, inputs: Ports | None = None,
                 outputs: Ports | None = None) -> None:  # fmt: skip
        self._own: dict[str, Any] = {
            "name": name, "description": description, "params": params or {}, "inputs": inputs or {}, "outputs": outputs or {},
        }  # fmt: skip
        self._nodes: dict[str, dict[str, Node]] = {section: {} for section in SECTIONS}
        self._data: list[DataEdge] = []
        self._messages: list[MessageEdge] = []

    def step(self, name: str, program: Sequence[str] | str | Callable[..., Any], **fields: Any) -> "Builder":
        """Add a step: a command as a list, "module:function", or a decorated function; `fields` are those of `Step`.

        A decorated function brings its ports along. Raises `GraphError` for a name that is taken, or a function without decoration.
        """
        if isinstance(program, str):
            return self._add("steps", name, Step, call=program, **fields)
        if not callable(program):
            return self._add("steps", name, Step, command=tuple(program), **fields)
        from workflows.step import contract_of

        contract = contract_of(program)
        return self._add("steps", name, Step, **{"call": contract.call, "inputs": contract.inputs, "outputs": contract.outputs} | fields)

    def graph(self, name: str, graph: "Graph | str", **fields: Any) -> "Builder":
        """Add a graph as a node: itself, or its file; `fields` are those of `Subgraph`."""
        return self._add("graphs", name, Subgraph, **({"file": graph} if isinstance(graph, str) else {"graph": graph}), **fields)

    def service(self, name: str, **fields: Any) -> "Builder":
        """Add a service."""
        return self._add("services", name, Service, **fields)

    def agent(self, name: str, **fields: Any) -> "Builder":
        """Add an agent."""
        return self._add("agents", name, AgentNode, **fields)

    def person(self, name: str, **fields: Any) -> "Builder":
        """Add a person."""
        return self._add("people", name, Person, **fields)

    def data(self, source: str, *targets: str) -> "Builder":
        """Add data edges from one output port to input ports."""
        self._data += [DataEdge(source=source, target=target) for target in targets]
        return self

    def message(self, source: str, target: str, *types: str) -> "Builder":
        """Add a message edge for each type."""
        self._messages += [MessageEdge(source=source, target=target, type=one) for one in types]
        return self

    def returns(self, name: str, value: str) -> "Builder":
        """Set the return function."""
        self._own["returns"] = Return(name=name, value=value)
        return self

    def build(self) -> Graph:
        """Make the graph. Raises `GraphError`."""
        nodes: dict[str, Any] = self._nodes
        return Graph(**self._own, **nodes, data=tuple(self._data), messages=tuple(self._messages))

    def _add(self, section: str, name: str, kind: type[Any], **fields: Any) -> "Builder":
        from workflows.graph_check import check_new_name

        check_new_name(name, {known: SECTIONS[place] for place, nodes in self._nodes.items() for known in nodes}, SECTIONS[section])
        if wrong := next((key for key in fields if key not in kind.__struct_fields__), None):
            raise GraphError(f"{SECTIONS[section]} {name!r} has no {wrong!r}{nearest(wrong, kind.__struct_fields__)}")
        if isinstance(environment := fields.get("environment"), Mapping):
            for key in environment:
                if key not in Environment.__struct_fields__:
                    raise GraphError(f"{SECTIONS[section]} {name!r}: environment has no {key!r}{nearest(key, Environment.__struct_fields__)}")
        try:
            self._nodes[section][name] = msgspec.convert(fields, kind)
        except msgspec.ValidationError as error:
            raise GraphError(f"{SECTIONS[section]} {name!r}: {error}") from error
        return self


def walk(graph: Graph, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """All nodes with their dotted paths, those of nested graphs after the node that holds them."""
    for name, node in graph.nodes.items():
        yield prefix + name, node
        if isinstance(node, Subgraph) and node.graph is not None:
            yield from walk(node.graph, f"{prefix}{name}.")
