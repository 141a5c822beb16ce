"""Named expressions over metrics: the conditions of steps and the return function of a graph.

An expression is written in a small part of Python's syntax: numbers, `node.metric`, arithmetic, comparisons, `and`, `or`, `not`,
`a if c else b`, and the functions below. It is parsed, never executed: whatever else stands in it is refused by name.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workflows.words import nearest

Number = float | int | bool
LONGEST = 500  # characters; more is a program, and belongs into a step
LARGEST_POWER = 1000.0


class ExpressionError(Exception):
    """An expression cannot be read or has no value; the text says which part of it."""


def _numbers(values: Sequence[Any]) -> list[float]:
    """What `max(a, b)` and `max(steps.metric)` have in common: the one list, or the arguments themselves."""
    found = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    if not found:
        raise ExpressionError("a function was given nothing to work on; it needs at least one number")
    return [_number(value) for value in found]


def _single(values: Sequence[Any]) -> float:
    if len(values) != 1:
        raise ExpressionError(f"this function takes one number, not {len(values)}")
    return _number(values[0])


FUNCTIONS: Mapping[str, Callable[[Sequence[Any]], float]] = {
    "abs": lambda values: abs(_single(values)), "exp": lambda values: math.exp(_single(values)), "log": lambda values: math.log(_single(values)),
    "sqrt": lambda values: math.sqrt(_single(values)), "max": lambda values: max(_numbers(values)), "min": lambda values: min(_numbers(values)),
    "sum": lambda values: math.fsum(_numbers(values)), "mean": lambda values: math.fsum(_numbers(values)) / len(_numbers(values)),
    "count": lambda values: float(len(_numbers(values))),
}  # fmt: skip


def _power(base: float, exponent: float) -> float:
    if abs(exponent) > LARGEST_POWER:
        raise ExpressionError(f"a power of {exponent} is more than the {LARGEST_POWER:g} that is allowed")
    result: float | complex = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise ExpressionError(f"{base} to the power of {exponent} is no real number")
    return result


_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.Pow: _power,
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


def names(text: str) -> tuple[str, ...]:
    """The metrics that an expression asks for, as `node.metric`, in order of appearance, each once. Raises `ExpressionError`.

    >>> names("evaluate.accuracy - baseline.accuracy > 0.01 and max(evaluate.accuracy, 0.5)")
    ('evaluate.accuracy', 'baseline.accuracy')
    """
    return tuple(dict.fromkeys(_checked(text)[1]))


def evaluate(text: str, metrics: Mapping[str, Number | Sequence[Number]]) -> Number:
    """The value of an expression; `metrics` holds a number, or for fanned-out steps a list of them, for each `node.metric`.

    Raises `ExpressionError` where it cannot be read, a metric is missing, or there is no finite value.

    >>> evaluate("max(train.accuracy) - base.accuracy", {"train.accuracy": [0.75, 1.0], "base.accuracy": 0.5})
    0.5
    >>> evaluate("train.loss < 0.1 or not train.done", {"train.loss": 0.2, "train.done": 1})
    False
    """
    tree, _ = _checked(text)
    try:
        value = _value(tree, metrics)
    except (ArithmeticError, ValueError, RecursionError) as error:
        raise ExpressionError(f"{text!r} has no value: {error}") from error
    except ExpressionError as error:
        raise ExpressionError(f"{text!r}: {error}") from error
    number = _number(value)
    if not math.isfinite(number):
        raise ExpressionError(f"{text!r} is {number}: neither a condition nor a goal can rest on that")
    return value if isinstance(value, bool) else number


def _checked(text: str) -> tuple[ast.expr, list[str]]:
    """The tree of an expression that holds nothing but what is allowed, and the metrics in it."""
    try:
        tree = _parse(text)
        return tree, _walk(tree, text)
    except RecursionError as error:
        raise ExpressionError(f"{text[:60]!r}... is nested too deeply; compute it in a step instead") from error


def _parse(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ExpressionError(f"an expression of {len(text)} characters is too long; up to {LONGEST} are read. Compute it in a step instead")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ExpressionError(f"{text!r} cannot be read: {getattr(error, 'msg', error)}; write it like: evaluate.accuracy >= 0.9") from error


def _dotted(node: ast.expr) -> str | None:
    """`a.b.c` as text; None if it is not that."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return ".".join([node.id, *parts]) if isinstance(node, ast.Name) and parts else None


def _walk(node: ast.expr, text: str) -> list[str]:
    """The metrics below `node`. Refuses whatever is not part of the language."""
    children: list[ast.expr]
    match node:
        case ast.Attribute() if (name := _dotted(node)) is not None:
            return [name]
        case ast.Constant(value=bool() | int() | float()):
            return []
        case ast.BinOp(op=op) if type(op) in _BINARY:
            children = [node.left, node.right]
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
            children = [node.operand]
        case ast.BoolOp():
            children = node.values
        case ast.IfExp():
            children = [node.test, node.body, node.orelse]
        case ast.Compare() if all(type(op) in _COMPARE for op in node.ops):
            children = [node.left, *node.comparators]
        case ast.Call(func=ast.Name(id=function), keywords=[]):
            if function not in FUNCTIONS:
                raise ExpressionError(f"{text!r}: there is no function {function!r}{nearest(function, FUNCTIONS)}")
            children = node.args
        case ast.Name():
            raise ExpressionError(f"{text!r}: {node.id!r} names no metric; write NODE.METRIC, such as evaluate.{node.id}")
        case _:
            part = ast.unparse(node)[:60]
            raise ExpressionError(f"{text!r}: {part!r} is not allowed; use numbers, NODE.METRIC, + - * / // % **, comparisons, and, or, not, "
                                  f"if-else and {', '.join(FUNCTIONS)}")  # fmt: skip
    return [name for child in children for name in _walk(child, text)]


def _value(node: ast.expr, metrics: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Attribute():
            name = _dotted(node) or ""
            if name not in metrics:
                raise ExpressionError(f"no metric {name!r} was logged{nearest(name, metrics)}")
            found = metrics[name]
            return list(found) if isinstance(found, Sequence) else found
        case ast.BinOp():
            return _BINARY[type(node.op)](_number(_value(node.left, metrics)), _number(_value(node.right, metrics)))
        case ast.UnaryOp():
            number = _number(_value(node.operand, metrics))
            return not number if isinstance(node.op, ast.Not) else (-number if isinstance(node.op, ast.USub) else number)
        case ast.BoolOp():
            truths = (bool(_number(_value(one, metrics))) for one in node.values)
            return any(truths) if isinstance(node.op, ast.Or) else all(truths)
        case ast.IfExp():
            return _value(node.body if _number(_value(node.test, metrics)) else node.orelse, metrics)
        case ast.Compare():
            values = [_number(_value(one, metrics)) for one in (node.left, *node.comparators)]
            return all(_COMPARE[type(op)](a, b) for op, a, b in zip(node.ops, values[:-1], values[1:], strict=True))
        case ast.Call(func=ast.Name(id=function)):
            return FUNCTIONS[function]([_value(one, metrics) for one in node.args])
    raise AssertionError(ast.dump(node))  # _walk has refused it


def _number(value: Any) -> float:
    if isinstance(value, list):
        raise ExpressionError("a fanned-out step has one value for each of its parameters; say which: max(...), min(...), mean(...), sum(...)")
    return float(value)
