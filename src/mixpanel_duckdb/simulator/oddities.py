"""Events that real projects have, and that clients stumble over."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle

_USUAL = '"distinct_id":"odd","$insert_id":"odd-%(n)d"'
_TEXTS = (
    '{"event":"Paste","properties":{"time":%(t)d,' + _USUAL + ',"text":"one\u2028two\u2029three\u0085four"}}',
    '{"event":"Nul","properties":{"time":%(t)d,' + _USUAL + ',"text":"a\\u0000b"}}',
    '{"event":"Big","properties":{"time":%(t)d,' + _USUAL + ',"id":123456789012345678901234,"n":9007199254740993}}',
    '{"event":"Numeric","properties":{"time":%(t)d,"distinct_id":%(n)d,"$insert_id":"num-%(n)d"}}',
    '{"event":"Nobody","properties":{"time":%(t)d,"$insert_id":"nobody-%(n)d"}}',
    '{"event":"Empty","properties":{"time":%(t)d,"distinct_id":"","$insert_id":"empty-%(n)d"}}',
    '{"event":"Null","properties":{"time":%(t)d,"distinct_id":null,"$insert_id":"null-%(n)d"}}',
    '{"event":"No insert id","properties":{"time":%(t)d,"distinct_id":"odd"}}',
    '{"event":"$hotshard_events","properties":{"time":%(t)d,"distinct_id":"","$insert_id":"hot-%(n)d",'
    '"mp_original_event_name":"Ping","mp_original_distinct_id":"bot"}}',
    '{"event":"Alike","properties":{"time":%(t)d,' + _USUAL + ',"Id":1,"id":2,"ID":3,"$city":"Porto","city":"Turin"}}',
    '{"event":"Nested","properties":{"time":%(t)d,' + _USUAL + ',"cart":[{"sku":"x","n":[1,2,{"deep":[]}]}],"e":{}}}',
    '{"event":"Ünïcode 🦆","properties":{"time":%(t)d,"distinct_id":"日本","$insert_id":"uni-%(n)d","🦆":"🦆"}}',
)  # fmt: skip
# These come twice: once more as they are, for another user, and at another time.
_DOUBLES = ("twice", "shared", "later")


def odd_events(rng: random.Random, midnight: int) -> Iterator[bytes]:
    """Odd events of a day, without end, at times of that day.

    Args:
        rng: Decides the values.
        midnight: Its first millisecond.
    """
    for number, kind in enumerate(cycle((*_TEXTS, *_DOUBLES, *_DOUBLES)), 1):
        if kind in _DOUBLES:
            yield _double(kind, midnight, number)
        else:
            yield (kind % {"t": midnight + rng.randrange(86_400_000), "n": number}).encode()


def _double(kind: str, midnight: int, number: int) -> bytes:
    """The first and the second event of a kind differ in what the kind says, or in nothing."""
    whole, place = divmod(number - 1, len(_TEXTS) + 2 * len(_DOUBLES))
    second = place >= len(_TEXTS) + len(_DOUBLES)
    user = f"user-{whole}{'-b' if kind == 'shared' and second else ''}"
    time = midnight + 1000 * (whole % 80_000) + (500 if kind == "later" and second else 0)
    properties = f'{{"time":{time},"distinct_id":"{user}","$insert_id":"{kind}-{whole}"}}'
    return f'{{"event":"Double","properties":{properties}}}'.encode()
