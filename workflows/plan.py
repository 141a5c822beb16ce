"""From a graph to tasks: nested graphs opened, fan-outs written out, parameters filled in, in an order that works.

A task's id is the dotted path of its step, with the number of each fan-out that it is part of: `sweep[1].train`.
"""

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Union

import networkx as nx

from workflows.expressions import Number, evaluate, names
from workflows.graph import INPUTS, OUTPUTS, Graph, GraphError, Step, Subgraph, as_networkx, end
from workflows.graph_check import REFERENCE, control
from workflows.words import nearest


class Made(NamedTuple):
    """An artefact that a task makes."""

    task: str
    port: str


class Given(NamedTuple):
    """An artefact from outside the run: "inputs.NAME" of the outermost graph, or "NODE.PORT" of a service, an agent or a person."""

    name: str


class Gathered(NamedTuple):
    """The artefacts of a fan-out, in the order of its parameters."""

    parts: "tuple[Source, ...]"


Source = Union[Made, Given, Gathered]  # noqa: UP007 - refers to itself


class Metric(NamedTuple):
    """Where a name in an expression is looked up: a metric of one task, or of each task of a fan-out."""

    tasks: tuple[str, ...]
    metric: str
    many: bool


class Rule(NamedTuple):
    """An expression, and where its names are looked up."""

    text: str
    metrics: dict[str, Metric]

    @property
    def tasks(self) -> frozenset[str]:
        """The tasks that must have finished before it has a value."""
        return frozenset(task for metric in self.metrics.values() for task in metric.tasks)

    def value(self, logged: Mapping[str, Mapping[str, float]]) -> Number:
        """Its value, from the metrics of each task. Raises `workflows.expressions.ExpressionError`, also where a metric is missing."""
        found: dict[str, Number | list[Number]] = {}
        for name, metric in self.metrics.items():
            values = [logged[task][metric.metric] for task in metric.tasks if metric.metric in logged.get(task, {})]
            if len(values) == len(metric.tasks):
                found[name] = list(values) if metric.many else values[0]
        return evaluate(self.text, found)


class Task(NamedTuple):
    """One step with its parameters filled in. `needs`: the tasks that must have finished before."""

    id: str
    step: Step
    params: dict[str, Any]
    inputs: dict[str, Source]
    rules: tuple[Rule, ...]
    needs: frozenset[str]


class Plan(NamedTuple):
    """The tasks of a graph in an order that works; `delivers`: what reaches the graph's outputs and its services, agents and people."""

    graph: Graph
    params: dict[str, Any]
    tasks: dict[str, Task]
    delivers: dict[str, Source]
    returns: Rule | None

    @property
    def givens(self) -> frozenset[str]:
        """The artefacts that a run must be given."""
        sources = [*self.delivers.values(), *(source for task in self.tasks.values() for source in task.inputs.values())]
        return frozenset(one.name for source in sources for one in leaves(source) if isinstance(one, Given))

    def after(self, tasks: Iterable[str]) -> frozenset[str]:
        """`tasks` and all that depend on them."""
        found = set(tasks)
        for task in self.tasks.values():
            if task.needs & found:
                found.add(task.id)
        return frozenset(found)

    def named(self, name: str) -> frozenset[str]:
        """The tasks that a dotted path means: one step, all tasks of a fan-out, or all of a nested graph. Raises `GraphError`."""
        plain = {task: re.sub(r"\[\d+\]", "", task) for task in self.tasks}
        found = frozenset(task for task, path in plain.items() if any(f"{one}.".startswith(f"{name}.") for one in (task, path)))
        if not found:
            raise GraphError(f"there is no step {name!r}{nearest(name, dict.fromkeys(plain.values()))}")
        return found


class _Scope(NamedTuple):
    """What became of one node: for each number of its fan-out, the task's id or the scope of the nested graph."""

    many: bool
    members: tuple[Any, ...]  # str, or dict[str, _Scope]


