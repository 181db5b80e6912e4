"""What the tables of events of a database have: days, gaps between them, and what was fetched into them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, repeat
from typing import Any

import duckdb

from ...arguments import REFRESH_DAYS
from ...text import grid, line_width, note, table_text
from ..database import columns_of, existing
from .days import is_open
from .schema import DAYS

__all__ = ["EventTable", "event_tables"]

_DAY = timedelta(days=1)
_HEADER = ("events in", "from", "to", "days", "open", "gaps", "events")
_NONE = "no events yet"


@dataclass(frozen=True, slots=True)
class EventTable:
    """A table of events and its days.

    Args:
        table: Its name.
        project_id: Project that it is of.
        host: Base URL that it was read from.
        query: The filters.
        first_day: The first day that is there.
        last_day: The last one.
        days: How many are there.
        missing: First and last day of each gap between them.
        open_days: Days so young when they were fetched that the next run fetches them again.
        rows: Events, doubles and those of other days among them.
        duplicate_rows: Events that repeat another.
        rows_outside_range: Events that came with other days than that of their time.
        fetched_at: When a day that is stored was asked for last, in UTC.
    """

    table: str
    project_id: str
    host: str
    query: dict[str, Any]
    first_day: date
    last_day: date
    days: int
    missing: tuple[tuple[date, date], ...]
    open_days: int
    rows: int
    duplicate_rows: int
    rows_outside_range: int
    fetched_at: datetime = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"first_day": str(self.first_day), "last_day": str(self.last_day)}
        values["missing"] = [[str(first), str(last)] for first, last in self.missing]
        return values | {"fetched_at": self.fetched_at.isoformat()}


class EventTables(list[EventTable]):
    """Tables of events that a database has, which show themselves as a table."""

    def __str__(self) -> str:
        return table_text(_HEADER, list(map(_row, self)), line_width()) if self else _NONE

    def _repr_html_(self) -> str:
        return grid(_HEADER, map(_row, self)) if self else note(_NONE)


def event_tables(cursor: duckdb.DuckDBPyConnection) -> EventTables:
    """List the tables of events that are there, by name."""
    if not columns_of(cursor, DAYS):
        return EventTables()
    rows = cursor.execute(
        f"""
        SELECT table_name, project_id, host, query, list(day ORDER BY day ASC), sum(rows + outside_rows)::BIGINT,
               sum(duplicate_rows)::BIGINT, sum(outside_rows)::BIGINT, list(fetched_at ORDER BY day ASC)
        FROM {DAYS} GROUP BY ALL ORDER BY table_name ASC
        """
    ).fetchall()
    return EventTables(
        EventTable(
            table, project, host, {name: value for name, value in json.loads(query).items() if name != "api"},
            days[0], days[-1], len(days), tuple(_gaps(days)), sum(map(is_open, days, moments, repeat(REFRESH_DAYS))),
            events, doubles, outside, max(moments).replace(tzinfo=UTC),
        )
        for table, project, host, query, days, events, doubles, outside, moments in rows
        if existing(cursor, table) is not None
    )  # fmt: skip


def _row(held: EventTable) -> list[str]:
    counts = (held.days, held.open_days, len(held.missing), held.rows)
    return [held.table, str(held.first_day), str(held.last_day), *(f"{count:,}" for count in counts)]


def _gaps(days: list[date]) -> Iterable[tuple[date, date]]:
    return ((one + _DAY, other - _DAY) for one, other in pairwise(days) if other - one > _DAY)
