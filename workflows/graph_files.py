"""Graphs as files: TOML or YAML, read and written without loss.

`read` and `write` are each other's inverse. `load` also reads the files that a graph names as nodes, so that all ports are known.
"""

import json
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import yaml

from workflows.graph import SECTIONS, AgentNode, Graph, GraphError, MessageEdge, Subgraph
from workflows.words import nearest

Form = Literal["toml", "yaml"]
SUFFIXES: Mapping[str, Form] = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def read(text: str, form: Form = "toml", name: str = "graph") -> Graph:
    """The graph that `text` describes; `name` is for errors. Raises `GraphError`.

    >>> text = '''
    ... name = "small"
    ... [steps.greet]
    ... command = ["./greet"]
    ... outputs = { letter = "text" }
    ... '''
    >>> read(text).steps["greet"].outputs
    {'letter': 'text'}
    """
    try:
        raw = tomllib.loads(text) if form == "toml" else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise GraphError(f"{name}: not valid {form.upper()}: {' '.join(str(error).split())}") from error
    try:
        _check_keys(raw, Graph, "")
        return msgspec.convert(raw, Graph)
    except msgspec.ValidationError as error:
        raise GraphError(f"{name}: {error}. docs/workflows.md shows what is written where") from error
    except GraphError as error:
        raise GraphError(f"{name}: {error}") from error


def read_part(path: Path) -> tuple[dict[str, AgentNode], tuple[MessageEdge, ...]]:
    """The agents and message edges in a file that holds nothing else: what is to be added to another graph. Raises `GraphError`."""
    form = form_of(path)
    text = _text(path)
    try:
        raw = tomllib.loads(text) if form == "toml" else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        part = msgspec.convert(raw, _Part)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise GraphError(f"{path}: {' '.join(str(error).split())}; expected agents, each with its call, and messages") from error
    return part.agents, part.messages


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    agents: dict[str, AgentNode]
    messages: tuple[MessageEdge, ...] = ()


def write(graph: Graph, form: Form = "toml") -> str:
    """The text from which `read` makes an equal graph."""
    raw = msgspec.to_builtins(graph)
    if form == "yaml":
        # In ASCII and unfolded: PyYAML does not read back all that it writes otherwise.
        return str(yaml.dump(raw, Dumper=_Dumper, sort_keys=False, width=math.inf))
    return "\n".join(_toml(raw, ())).lstrip("\n") + "\n"


def load(path: Path) -> Graph:
    """The graph in a file, with the files of its nested graphs read. Raises `GraphError`."""
    return _load(path, ())


def save(graph: Graph, path: Path) -> None:
    """Write a graph in the form that the file's name ends with. Raises `GraphError`, OSError."""
    path.write_text(write(graph, form_of(path)), encoding="utf-8")


def form_of(path: Path) -> Form:
    """The form of a file, by the end of its name. Raises `GraphError`."""
    if path.suffix not in SUFFIXES:
        raise GraphError(f"{path}: a graph is a file that ends with {', '.join(SUFFIXES)}")
    return SUFFIXES[path.suffix]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); give an existing file") from error


def _load(path: Path, above: tuple[Path, ...]) -> Graph:
    form = form_of(path)
    if path.resolve() in above:
        raise GraphError(f"{path}: a graph cannot be a node of itself: {' -> '.join(one.name for one in (*above, path.resolve()))}")
    graph = read(_text(path), form, str(path))
    inner = {name: _resolved(node, path, above) for name, node in graph.graphs.items()}
    try:
        return msgspec.structs.replace(graph, graphs=inner)
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from error


def _resolved(node: Subgraph, path: Path, above: tuple[Path, ...]) -> Subgraph:
    if not node.file:
        return node
    return msgspec.structs.replace(node, file="", graph=_load(path.parent / node.file, (*above, path.resolve())))


def _check_keys(raw: Any, kind: type[Any], where: str) -> None:
    """Name unknown keys with the closest right one; wrong types are left to the conversion."""
    if not isinstance(raw, dict):
        if not where:
            raise GraphError(f'a graph is a table of keys, not {type(raw).__name__}; begin with: name = "..."')
        return
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        if key not in fields:
            raise GraphError(f"{where or 'the graph'} has no key {key!r}{nearest(str(key), fields)}")
        inside = f"{where}.{key}".lstrip(".")
        parts = [part for part in (fields[key], *get_args(fields[key])) if isinstance(part, type) and issubclass(part, msgspec.Struct)]
        if not parts:
            continue
        if key in SECTIONS and isinstance(value, dict):
            for name, node in value.items():
                _check_keys(node, parts[0], f"{inside}.{name}")
        elif isinstance(value, list):
            for number, edge in enumerate(value):
                _check_keys(edge, parts[0], f"{inside}[{number}]")
        else:
            _check_keys(value, parts[0], inside)


# --- writing TOML: the standard library only reads it -------------------------------------------------------------------


def _toml(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """The lines of a graph's table: plain values first, then a section for each node."""
    plain = {key: _rows(value) if key in {"data", "messages"} else _value(value) for key, value in table.items() if key not in SECTIONS}
    lines = [f"{key} = {text}" for key, text in plain.items()]
    for section in (key for key in table if key in SECTIONS):
        for name, node in table[section].items():
            here = (*path, section, name)
            lines += ["", f"[{'.'.join(here)}]", *(f"{field} = {_value(value)}" for field, value in node.items() if field != "graph")]
            if "graph" in node:
                lines += ["", f"[{'.'.join(here)}.graph]", *_toml(node["graph"], (*here, "graph"))]
    return lines


def _rows(edges: Any) -> str:
    return "[\n" + "".join(f"  {_value(edge)},\n" for edge in edges) + "]"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int() | float():
            return repr(value)
        case dict():
            return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }" if value else "{}"
        case _:
            return f"[{', '.join(map(_value, value))}]"


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML ships no types
    """Writes each value where it stands: an anchor would be one more thing to explain."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that stands twice, where YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"the name {twice!r} is used twice", node.start_mark)
        return dict(super().construct_mapping(node, deep))
