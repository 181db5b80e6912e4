"""The queries of the last hour, which count against a project's quota, as far as this database knows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb

from ...http import utc_now
from ..database import atomic, only_row
from .schema import QUERIES

__all__ = ["count_queries", "queries_last_hour"]


def count_queries(cursor: duckdb.DuckDBPyConnection, project_id: str, host: str, asked: Sequence[datetime]) -> None:
    """Add queries; forget those older than a day.

    The table is made anew: what is added to it would be a row group of its own, each of which takes blocks of the file
    for good.
    """
    with atomic(cursor):
        cursor.execute(
            f"CREATE OR REPLACE TABLE {QUERIES} AS SELECT * FROM {QUERIES} WHERE asked_at >= $4 "
            "UNION ALL SELECT $1, $2, unnest($3::TIMESTAMP[])",
            [project_id, host, list(asked), utc_now() - timedelta(days=1)],
        )


def queries_last_hour(cursor: duckdb.DuckDBPyConnection, project_id: str, host: str) -> int:
    """Count the project's queries of the last hour."""
    row = only_row(
        cursor,
        f"SELECT count(*) FROM {QUERIES} WHERE project_id = ? AND host = ? AND asked_at > ?",
        [project_id, host, utc_now() - timedelta(hours=1)],
    )
    return int(row[0]) if row else 0
