"""Column names for property names: readable where that is safe, and the same whatever order the rows are in.

The rules look at the set of property names only:

1. One leading ``$`` goes: ``$email`` becomes ``email``. But where another property or a column of the profiles table
   claims that name too, it stays as sent: ``$email`` beside ``email``, and always ``$last_seen``.
2. Of names that DuckDB takes for the same (they differ only in the case of ASCII letters), the one that sorts first
   keeps its name; the next get ``_2``, ``_3`` and so on, skipping names that are taken. So does ``last_seen`` without
   ``$``, because the profiles table has such a column.
3. The empty name becomes ``_``, and so does a NUL within a name, which SQL cannot hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..database import folded

__all__ = ["RESERVED", "column_names", "view_names"]

RESERVED = ("distinct_id", "last_seen", "properties")


def column_names(properties: Iterable[str], reserved: Sequence[str] = RESERVED) -> dict[str, str]:
    """Name a column for each property.

    Args:
        properties: Property names as sent, in any order.
        reserved: Columns that the source has itself.

    Returns:
        Column name by property name, sorted by column.

    Example:
        >>> column_names(["plan", "Plan", "$email", "$last_seen", "$city", "city"])
        {'$city': '$city', '$last_seen': '$last_seen', 'city': 'city', '$email': 'email', 'Plan': 'Plan',
         'plan': 'plan_2'}
    """
    names = sorted(properties)
    claims = Counter(map(folded, [*reserved, *map(_short, names)]))
    wishes = {name: _short(name) if claims[folded(_short(name))] == 1 else _sayable(name) for name in names}
    given = {folded(name) for name in reserved}
    claimed = {folded(wish) for wish in wishes.values()} | given
    columns = {}
    for name, wish in wishes.items():
        columns[name] = wish if folded(wish) not in given else _numbered(wish, given | claimed)
        given.add(folded(columns[name]))
    return dict(sorted(columns.items(), key=lambda pair: (folded(pair[1]), pair[1])))


def view_names(wishes: Mapping[str, str]) -> dict[str, str]:
    """Name a view for each event by rule 2.

    Args:
        wishes: The name that it would have, by the event's, in order.

    Example:
        >>> view_names({"Buy": "events_Buy_typed", "buy": "events_buy_typed"})
        {'Buy': 'events_Buy_typed', 'buy': 'events_buy_typed_2'}
    """
    names: dict[str, str] = {}
    wanted, given = {folded(wish) for wish in wishes.values()}, set[str]()
    for event, wish in wishes.items():
        names[event] = wish if folded(wish) not in given else _numbered(wish, given | wanted)
        given.add(folded(names[event]))
    return names


def _short(name: str) -> str:
    return _sayable(name[1:] if name.startswith("$") and len(name) > 1 else name)


def _sayable(name: str) -> str:
    return name.replace("\0", "_") or "_"


def _numbered(wish: str, taken: set[str]) -> str:
    number = 2
    while folded(f"{wish}_{number}") in taken:
        number += 1
    return f"{wish}_{number}"
