"""What happened in the simulated project: events by day, made again at each look and held nowhere."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from .oddities import odd_events

Lines = Iterator[bytes]
_POOL = 1024
_NAMES = (b"Login", b"Page View", b"Purchase", b"Search", b"$identify", b"Sign Up")
_CITIES = ("Porto", "Osaka", "Lagos", "Quito", "Turin", "Perth", "Tunis", "Malmö", "Leeds", "Hanoi")
_WORDS = ("ledger", "orbit", "maple", "signal", "harbor", "violet", "copper", "meadow", "lantern", "summit")
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()


class EventPopulation:
    """
    The events of one simulated project: the same number on each of its days, some of them odd on purpose.

    The same arguments always give the same events, and ten million a day need no more memory than ten. Times are
    milliseconds; the export gives seconds to whoever does not ask for them.

    Args:
        first: First day that has events.
        last: Last day that has events.
        per_day: Events of each day.
        event_bytes: About how many bytes of JSON a plain event has.
        seed: Decides every value.
        odd: Every so-manieth event is one that real projects have and clients stumble over; 0 is none.

    Example:
        >>> population = EventPopulation("2026-01-01", "2026-01-02", 10)
        >>> len(list(population.of(date(2026, 1, 1)))), len(list(population.of(date(2026, 1, 3))))
        (10, 0)
    """

    def __init__(
        self,
        first: str | date,
        last: str | date,
        per_day: int = 1000,
        *,
        event_bytes: int = 300,
        seed: int = 0,
        odd: int = 40,
    ) -> None:
        self.first: date = _day(first)
        self.last: date = _day(last)
        self._per_day = per_day
        self._seed = seed
        self._odd = odd
        rng = random.Random(seed)  # noqa: S311
        self._pool = [_more(rng, event_bytes - 110) for _ in range(min(_POOL, per_day))]
        # Days that have changed since, or were given by hand.
        self._changed: dict[date, list[bytes]] = {}

    @classmethod
    def raw(cls, days: Mapping[str, Iterable[bytes]]) -> EventPopulation:
        """Literal lines for each day, served byte for byte even when broken."""
        known = sorted(days)
        population = cls(known[0], known[-1], 0)
        population._changed = {_day(day): [bytes(line) for line in lines] for day, lines in days.items()}
        return population

    @classmethod
    def of_events(cls, events: Iterable[Mapping[str, Any]]) -> EventPopulation:
        """Events given by hand, on the days that their times say.

        Example:
            >>> event = {"event": "Login", "properties": {"time": 1767225600000, "distinct_id": "ana"}}
            >>> [json.loads(line) for line in EventPopulation.of_events([event]).of(date(2026, 1, 1))] == [event]
            True
        """
        days: dict[str, list[bytes]] = {}
        for event in events:
            day = (_EPOCH + timedelta(days=event["properties"]["time"] // _DAY_MS)).isoformat()
            days.setdefault(day, []).append(json.dumps(event, ensure_ascii=False).encode())
        return cls.raw(days)

    def of(self, day: date) -> Lines:
        """The events of a day as lines of JSON, without line ends."""
        if day in self._changed:
            return iter(self._changed[day])
        return self._made(day) if self.first <= day <= self.last else iter(())

    def events(self, first: str | date, last: str | date) -> Iterator[dict[str, Any]]:
        """The events of some days as a client that parses the served bytes sees them."""
        day, last = _day(first), _day(last)
        while day <= last:
            yield from map(json.loads, self.of(day))
            day += timedelta(days=1)

    def change(self, day: str | date, edit: Callable[[list[bytes]], list[bytes]]) -> None:
        """Change a day that is over: late events, compaction, deletion, identities that were merged."""
        self._changed[_day(day)] = edit(list(self.of(_day(day))))

    def _made(self, day: date) -> Lines:
        rng = random.Random(f"{self._seed} {day}")  # noqa: S311
        midnight, pool, odd = (day - _EPOCH).days * _DAY_MS, self._pool, self._odd
        strange, serial = odd_events(rng, midnight), rng.getrandbits(40)
        step = _DAY_MS / max(1, self._per_day)
        for index in range(self._per_day):
            if odd and index % odd == odd - 1:
                yield next(strange)
                continue
            yield b'{"event":"%b","properties":{"time":%d,"distinct_id":"u-%d","$insert_id":"%010x%08x",%b}}' % (
                _NAMES[index % 6], midnight + int(index * step), index * 7919 % 50_021, serial, index,
                pool[index % len(pool)],
            )  # fmt: skip


def blocks(lines: Lines, size: int = 500) -> Iterator[list[bytes]]:
    """Some lines at a time."""
    while block := list(islice(lines, size)):
        yield block


def _day(day: str | date) -> date:
    return date.fromisoformat(day) if isinstance(day, str) else day


def _more(rng: random.Random, room: int) -> bytes:
    values = {
        "$city": rng.choice(_CITIES), "mp_country_code": rng.choice(("PT", "JP", "NG")), "plan": rng.choice(("a", "b")),
        "amount": round(rng.random() * 900, 2), "items": rng.randrange(50), "note": "",
    }  # fmt: skip
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    filler = " ".join(rng.choice(_WORDS) for _ in range(max(0, room - len(text)) // 6))
    return json.dumps(values | {"note": filler}, ensure_ascii=False, separators=(",", ":"))[1:-1].encode()
