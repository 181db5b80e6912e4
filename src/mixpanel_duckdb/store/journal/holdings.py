"""What each published table holds: the specs of the fetches that it is made of, mostly one."""

from __future__ import annotations

import duckdb

from ...http import utc_now
from ..database import is_named
from .records import FetchSpec
from .schema import HOLDINGS

__all__ = ["hold", "holdings_of"]


def holdings_of(cursor: duckdb.DuckDBPyConnection, table: str, journal: str = HOLDINGS) -> list[FetchSpec]:
    """List what a table holds, as far as its database knows; nothing is known of a table that somebody else made.

    Args:
        cursor: To this database.
        table: The table.
        journal: Where its database notes that, for statements: in this one, or in one that is attached.
    """
    rows = cursor.execute(
        f"SELECT table_name, query, project_id, host FROM {journal} WHERE {is_named('table_name')} "
        "ORDER BY published_at ASC",
        [table],
    ).fetchall()
    return [FetchSpec(*row) for row in rows]


def forget_holdings(cursor: duckdb.DuckDBPyConnection, table: str, journal: str = HOLDINGS) -> None:
    """Note that a table holds none of what it held; for the arguments see ``holdings_of``."""
    cursor.execute(f"DELETE FROM {journal} WHERE {is_named('table_name')}", [table])


def hold(cursor: duckdb.DuckDBPyConnection, spec: FetchSpec, *, alone: bool) -> None:
    """Note that a table holds the profiles of a fetch.

    Args:
        cursor: In the transaction that publishes them.
        spec: The fetch.
        alone: Whether it holds nothing else any more.
    """
    if alone:
        forget_holdings(cursor, spec.table)
    cursor.execute(
        f"INSERT INTO {HOLDINGS} (table_name, project_id, host, query, published_at) VALUES (?, ?, ?, ?, ?)",
        [spec.table, spec.project_id, spec.host, spec.query, utc_now()],
    )
