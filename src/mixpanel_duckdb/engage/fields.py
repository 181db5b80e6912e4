"""The server's fields around the rows: where they stand, and which of their JSON forms count. Nobody else reads them.

What stands before the rows and what stands behind the last bracket of a body is read as if there were no rows between.
That is right if those two brackets are one list: then its last row ends there, which is looked at here, and DuckDB,
which is given just that list, refuses anything else. Where there is any doubt, the body is read whole: every name at
its top level, wherever it stands, and where its value ends. Neither way makes an object of a profile.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..http import error_words

__all__ = ["FORMS", "Fields", "NotWholeError", "read_fields"]

_SPACE = rb"[ \t\r\n]*+"
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_RESULTS = re.compile(rb'"results"\s*:\s*\[')
_ROW = re.compile(_SPACE + rb"(\{" + _SPACE + _TEXT + _SPACE + rb":)", re.DOTALL)
_BEFORE = re.compile(rb"(?:\xef\xbb\xbf)?" + _SPACE + rb"\{")
_EMPTY = re.compile(_SPACE + rb"\}")
_NAME = re.compile(_SPACE + rb"(" + _TEXT + rb")" + _SPACE + rb":" + _SPACE, re.DOTALL)
_SIMPLE = re.compile(_TEXT + rb'|[^\s,\[\]{}"]++', re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:' + _TEXT + rb'[^"\[\]{}]*+)*+', re.DOTALL)
_NEXT = re.compile(_SPACE + rb"([,}])")
_BEHIND = re.compile(_SPACE)
# Half a surrogate pair, which cannot be sent.
_HALF = re.compile("[\ud800-\udfff]")
_DIGITS = re.compile(r"\s*([0-9]{1,30})(?:\.0*)?\s*")


# What Mixpanel sends: a page where one of them is not to be seen is read whole.
_ON_EVERY = frozenset({"session_id", "status"})
_ON_FIRST = _ON_EVERY | {"total"}


class NotWholeError(ValueError):
    """A body is cut, or is no JSON object."""


def _count(value: object) -> int | None:
    if isinstance(value, str) and (digits := _DIGITS.fullmatch(value)):
        value = int(digits[1])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _size(value: object) -> int | None:
    size = _count(value)
    return size if size and size < 2**31 else None


def _name(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value and not _HALF.search(value) else None


def _failure(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "ok")):
        return None
    return _short(value)


def _words(value: object) -> str | None:
    return error_words(value) or None


def _list(value: object) -> bool | None:
    return isinstance(value, list) or None


# What the value of each field means; None where it is as if it were not there.
FORMS: dict[str, Callable[[Any], Any]] = {
    "page": _count,  # 3, 3.0, "3"
    "page_size": _size,  # likewise, but not 0
    "total": _count,  # likewise
    "session_id": _name,  # a text, or a whole number
    "status": _failure,  # "ok" in any case, "" and null are good; anything else is a failure
    "error": _words,  # null, "", false, 0, [] and {} are no error
    "results": _list,
}


@dataclass(frozen=True, slots=True)
class Fields:
    """What an answer says around its rows.

    Args:
        values: What its fields mean, by name; of those that mean something.
        unread: What stands there in place of a value that counts, as short JSON, by name.
        rows: Where the list of results begins and ends in the body.
        whole: Whether the body was read whole for this.
    """

    values: dict[str, Any]
    unread: dict[str, str]
    rows: tuple[int, int] | None
    whole: bool


def read_fields(body: bytes, *, first: bool, whole: bool = False) -> Fields:
    """Read the fields of an answer.

    Args:
        body: Its bytes.
        first: Whether it is a first page.
        whole: Whether there is doubt in any case.

    Raises:
        NotWholeError: It is no JSON object, or no whole one, or contradicts itself.

    Example:
        >>> read_fields(b'{"results":[{"$distinct_id":7}],"total":"1","failed":[3]}', first=False).values
        {'results': True, 'total': 1}
    """
    rows = None if whole else _likely_rows(body)
    if rows is not None:
        start, end = rows
        try:
            found = _fields(body[: start + 1] + body[end - 1 :], rows)
        except NotWholeError:
            found = None
        usual = _ON_FIRST if first else _ON_EVERY
        if found is not None and usual <= found.values.keys() | found.unread.keys():
            return found
    return _fields(body, None)


def _likely_rows(body: bytes) -> tuple[int, int] | None:
    """Find the first list of results and the last bracket, if a list of rows may begin and end there.

    Its last row is whole then, and stands behind a comma unless it is the first, too.
    """
    results, end = _RESULTS.search(body), body.rfind(b"]")
    if results is None or end < results.end():
        return None
    start = results.end()
    first = _ROW.match(body, start, end)
    if first is None:
        return (start - 1, end + 1) if _after(_BEHIND, body, start) == end else None
    last = body.rfind(first[1], start, end)
    try:
        json.loads(body[last:end])
    except (ValueError, RecursionError):
        return None
    behind_comma = body[max(start, last - 64) : last].rstrip().endswith(b",")
    return (start - 1, end + 1) if behind_comma or last == first.start(1) else None


def _fields(body: bytes, rows: tuple[int, int] | None) -> Fields:
    """Read each field once.

    Args:
        body: An answer, whole or without its rows.
        rows: Where those were; ``None`` if they are still there.
    """
    seen: dict[str, Any] = {}
    found = None
    for name, start, end in _top_level(body):
        is_rows = name == "results" and body[start : start + 1] == b"["
        value = [] if is_rows else _decoded(body[start:end], name)
        found = (start, end) if is_rows else found
        if name in seen and (name == "results" or seen[name] != value):
            raise NotWholeError(f"it names its {name} twice")
        if name in FORMS:
            seen[name] = value
    if rows and found != (rows[0], rows[0] + 2):
        raise NotWholeError("another list stands where its results were looked for")
    values = {name: meant for name, value in seen.items() if (meant := FORMS[name](value)) is not None}
    unread = {name: _short(value) for name, value in seen.items() if name not in values}
    return Fields(values, unread, rows or found, rows is None)


def _top_level(body: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield each name of a JSON object, and where its value begins and ends."""
    opening = _BEFORE.match(body)
    if opening is None:
        raise NotWholeError("it is no JSON object")
    at, empty = opening.end(), _EMPTY.match(body, opening.end())
    while empty is None:
        name = _match(_NAME, body, at)
        end = _value_end(body, name.end())
        yield str(_decoded(name[1], "name")), name.end(), end
        empty = _match(_NEXT, body, end)
        at, empty = empty.end(), empty if empty[1] == b"}" else None
    if (end := _after(_BEHIND, body, empty.end())) < len(body):
        raise NotWholeError(f"something follows it at byte {end:,}")


