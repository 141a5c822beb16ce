"""The contract of a step, and Python functions that keep it.

A step is a program, in any language, that is called with

    PROGRAM ... --inputs DIR --outputs DIR --params FILE

It finds each input artefact as DIR/PORT (a gathered one, of type list[T], as a folder with 0, 1, 2, ...), its parameters as one JSON
object in FILE, and leaves each output artefact as a file or folder DIR/PORT. It may leave numbers in `metrics.json` beside them, a JSON
object of finite numbers. It ends with exit code 0, or it has failed. What it prints is its log.

A Python function becomes a step by the decorator `step`; `python -m workflows.step module:function` runs it as such a program.
"""

import importlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
METRICS_FILE = "metrics.json"
_known: dict[str, Callable[..., Any]] = {}  # decorated functions of this process, also those that no other process could import


class StepError(Exception):
    """A step does not keep the contract; the text says in what, and how it would."""


class Contract(NamedTuple):
    """What a decorated function has promised: how it is called, and its ports with their types."""

    call: str
    inputs: dict[str, str]
    outputs: dict[str, str]


def step(*, inputs: Mapping[str, str] | None = None, outputs: Mapping[str, str] | None = None) -> Callable[[F], F]:
    """Make a function a step. It is still called as before, and in a graph like this: each port gets a Path by the port's name (where
    an input lies, where an output is to be written); the other arguments are parameters. It may return metrics, a dict of numbers.

    >>> @step(inputs={"numbers": "text"}, outputs={"total": "text"})
    ... def add(numbers, total, *, scale=1.0):
    ...     value = scale * sum(map(float, numbers.read_text().split()))
    ...     total.write_text(str(value))
    ...     return {"total": value}
    >>> contract_of(add).outputs
    {'total': 'text'}
    """

    def decorate(function: F) -> F:
        contract = Contract(f"{function.__module__}:{function.__qualname__}", dict(inputs or {}), dict(outputs or {}))
        function.__step__ = contract  # type: ignore[attr-defined]  # functions take attributes; their type does not know
        _known[contract.call] = function
        return function

    return decorate


def contract_of(function: Callable[..., Any]) -> Contract:
    """What a decorated function has promised. Raises `StepError` for any other function."""
    contract = getattr(function, "__step__", None)
    if not isinstance(contract, Contract):
        name = getattr(function, "__name__", repr(function))
        raise StepError(f"the function {name!r} is no step; write @step(inputs={{...}}, outputs={{...}}) above it, from workflows.step")
    return contract


def find(call: str) -> Callable[..., Any]:
    """The decorated function that "module:function" names. Raises `StepError`."""
    if call in _known:
        return _known[call]
    module, _, name = call.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part, None)
    except ImportError as error:
        place = "it is looked for in the graph's folder and on PYTHONPATH"
        raise StepError(f"{call!r}: the module {module!r} cannot be imported ({error}); {place}") from error
    if not callable(found):
        raise StepError(f"{call!r}: the module {module!r} has no function {name!r}")
    contract_of(found)
    return found  # type: ignore[no-any-return]  # contract_of lets only callables pass


def call_step(function: Callable[..., Any], inputs: Path, outputs: Path, params: Mapping[str, Any]) -> dict[str, float]:
    """Call a decorated function on folders, as the program would be; writes and returns its metrics. Raises `StepError`, or what it raises."""
    contract = contract_of(function)
    ports = {port: inputs / port for port in contract.inputs} | {port: outputs / port for port in contract.outputs}
    if clash := set(ports) & set(params):
        raise StepError(f"{contract.call}: {sorted(clash)[0]!r} is a port and a parameter; rename one of them")
    metrics = function(**ports, **params)
    if metrics is None:
        return {}
    checked = check_metrics(metrics, contract.call)
    (outputs / METRICS_FILE).write_text(json.dumps(checked), encoding="utf-8")
    return checked


def read_metrics(outputs: Path, name: str) -> dict[str, float]:
    """The metrics that a step left; none if it left no file. Raises `StepError`."""
    try:
        text = (outputs / METRICS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise StepError(f"{name}: {METRICS_FILE} cannot be read: {error}") from error
    try:
        return check_metrics(json.loads(text), name)
    except json.JSONDecodeError as error:
        raise StepError(f"{name}: {METRICS_FILE} is not JSON: {error}") from error


def check_metrics(metrics: Any, name: str) -> dict[str, float]:
    """Numbers by name. Raises `StepError` for anything else."""
    if not isinstance(metrics, Mapping):
        raise StepError(f'{name}: metrics are an object of numbers such as {{"accuracy": 0.97}}, not {type(metrics).__name__}')
    for key, value in metrics.items():
        # NumPy's scalars are numbers, though not of Python's own types.
        if not (isinstance(value, bool | int | float) or hasattr(value, "__float__")) or not math.isfinite(value):
            raise StepError(f"{name}: the metric {key!r} is {value!r}; metrics are finite numbers: leave out what was not measured")
        if not str(key).isidentifier():
            raise StepError(f"{name}: {key!r} cannot name a metric; use letters, digits and _, so that expressions can ask for it")
    return {str(key): float(value) for key, value in metrics.items()}


def main(call: str, inputs: Path, outputs: Path, params: Path) -> None:
    """Run the decorated function "module:function" as a program."""
    call_step(find(call), inputs, outputs, json.loads(params.read_text(encoding="utf-8")))


def _command_line(arguments: list[str]) -> None:
    """Read the contract's arguments: by hand, since a step starts often and argument libraries take longer to import than this to run."""
    usage = "python -m workflows.step module:function --inputs DIR --outputs DIR --params FILE"
    names, values = arguments[1::2], arguments[2::2]
    if sorted(names) != ["--inputs", "--outputs", "--params"] or len(values) != len(names):
        sys.exit(f"usage: {usage}")
    given = dict(zip(names, map(Path, values), strict=True))
    # Run as a program, this file is the module __main__; the decorated functions know the one called workflows.step.
    real = importlib.import_module("workflows.step")
    try:
        real.main(arguments[0], given["--inputs"], given["--outputs"], given["--params"])
    except real.StepError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    _command_line(sys.argv[1:])
