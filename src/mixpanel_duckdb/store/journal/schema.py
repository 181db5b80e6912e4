"""The journal's tables: their names and columns, and how those of an older version are brought up to date."""

from __future__ import annotations

import duckdb

from ...errors import StorageError
from ..database import columns_of, only_row

__all__ = [
    "DIFFERENCES",
    "FETCHES",
    "HOLDINGS",
    "PAGES",
    "PREFIX",
    "QUERIES",
    "RUNS",
    "SCHEMA_VERSION",
    "ensure",
    "knows",
]

SCHEMA_VERSION = 3
FETCHES = "_mixpanel_fetches"
PAGES = "_mixpanel_pages"
QUERIES = "_mixpanel_queries"
RUNS = "_mixpanel_runs"
HOLDINGS = "_mixpanel_tables"
DIFFERENCES = "_mixpanel_differences"
PREFIX = "_mixpanel_"

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS {FETCHES} (
    fetch_id VARCHAR, schema_version INTEGER, table_name VARCHAR, staging_table VARCHAR, state VARCHAR,
    project_id VARCHAR, host VARCHAR, query VARCHAR, as_of_timestamp BIGINT,
    session_id VARCHAR, total BIGINT, page_size BIGINT, total_pages INTEGER,
    started_at TIMESTAMP, updated_at TIMESTAMP, owner_pid INTEGER, owner_token VARCHAR, note VARCHAR, account VARCHAR,
    terms JSON, target VARCHAR, asked_page_size BIGINT
);
CREATE TABLE IF NOT EXISTS {PAGES} (
    fetch_id VARCHAR, page_index INTEGER, state VARCHAR, rows BIGINT, bytes BIGINT, error VARCHAR,
    requested_at TIMESTAMP, received_at TIMESTAMP, committed_at TIMESTAMP, worker VARCHAR,
    without_distinct_id BIGINT, without_properties BIGINT, unreadable_last_seen BIGINT,
    replaced_characters BIGINT, flattened_values BIGINT, steps JSON, with_other_fields BIGINT, mended_values BIGINT
);
CREATE TABLE IF NOT EXISTS {QUERIES} (project_id VARCHAR, host VARCHAR, asked_at TIMESTAMP);
CREATE TABLE IF NOT EXISTS {RUNS} (
    fetch_id VARCHAR, owner_token VARCHAR, started_at TIMESTAMP, ended_at TIMESTAMP, note VARCHAR
);
CREATE TABLE IF NOT EXISTS {HOLDINGS} (
    table_name VARCHAR, project_id VARCHAR, host VARCHAR, query VARCHAR, published_at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS {DIFFERENCES} (
    fetch_id VARCHAR, session_id VARCHAR, table_name VARCHAR, project_id VARCHAR, host VARCHAR, query VARCHAR,
    seen_at TIMESTAMP, distinct_rows BIGINT, repeated VARCHAR[]
);
"""
# Columns that the first version did not have.
_ADDED = (
    (PAGES, "steps", "JSON"),
    (PAGES, "with_other_fields", "BIGINT"),
    (PAGES, "mended_values", "BIGINT"),
    (FETCHES, "account", "VARCHAR"),
    (FETCHES, "terms", "JSON"),
    (FETCHES, "target", "VARCHAR"),
    (FETCHES, "asked_page_size", "BIGINT"),
)


def knows(cursor: duckdb.DuckDBPyConnection, table: str, column: str = "fetch_id") -> bool:
    """Whether this database's journal has a table with a column."""
    return column in columns_of(cursor, table)


def ensure(cursor: duckdb.DuckDBPyConnection) -> None:
    """Create the journal tables, bring older ones up to date, or refuse a journal that a newer version wrote."""
    knew_tables = knows(cursor, HOLDINGS, "table_name")
    cursor.execute(_SCHEMA)
    newest = only_row(cursor, f"SELECT max(schema_version) FROM {FETCHES}")
    if newest and newest[0] is not None and newest[0] > SCHEMA_VERSION:
        raise StorageError(
            f"This database's journal has schema version {newest[0]}, newer than this package's {SCHEMA_VERSION}; "
            "upgrade mixpanel-duckdb."
        )
    there = {table: columns_of(cursor, table) for table in (FETCHES, PAGES)}
    for table, column, kind in _ADDED:
        if column not in there[table]:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    if not knew_tables:  # new, or a journal of version 1 or 2
        cursor.execute(
            f"INSERT INTO {HOLDINGS} SELECT table_name, project_id, host, query, updated_at FROM {FETCHES} "
            "WHERE state = 'complete'"
        )
        cursor.execute(f"UPDATE {FETCHES} SET schema_version = {SCHEMA_VERSION}")
