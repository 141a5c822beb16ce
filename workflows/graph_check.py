"""What makes a graph a sound one. The first thing that is wrong is said, as one sentence that ends with what to write."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx

from workflows.environment import fault_of
from workflows.expressions import ExpressionError, names
from workflows.graph import ANY, INPUTS, OUTPUTS, DataEdge, Graph, GraphError, Node, Step, Subgraph, as_networkx, end
from workflows.words import nearest

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_\[\]. /+-]{0,79}")
REFERENCE = re.compile(r"\$\{(.*)\}", re.DOTALL)
METRICS = "metrics"  # what a step leaves beside its artefacts, in metrics.json; so no port is called that


def check(graph: Graph) -> None:
    """Refuse an unsound graph. Raises `GraphError`."""
    try:
        _check_names(graph)
        for name, node in graph.nodes.items():
            _check_node(graph, name, node)
        _check_params(graph.params, "the graph's params")
        _check_ports(graph.inputs, "the graph's inputs")
        _check_ports(graph.outputs, "the graph's outputs")
        _check_data(graph)
        _check_messages(graph)
        _check_expressions(graph)
        _check_cycles(graph)
    except GraphError as error:
        raise GraphError(f"graph {graph.name!r}: {error}") from error


def check_new_name(name: str, known: Mapping[str, str], kind: str) -> None:
    """Refuse a node's name that is taken or no name; `known` tells the kind of each node. Raises `GraphError`."""
    if name in known:
        raise GraphError(f"the name {name!r} is used twice, for a {known[name]} and for a {kind}; nodes of all kinds share their names: rename one")
    if not NAME.fullmatch(name):
        raise GraphError(f"{name!r} cannot name a {kind}: use letters, digits and _ (expressions refer to it), not a digit first")
    if name in {INPUTS, OUTPUTS}:
        raise GraphError(f"{name!r} cannot name a {kind}: it stands for the graph's own ports; rename it")


def node_types(node: Node, *, outputs: bool) -> dict[str, str] | None:
    """The ports of a node with the types that pass its edges: those of a fanned-out node are gathered in a list. None: not known yet."""
    if isinstance(node, Subgraph) and node.graph is None:
        return None
    if outputs and isinstance(node, Step | Subgraph) and node.each:
        return {port: f"list[{kind}]" for port, kind in node.outputs.items()}
    return node.outputs if outputs else node.inputs


def control(graph: Graph) -> set[tuple[str, str]]:
    """Which node must have ended because another one's condition asks for its metrics, as (first, second)."""
    found = set()
    for name, node in graph.nodes.items():
        if isinstance(node, Step | Subgraph) and node.when:
            found |= {(metric.partition(".")[0], name) for metric in names(node.when)}
    return found


def _check_names(graph: Graph) -> None:
    if not graph.name.strip() or not graph.name.isprintable():
        raise GraphError(f'{graph.name!r} is no name; write name = "..." with what the workflow is called')
    known: dict[str, str] = {}
    for section in ("steps", "graphs", "services", "agents", "people"):
        for name in getattr(graph, section):
            kind = "person" if section == "people" else section[:-1]
            check_new_name(name, known, kind)
            known[name] = kind


def _check_ports(ports: Mapping[str, str], where: str) -> None:
    for port, kind in ports.items():
        if not NAME.fullmatch(port) or port == METRICS:
            why = "metrics.json is where a step leaves its metrics" if port == METRICS else "use letters, digits and _, not a digit first"
            raise GraphError(f"{where}: {port!r} cannot name a port: {why}")
        if not TYPE.fullmatch(kind):
            raise GraphError(f"{where}: port {port!r} has the type {kind!r}; name what passes through it, such as model or csv, or {ANY!r}")


def _check_node(graph: Graph, name: str, node: Node) -> None:
    where = f"{graph.kind(name)} {name!r}"
    if isinstance(node, Step):
        _check_step(node, where)
    if isinstance(node, Subgraph):
        if bool(node.file) == (node.graph is not None):
            raise GraphError(f'{where} needs either file = "OTHER.toml" or a graph of its own, and not both')
        if node.graph is not None:
            for key in node.params | node.each:
                if key not in node.graph.params:
                    raise GraphError(f"{where}: the graph {node.graph.name!r} has no parameter {key!r}{nearest(key, node.graph.params)}")
    else:
        _check_ports(node.inputs, f"{where}, inputs")
        _check_ports(node.outputs, f"{where}, outputs")
    if isinstance(node, Step | Subgraph):
        _check_params(node.params, f"{where}, params")
        _check_references(node.params, graph, where)
        for key, values in node.each.items():
            if not values:
                raise GraphError(f"{where}: each.{key} lists no values; give at least one, or leave it out")
            _check_params({key: values}, f"{where}, each")
            _check_references(values, graph, where)


