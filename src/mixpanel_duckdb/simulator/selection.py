"""Which profiles a query selects, and in which form; the bytes of a value are never rewritten."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .query import Query

_DECODER = json.JSONDecoder(strict=False)
_WHITE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: bytes
    distinct_id: str
    properties: dict[str, Any]


def select(rows: Sequence[bytes], query: Query, *, honour_limit: bool, always_last_seen: bool) -> Sequence[bytes]:
    """The rows of the result in base order, or in the order that the query asks for."""
    if query.selects_all:
        return rows
    limit = query.limit if honour_limit else None
    filtered = any((query.where, query.cohort, query.distinct_ids is not None, query.search, query.sort_key))
    selected = _filtered(rows, query) if filtered else list(islice(rows, limit))
    selected = selected[:limit]
    if query.output_properties is None:
        return selected
    kept = query.output_properties | ({"$last_seen"} if always_last_seen else set())
    return [project(row, kept) for row in selected]


def project(row: bytes, names: frozenset[str]) -> bytes:
    """The profile with only the named properties, each value as literally as it was."""
    text = row.decode("utf-8", "surrogateescape")
    parts = []
    for name, literal, value in _members(text):
        if name == "$properties" and value.startswith("{"):
            inner = (f"{key}: {item}" for known, key, item in _members(value) if known in names)
            parts.append(f"{literal}: {{{', '.join(inner)}}}")
        else:
            parts.append(f"{literal}: {value}")
    return f"{{{', '.join(parts)}}}".encode("utf-8", "surrogateescape")


def property_types(rows: Sequence[bytes], limit: int | None) -> dict[str, dict[str, Any]]:
    """Name, type and count of the properties of the first rows, as `/engage/properties` lists them."""
    found: dict[str, dict[str, Any]] = {}
    for candidate in _candidates(rows[:2000]):
        for name, value in candidate.properties.items():
            entry = found.setdefault(name, {"type": _type_name(name, value), "count": 0})
            entry["count"] += 1
    most_used = sorted(found.items(), key=lambda item: -item[1]["count"])
    return dict(most_used[:limit])


def _filtered(rows: Sequence[bytes], query: Query) -> list[bytes]:
    candidates = _candidates(rows)
    if query.cohort is not None:
        candidates = _cohort_members(candidates, query.cohort, query.include_all_users)
    chosen = [candidate for candidate in candidates if _matches(candidate, query)]
    if query.sort_key is not None:
        name = query.sort_key
        chosen.sort(key=lambda candidate: _rank(candidate.properties.get(name)), reverse=query.descending)
    return [candidate.row for candidate in chosen]


def _candidates(rows: Sequence[bytes]) -> Iterator[_Candidate]:
    for row in rows:
        try:
            profile = json.loads(row.decode("utf-8", "surrogateescape"), strict=False)
        except ValueError:
            continue
        if isinstance(profile, dict):
            properties = profile.get("$properties")
            yield _Candidate(row, str(profile.get("$distinct_id")), properties if isinstance(properties, dict) else {})


def _cohort_members(candidates: Iterator[_Candidate], cohort: str, include_all_users: bool) -> Iterator[_Candidate]:
    members = 0
    for candidate in candidates:
        if _draw(cohort, candidate.distinct_id, 3) == 0:
            members += 1
            yield candidate
    if include_all_users:
        for number in range(1 + members // 20):
            name = f"without-profile-{zlib.crc32(cohort.encode()):08x}-{number}"
            yield _Candidate(json.dumps({"$distinct_id": name}).encode(), name, {})


def _matches(candidate: _Candidate, query: Query) -> bool:
    if query.distinct_ids is not None and candidate.distinct_id not in query.distinct_ids:
        return False
    if query.search is not None and not _found(candidate, query.search.lower()):
        return False
    if query.where is None:
        return True
    return query.where.matches(candidate.properties, lambda name: _draw(name, candidate.distinct_id, 4))


def _found(candidate: _Candidate, needle: str) -> bool:
    texts = (candidate.distinct_id, candidate.properties.get("$email"), candidate.properties.get("$name"))
    return any(needle in text.lower() for text in texts if isinstance(text, str))


def _draw(salt: str, distinct_id: str, sides: int) -> int:
    return zlib.crc32(f"{salt}/{distinct_id}".encode("utf-8", "surrogatepass")) % sides


def _rank(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return (0, float(value) if abs(value) < 1e300 else 1e300, "")
    if isinstance(value, str):
        return (1, 0.0, value)
    return (2, 0.0, "")


def _type_name(name: str, value: Any) -> str:
    if name in ("$last_seen", "$created"):
        return "datetime"
    kinds = {bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}
    return kinds.get(type(value), "string")


def _members(text: str) -> Iterator[tuple[str, str, str]]:
    """The members of a JSON object: name, and the literal texts of name and value."""
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        name, end = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, end) + 1)
        _, stop = _DECODER.raw_decode(text, start)
        yield name, text[at:end], text[start:stop]
        at = _skip(text, stop)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at] in _WHITE:
        at += 1
    return at