def leaves(source: Source) -> tuple[Source, ...]:
    """The single artefacts of a source."""
    return tuple(leaf for part in source.parts for leaf in leaves(part)) if isinstance(source, Gathered) else (source,)


def plan(graph: Graph, params: Mapping[str, Any] | None = None) -> Plan:
    """Lay out the tasks of `graph`. `params` overrides its parameters, or those of a node as "node.name". Raises `GraphError`.

    >>> from workflows.graph import Builder
    >>> graph = Builder("g").step("train", ["./train"], each={"seed": [1, 2]}, outputs={"m": "onnx"})
    >>> graph = graph.step("best", ["./best"], inputs={"m": "list[onnx]"}).data("train.m", "best.m").build()
    >>> [(task.id, task.params, sorted(task.needs)) for task in plan(graph).tasks.values()]
    [('train[0]', {'seed': 1}, []), ('train[1]', {'seed': 2}, []), ('best', {}, ['train[0]', 'train[1]'])]
    """
    if missing := next((name for name, node in graph.graphs.items() if node.graph is None), None):
        raise GraphError(f"the graph {missing!r} is a file that was not read: use workflows.graph_files.load")
    own, inside = _split(graph, params or {})
    laying = _Laying(inside)
    _, scopes = laying.lay(graph, "", own, {port: Given(f"{INPUTS}.{port}") for port in graph.inputs}, ())
    returns = None if graph.returns is None else _rule(graph.returns.value, scopes)
    return Plan(graph, own, laying.tasks, laying.delivers, returns)


class _Laying:
    def __init__(self, overrides: Mapping[str, Mapping[str, Any]]) -> None:
        self.tasks: dict[str, Task] = {}
        self._overrides = overrides  # of the outermost graph's nodes
        self.delivers: dict[str, Source] = {}

    def lay(
        self, graph: Graph, prefix: str, params: Mapping[str, Any], given: Mapping[str, Source], rules: tuple[Rule, ...],
    ) -> tuple[dict[str, Source], dict[str, _Scope]]:  # fmt: skip
        """Lay out one graph: what reaches its outputs, as "outputs.PORT", and what became of its nodes."""
        made: dict[str, Source] = {f"{INPUTS}.{port}": source for port, source in given.items()}
        feeds = {edge.target: edge.source for edge in graph.data}
        scopes: dict[str, _Scope] = {}

        def source_of(target: str) -> Source:
            source = feeds[target]
            if source not in made and end(source).node not in {*graph.steps, *graph.graphs}:
                if prefix:
                    raise GraphError(f"graph {prefix[:-1]!r}: {target} is fed by {source}, which is no step; lead it in through {INPUTS} instead")
                made[source] = Given(source)
            return made[source]

        for name in _order(graph):
            node = graph.nodes[name]
            if not isinstance(node, Step | Subgraph):
                continue
            own = node.params | (dict(self._overrides.get(name, {})) if not prefix else {})
            inputs = {port: source_of(f"{name}.{port}") for port in node.inputs}
            here = (*rules, _rule(node.when, scopes)) if node.when else rules
            ids, outputs = [], []
            for number, chosen in enumerate(_combinations(node.each)):
                path = f"{prefix}{name}" + (f"[{number}]" if node.each else "")
                filled = {key: _filled(value, params) for key, value in (own | chosen).items()}
                if isinstance(node, Step):
                    self._add(path, node, filled, inputs, here)
                    ids.append(path)
                    outputs.append({port: Made(path, port) for port in node.outputs})
                else:
                    assert node.graph is not None
                    inner, scope = self.lay(node.graph, f"{path}.", {**node.graph.params, **filled}, inputs, here)
                    ids.append(scope)  # type: ignore[arg-type]  # a member is either
                    outputs.append({port: inner[f"{OUTPUTS}.{port}"] for port in node.outputs})  # type: ignore[misc]
            scopes[name] = _Scope(bool(node.each), tuple(ids))
            for port in node.outputs:
                parts = tuple(one[port] for one in outputs)
                made[f"{name}.{port}"] = Gathered(parts) if node.each else parts[0]
        ends = [edge.target for edge in graph.data if end(edge.target).node not in {*graph.steps, *graph.graphs}]
        self.delivers |= {f"{prefix}{target}": source_of(target) for target in ends if not (prefix and end(target).node == OUTPUTS)}
        return {target: source_of(target) for target in ends}, scopes

    def _add(self, path: str, step: Step, params: dict[str, Any], inputs: dict[str, Source], rules: tuple[Rule, ...]) -> None:
        made = {leaf.task for source in inputs.values() for leaf in leaves(source) if isinstance(leaf, Made)}
        self.tasks[path] = Task(path, step, params, inputs, rules, frozenset(made.union(*(rule.tasks for rule in rules))))


