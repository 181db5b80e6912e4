"""Sessions whose pages all arrived, but whose profiles are not as many as the server said: what was seen of them.

The last two of each fetch are kept: whether the same ids come twice in each session tells a server that is always so
from profiles that changed during a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb

from ...http import utc_now
from ...text import page_list
from ..database import is_named, only_row, quote
from .records import OpenFetch
from .schema import DIFFERENCES, PAGES, knows

__all__ = ["Difference", "distinct_rows", "note_difference"]

_MOST_IDS = 10_000
# A fetch whose filters are others every day is never the same again.
_KEPT = timedelta(days=30)
_SAME = f"{is_named('table_name')} AND project_id = ? AND host = ? AND query = ?"


@dataclass(frozen=True, slots=True)
class Difference:
    """Why distinct profiles are not as many as the server said.

    Args:
        distinct: Distinct profiles.
        total: As many were announced.
        rows: Rows of all pages.
        short: Pages with fewer rows than they should have.
        repeated: Ids that came more than once.
        again: How many of them did in the session before, too; ``None`` if that is not known.
    """

    distinct: int
    total: int
    rows: int
    short: tuple[int, ...]
    repeated: int
    again: int | None = None

    @property
    def seen(self) -> str:
        """What was seen, in words."""
        parts = []
        if self.short:
            pages = "page" if len(self.short) == 1 else "pages"
            parts.append(f"{pages} {page_list(self.short)} had too few profiles")
        if self.repeated:
            parts.append(f"{_number(self.repeated, 'id')} came more than once{self._before()}")
        if (more := self.rows - self.total) > 0:
            parts.append(f"the pages had {_number(more, 'profile')} more than announced")
        return "; ".join(parts)

    def _before(self) -> str:
        if self.again is None:
            return ""
        if self.again == min(self.repeated, _MOST_IDS):
            return ", the same as in the last session"
        return f", {self.again:,} of them in the last session, too" if self.again else ", others in the last session"

    def __str__(self) -> str:
        return f"{self.distinct:,} distinct profiles of {self.total:,}: {self.seen}"


def note_difference(cursor: duckdb.DuckDBPyConnection, fetch: OpenFetch, *, rows: int, distinct: int) -> Difference:
    """Look for ids that came more than once, compare them with those of the session before, and keep them.

    Args:
        cursor: In a transaction.
        fetch: All its pages are committed.
        rows: Rows of its pages.
        distinct: Distinct profiles.
    """
    spec, now, of_this = fetch.spec, utc_now(), [fetch.fetch_id, fetch.session_id]
    of_these = [spec.table, spec.project_id, spec.host, spec.query]
    found = [] if rows == distinct else _repeated(cursor, fetch.staging)
    ids = [name for name, _ in found]
    cursor.execute(f"DELETE FROM {DIFFERENCES} WHERE fetch_id = ? AND session_id IS NOT DISTINCT FROM ?", of_this)
    before = only_row(
        cursor, f"SELECT repeated, seen_at FROM {DIFFERENCES} WHERE {_SAME} ORDER BY 2 DESC LIMIT 1", of_these
    )
    cursor.execute(
        f"DELETE FROM {DIFFERENCES} WHERE seen_at < ? OR ({_SAME} AND seen_at < ?)",
        [now - _KEPT, *of_these, before[1] if before else now],
    )
    cursor.execute(
        f"INSERT INTO {DIFFERENCES} (fetch_id, session_id, table_name, project_id, host, query, seen_at, "
        "distinct_rows, repeated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [*of_this, *of_these, now, distinct, ids],
    )
    again = len(set(ids).intersection(before[0])) if before else None
    return Difference(
        distinct, fetch.total or 0, rows, _short(cursor, fetch), repeated=found[0][1] if found else 0, again=again
    )


def distinct_rows(cursor: duckdb.DuckDBPyConnection) -> dict[tuple[str, str | None], int]:
    """Give, by fetch and session, the distinct profiles of those that differ from their total."""
    if not knows(cursor, DIFFERENCES):
        return {}
    rows = cursor.execute(f"SELECT fetch_id, session_id, distinct_rows FROM {DIFFERENCES}").fetchall()
    return {(fetch_id, session): distinct for fetch_id, session, distinct in rows}


def _short(cursor: duckdb.DuckDBPyConnection, fetch: OpenFetch) -> tuple[int, ...]:
    found = cursor.execute(
        f"SELECT page_index FROM {PAGES} WHERE fetch_id = $1 AND state = 'committed' "
        "AND rows < least($2::BIGINT, $3::BIGINT - page_index * $2::BIGINT) ORDER BY page_index ASC",
        [fetch.fetch_id, fetch.page_size, fetch.total],
    ).fetchall()
    return tuple(index for (index,) in found)


def _repeated(cursor: duckdb.DuckDBPyConnection, staging: str) -> list[tuple[str, int]]:
    """List the first ids that came more than once, each with the number of all."""
    return cursor.execute(
        f"""
        SELECT name, count(*) OVER () FROM (
            SELECT any_value(distinct_id) AS name FROM {quote(staging)} WHERE distinct_id IS NOT NULL
            GROUP BY encode(distinct_id), sent_as HAVING count(*) > 1)
        ORDER BY encode(name) ASC LIMIT {_MOST_IDS}
        """
    ).fetchall()


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