def _check_step(step: Step, where: str) -> None:
    if bool(step.command) == bool(step.call):
        raise GraphError(f'{where} needs either command = ["PROGRAM", ...] or call = "package.module:function", and not both')
    if step.call and not re.fullmatch(r"[\w.]+:(\w+|<locals>)(\.(\w+|<locals>))*", step.call):
        raise GraphError(f'{where}: call = {step.call!r} names no function; write "package.module:function"')
    if step.retries < 0 or not 0 <= step.backoff < math.inf or not 0 <= step.timeout < math.inf:
        raise GraphError(f"{where}: retries, backoff and timeout are numbers from 0 on (timeout = 0: no limit)")
    if clash := set(step.params) & set(step.each):
        raise GraphError(f"{where}: {sorted(clash)[0]!r} stands in params and in each; leave it in one of them")
    for word in (*step.command, *step.files):
        if "\0" in word or not word:
            raise GraphError(f"{where}: {word!r} in command or files is no word for a command line")
    if fault := fault_of(step.environment):
        raise GraphError(f"{where}: environment: {fault}")
    if step.cache and any(mount.writable for mount in step.environment.mounts):
        raise GraphError(f"{where}: a writable mount is changed by each run, so what it made cannot be used again; add cache = false to the step")


def _check_params(params: Mapping[str, Any], where: str) -> None:
    for key, value in params.items():
        if not key:
            raise GraphError(f"{where}: a parameter without a name")
        _check_value(value, f"{where}.{key}")


