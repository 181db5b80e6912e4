"""What there is under a name, where the caller works: the one place that asks DuckDB's catalog.

Names are compared as DuckDB does: ASCII letters in any case are the same, and no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Literal

import duckdb

from ...errors import StorageError
from .statements import only_row, quote

__all__ = [
    "COLUMNS",
    "EVENT_COLUMNS",
    "Existing",
    "columns_of",
    "create_table",
    "existing",
    "folded",
    "is_named",
    "must_be_duckdb",
    "unusable",
]

# Of every table of profiles.
COLUMNS = {"distinct_id": "VARCHAR", "properties": "JSON", "last_seen": "TIMESTAMP"}
# Of every table of events.
EVENT_COLUMNS = {
    "event": "VARCHAR",
    "time": "TIMESTAMP",
    "distinct_id": "VARCHAR",
    "insert_id": "VARCHAR",
    "properties": "JSON",
}
_IN_SIGHT = "AND list_contains(current_schemas(true), schema_name)"
_FOLD = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Existing:
    """A table or view: what it is, its name as it was made, and its comment."""

    kind: Literal["table", "view"]
    name: str
    comment: str | None = None


def folded(name: str) -> str:
    """Give a name as DuckDB compares names.

    Example:
        >>> folded("Élan VITAL")
        'Élan vital'
    """
    return name.translate(_FOLD)


def is_named(column: str, parameter: str = "?") -> str:
    """Write the condition that a column holds the name that a parameter gives."""
    return " = ".join(f"translate({each}, '{ascii_uppercase}', '{ascii_lowercase}')" for each in (column, parameter))


_PLACES = f"""
    SELECT 1 FROM duckdb_schemas() WHERE {is_named("schema_name", "$1")}
    UNION ALL SELECT 1 FROM duckdb_databases() WHERE {is_named("database_name", "$1")}
"""


def existing(cursor: duckdb.DuckDBPyConnection, name: str) -> Existing | None:
    """Find the table or view of a name, if there is one."""
    places = " UNION ALL ".join(
        f"SELECT '{kind}', {kind}_name, comment FROM duckdb_{kind}s() WHERE database_name = current_database() "
        f"AND schema_name = current_schema() AND {is_named(f'{kind}_name', '$1')}"
        for kind in ("table", "view")
    )
    row = only_row(cursor, places, [name])
    return None if row is None else Existing(*row)


def columns_of(cursor: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    """Give the columns of a table or view with their types, in order; none if there is no such thing."""
    rows = cursor.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
        f"AND schema_name = current_schema() AND {is_named('table_name')} ORDER BY column_index ASC",
        [name],
    ).fetchall()
    return dict(rows)


def unusable(cursor: duckdb.DuckDBPyConnection, name: str, *, reserved: str) -> str | None:
    """Say why no table can be made under a name; ``None`` if it can.

    Args:
        cursor: Where it would be made.
        name: The name.
        reserved: How the names begin that are kept for others.
    """
    if not name.strip() or folded(name).startswith(reserved):
        return f"it is empty or the journal's ({reserved}...)"
    if only_row(cursor, f"SELECT 1 FROM duckdb_views() WHERE internal AND {is_named('view_name')} {_IN_SIGHT}", [name]):
        return "DuckDB has something of its own under it"
    schema, dot, _ = name.partition(".")
    if dot and existing(cursor, name) is None and only_row(cursor, _PLACES, [schema]):
        return f"{schema!r} is a schema or a database; pass a connection of your own that has said USE {quote(schema)}"
    return None


def create_table(cursor: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str], *, zstd: bool) -> None:
    """Create a table, its JSON compressed with zstd where the file can hold that."""
    written = ", ".join(
        f"{column} {kind}{' USING COMPRESSION zstd' if zstd and kind == 'JSON' else ''}"
        for column, kind in columns.items()
    )
    cursor.execute(f"CREATE TABLE {quote(name)} ({written})")


def must_be_duckdb(cursor: duckdb.DuckDBPyConnection) -> None:
    """Refuse to keep rows and journal in what ``USE`` has led to, if that is no DuckDB database.

    Raises:
        StorageError: Says what to do instead.
    """
    row = only_row(
        cursor, "SELECT database_name, type FROM duckdb_databases() WHERE database_name = current_database()"
    )
    if row and row[1] != "duckdb":
        raise StorageError(
            f"The connection's default catalog {row[0]!r} is a {row[1]} database, where nothing can be staged: USE a "
            "DuckDB database, and name the other one as the target: into=mixpanel_duckdb.Target(...) (--into)."
        )
