"""The table of events, the view without doubles, and what is remembered of each day."""

from __future__ import annotations

import duckdb

from ...errors import UnsuitableTableError
from ..database import COLUMNS, EVENT_COLUMNS, columns_of, create_table, existing, quote

__all__ = ["DAYS", "LAST_RUNS", "ODD", "REQUESTS", "RUNS", "STRAYS", "ensure_journal", "ensure_table"]

DAYS = "_mixpanel_days"
STRAYS = "_mixpanel_stray_events"
RUNS = "_mixpanel_event_runs"
LAST_RUNS = "_mixpanel_last_event_runs"
REQUESTS = "_mixpanel_event_requests"
# What is counted of a request, beside its first day, in the order of ``OddEvents``.
ODD = (
    "duplicate_rows", "outside_rows", "with_other_fields", "replaced_characters", "mended_values", "flattened_values",
)  # fmt: skip
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
        UnsuitableTableError: Something else has one of the names.
    """
    found, unique = existing(cursor, table), f"{table}_unique"
    columns = columns_of(cursor, table)
    if columns == COLUMNS:
        raise UnsuitableTableError(
            f"{table!r} holds profiles, and events do not go into it; choose another table name."
        )
    if found is not None and (found.kind == "view" or columns != EVENT_COLUMNS):
        raise UnsuitableTableError(f"{table!r} is there and is no table of events ({_EVENT}); choose another name.")
    view = existing(cursor, unique)
    if view is not None and view.kind != "view":
        raise UnsuitableTableError(f"{unique!r} is a table, but would be the view without doubles; choose another.")
    if found is None:
        create_table(cursor, table, EVENT_COLUMNS, zstd=zstd)
    if view is None:
        # An event without an insert id has nothing to tell it from its like: each stands for itself.
        cursor.execute(
            f"CREATE VIEW {quote(unique)} AS FROM {quote(table)} QUALIFY insert_id IS NULL OR row_number() OVER "
            "(PARTITION BY event, distinct_id, time, insert_id ORDER BY rowid ASC) = 1"
        )
