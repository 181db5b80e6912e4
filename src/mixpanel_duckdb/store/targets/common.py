"""What engines have in common that keep comments and rows as DuckDB does, and what is told apart among what differs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import ClassVar

import duckdb

from ..database import COLUMNS, is_named, literal, only_row
from ..tables import Rows, exchange, has_keys, hindrance
from .kind import Place
from .target import Target

__all__ = ["ALIAS", "POLL", "Attached", "detach", "is_in_use", "told_of_replaced"]

POLL = 0.2
# How our own names of attached databases begin.
ALIAS = "_mixpanel_target_"
# What this process has detached is held until every transaction that has looked at the catalog meanwhile is over. The
# last ones are what PostgreSQL says where two make the tables of one DuckLake's catalog at once.
_IN_USE = (
    f'already attached by database "{ALIAS}', "lock on file", "database is locked",
    "duplicate key value", "concurrently updated", 'relation "ducklake_',
)  # fmt: skip


class Attached:
    """What engines have in common that keep comments and rows as DuckDB does; for DuckDB itself that is all.

    A database that another process has attached is waited for.
    """

    type: ClassVar[str] = "duckdb"
    schema: ClassVar[str] = "main"
    extensions: ClassVar[tuple[str, ...]] = ()
    is_made_by_attaching: ClassVar[bool] = True

    def statement(self, target: Target, alias: str, *, read_only: bool) -> str:
        """Write the statement that attaches a target."""
        raise NotImplementedError

    def exists(self, _: Target) -> bool:
        """Whether there is anything to be checked: what is attached is made, or must be there."""
        return True

    @contextmanager
    def attached(
        self, cursor: duckdb.DuckDBPyConnection, target: Target, alias: str, *, writing: bool
    ) -> Iterator[str | None]:
        """Attach it, and detach it again."""
        self.attach(cursor, self.statement(target, alias, read_only=not writing), target)
        try:
            yield None
        finally:
            detach(cursor, alias)

    def attach(self, cursor: duckdb.DuckDBPyConnection, statement: str, target: Target) -> None:
        """Attach it as soon as it can be had, as long as the target is to be waited for."""
        deadline = time.monotonic() + target.lock_wait
        while True:
            try:
                cursor.execute(statement)
            except duckdb.Error as error:
                if not is_in_use(error) or time.monotonic() > deadline:
                    raise
                target.pause(POLL)
            else:
                return

    def lock(self, cursor: duckdb.DuckDBPyConnection, place: Place, _: float) -> None:
        """Do nothing: whoever commits a comment later than somebody else, fails."""

    def is_conflict(self, error: duckdb.Error) -> bool:
        """Whether another transaction was first."""
        return isinstance(error, duckdb.TransactionException) or "conflict" in str(error).lower()

    def columns(self, cursor: duckdb.DuckDBPyConnection, place: Place) -> dict[str, str]:
        """Give the columns of a table with their types, none if it is not there; for a view, one without a name."""
        where = f"WHERE database_name = $1 AND {is_named('schema_name', '$2')} AND {is_named('{}_name', '$3')}"
        key = [place.catalog, place.schema, place.table]
        if only_row(cursor, f"SELECT 1 FROM duckdb_views() {where.replace('{}', 'view')}", key):
            return {"": "view"}
        rows = cursor.execute(
            f"SELECT column_name, data_type FROM duckdb_columns() {where.replace('{}', 'table')} "
            "ORDER BY column_index ASC",
            key,
        ).fetchall()
        return dict(rows)

    def comment(self, cursor: duckdb.DuckDBPyConnection, place: Place) -> str | None:
        """Read the comment on a table or view."""
        kinds = (
            f"SELECT comment FROM duckdb_{kind}s() WHERE database_name = $1 AND {is_named('schema_name', '$2')} AND "
            f"{is_named(f'{kind}_name', '$3')}"
            for kind in ("table", "view")
        )
        row = only_row(cursor, " UNION ALL ".join(kinds), [place.catalog, place.schema, place.table])
        return row[0] if row else None

    def set_comment(self, cursor: duckdb.DuckDBPyConnection, place: Place, text: str) -> None:
        """Write that on a table."""
        cursor.execute(f"COMMENT ON TABLE {place.sql} IS {literal(text)}")

    def incoming(self, staging: str, columns: Mapping[str, str] = COLUMNS) -> str:
        """Write the query for the staged rows."""
        return f"SELECT {', '.join(columns)} FROM {staging}"

    def replaced_characters(self, _: duckdb.DuckDBPyConnection, __: str, ___: Mapping[str, str] = COLUMNS) -> int:
        """Count none: these engines hold what DuckDB holds."""
        return 0

    def exchange(self, cursor: duckdb.DuckDBPyConnection, place: Place, incoming: str) -> None:
        """Make rows the same that differ."""
        exchange(cursor, place.sql, incoming, keyed=has_keys(cursor, place.table, place.here))

    def hindrance(self, cursor: duckdb.DuckDBPyConnection, place: Place, rows: Rows) -> str | None:
        """Name what may refuse rows at the end."""
        return hindrance(cursor, place.table, rows, place.here)

    def set_view(self, cursor: duckdb.DuckDBPyConnection, place: Place, query: str, comment: str) -> None:
        """Make the view; its tables are found where it is, whatever the catalog is called elsewhere."""
        cursor.execute(f"CREATE OR REPLACE VIEW {place.sql} AS {query}")
        cursor.execute(f"COMMENT ON VIEW {place.sql} IS {literal(comment)}")


def told_of_replaced(characters: int) -> tuple[str, ...]:
    """Say that characters are others in the target."""
    return (f"{characters:,} NUL characters, which the target cannot hold, are U+FFFD there.",) if characters else ()


def is_in_use(error: duckdb.Error) -> bool:
    """Whether somebody else has a file open, or is making a catalog, so that it may be had later."""
    return any(words in str(error).lower() for words in _IN_USE)


def detach(cursor: duckdb.DuckDBPyConnection, alias: str) -> None:
    """Leave nothing behind, whatever has happened."""
    with suppress(duckdb.Error):
        cursor.execute("ROLLBACK")
    with suppress(duckdb.Error):
        cursor.execute(f"DETACH {alias}")
