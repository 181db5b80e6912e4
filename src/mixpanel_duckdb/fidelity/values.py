"""JSON and Python values by the rules of ``mending``: what json itself refuses, or reads otherwise, goes a slower way.

json does not read integers of more than 4,300 digits, nor what is nested deeper than the interpreter's stack, which is
another depth in each version.
"""

from __future__ import annotations

import codecs
import json
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from itertools import accumulate
from typing import Any

from .mending import MAX_NESTING, flatten, lift, mend

__all__ = ["decoded", "encoded"]

# A body, its results, and a profile are around the properties of a page.
_AROUND = 3
_AT_ONCE = 100
_LONG = 4000
# An exponent that no number has by chance.
_STAND_IN = f"e{uuid.uuid4().int}"
# Half a surrogate pair, or what looks like it.
_HALF = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F])|\\\\u[dD]"
)
_BRACKETS = b"[{]}"
_OTHERS = bytes(set(range(256)) - set(_BRACKETS))
_STEP = dict(zip(_BRACKETS, (1, 1, -1, -1), strict=True))


def decoded(body: bytes, around: int = _AROUND) -> tuple[Any, int]:
    """Decode a body into the values that the store would keep of it.

    Args:
        body: JSON as a server wrote it.
        around: Levels around the properties, which may have as many as the store keeps.

    Returns:
        The value, and how many characters no server writes, so that they may have come about on the way.

    Raises:
        ValueError: It is no JSON.

    Example:
        >>> decoded(b'{"a": [1, 2,], "b": -Infinity}')
        ({'a': [1, 2], 'b': '-Infinity'}, 0)
    """
    if not _HALF.search(body):
        try:
            value = json.loads(body.removeprefix(codecs.BOM_UTF8).decode("utf-8"), parse_constant=str)
        except (ValueError, RecursionError):
            pass
        else:
            if not _is_deeper(body, MAX_NESTING + around):
                return value, 0
    done = mend(body)
    return _slowly(flatten(done.text.decode("utf-8"), MAX_NESTING + around)[0]), done.damaged


def _is_deeper(body: bytes, most: int) -> bool:
    if len(body) <= 2 * most:  # each level has two brackets
        return False
    return max(accumulate(map(_STEP.__getitem__, body.translate(None, _OTHERS))), default=0) > most


def _slowly(text: str) -> Any:
    """Decode any JSON, however deep: in pieces, the inner ones first, with a number in place of each."""
    pieces = [text]
    values: dict[str, Any] = {}

    def stand_in(inner: str) -> str:
        pieces.append(inner)
        return f"{len(pieces) - 1}{_STAND_IN}"

    def number(digits: str) -> Any:
        return values.pop(digits) if digits in values else float(digits)

    for index, piece in enumerate(pieces):  # which grow meanwhile
        pieces[index], _ = lift(piece, _AT_ONCE, stand_in)
    try:
        while pieces:
            value = json.loads(pieces.pop(), parse_int=_integer, parse_float=number)
            values[f"{len(pieces)}{_STAND_IN}"] = value
    except RecursionError:
        raise ValueError("its brackets do not close") from None
    return value


def _integer(digits: str) -> int:
    if len(digits) <= _LONG:
        return int(digits)
    if digits[0] == "-":
        return -_integer(digits[1:])
    half = len(digits) // 2
    return int(_integer(digits[:-half]) * 10**half + _integer(digits[-half:]))


def encoded(value: Any) -> bytes:
    """Encode what a caller's client has decoded, however deep and long.

    Raises:
        TypeError, ValueError: JSON cannot hold it.

    Example:
        >>> encoded({"a": [1, None]})
        b'{"a":[1,null]}'
    """
    try:
        return json.dumps(value, separators=(",", ":")).encode("ascii")
    except (ValueError, RecursionError):
        return "".join(_written(value)).encode("ascii")


def _written(value: Any) -> Iterator[str]:
    """Write a value piece by piece, with a list of what is still to come: text, or a value."""
    todo: list[tuple[str | None, Any]] = [(None, value)]
    inside: set[int] = set()
    while todo:
        text, each = todo.pop()
        if text is not None:
            inside.discard(id(each))
            yield text
        elif isinstance(each, dict | list | tuple):
            if id(each) in inside:
                raise ValueError("Circular reference detected")
            inside.add(id(each))
            named = isinstance(each, dict)
            items = [(f",{_name(name)}:", each[name]) for name in each] if named else [(",", item) for item in each]
            todo.append(("}" if named else "]", each))
            todo += [part for before, item in reversed(items) for part in ((None, item), (before, None))]
            if items:
                todo[-1] = (items[0][0][1:], None)
            yield "{" if named else "["
        else:
            yield f"{Decimal(each):f}" if type(each) is int else json.dumps(each)


def _name(name: Any) -> str:
    return json.dumps({name: 0})[1:-4]
