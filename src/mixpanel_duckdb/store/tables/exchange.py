"""The rows that a publish writes: those that ``find_changes`` has found to differ, and no others.

They are deleted, and what takes their place is inserted: texts that are updated are in memory until the commit. Where
something else hangs on rows, keys or a lake's feed of changes, they are updated all the same.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from ..database import COLUMNS, only_row
from .changes import DIFFERING, rows_of

__all__ = ["differing", "exchange", "rewrite", "update"]

_COLUMNS = ", ".join(COLUMNS)
# An id of one row at most, before and now: the usual one.
_ALONE = "(id IS NOT NULL AND rows_before < 2 AND rows_now < 2)"


class Differing(NamedTuple):
    """How many ids have rows that differ, and how many rows without an id do."""

    named: int
    nameless: int


def differing(cursor: duckdb.DuckDBPyConnection, more: str = "true") -> Differing:
    """Count what ``find_changes`` has found to differ, as far as more can be said of it."""
    row = only_row(cursor, f"SELECT count(id), count(*) - count(id) FROM {DIFFERING} WHERE differs AND {more}")
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    return Differing(*row)


def exchange(cursor: duckdb.DuckDBPyConnection, table: str, incoming: str, *, keyed: bool) -> None:
    """Make rows the same that differ, in a table of DuckDB's own.

    Args:
        cursor: In the transaction of ``find_changes``.
        table: For statements.
        incoming: A query for what was fetched.
        keyed: Whether keys or an index are on the table. DuckDB takes many times as long for a key that comes back in
            the same transaction as for an update, and 1.5 refuses it, or does not find it any more after a crash.
    """
    if keyed:
        update(cursor, table, incoming)
    else:
        _rewrite_those(cursor, table, incoming, "true")


def update(cursor: duckdb.DuckDBPyConnection, table: str, incoming: str) -> None:
    """Update what changed, insert what is new, delete what is gone, each row by itself where an id has one."""
    alone = f"FROM {DIFFERING} WHERE differs AND {_ALONE} AND rows_now"
    if differing(cursor, f"{_ALONE} AND rows_now = 1").named:
        cursor.execute(
            f"MERGE INTO {table} AS old USING (SELECT * FROM ({incoming}) WHERE encode(distinct_id) IN "
            f"(SELECT id {alone} = 1)) AS new ON encode(old.distinct_id) = encode(new.distinct_id) "
            "WHEN MATCHED THEN UPDATE SET properties = new.properties, last_seen = new.last_seen "
            "WHEN NOT MATCHED THEN INSERT (distinct_id, properties, last_seen) "
            "VALUES (new.distinct_id, new.properties, new.last_seen)"
        )
    if differing(cursor, f"{_ALONE} AND rows_now = 0").named:
        cursor.execute(f"DELETE FROM {table} WHERE encode(distinct_id) IN (SELECT id {alone} = 0)")
    _rewrite_those(cursor, table, incoming, f"NOT {_ALONE}")


def rewrite(cursor: duckdb.DuckDBPyConnection, table: str, incoming: str, rows: str) -> None:
    """Delete rows, and insert those that take their place."""
    cursor.execute(f"DELETE FROM {table} WHERE {rows}")
    cursor.execute(f"INSERT INTO {table} ({_COLUMNS}) SELECT {_COLUMNS} FROM ({incoming}) WHERE {rows}")


def _rewrite_those(cursor: duckdb.DuckDBPyConnection, table: str, incoming: str, which: str) -> None:
    for many, rows in zip(differing(cursor, which), rows_of(f"differs AND {which}"), strict=True):
        if many:
            rewrite(cursor, table, incoming, rows)