def _check_value(value: Any, where: str) -> None:
    """Only what JSON, TOML and YAML all can write."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            _check_value(one, f"{where}[{number}]")
    elif isinstance(value, dict):
        for key, one in value.items():
            if not isinstance(key, str):
                raise GraphError(f"{where}: the key {key!r} is not text; put it in quotes")
            _check_value(one, f"{where}.{key}")
    elif type(value) not in {bool, int, float, str}:
        raise GraphError(f"{where} is {value!r}, a {type(value).__name__}; parameters are true or false, numbers, text, lists and tables of these")
    elif isinstance(value, float) and not math.isfinite(value):
        raise GraphError(f"{where} is {value}; JSON, in which steps get their parameters, has only finite numbers")


def _check_references(value: Any, graph: Graph, where: str) -> None:
    if isinstance(value, str) and (found := REFERENCE.fullmatch(value)) and found[1] not in graph.params:
        raise GraphError(f"{where}: {value!r} refers to no parameter of the graph{nearest(found[1], graph.params)}")
    children: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _check_references(child, graph, where)


def _check_data(graph: Graph) -> None:
    nodes = graph.nodes
    fed: dict[str, str] = {}
    for edge in graph.data:
        given, wanted = _type_at(graph, nodes, edge, outputs=True), _type_at(graph, nodes, edge, outputs=False)
        if given and wanted and given != wanted and ANY not in {given, wanted}:
            raise GraphError(f"the data edge {edge.source} -> {edge.target} joins type {given!r} to {wanted!r}; they must be the same, or {ANY!r}")
        if edge.target in fed:
            raise GraphError(f"{edge.target} is fed twice, by {fed[edge.target]} and by {edge.source}; an input port takes one artefact: add a port")
        fed[edge.target] = edge.source
    for name, node in nodes.items():
        for port in (node_types(node, outputs=False) or {}) if isinstance(node, Step | Subgraph) else ():
            if f"{name}.{port}" not in fed:
                raise GraphError(f"nothing feeds {name}.{port}; add a data edge to it, or from the graph's own inputs: inputs.NAME -> {name}.{port}")
    for port in graph.outputs:
        if f"{OUTPUTS}.{port}" not in fed:
            raise GraphError(f"nothing feeds the graph's output {port!r}; add a data edge NODE.PORT -> {OUTPUTS}.{port}")


def _type_at(graph: Graph, nodes: Mapping[str, Node], edge: DataEdge, *, outputs: bool) -> str | None:
    """The type at one end of a data edge; None where a file is still to be read."""
    where = end(edge.source if outputs else edge.target)
    what = f"the data edge {edge.source} -> {edge.target}"
    if where.node == (INPUTS if outputs else OUTPUTS):
        ports: dict[str, str] | None = graph.inputs if outputs else graph.outputs
    elif where.node in nodes:
        ports = node_types(nodes[where.node], outputs=outputs)
    else:
        raise GraphError(f"{what} {'comes from' if outputs else 'leads to'} no node: there is no {where.node!r}{nearest(where.node, nodes)}")
    if ports is not None and where.port not in ports:
        side = "output" if outputs else "input"
        raise GraphError(f"{what}: {where.node!r} has no {side} port {where.port!r}{nearest(where.port, ports)}")
    return None if ports is None else ports[where.port]


def _check_messages(graph: Graph) -> None:
    talkers = [*graph.agents, *graph.services, *graph.people]
    seen = set()
    for edge in graph.messages:
        what = f"the message edge {edge.source} -> {edge.target} ({edge.type})"
        for name in (edge.source, edge.target):
            if name not in talkers:
                why = "is a step: it ends, and reads no messages" if name in graph.steps or name in graph.graphs else "is no node"
                raise GraphError(f"{what}: {name!r} {why}; messages pass between agents, services and people{nearest(name, talkers)}")
        if not NAME.fullmatch(edge.type):
            raise GraphError(f"{what} carries no type of message; write its name, such as WindowObserved")
        if (edge.source, edge.target, edge.type) in seen:
            raise GraphError(f"{what} is there twice; leave one of them out")
        seen.add((edge.source, edge.target, edge.type))
    heard = nx.DiGraph((edge.source, edge.target) for edge in graph.messages)
    reached = {name for name, agent in graph.agents.items() if agent.starts} | {*graph.services, *graph.people}
    for source in list(reached):
        if source in heard:
            reached |= nx.descendants(heard, source)
    for name in graph.agents:
        if name not in reached:
            raise GraphError(f"no message reaches the agent {name!r}: add a message edge to it from a service, a person or an agent that is reached, "
                             "or say starts = true, if it acts by itself")  # fmt: skip


def _check_expressions(graph: Graph) -> None:
    wanted = [(f"{graph.kind(name)} {name!r}, when", node.when, name) for name, node in graph.nodes.items() if isinstance(node, Step | Subgraph)]
    if graph.returns is not None:
        if not NAME.fullmatch(graph.returns.name):
            raise GraphError(f"returns: {graph.returns.name!r} cannot name a metric; use letters, digits and _")
        wanted.append(("returns", graph.returns.value or " ", ""))
    for where, text, owner in wanted:
        try:
            asked = names(text) if text else ()
        except ExpressionError as error:
            raise GraphError(f"{where}: {error}") from error
        if text and not asked:
            raise GraphError(f"{where}: {text!r} asks for no metric, so it is the same in each run; write NODE.METRIC in it")
        for metric in asked:
            _check_metric(graph, metric, f"{where}: {metric!r}")
            if metric.partition(".")[0] == owner:
                raise GraphError(f"{where}: {metric!r} is a metric of the node itself, which has none before it ran; ask for another one's")


def _check_metric(graph: Graph, metric: str, where: str) -> None:
    first, _, rest = metric.partition(".")
    known = [*graph.steps, *graph.graphs]
    if first not in known:
        raise GraphError(f"{where}: there is no step {first!r}{nearest(first, known)}")
    if first in graph.steps and "." in rest:
        raise GraphError(f"{where}: {first!r} is a step; write {first}.METRIC")
    if first in graph.graphs:
        inner = graph.graphs[first].graph
        if "." not in rest:
            raise GraphError(f"{where}: {first!r} is a graph; write {first}.STEP.METRIC")
        if inner is not None:
            _check_metric(inner, rest, where)


def _check_cycles(graph: Graph) -> None:
    order = nx.DiGraph((source, target) for source, target, kind in as_networkx(graph).edges(data="kind") if kind == "data")
    order.add_edges_from(control(graph))
    try:
        cycle = nx.find_cycle(order)
    except nx.NetworkXNoCycle:
        return
    path = " -> ".join([cycle[0][0], *(target for _, target, *_ in cycle)])
    raise GraphError(f"its data edges (and conditions) run in a circle: {path}; nothing in it could ever start. Take one of them out")
