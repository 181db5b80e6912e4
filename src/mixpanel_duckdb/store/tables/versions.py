"""The history of a table: a row for each version of each profile, and from when until when it was in the table.

A version is open (``valid_to`` NULL) until another takes its place or its profile is gone. All versions of one publish
begin and end at one moment, later than any before. The rows that a history begins with are no changes: nobody knows
since when they were so. Rows without an id that say the same are one version.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import duckdb

from ...errors import UnsuitableTableError
from ...http import utc_now
from ..database import COLUMNS, columns_of, create_table, existing, only_row, quote
from .changes import SEVERAL, contents, rows_of

__all__ = ["VERSION_COLUMNS", "ProfileChange", "check_history", "history_table", "keep_versions", "versions_changed"]

_BEGUN = "temp._mixpanel_begun"
VERSION_COLUMNS = {**COLUMNS, "valid_from": "TIMESTAMP", "valid_to": "TIMESTAMP"}


class ProfileChange(NamedTuple):
    """What happened to a profile between two fetches.

    Args:
        distinct_id: The profile; ``None`` for one without an id.
        change: ``"added"``, ``"changed"`` or ``"removed"``.
        at: When the fetch was published that brought it.
    """

    distinct_id: str | None
    change: Literal["added", "changed", "removed"]
    at: datetime


def history_table(table: str) -> str:
    """Name the table that keeps another one's versions."""
    return f"{table}_history"


def check_history(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    """Refuse a history that could not be kept.

    Raises:
        UnsuitableTableError: Something else has its name.
    """
    name = history_table(table)
    if existing(cursor, name) and columns_of(cursor, name) != VERSION_COLUMNS:
        raise UnsuitableTableError(f"Cannot keep the history of {table!r}: {name!r} is there and is none. Rename it.")


def keep_versions(cursor: duckdb.DuckDBPyConnection, table: str, *, zstd: bool) -> None:
    """End the versions that are not of today any more, and begin those that are new.

    Args:
        cursor: In the transaction that has published the table; what turns was found before, if there is a history.
        table: The table.
        zstd: Whether the file can hold that compression.
    """
    history, moment = history_table(table), utc_now()
    begun = ("distinct_id IS NOT NULL", "distinct_id IS NULL")
    if existing(cursor, history) is None:
        create_table(cursor, history, VERSION_COLUMNS, zstd=zstd)
    else:
        moment = _next_moment(cursor, history)
        begun, ended = rows_of("turns AND stays IS NOT NULL"), rows_of("turns AND version IS NOT NULL")
        if only_row(cursor, f"SELECT 1 FROM {SEVERAL} LIMIT 1") is not None:
            # Of several rows of one id, those that stay as they are keep their versions.
            row = "(encode(distinct_id), hash(properties, last_seen))"
            begun = f"{begun[0]} AND {row} NOT IN ({contents(quote(history))} AND valid_to IS NULL)", begun[1]
            ended = f"{ended[0]} AND {row} NOT IN ({contents(quote(table))})", ended[1]
            cursor.execute(f"CREATE TEMP TABLE {_BEGUN} AS SELECT rowid AS row FROM {quote(table)} WHERE {begun[0]}")
            begun = f"rowid IN (SELECT row FROM {_BEGUN})", begun[1]
        for rows in ended:
            cursor.execute(f"UPDATE {quote(history)} SET valid_to = ? WHERE valid_to IS NULL AND {rows}", [moment])
    for rows, distinct in zip(begun, ("", "DISTINCT"), strict=True):
        cursor.execute(
            f"INSERT INTO {quote(history)} SELECT {distinct} distinct_id, properties, last_seen, ?, NULL "
            f"FROM {quote(table)} WHERE {rows}",
            [moment],
        )
    cursor.execute(f"DROP TABLE IF EXISTS {_BEGUN}")


def versions_changed(cursor: duckdb.DuckDBPyConnection, table: str, since: datetime | None) -> list[ProfileChange]:
    """List what a history knows to have changed, in order of time.

    Args:
        cursor: To the database.
        table: The table.
        since: The first moment of interest, UTC without a zone.

    Raises:
        UnsuitableTableError: The table has no history.
    """
    name = history_table(table)
    if existing(cursor, name) is None or columns_of(cursor, name) != VERSION_COLUMNS:
        raise UnsuitableTableError(
            f"Table {table!r} has no history; keep one with keep_history=True (--history) when it is fetched."
        )
    history = quote(name)
    rows = cursor.execute(
        f"""
        SELECT distinct_id, if(EXISTS (
            FROM {history} ended
            WHERE encode(ended.distinct_id) = encode(begun.distinct_id) AND ended.valid_to = begun.valid_from
        ), 'changed', 'added') AS change, valid_from AS at
        FROM {history} begun
        WHERE begun.valid_from > (SELECT min(valid_from) FROM {history}) AND ($1 IS NULL OR begun.valid_from >= $1)
        UNION ALL
        SELECT distinct_id, 'removed', valid_to FROM {history} ended
        WHERE valid_to IS NOT NULL AND ($1 IS NULL OR valid_to >= $1) AND NOT EXISTS (
            FROM {history} begun
            WHERE encode(begun.distinct_id) = encode(ended.distinct_id) AND begun.valid_from = ended.valid_to)
        ORDER BY 3 ASC, 1 ASC NULLS LAST
        """,
        [since],
    ).fetchall()
    return [ProfileChange(name, change, at.replace(tzinfo=UTC)) for name, change, at in rows]


def _next_moment(cursor: duckdb.DuckDBPyConnection, history: str) -> datetime:
    """Now, or just behind the last one, however the clock was set meanwhile."""
    row = only_row(cursor, f"SELECT greatest(max(valid_from), max(valid_to)) FROM {quote(history)}")
    last = row[0] if row else None
    now = utc_now()
    return now if last is None or last < now else last + timedelta(microseconds=1)
