"""
The part of Mixpanel's `where` grammar that profile queries use, close enough to Python's to let `ast` read
it.

Nothing is ever executed: the tree is walked, and what is not in the tables below is refused.
"""

from __future__ import annotations

import ast
import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

UNDEFINED: Any = object()
"""What a property that is not there evaluates to."""

_LONGEST = 20_000
_CONSTANTS = {"true": True, "false": False, "null": None, "undefined": UNDEFINED}


class WhereError(ValueError):
    """The expression is outside the grammar."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the names of an expression mean for one profile."""

    properties: Mapping[str, Any]
    behaviors: Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Where:
    """
    A parsed filter expression.

    Example:
        >>> plan = Where.parse('properties["plan"] == "pro" and not defined(properties["left"])')
        >>> plan.matches({"plan": "pro"})
        True
    """

    tree: ast.expr

    @classmethod
    def parse(cls, text: str) -> Where:
        """
        Read an expression.

        Raises:
            WhereError: The text is not an expression of this grammar.
        """
        if len(text) > _LONGEST:
            raise WhereError("expression too long")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
            _refuse_signs(tree, text.strip())
            where = cls(tree)
            where.matches({})
        except WhereError:
            raise
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
            raise WhereError(str(error)) from error
        return where

    def matches(self, properties: Mapping[str, Any], behaviors: Callable[[str], int] = lambda _: 0) -> bool:
        """Whether a profile with these properties is in the result."""
        value = _value(self.tree, Scope(properties, behaviors))
        return value is not UNDEFINED and bool(value)


def _refuse_signs(tree: ast.expr, text: str) -> None:
    """The real grammar reads `-604800` as one number, so that `NOW -604800` is two values side by side."""
    lines = text.encode().splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and isinstance(node.right, ast.Constant):
            right = node.right
            if lines[right.lineno - 1][: right.col_offset].endswith(b"-"):
                raise WhereError("a minus sign needs a space behind it")


def _value(node: ast.expr, scope: Scope) -> Any:
    evaluate = _NODES.get(type(node))
    if evaluate is None:
        raise WhereError(f"{type(node).__name__} is not part of the grammar")
    return evaluate(node, scope)


def _name(node: ast.Name, _: Scope) -> Any:
    if node.id == "NOW":
        return int(time.time())
    if node.id not in _CONSTANTS:
        raise WhereError(f"unknown name {node.id}")
    return _CONSTANTS[node.id]


def _subscript(node: ast.Subscript, scope: Scope) -> Any:
    if not isinstance(node.value, ast.Name) or node.value.id not in ("properties", "behaviors"):
        raise WhereError("only properties[...] and behaviors[...] have members")
    if not isinstance(node.slice, ast.Constant) or not isinstance(node.slice.value, str):
        raise WhereError("a property is named by a string")
    if node.value.id == "behaviors":
        return scope.behaviors(node.slice.value)
    return scope.properties.get(node.slice.value, UNDEFINED)


def _all_or_any(node: ast.BoolOp, scope: Scope) -> bool:
    # Every operand is evaluated, so that a mistake on the right is found whatever the left says.
    values = [value is not UNDEFINED and bool(value) for value in (_value(item, scope) for item in node.values)]
    return all(values) if isinstance(node.op, ast.And) else any(values)


def _unary(node: ast.UnaryOp, scope: Scope) -> Any:
    value = _value(node.operand, scope)
    if isinstance(node.op, ast.Not):
        return value is UNDEFINED or not value
    if not isinstance(node.op, ast.USub):
        raise WhereError("unknown operator")
    return -value if isinstance(value, int | float) else UNDEFINED


def _arithmetic(node: ast.BinOp, scope: Scope) -> Any:
    apply = {ast.Add: operator.add, ast.Sub: operator.sub}.get(type(node.op))
    if apply is None:
        raise WhereError("only + and - are known")
    left, right = _value(node.left, scope), _value(node.right, scope)
    return apply(left, right) if _comparable(left, right) and not _is_text_minus(left, node.op) else UNDEFINED


def _is_text_minus(left: Any, op: ast.operator) -> bool:
    return isinstance(left, str) and isinstance(op, ast.Sub)


def _comparable(left: Any, right: Any) -> bool:
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    return numbers or (isinstance(left, str) and isinstance(right, str))


def _compare(node: ast.Compare, scope: Scope) -> bool:
    values = [_value(item, scope) for item in (node.left, *node.comparators)]
    for op in node.ops:
        if type(op) not in _COMPARISONS:
            raise WhereError("unknown comparison")
    return all(
        _COMPARISONS[type(op)](left, right) for op, left, right in zip(node.ops, values, values[1:], strict=False)
    )


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return left is right or (left is not UNDEFINED and right is not UNDEFINED and bool(left == right))


def _within(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    return isinstance(right, list) and left in right


def _ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: _comparable(left, right) and compare(left, right)


def _call(node: ast.Call, scope: Scope) -> Any:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in _FUNCTIONS or len(node.args) != 1 or node.keywords:
        raise WhereError(f"unknown function {name}")
    return _FUNCTIONS[name](_value(node.args[0], scope))


def _number(value: Any) -> Any:
    try:
        return UNDEFINED if value is None or value is UNDEFINED else float(value)
    except (TypeError, ValueError, OverflowError):
        return UNDEFINED


def _string(value: Any) -> Any:
    if value is UNDEFINED or value is None:
        return UNDEFINED
    return str(value).lower() if isinstance(value, bool) else str(value)


def _moment(value: Any) -> Any:
    """Seconds since 1970: small numbers are seconds, large ones milliseconds, text is ISO."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return UNDEFINED if value <= 0 else value if value <= 4_294_967_295 else value / 1000
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return UNDEFINED
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "defined": lambda value: value is not UNDEFINED,
    "number": _number,
    "string": _string,
    "boolean": lambda value: value is not UNDEFINED and bool(value),
    "list": lambda value: value if isinstance(value, list) else UNDEFINED,
    "datetime": _moment,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: _same,
    ast.NotEq: lambda left, right: not _same(left, right),
    ast.Lt: _ordering(operator.lt),
    ast.LtE: _ordering(operator.le),
    ast.Gt: _ordering(operator.gt),
    ast.GtE: _ordering(operator.ge),
    ast.In: _within,
    ast.NotIn: lambda left, right: not _within(left, right),
}
_NODES: dict[type[ast.expr], Callable[[Any, Scope], Any]] = {
    ast.Constant: lambda node, _: node.value,
    ast.List: lambda node, scope: [_value(item, scope) for item in node.elts],
    ast.Name: _name,
    ast.Subscript: _subscript,
    ast.BoolOp: _all_or_any,
    ast.UnaryOp: _unary,
    ast.BinOp: _arithmetic,
    ast.Compare: _compare,
    ast.Call: _call,
}
