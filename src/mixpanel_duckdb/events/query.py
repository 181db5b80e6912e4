"""``EventQuery``: what is asked of the export, checked once, before any request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self, TypedDict, Unpack

from ..arguments import refusal
from ..errors import QueryError
from .days import DayRange, day_of

__all__ = ["EventFilters", "EventQuery"]

_MOST_LIMIT = 100_000


class EventFilters(TypedDict, total=False):
    """Which events of the days; keyword arguments of every call that asks for events."""

    events: Sequence[str] | None
    where: str | None


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Days, and which events of them.

    Args:
        days: The days.
        events: Only events of these names; ``None`` is all.
        where: An expression of Mixpanel's.
        limit: At most so many events; ``None`` is all.

    Example:
        >>> EventQuery.of("2026-01-01", "2026-01-02", events=["Login"]).params()["event"]
        '["Login"]'
    """

    days: DayRange
    events: tuple[str, ...] | None = None
    where: str | None = None
    limit: int | None = None

    @classmethod
    def of(
        cls, from_date: str | date, to_date: str | date, *, limit: int | None = None, **filters: Unpack[EventFilters]
    ) -> Self:
        """Check what a caller asks for.

        Raises:
            QueryError: Something is not what it must be.
        """
        first, last = day_of(from_date, "from_date"), day_of(to_date, "to_date")
        if last < first:
            raise QueryError(f"from_date {first} is after to_date {last}; both days are included in what is fetched.")
        if unknown := set(filters) - {"events", "where"}:
            raise QueryError(f"Unknown filter {sorted(unknown)[0]!r}; events are filtered by events and where.")
        events, where = filters.get("events"), filters.get("where")
        if events is not None and (
            isinstance(events, str)
            or not isinstance(events, Sequence)
            or not events
            or not all(isinstance(name, str) and name for name in events)
        ):
            raise QueryError("events must be a list of names of events, at least one; leave it out to get all.")
        if where is not None and (not isinstance(where, str) or not where.strip()):
            raise QueryError("where must be an expression, as text; leave it out to get all events.")
        for name, texts in (("events", events or ()), ("where", where or "")):
            if any("\ud800" <= char <= "\udfff" for text in texts for char in text):
                raise QueryError(f"{name} holds a lone surrogate, which cannot be sent.")
        if limit is not None and (type(limit) is not int or not 1 <= limit <= _MOST_LIMIT):
            raise refusal("limit", limit, f"a whole number from 1 to {_MOST_LIMIT:,}, or None")
        return cls(DayRange(first, last), None if events is None else tuple(events), where, limit)

    def params(self) -> dict[str, str]:
        """Write the URL parameters; times are asked for in milliseconds, which is what the server stores."""
        params = {"from_date": str(self.days.first), "to_date": str(self.days.last), "time_in_ms": "true"}
        if self.events is not None:
            params["event"] = json.dumps(list(self.events), ensure_ascii=False)
        if self.where is not None:
            params["where"] = self.where
        if self.limit is not None:
            params["limit"] = str(self.limit)
        return params

    def canonical(self) -> str:
        """Write what makes two fetches the same, whatever their days, as JSON."""
        filters: dict[str, Any] = {"api": "export"}
        if self.events is not None:
            filters["events"] = sorted(set(self.events))
        if self.where is not None:
            filters["where"] = self.where
        return json.dumps(filters, ensure_ascii=False, sort_keys=True)
