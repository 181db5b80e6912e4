"""What a table must be to be replaced or merged into, asked before the first request and once more at the end.

Merging deletes and inserts rows in one transaction. What could refuse some profile then, or any row twice, is refused
at once: nobody knows the profiles before they are there, and they would have been fetched for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import duckdb

from ...errors import TableExistsError, UnsuitableTableError
from ..database import COLUMNS, EVENT_COLUMNS, columns_of, existing, is_named, only_row
from .terms import IfExists, Terms
from .versions import VERSION_COLUMNS

__all__ = ["EVENTS", "PROFILES", "Rows", "check_target", "has_keys", "hindrance", "losses", "would_shrink"]

# A table of so many rows is not replaced by fewer than half of them unless that is allowed.
_WORTH_KEEPING = 1000
_MOST_NAMES = 8
_HERE = "database_name = current_database() AND schema_name = current_schema()"


class Rows(NamedTuple):
    """What is sure of rows before they are there: columns that have a value in each, and a column unlike in all."""

    filled: tuple[str, ...] = ()
    key: str | None = None


PROFILES = Rows(("properties",), "distinct_id")
EVENTS = Rows()


class _Constraint(NamedTuple):
    kind: str
    text: str
    columns: list[str]


def check_target(cursor: duckdb.DuckDBPyConnection, table: str, if_exists: IfExists) -> None:
    """Refuse a table that could not be published at the end.

    Raises:
        TableExistsError: The table exists and ``if_exists`` is ``"error"``.
        UnsuitableTableError: A view, a history or a table of events has that name, a foreign key points to the table,
            or a table to merge into has other columns, or constraints that profiles may break.
    """
    found = existing(cursor, table)
    if found is None:
        return
    if found.kind == "view":
        raise UnsuitableTableError(f"{table!r} is a view; choose another table name.")
    if if_exists == "error":
        raise TableExistsError(table)
    columns = columns_of(cursor, table)
    if columns == EVENT_COLUMNS:
        raise UnsuitableTableError(
            f"{table!r} holds events, and profiles do not go into it; choose another table name."
        )
    if columns == VERSION_COLUMNS:
        raise UnsuitableTableError(f"{table!r} is the history of a table; choose another table name.")
    if key := _pointed_to_by(cursor, table, _HERE):
        raise UnsuitableTableError(
            f"Cannot {if_exists} {table!r}: a {key} points to it, so that its rows cannot be exchanged. Choose another "
            "table name, or drop that key."
        )
    if if_exists == "merge":
        _check_merge(cursor, table)


def losses(cursor: duckdb.DuckDBPyConnection, table: str) -> str | None:
    """Say what a table has that the one which replaces it will not have; ``None`` if there is nothing."""
    extra = [f"column {name!r}" for name in columns_of(cursor, table) if name not in COLUMNS]
    indexes = [f"index {name!r}" for name, _, _ in _indexes(cursor, table)]
    constraints = _constraints(cursor, table)
    keys = {tuple(each.columns) for each in constraints if each.kind == "PRIMARY KEY"}
    rules = [
        each.text if each.kind != "NOT NULL" else f"NOT NULL of {each.columns[0]!r}"
        for each in constraints
        if each.kind != "NOT NULL" or not any(each.columns[0] in key for key in keys)
    ]
    parts = [*extra, *indexes, *rules, *(["comments"] if _has_comments(cursor, table) else [])]
    if not parts:
        return None
    return f"Replacing {table!r} makes it anew; what was added to it will be gone: {_some(parts)}."


def _check_merge(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    if columns_of(cursor, table) != COLUMNS:
        wanted = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        raise UnsuitableTableError(
            f"Cannot merge into {table!r}: its columns are not ({wanted}). Choose another table."
        )
    if (what := hindrance(cursor, table, PROFILES)) is not None:
        raise UnsuitableTableError(
            f"Cannot merge into {table!r}: its {what} may refuse profiles. Drop that, or choose another table."
        )


def hindrance(cursor: duckdb.DuckDBPyConnection, table: str, rows: Rows, here: str = _HERE) -> str | None:
    """Name what may refuse rows at the end; a primary key of the ids does not, as they are unique.

    Args:
        cursor: To DuckDB.
        table: Its name.
        rows: What is sure of the rows.
        here: The condition on DuckDB's catalog that something is in the schema of the table.
    """
    constraints = _constraints(cursor, table, here)
    keyed = any(each.kind == "PRIMARY KEY" and each.columns == [rows.key] for each in constraints)
    for kind, text, columns in constraints:
        if kind == "NOT NULL":
            if columns[0] not in rows.filled and not (keyed and columns == [rows.key]):
                return f"{kind} of {columns[0]!r}"
        elif kind not in ("PRIMARY KEY", "UNIQUE") or columns != [rows.key]:
            return text
    for name, unique, expressions in _indexes(cursor, table, here):
        if unique and expressions != f"[{rows.key}]":
            return f"unique index {name!r}"
    return _pointed_to_by(cursor, table, here)


def has_keys(cursor: duckdb.DuckDBPyConnection, table: str, here: str = _HERE) -> bool:
    """Whether keys or an index are on a table, or anything else that looks at each row."""
    return bool(_constraints(cursor, table, here) or _indexes(cursor, table, here))


def _constraints(cursor: duckdb.DuckDBPyConnection, table: str, here: str = _HERE) -> list[_Constraint]:
    rows = cursor.execute(
        "SELECT constraint_type, constraint_text, constraint_column_names FROM duckdb_constraints() "
        f"WHERE {here} AND {is_named('table_name')} ORDER BY constraint_index ASC",
        [table],
    ).fetchall()
    return [_Constraint(*row) for row in rows]


def _indexes(cursor: duckdb.DuckDBPyConnection, table: str, here: str = _HERE) -> list[tuple[str, bool, str]]:
    """List those that were made by name, with what they are of."""
    return cursor.execute(
        "SELECT index_name, is_unique, expressions FROM duckdb_indexes() "
        f"WHERE {here} AND {is_named('table_name')} ORDER BY index_name ASC",
        [table],
    ).fetchall()


def _has_comments(cursor: duckdb.DuckDBPyConnection, table: str) -> bool:
    row = only_row(
        cursor,
        "SELECT count(*) FROM ("
        f"SELECT comment FROM duckdb_tables() WHERE {_HERE} AND {is_named('table_name', '$1')} UNION ALL "
        f"SELECT comment FROM duckdb_columns() WHERE {_HERE} AND {is_named('table_name', '$1')}"
        ") WHERE comment IS NOT NULL",
        [table],
    )
    return bool(row and row[0])


def _pointed_to_by(cursor: duckdb.DuckDBPyConnection, table: str, here: str) -> str | None:
    """Name a foreign key that points to a table: DuckDB neither drops it then nor deletes what is meant."""
    row = only_row(
        cursor,
        "SELECT table_name FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' "
        f"AND {here} AND {is_named('referenced_table')}",
        [table],
    )
    return f"foreign key of table {row[0]!r}" if row else None


def _some(parts: Iterable[str]) -> str:
    names = list(parts)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def would_shrink(cursor: duckdb.DuckDBPyConnection, table: str, rows: int, terms: Terms) -> int | None:
    """Give the rows of a table if replacing it would leave suspiciously few of them.

    Args:
        cursor: Where it is.
        table: The table, quoted for statements.
        rows: How many it would have.
        terms: What may happen to it.
    """
    if terms.allow_shrink or terms.merging:
        return None
    row = only_row(cursor, f"SELECT count(*) FROM {table}")
    return row[0] if row and row[0] >= _WORTH_KEEPING and 2 * rows < row[0] else None
