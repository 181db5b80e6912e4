"""What engines have in common that keep comments and rows as DuckDB does, and what is told apart among what differs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import ClassVar, NamedTuple

import duckdb

from ..database import COLUMNS, is_named, literal, only_row
from ..tables import DIFFERING, rows_of
from .kind import Place
from .target import Target

__all__ = ["ALIAS", "POLL", "Attached", "detach", "differing", "is_in_use", "rewrite", "told_of_replaced", "update"]

POLL = 0.2
# How our own names of attached databases begin.
ALIAS = "_mixpanel_target_"
# An id of one row at most, before and now: the usual one.
_ALONE = "(id IS NOT NULL AND rows_before < 2 AND rows_now < 2)"
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
        """Delete what differs, and insert what takes its place: texts that are updated are in memory until the end.

        Where keys or an index are on the table, it is updated all the same: DuckDB 1.5 refuses a key that comes back in
        the same transaction, or does not find it any more after a crash.
        """
        if _has_keys(cursor, place):
            update(cursor, place, incoming)
            return
        for many, rows in zip(differing(cursor), rows_of("differs"), strict=True):
            if many:
                rewrite(cursor, place, incoming, rows)

    def set_view(self, cursor: duckdb.DuckDBPyConnection, place: Place, query: str, comment: str) -> None:
        """Make the view; its tables are found where it is, whatever the catalog is called elsewhere."""
        cursor.execute(f"CREATE OR REPLACE VIEW {place.sql} AS {query}")
        cursor.execute(f"COMMENT ON VIEW {place.sql} IS {literal(comment)}")


class Differing(NamedTuple):
    """How many ids have rows that differ, and how many rows without an id do."""

    named: int
    nameless: int


def differing(cursor: duckdb.DuckDBPyConnection, more: str = "true") -> Differing:
    """Count what ``find_changes`` has found to differ, as far as more can be said of it."""
    row = only_row(cursor, f"SELECT count(id), count(*) - count(id) FROM {DIFFERING} WHERE differs AND {more}")
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    return Differing(*row)


def update(cursor: duckdb.DuckDBPyConnection, place: Place, incoming: str) -> None:
    """Update what changed, insert what is new, delete what is gone, each row by itself where an id has one."""
    alone = f"FROM {DIFFERING} WHERE differs AND {_ALONE} AND rows_now"
    if differing(cursor, f"{_ALONE} AND rows_now = 1").named:
        cursor.execute(
            f"MERGE INTO {place.sql} AS old USING (SELECT * FROM ({incoming}) WHERE encode(distinct_id) IN "
            f"(SELECT id {alone} = 1)) AS new ON encode(old.distinct_id) = encode(new.distinct_id) "
            "WHEN MATCHED THEN UPDATE SET properties = new.properties, last_seen = new.last_seen "
            "WHEN NOT MATCHED THEN INSERT (distinct_id, properties, last_seen) "
            "VALUES (new.distinct_id, new.properties, new.last_seen)"
        )
    if differing(cursor, f"{_ALONE} AND rows_now = 0").named:
        cursor.execute(f"DELETE FROM {place.sql} WHERE encode(distinct_id) IN (SELECT id {alone} = 0)")
    others = f"NOT {_ALONE}"
    for many, rows in zip(differing(cursor, others), rows_of(f"differs AND {others}"), strict=True):
        if many:
            rewrite(cursor, place, incoming, rows)


def _has_keys(cursor: duckdb.DuckDBPyConnection, place: Place) -> bool:
    here = f"database_name = $1 AND {is_named('schema_name', '$2')} AND {is_named('table_name', '$3')}"
    sql = f"SELECT 1 FROM duckdb_indexes() WHERE {here} UNION ALL SELECT 1 FROM duckdb_constraints() WHERE {here}"
    return only_row(cursor, f"FROM ({sql}) LIMIT 1", [place.catalog, place.schema, place.table]) is not None


def rewrite(cursor: duckdb.DuckDBPyConnection, place: Place, incoming: str, rows: str) -> None:
    """Delete rows, and insert those that take their place."""
    columns = ", ".join(COLUMNS)
    cursor.execute(f"DELETE FROM {place.sql} WHERE {rows}")
    cursor.execute(f"INSERT INTO {place.sql} ({columns}) SELECT {columns} FROM ({incoming}) WHERE {rows}")


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
