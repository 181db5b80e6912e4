"""Plain profiles by the million: a pool of ready property texts, each row joined to its own id on demand."""

from __future__ import annotations

import json
import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import overload

_POOL_SIZE = 4096
# Numbers times this look like no order, and each comes once.
SPREAD = 2_654_435_761
_CITIES = ("Porto", "Osaka", "Lagos", "Quito", "Turin", "Perth", "Tunis", "Malmö", "Leeds", "Hanoi")
_BROWSERS = ("Chrome", "Safari", "Firefox", "Edge", "Samsung Internet")
_PLANS = ("free", "starter", "pro", "enterprise")
_WORDS = ("ledger", "orbit", "maple", "signal", "harbor", "violet", "copper", "meadow", "lantern", "summit")


class ComposedRows(Sequence[bytes]):
    """Rows that exist only while somebody looks at them; each way to make some composes its own."""

    _size: int

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return self._compose(range(*index.indices(self._size)))
        if not -self._size <= index < self._size:
            raise IndexError(index)
        return self._compose((index % self._size,))[0]

    @abstractmethod
    def _compose(self, numbers: Sequence[int]) -> list[bytes]:
        """Make the rows of these numbers."""


class UniformRows(ComposedRows):
    """Only the pool of property texts is kept."""

    def __init__(self, size: int, *, profile_bytes: int, seed: int) -> None:
        self._size = size
        self._seed = seed
        rng = random.Random(seed)  # noqa: S311
        count = min(size, _POOL_SIZE)
        self._pool = [_properties_text(rng, profile_bytes - 34) for _ in range(count)]

    def _compose(self, numbers: Sequence[int]) -> list[bytes]:
        pool, count, seed = self._pool, len(self._pool), self._seed
        return [
            b'{"$distinct_id": "u-%08x%02x", %b' % (i * SPREAD & 0xFFFFFFFF, seed & 0xFF, pool[i % count])
            for i in numbers
        ]


def _properties_text(rng: random.Random, room: int) -> bytes:
    kept: list[str] = []
    left = room - len('"$properties": {}}')
    for name, value in _properties(rng):
        text = f"{json.dumps(name)}: {json.dumps(value)}"
        if len(text) + 2 > left:
            break
        kept.append(text)
        left -= len(text) + 2
    if left > len('"note": ""') + 2:
        kept.append(f'"note": "{_filler(rng, left - 12)}"')
    return f'"$properties": {{{", ".join(kept)}}}}}'.encode()


def _filler(rng: random.Random, length: int) -> str:
    words = " ".join(rng.choice(_WORDS) for _ in range(length // 5 + 1))
    return words[:length]


def _properties(rng: random.Random) -> list[tuple[str, object]]:
    number = rng.randrange
    name = rng.choice(_WORDS) + str(number(10_000))
    return [
        (
            "$last_seen",
            f"2026-{number(1, 13):02}-{number(1, 29):02}T{number(24):02}:{number(60):02}:{number(60):02}",
        ),
        ("$email", f"{name}@example.org"),
        ("$name", name.title()),
        ("$created", f"2024-{number(1, 13):02}-{number(1, 29):02}T08:{number(60):02}:{number(60):02}"),
        ("$city", rng.choice(_CITIES)),
        ("$country_code", rng.choice(("PT", "JP", "NG", "EC", "IT", "AU", "TN", "SE"))),
        ("$timezone", rng.choice(("Europe/Lisbon", "Asia/Tokyo", "Africa/Lagos"))),
        ("$browser", rng.choice(_BROWSERS)),
        ("$browser_version", number(80, 140)),
        ("$os", rng.choice(("Windows", "Mac OS X", "Android", "iOS", "Linux"))),
        (
            "$initial_referrer",
            rng.choice(("$direct", "https://search.example/", "https://news.example/a?b=c")),
        ),
        ("plan", rng.choice(_PLANS)),
        ("seats", number(1, 250)),
        ("beta", rng.random() < 0.2),
        ("mrr", round(rng.random() * 900, 2)),
        ("lifetime_value", round(rng.random() * 90_000, 4)),
        ("sessions", number(5000)),
        ("tags", [rng.choice(_WORDS) for _ in range(number(4))]),
        ("address", {"city": rng.choice(_CITIES), "zip": str(number(10_000, 99_999))}),
        ("referral_code", f"{rng.getrandbits(40):010x}"),
        ("utm_source", rng.choice(("newsletter", "ads", "partner", None))),
        ("utm_campaign", f"spring-{number(30)}"),
        ("account_id", number(1 << 40)),
        ("locale", rng.choice(("pt-PT", "ja-JP", "en-NG", "es-EC"))),
        ("push_enabled", rng.random() < 0.6),
        ("score", rng.random()),
        ("experiment", f"variant-{rng.choice('abcd')}"),
    ]
