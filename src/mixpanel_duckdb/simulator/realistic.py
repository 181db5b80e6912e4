"""Profiles as real projects have them: mostly ordinary, now and then odd in one of the known ways."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

Properties = dict[str, Any]

_FIRST = (
    "Ana",
    "Kenji",
    "Ngozi",
    "José",
    "Lucía",
    "Oluwaseun",
    "Mei",
    "Björn",
    "Zoë",
    "Ravi",
    "Fatima",
    "Iván",
)
_LAST = ("Silva", "Tanaka", "Okafor", "Müller", "Rossi", "O'Brien", "van Dijk", "Łukasik", "García", "Smith")
_CITY = ("Porto", "Osaka", "Lagos", "Graz", "Turin", "Cork", "Delft", "Łódź", "Sevilla", "Leeds")
_PLAN = ("free", "free", "free", "starter", "pro", "pro", "enterprise")
_SOURCE = ("ads", "newsletter", "partner", "$direct", None)
_OS = ("Windows", "Mac OS X", "Android", "iOS", "Linux")

ODDITIES: tuple[Callable[[int], Properties], ...] = (
    lambda i: {"$browser_version": f"{i % 90}.0.{i}", "seats": str(i)},
    lambda i: {"seats": i / 3, "beta": "yes", "tags": "single"},
    lambda i: {"username": f"u{i}", "userName": f"U{i}", "UserName": None},
    lambda i: {"email": f"second{i}@example.org", "name": "no dollar sign", "last_seen": "2020-01-01"},
    lambda _: {
        "Plan Name": "Gold plan",
        "billing.plan.id": 4,
        'says "hi"': True,
        "back\\slash": "\\",
        "": "empty name",
    },
    lambda i: {"company": {"name": f"Firm {i}", "address": {"city": "Graz", "geo": [47.07, 15.44]}}},
    lambda _: {"empty_list": [], "empty_object": {}, "empty_text": "", "nothing": None},
    lambda i: {
        "nickname": "🦆🚀" * (i % 3 + 1),
        "family": "👩‍👩‍👧",
        "arabic": "مرحبا بالعالم",
        "hebrew": "שלום",
    },
    lambda _: {"nul": "before\x00after", "controls": "tab\tline\nbell\x07", "separator": "a\u2028b"},
    lambda i: {
        "beyond_2_53": 2**53 + 1 + i,
        "beyond_2_64": 2**64 + 1 + i,
        "huge": 10**40 + i,
        "least": -(2**63) - i,
    },
    lambda i: {"precise": 0.1 + i * 1e-9, "seventeen": 1.2345678901234567, "tiny": 5e-324, "large": 1.5e300},
    lambda _: {"minus_zero": -0.0, "zero": 0, "whole_float": 3.0, "true_text": "true"},
    lambda i: {
        "carts": [{"sku": f"s{i}", "qty": 2}, {"sku": "gift", "qty": None}],
        "mixed": [1, "two", 3.0, None, [4]],
    },
    lambda i: {"note": "long " * (i % 40), "$properties": "a property named like its parent", "results": []},
)
"""Each gives a few properties that some importer has stumbled over; index `i` keeps values apart."""

# The first of them, in which usual properties are of an unusual type.
_MIXING = 2
_UNREADABLE_TIMES = ("yesterday", "2026-13-45T99:00:00", "", 1_790_000_000, None)


def realistic_rows(size: int, seed: int, *, mixed: bool = True) -> list[bytes]:
    """The JSON texts of `size` profiles; every oddity appears within the first hundred."""
    rng = random.Random(seed)  # noqa: S311
    escaped, plain = json.JSONEncoder().encode, json.JSONEncoder(ensure_ascii=False).encode
    rows = []
    oddities = ODDITIES if mixed else ODDITIES[_MIXING:]
    for i in range(size):
        encode = escaped if i % 2 else plain
        rows.append(
            encode({"$distinct_id": _distinct_id(i, rng), "$properties": _properties(i, rng, oddities)}).encode()
        )
    return rows


def _distinct_id(i: int, rng: random.Random) -> str | int:
    if i % 17 == 5:
        return 10_000_000 + i
    if i % 11 == 3:
        return f"$device:{rng.getrandbits(64):016x}-{i:x}"
    if i % 97 == 8:
        return f"ユーザー {i}"
    return f"u-{i:06}"


def _properties(i: int, rng: random.Random, oddities: Sequence[Callable[[int], Properties]]) -> Properties:
    bits = rng.getrandbits(64)
    first, last = _FIRST[bits % 12], _LAST[(bits >> 4) % 10]
    properties: Properties = {
        "$email": f"{first.lower()}.{i}@example.org",
        "$name": f"{first} {last}",
        "$created": _moment(bits >> 8, 2023),
        "$last_seen": _moment(bits >> 20, 2026),
        "$city": _CITY[(bits >> 32) % 10],
        "$os": _OS[(bits >> 36) % 5],
        "$browser_version": (bits >> 40) % 60 + 80,
        "plan": _PLAN[(bits >> 46) % 7],
        "seats": (bits >> 48) % 200,
        "beta": bool(bits >> 50 & 1),
        "mrr": ((bits >> 40) % 90_000) / 100,
        "tags": ["a", "b", "c"][: (bits >> 52) % 4],
        "address": {
            "city": _CITY[(bits >> 54) % 10],
            "zip": None if bits >> 58 & 1 else str(10_000 + i % 90_000),
        },
        "utm_source": _SOURCE[(bits >> 59) % 5],
    }
    _unsettle(i, properties, oddities)
    return properties


def _unsettle(i: int, properties: Properties, oddities: Sequence[Callable[[int], Properties]]) -> None:
    if i % 5 == 2:
        properties.update(oddities[(i // 5) % len(oddities)](i))
    if i % 23 == 7:
        del properties["$last_seen"]
    elif i % 401 == 41:
        properties["$last_seen"] = _UNREADABLE_TIMES[(i // 401) % len(_UNREADABLE_TIMES)]
    if i % 89 == 17:
        properties.clear()


def _moment(bits: int, year: int) -> str:
    return (
        f"{year}-{bits % 12 + 1:02}-{(bits >> 2) % 28 + 1:02}"
        f"T{(bits >> 4) % 24:02}:{(bits >> 6) % 60:02}:{(bits >> 3) % 60:02}"
    )