def _value_end(body: bytes, at: int) -> int:
    """Find the end of the value that begins here: brackets are counted, and texts passed over."""
    if body[at : at + 1] not in (b"[", b"{"):
        return _after(_SIMPLE, body, at)
    depth = 0
    while True:
        at = _after(_TO_BRACKET, body, at)
        bracket = body[at : at + 1]
        if bracket not in (b"[", b"{", b"]", b"}"):
            raise NotWholeError("it ends too early")
        depth += 1 if bracket in (b"[", b"{") else -1
        at += 1
        if not depth:
            return at


def _match(pattern: re.Pattern[bytes], body: bytes, at: int) -> re.Match[bytes]:
    found = pattern.match(body, at)
    if found is None:
        raise NotWholeError("it ends too early" if at >= len(body) else f"byte {at:,} cannot stand there")
    return found


def _after(pattern: re.Pattern[bytes], body: bytes, at: int) -> int:
    return _match(pattern, body, at).end()


def _decoded(text: bytes, name: str) -> Any:
    """Decode a value; an integer that is longer than any field can be is not made one."""
    try:
        return json.loads(
            text.decode("utf-8", "replace"),
            strict=False,
            parse_int=lambda digits: int(digits) if len(digits) < 400 else math.inf,
        )
    except RecursionError:
        problem = "nested too deep"
    except ValueError:
        problem = "not valid"
    # Not raised above: json's error has the text, and would stay behind ours as its context.
    raise NotWholeError(f"its {_short(name)} is {problem}")


def _short(value: object) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "nested deep"
    return text if len(text) <= 40 else f"{text[:37]}..."
