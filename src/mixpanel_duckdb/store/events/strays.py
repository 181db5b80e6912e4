"""Events whose times are on none of the days they came with: kept in the table, and listed with what they came with.

Of which day of its request a stray is, nobody can tell. So a request that brought any is replaced as a whole. Where
dates and times disagree, every request is: events of one of its days may have the times of the next. What a run takes
away with other days, but has not fetched again yet, is stale: any later run into the table fetches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

import duckdb

from ..database import only_row, quote
from .schema import DAYS, STRAYS

__all__ = ["fetched_together", "has_strays", "put_strays", "take_strays"]

# Of days that must be fetched again: long before there were any.
_STALE = datetime(1970, 1, 1)
_HASH = "hash(event, time, distinct_id, insert_id, properties)"
_OF_DAYS = "table_name = $table AND day IN (SELECT unnest($days::DATE[]))"


def has_strays(cursor: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether events came with other days than those of their times: replacing one day may touch another then."""
    return only_row(cursor, f"SELECT 1 FROM {STRAYS} WHERE table_name = ? LIMIT 1", [table]) is not None


def fetched_together(cursor: duckdb.DuckDBPyConnection, table: str, days: Iterable[date]) -> list[date]:
    """Give the days that must be fetched with some others, and those that a run has left stale.

    The days of one request, and of no other, have the moment at which they were fetched in common.

    Args:
        cursor: Where the table is.
        table: Its name.
        days: Days that are fetched.
    """
    rows = cursor.execute(
        f"""
        SELECT day FROM {DAYS} WHERE table_name = $table AND day NOT IN (SELECT unnest($days::DATE[]))
        AND (fetched_at <= $stale OR fetched_at IN (SELECT fetched_at FROM {DAYS} WHERE {_OF_DAYS}) AND (
            EXISTS (SELECT 1 FROM {STRAYS} WHERE table_name = $table AND time IS NOT NULL)
            OR fetched_at IN (SELECT d.fetched_at FROM {DAYS} d SEMI JOIN {STRAYS} s USING (table_name, day)
                              WHERE d.table_name = $table)))
        ORDER BY day ASC
        """,
        {"table": table, "days": list(days), "stale": _STALE},
    ).fetchall()
    return [day for (day,) in rows]


def take_strays(cursor: duckdb.DuckDBPyConnection, table: str, days: list[date]) -> None:
    """Take away the strays that came with some days or in one request with them, and have the rest of that stale.

    Args:
        cursor: In the transaction that replaces the days.
        table: Table of events.
        days: The days.
    """
    others = fetched_together(cursor, table, days)
    if others:
        cursor.execute(
            f"UPDATE {DAYS} SET fetched_at = $stale, outside_rows = 0 WHERE {_OF_DAYS}",
            {"table": table, "days": others, "stale": _STALE},
        )
    given = {"table": table, "days": days + others}
    ((first, last, timeless),) = cursor.execute(
        f"SELECT min(time), max(time), count(*) > count(time) FROM {STRAYS} WHERE {_OF_DAYS}", given
    ).fetchall()
    # Where they can be: the properties of all other rows need not be read.
    near = [f"time BETWEEN TIMESTAMP '{first}' AND TIMESTAMP '{last}'"] if first else []
    near += ["time IS NULL"] if timeless else []
    for where in near:  # as many of each as came
        cursor.execute(
            f"""
            DELETE FROM {quote(table)} WHERE rowid IN (
                SELECT r FROM (
                    SELECT r, many, row_number() OVER (PARTITION BY h ORDER BY r ASC) AS n
                    FROM (SELECT rowid AS r, {_HASH} AS h FROM {quote(table)} WHERE {where})
                    JOIN (SELECT {_HASH} AS h, count(*) AS many FROM {STRAYS} WHERE {_OF_DAYS} GROUP BY ALL) USING (h))
                WHERE n <= many)
            """,
            given,
        )
    if near:
        cursor.execute(f"DELETE FROM {STRAYS} WHERE {_OF_DAYS}", given)


def put_strays(cursor: duckdb.DuckDBPyConnection, table: str, where: str, values: Sequence[object]) -> None:
    """Insert strays into their table.

    Args:
        cursor: In the transaction that replaces days.
        table: Table of events.
        where: Which: a condition.
        values: Its parameters.
    """
    cursor.execute(
        f"INSERT INTO {quote(table)} SELECT * EXCLUDE (table_name, day) FROM {STRAYS} WHERE table_name = ? AND {where}",
        [table, *values],
    )
