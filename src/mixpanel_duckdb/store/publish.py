"""From a staging table to the table that was asked for, in one transaction, and only if it is complete.

Duplicates are looked for before anything is moved: without any, publishing renames the staging table and copies
nothing. Readers see the old table until the transaction commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb

from ..errors import TableExistsError, UnsuitableTableError
from .database import COLUMNS, columns_of, existing, only_row, quote

__all__ = ["IfExists", "StagedRows", "check_target", "count_staged", "create_staging", "one_row_each", "publish"]

IfExists = Literal["error", "replace", "merge"]
_NAMES_AT_ONCE = 500_000
# Bytes are told apart as they are, whatever collation the database or a column of the caller's table has.
_ID = "encode(distinct_id)"


@dataclass(frozen=True, slots=True)
class StagedRows:
    """What a staging table holds.

    Args:
        rows: All rows.
        distinct: Profiles: distinct ids, and every row without an id.
    """

    rows: int
    distinct: int

    @property
    def duplicates(self) -> int:
        """Rows that repeat a profile."""
        return self.rows - self.distinct


def create_staging(cursor: duckdb.DuckDBPyConnection, staging: str, *, zstd: bool) -> None:
    """Create a staging table, compressed with zstd where the file can hold it."""
    columns = ", ".join(
        f"{name} {kind}{' USING COMPRESSION zstd' if zstd and kind == 'JSON' else ''}" for name, kind in COLUMNS.items()
    )
    cursor.execute(f"CREATE TABLE {quote(staging)} ({columns})")


def check_target(cursor: duckdb.DuckDBPyConnection, table: str, if_exists: IfExists) -> None:
    """Refuse, before anything is requested, a table that could not be published at the end.

    Raises:
        TableExistsError: The table exists and ``if_exists`` is ``"error"``.
        UnsuitableTableError: A view has that name, a foreign key points to a table to replace, or a table to merge
            into has other columns.
    """
    found = existing(cursor, table)
    if found is None:
        return
    if found.kind == "view":
        raise UnsuitableTableError(f"{table!r} is a view; choose another table name.")
    if if_exists == "error":
        raise TableExistsError(table)
    if if_exists == "replace" and (key := _pointed_to_by(cursor, table)):
        raise UnsuitableTableError(
            f"Cannot replace {table!r}: a foreign key of table {key!r} points to it. Merge into it, or choose another "
            "table name."
        )
    if if_exists == "merge" and columns_of(cursor, table) != COLUMNS:
        wanted = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        raise UnsuitableTableError(
            f"Cannot merge into {table!r}: its columns are not ({wanted}). Choose another table."
        )


def count_staged(cursor: duckdb.DuckDBPyConnection, staging: str) -> StagedRows:
    """Count rows and distinct profiles; the latter in parts, so that the memory for it does not grow with the table."""
    (rows, named) = _one(cursor, f"SELECT count(*), count(distinct_id) FROM {quote(staging)}")
    parts = 1 + rows // _NAMES_AT_ONCE
    distinct = f"SELECT count(DISTINCT {_ID}) FROM {quote(staging)} WHERE hash({_ID}) % {parts} = "
    return StagedRows(rows, rows - named + sum(_one(cursor, f"{distinct}{part}")[0] for part in range(parts)))


def drop_duplicates(cursor: duckdb.DuckDBPyConnection, staging: str) -> None:
    """Keep one row a profile."""
    cursor.execute(f"DELETE FROM {quote(staging)} WHERE rowid IN ({_repeated(staging)})")


def one_row_each(staging: str) -> str:
    """Write the query for the rows that :func:`drop_duplicates` would leave."""
    return f"FROM {quote(staging)} WHERE rowid NOT IN ({_repeated(staging)})"


def _repeated(staging: str) -> str:
    """The query for all rows of a profile but one: the newest ``last_seen`` stays, else the one that came first."""
    name = quote(staging)
    return f"""
        SELECT rowid FROM {name}
        WHERE {_ID} IN (SELECT {_ID} FROM {name} WHERE distinct_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1)
        QUALIFY row_number() OVER (PARTITION BY {_ID} ORDER BY last_seen DESC NULLS LAST, rowid ASC) > 1
    """


def publish(cursor: duckdb.DuckDBPyConnection, staging: str, table: str, if_exists: IfExists) -> None:
    """Make the staged rows the table, inside the caller's transaction.

    Args:
        cursor: In a transaction.
        staging: Complete, without duplicates.
        table: Name to publish under.
        if_exists: ``"replace"`` swaps an existing table, ``"merge"`` updates and inserts into it.

    Raises:
        TableExistsError: The table has come into being since the run began, and ``if_exists`` is ``"error"``.
    """
    check_target(cursor, table, if_exists)
    target, source = quote(table), quote(staging)
    if if_exists == "merge" and existing(cursor, table):
        cursor.execute(f"DELETE FROM {target} WHERE {_ID} IN (SELECT {_ID} FROM {source})")
        # A row without an id is the same profile if it says the same: merging it twice must not double it.
        cursor.execute(
            f"DELETE FROM {target} WHERE distinct_id IS NULL "
            f"AND encode(properties) IN (SELECT encode(properties) FROM {source} WHERE distinct_id IS NULL)"
        )
        cursor.execute(f"INSERT INTO {target} BY NAME FROM {source}")
        cursor.execute(f"DROP TABLE {source}")
        return
    cursor.execute(f"DROP TABLE IF EXISTS {target}")
    cursor.execute(f"ALTER TABLE {source} RENAME TO {target}")


def _one(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    row = only_row(cursor, sql)
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    return row


def _pointed_to_by(cursor: duckdb.DuckDBPyConnection, table: str) -> str | None:
    """Name a table whose foreign key points to this one: DuckDB neither drops nor renames it then."""
    row = only_row(
        cursor,
        "SELECT table_name FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' "
        "AND database_name = current_database() AND schema_name = current_schema() "
        "AND lower(referenced_table) = lower(?)",
        [table],
    )
    return row[0] if row else None
