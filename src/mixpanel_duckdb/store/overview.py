"""What a store shows of itself in a notebook: its tables with their rows, its fetches with their state."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from ..text import grid, line_width, note, page_list, shown, table_text, wrapped
from .database import quote
from .journal import PREFIX, FetchRecord

__all__ = ["Fetches", "overview"]

_MOST = 20
_HEADER = ("fetch into", "state", "pages", "profiles", "last change (UTC)", "")


class Fetches(list[FetchRecord]):
    """Fetches that a database knows, which show themselves as a table."""

    def __str__(self) -> str:
        if not self:
            return "no fetches yet"
        # What is to be said of one needs lines of its own: a terminal is too narrow for it.
        table = table_text(_HEADER[:-1], [row[:-1] for row in _rows(self)], line_width())
        remarks = [f"{shown(each.table)}: {remark}" for each in self if (remark := _remark(each))]
        return "\n".join([table, *(wrapped(remark, line_width()) for remark in remarks)])

    def _repr_html_(self) -> str:
        return grid(_HEADER, _rows(self)) if self else note("no fetches yet")


def overview(cursor: duckdb.DuckDBPyConnection, fetches: list[FetchRecord]) -> str:
    """Compose it: tables and views where the caller works, but for the journal's; a view's rows are not counted."""
    found = cursor.execute(
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_catalog = current_database() "
        "AND table_schema = current_schema() AND NOT starts_with(lower(table_name), ?) ORDER BY lower(table_name) ASC",
        [PREFIX],
    ).fetchall()
    listed = [(name, "view" if kind == "VIEW" else _count(cursor, name)) for name, kind in found[:_MOST]]
    parts = [grid(["table", "rows"], listed) if listed else note("no tables yet"), _more(len(found), "tables")]
    if fetches:
        parts += [grid(_HEADER, _rows(fetches[:_MOST])), _more(len(fetches), "fetches")]
    return "".join(parts)


def _rows(fetches: list[FetchRecord]) -> Iterable[list[str]]:
    for each in fetches:
        pages = "?" if each.total_pages is None else f"{each.total_pages:,}"
        rows = "?" if each.expected_rows is None else f"{each.expected_rows:,}"
        yield [
            each.table,
            each.state,
            f"{each.pages_done:,} of {pages}",
            f"{each.profiles:,} of {rows}",
            f"{each.updated_at:%Y-%m-%d %H:%M:%S}",
            _remark(each),
        ]


def _remark(fetch: FetchRecord) -> str:
    if fetch.is_published:
        return ""
    missing = f"missing pages: {page_list(fetch.pages_missing)}; " if fetch.pages_missing else ""
    return f"{missing}the same fetch {fetch.next_step}"


def _count(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(cursor.execute(f"SELECT count(*) FROM {quote(table)}").fetchall()[0][0])


def _more(number: int, what: str) -> str:
    return note(f"and {number - _MOST:,} more {what}") if number > _MOST else ""