def _order(graph: Graph) -> list[str]:
    """The names of the nodes, each after those that it needs; else as they are written."""
    edges = nx.DiGraph()
    edges.add_nodes_from(graph.nodes)
    edges.add_edges_from((source, target) for source, target, kind in as_networkx(graph).edges(data="kind") if kind == "data")
    edges.add_edges_from(control(graph))
    place = {name: number for number, name in enumerate(graph.nodes)}
    return list(nx.lexicographical_topological_sort(edges, key=place.__getitem__))


def _combinations(each: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(each, values, strict=True)) for values in itertools.product(*each.values())]


def _filled(value: Any, params: Mapping[str, Any]) -> Any:
    """A parameter with its references to the graph's parameters replaced."""
    if isinstance(value, dict):
        return {key: _filled(one, params) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, params) for one in value]
    return params[found[1]] if isinstance(value, str) and (found := REFERENCE.fullmatch(value)) else value


def _rule(text: str, scopes: Mapping[str, _Scope]) -> Rule:
    return Rule(text, {name: _look_up(name.split("."), scopes) for name in names(text)})


def _look_up(path: list[str], scopes: Mapping[str, _Scope]) -> Metric:
    scope = scopes[path[0]]
    if len(path) == 2:
        return Metric(scope.members, path[1], scope.many)
    found = [_look_up(path[1:], member) for member in scope.members]
    return Metric(tuple(task for one in found for task in one.tasks), path[-1], scope.many or any(one.many for one in found))


def _split(graph: Graph, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Overrides of the graph's own parameters, filled up with its defaults, and of its nodes'."""
    own, inside = dict(graph.params), dict[str, dict[str, Any]]()
    known = [*graph.params, *(f"{name}.{key}" for name, node in graph.nodes.items() if isinstance(node, Step | Subgraph) for key in _settable(node))]
    for key, value in params.items():
        if key not in known:
            raise GraphError(f"there is no parameter {key!r}{nearest(key, known)}")
        node, dot, name = key.partition(".")
        if dot and key not in graph.params:
            inside.setdefault(node, {})[name] = value
        else:
            own[key] = value
    return own, inside


def _settable(node: Step | Subgraph) -> Iterable[str]:
    inner = node.graph.params if isinstance(node, Subgraph) and node.graph is not None else {}
    return [key for key in {**inner, **node.params} if key not in node.each]


def parse_params(pairs: Iterable[str], graph: Graph) -> dict[str, Any]:
    """Read "name=value" pairs: as JSON where that fits, else as text; as text always where the default is text. Raises `GraphError`.

    >>> from workflows.graph import Builder
    >>> graph = Builder("g", params={"seed": 0, "name": "a"}).build()
    >>> parse_params(["seed=3", "name=3", "name=b c"], graph)
    {'seed': 3, 'name': 'b c'}
    """
    read: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign:
            raise GraphError(f"--param {pair!r}: write NAME=VALUE, or STEP.NAME=VALUE")
        node, _, name = key.partition(".")
        inner = graph.nodes.get(node)
        default = graph.params.get(key, inner.params.get(name) if isinstance(inner, Step | Subgraph) else None)
        try:
            read[key] = text if isinstance(default, str) and not REFERENCE.fullmatch(default) else json.loads(text)
        except json.JSONDecodeError:
            read[key] = text
    return read
