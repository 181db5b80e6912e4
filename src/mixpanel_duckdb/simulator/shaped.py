"""Profiles by the million that no cache or compressor knows: each has texts of its own, in a shape that one chooses.

A few thousand templates of properties are made once; a row is a template with its own id and texts, composed again at
each look, so that five million profiles need no more memory than five thousand.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .uniform import SPREAD, ComposedRows

_POOL_SIZE = 2048
_TEXTS = 4
_HOLE = "\x01"
_SENT = ("free", "starter", "pro", "enterprise", "Porto", "Osaka", "Lagos", "Quito", "Turin", "Chrome", "Safari")
_LETTERS = {
    "ascii": "etaoinshrdlucmfwypvbgkjqxz",
    "mixed": "etaoinshrdluéèüößñçãøåжшкщлюяあいう漢字東京한국🙂",
}
# One letter in six or so is a space, and some letters are more frequent than others, as in any prose.
_TABLES = {
    name: "".join((" " if code % 6 == 5 else letters[code * code // 2741 % len(letters)]) for code in range(256))
    for name, letters in _LETTERS.items()
}


@dataclass(frozen=True, slots=True)
class Shape:
    r"""
    How profiles look whose content is any. The default is the hardest that one may expect of a real project.

    Args:
        order: Where ``$last_seen`` stands: first, last, or anywhere (all properties in an order of their own).
        alphabet: Letters of the texts: ASCII only, mixed with others, or those as ``\u`` escapes.
        nested: Whether some properties are objects and lists of objects.

    Example:
        >>> Shape(order="first", alphabet="ascii", nested=False).name
        'first, ascii, flat'
    """

    order: Literal["first", "last", "shuffled"] = "last"
    alphabet: Literal["ascii", "mixed", "escaped"] = "mixed"
    nested: bool = True

    @property
    def name(self) -> str:
        """The three choices in words."""
        return f"{self.order}, {self.alphabet}, {'nested' if self.nested else 'flat'}"


class ShapedRows(ComposedRows):
    """Only the templates are kept."""

    def __init__(self, size: int, *, shape: Shape, profile_bytes: int, seed: int) -> None:
        self._size = size
        self._seed = seed
        self._ascii = shape.alphabet == "escaped"
        self._table = _TABLES["ascii" if shape.alphabet == "ascii" else "mixed"]
        rng = random.Random(seed)  # noqa: S311
        frames = [_properties(rng, shape) for _ in range(min(size, _POOL_SIZE))]
        # What is left of a profile's bytes goes to its texts; a letter beyond ASCII takes more than one of them.
        each = len(self._text(bytes(range(256))).encode()) / 256
        self._letters = [max(2 * _TEXTS, int((profile_bytes - len(frame) - 30) / each)) for frame in frames]
        self._frames = [_template(frame) for frame in frames]

    def _text(self, drawn: bytes) -> str:
        return json.dumps(drawn.decode("latin-1").translate(self._table), ensure_ascii=self._ascii)[1:-1]

    def _compose(self, numbers: Sequence[int]) -> list[bytes]:
        return [self._row(number) for number in numbers]

    def _row(self, number: int) -> bytes:
        place = number % len(self._frames)
        drawn = random.Random(self._seed << 40 | number).randbytes(self._letters[place])  # noqa: S311
        length = len(drawn) // _TEXTS
        texts = [self._text(drawn[each * length : (each + 1) * length]) for each in range(_TEXTS)]
        id_ = f"u-{number * SPREAD & 0xFFFFFFFF:08x}{self._seed & 0xFF:02x}"
        return (self._frames[place] % (id_, *texts)).encode()


def _template(frame: str) -> str:
    return f'{{"$distinct_id": "%s", "$properties": {frame.replace("%", "%%").replace(_HOLE, "%s")}}}'


def _properties(rng: random.Random, shape: Shape) -> str:
    number = rng.randrange
    day = f"2026-{number(1, 13):02}-{number(1, 29):02}"
    entries: list[tuple[str, Any]] = [
        ("$email", f"{number(10**9)}@example.org"),
        ("$name", _HOLE),
        ("$created", f"{day}T08:{number(60):02}:{number(60):02}"),
        ("$city", rng.choice(_SENT)),
        ("$browser", rng.choice(_SENT)),
        ("$initial_referrer", f"https://news.example/{number(10**6)}?from={_HOLE}"),
        ("plan", rng.choice(_SENT[:4])),
        ("seats", number(1, 250)),
        ("beta", rng.random() < 0.2),
        ("mrr", round(rng.random() * 900, 2)),
        ("account_id", number(1 << 40)),
        ("about", _HOLE),
        ("note", _HOLE),
    ]
    if shape.nested:
        orders = [{"sku": f"s-{number(10**5)}", "price": {"amount": number(900), "in": "EUR"}} for _ in range(3)]
        entries += [
            ("address", {"city": rng.choice(_SENT), "geo": {"lat": round(rng.random(), 4), "near": ["a", "b"]}}),
            ("orders", orders),
        ]
    seen = ("$last_seen", f"{day}T{number(24):02}:{number(60):02}:{number(60):02}")
    if shape.order == "shuffled":
        entries.append(seen)
        rng.shuffle(entries)
    else:
        entries.insert(0 if shape.order == "first" else len(entries), seen)
    return json.dumps(dict(entries)).replace(json.dumps(_HOLE)[1:-1], _HOLE)
