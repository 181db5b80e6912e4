"""What there is under a name, where the caller works: the one place that asks DuckDB's catalog.

Names are compared as DuckDB does, without regard to case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb

from .opening import only_row

__all__ = ["COLUMNS", "Existing", "columns_of", "existing"]

# Of every table of profiles.
COLUMNS = {"distinct_id": "VARCHAR", "properties": "JSON", "last_seen": "TIMESTAMP"}


@dataclass(frozen=True, slots=True)
class Existing:
    """A table or view: what it is, its name as it was made, and its comment."""

    kind: Literal["table", "view"]
    name: str
    comment: str | None = None


def existing(cursor: duckdb.DuckDBPyConnection, name: str) -> Existing | None:
    """Find the table or view of a name, if there is one."""
    places = " UNION ALL ".join(
        f"SELECT '{kind}', {kind}_name, comment FROM duckdb_{kind}s() WHERE database_name = current_database() "
        f"AND schema_name = current_schema() AND lower({kind}_name) = lower($1)"
        for kind in ("table", "view")
    )
    row = only_row(cursor, places, [name])
    return None if row is None else Existing(*row)


def columns_of(cursor: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    """Give the columns of a table or view with their types, in order; none if there is no such thing."""
    rows = cursor.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
        "AND schema_name = current_schema() AND lower(table_name) = lower(?) ORDER BY column_index ASC",
        [name],
    ).fetchall()
    return dict(rows)
