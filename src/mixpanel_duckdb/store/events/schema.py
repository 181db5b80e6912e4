"""The table of events, the view without doubles, and what is remembered of each day."""

from __future__ import annotations

import re

import duckdb

from ...errors import UnsuitableTableError
from ..database import COLUMNS, EVENT_COLUMNS, columns_of, create_table, existing, is_named, only_row, quote
from ..tables import EVENTS, hindrance

__all__ = ["DAYS", "LAST_RUNS", "ODD", "REQUESTS", "RUNS", "STRAYS", "ensure_journal", "ensure_table"]

DAYS = "_mixpanel_days"
STRAYS = "_mixpanel_stray_events"
RUNS = "_mixpanel_event_runs"
LAST_RUNS = "_mixpanel_last_event_runs"
REQUESTS = "_mixpanel_event_requests"
# What is counted of a day, in the order of ``OddEvents``.
ODD = (
    "duplicate_rows", "outside_rows", "with_other_fields", "replaced_characters", "mended_values", "flattened_values",
)  # fmt: skip
_KEY = "PARTITION BY event, distinct_id, time, insert_id"
_EVENT = ", ".join(f"{name} {kind}" for name, kind in EVENT_COLUMNS.items())
_JOURNAL = f"""
CREATE TABLE IF NOT EXISTS {DAYS} (
    table_name VARCHAR, day DATE, project_id VARCHAR, host VARCHAR, query VARCHAR, rows BIGINT, fetched_at TIMESTAMP,
    {", ".join(f"{name} BIGINT" for name in ODD)}
);
CREATE TABLE IF NOT EXISTS {STRAYS} (table_name VARCHAR, day DATE, {_EVENT});
CREATE TABLE IF NOT EXISTS {RUNS} (table_name VARCHAR, run VARCHAR, started_at TIMESTAMP);
CREATE TABLE IF NOT EXISTS {LAST_RUNS} (
    table_name VARCHAR, fetch_id VARCHAR, project_id VARCHAR, query VARCHAR, started_at TIMESTAMP, ended_at TIMESTAMP,
    days BIGINT, missing BIGINT, rows BIGINT
);
CREATE TABLE IF NOT EXISTS {REQUESTS} (
    table_name VARCHAR, number BIGINT, days VARCHAR, state VARCHAR, rows BIGINT, error VARCHAR, requested_at TIMESTAMP,
    received_at TIMESTAMP, committed_at TIMESTAMP, worker VARCHAR, steps VARCHAR
);
"""


def ensure_journal(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the journal's tables, unless they are there."""
    cursor.execute(_JOURNAL)


def ensure_table(cursor: duckdb.DuckDBPyConnection, table: str, *, zstd: bool) -> None:
    """Make a table for events and its view, unless they are there.

    Raises:
        UnsuitableTableError: Something else has one of the names, or nobody knows of which days the rows are.
    """
    found, unique = existing(cursor, table), f"{table}_unique"
    columns = columns_of(cursor, table)
    if columns == COLUMNS:
        raise UnsuitableTableError(
            f"{table!r} holds profiles, and events do not go into it; choose another table name."
        )
    if found is not None and (found.kind == "view" or columns != EVENT_COLUMNS):
        raise UnsuitableTableError(f"{table!r} is there and is no table of events ({_EVENT}); choose another name.")
    if found is not None and (what := hindrance(cursor, table, EVENTS)) is not None:
        raise UnsuitableTableError(
            f"Cannot fetch into {table!r}: its {what} may refuse events. Drop that, or choose another table."
        )
    if found is not None and _has_unknown_rows(cursor, table):
        raise UnsuitableTableError(
            f"{table!r} has events that no fetch into this database has brought, as a table that another one publishes "
            "into: nobody knows of which days they are. Nothing was requested; choose another table."
        )
    view = existing(cursor, unique)
    if view is not None and not (view.kind == "view" and _leaves_doubles_out(cursor, unique)):
        raise UnsuitableTableError(
            f"{unique!r} is there, but would be the view of {table!r} without doubles; rename it, or choose another "
            "table."
        )
    if found is None:
        create_table(cursor, table, EVENT_COLUMNS, zstd=zstd)
    if view is None:
        # An event without an insert id has nothing to tell it from its like: each stands for itself.
        cursor.execute(
            f"CREATE VIEW {quote(unique)} AS FROM {quote(table)} QUALIFY insert_id IS NULL OR row_number() OVER "
            f"({_KEY} ORDER BY rowid ASC) = 1"
        )


def _has_unknown_rows(cursor: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether a table has rows, and the journal none of its days."""
    if only_row(cursor, f"SELECT 1 FROM {DAYS} WHERE table_name = ? LIMIT 1", [table]):
        return False
    return only_row(cursor, f"SELECT 1 FROM {quote(table)} LIMIT 1") is not None


def _leaves_doubles_out(cursor: duckdb.DuckDBPyConnection, view: str) -> bool:
    """Whether a view is ours, or does the same; DuckDB writes it in its own way, with more quotes and brackets."""
    row = only_row(
        cursor,
        "SELECT sql FROM duckdb_views() WHERE database_name = current_database() AND schema_name = current_schema() "
        f"AND {is_named('view_name')}",
        [view],
    )
    return row is not None and _plain(_KEY) in _plain(row[0])


def _plain(sql: str) -> str:
    return re.sub(r'[\s"()]', "", sql).lower()
