"""The queries of the last hour, which count against a project's quota, as far as this database knows them."""

from __future__ import annotations

from datetime import timedelta

import duckdb

from ...http import utc_now
from ..database import atomic, only_row
from .tables import QUERIES

__all__ = ["count_queries", "queries_last_hour"]


def count_queries(cursor: duckdb.DuckDBPyConnection, project_id: str, host: str, asked: int) -> None:
    """Add queries; forget those older than a day."""
    now = utc_now()
    with atomic(cursor):
        cursor.execute(f"DELETE FROM {QUERIES} WHERE asked_at < ?", [now - timedelta(days=1)])
        cursor.execute(f"INSERT INTO {QUERIES} SELECT ?, ?, ? FROM range(?)", [project_id, host, now, asked])


def queries_last_hour(cursor: duckdb.DuckDBPyConnection, project_id: str, host: str) -> int:
    """Count the project's queries of the last hour."""
    row = only_row(
        cursor,
        f"SELECT count(*) FROM {QUERIES} WHERE project_id = ? AND host = ? AND asked_at > ?",
        [project_id, host, utc_now() - timedelta(hours=1)],
    )
    return int(row[0]) if row else 0
