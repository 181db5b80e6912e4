r"""A PostgreSQL database.

Its ``text`` holds no NUL, and a ``\u0000`` inside ``json`` would make later queries fail: both become U+FFFD. Changed
rows go into a table of their own first, then one DELETE and one INSERT on the server: readers are never blocked, and
views and grants stay.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

import duckdb

from ..database import COLUMNS, literal, only_row, quote
from ..tables import DIFFERING, Rows, differing, rewrite, rows_of
from .common import Attached
from .kind import Place
from .target import Target

__all__ = ["Postgres"]

_COLUMNS = ", ".join(COLUMNS)
_TEXTS = ("VARCHAR", "JSON")
_NUL = "'\\u0000'"
# Written where an escaped backslash stood, so that what is behind one is not taken for an escape: no JSON text has it.
_MARK = "chr(1)"
# Of a unique index and the constraint behind it, the index is looked at; NOT NULL is a constraint since PostgreSQL 18.
_MAY_REFUSE = """
    WITH key AS (SELECT indexrelid AS id, indisprimary FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND
        attnum = indkey[0] WHERE indrelid = {table} AND indisunique AND indnkeyatts = 1 AND attname = '{key}')
    SELECT 'NOT NULL of ' || quote_literal(attname), attname::text FROM pg_attribute WHERE attrelid = {table}
        AND attnotnull AND attnum > 0 AND NOT (attname = '{key}' AND EXISTS (SELECT FROM key WHERE indisprimary))
    UNION ALL SELECT pg_get_constraintdef(oid), NULL FROM pg_constraint WHERE conrelid = {table}
        AND contype NOT IN ('n', 'p', 'u')
    UNION ALL SELECT 'unique index ' || quote_literal(relname), NULL FROM pg_index JOIN pg_class c ON c.oid = indexrelid
        WHERE indrelid = {table} AND indisunique AND indexrelid NOT IN (SELECT id FROM key)
    UNION ALL SELECT 'foreign key of table ' || quote_literal(relname), NULL FROM pg_constraint JOIN pg_class c
        ON c.oid = conrelid WHERE confrelid = {table} AND contype = 'f'
"""
# What the server says when another transaction was first.
_CONFLICTS = ("could not serialize", "already exists", "duplicate key value", "deadlock detected")


class Postgres(Attached):
    """See ``Kind``. Writers of a table wait for one another."""

    type: ClassVar[str] = "postgres"
    schema: ClassVar[str] = "public"
    extensions: ClassVar[tuple[str, ...]] = ("postgres_scanner",)

    def statement(self, target: Target, alias: str, *, read_only: bool) -> str:
        """Write the statement that attaches a target."""
        scheme, _, rest = target.name.partition(":")
        text = f"{scheme.lower()}:{rest}" if rest.startswith("//") else rest
        return f"ATTACH {literal(text)} AS {alias} (TYPE postgres{', READ_ONLY' if read_only else ''})"

    def lock(self, cursor: duckdb.DuckDBPyConnection, place: Place, seconds: float) -> None:
        """Let nobody else write the table until this transaction ends; readers go on.

        It has to be the first statement there: what a transaction sees is what was committed before its first query.
        """
        wait = f"SET LOCAL lock_timeout = {max(1, int(1000 * seconds))}"
        _execute(cursor, place, f"{wait}; LOCK TABLE {_name(place)} IN SHARE ROW EXCLUSIVE MODE")

    def is_conflict(self, error: duckdb.Error) -> bool:
        """Whether another transaction was first."""
        return any(words in str(error) for words in _CONFLICTS)

    def columns(self, cursor: duckdb.DuckDBPyConnection, place: Place) -> dict[str, str]:
        """Give them as the server has them now, which tells tables from views, unlike DuckDB of what is attached.

        ``jsonb`` is no JSON here: it does not keep a text as it came, and nearly all rows would differ each time.
        """
        text = (
            "SELECT attname::text, CASE WHEN relkind NOT IN ('r', 'p') THEN 'view' WHEN atttypid = 'json'::regtype "
            "THEN 'JSON' WHEN atttypid IN ('text'::regtype, 'varchar'::regtype) THEN 'VARCHAR' WHEN "
            "atttypid = 'timestamp'::regtype THEN 'TIMESTAMP' ELSE atttypid::regtype::text END FROM pg_attribute JOIN "
            f"pg_class ON pg_class.oid = attrelid WHERE attrelid = to_regclass({literal(_name(place))}) "
            "AND attnum > 0 AND NOT attisdropped ORDER BY attnum ASC"
        )
        return dict(_asked(cursor, place, text))

    def comment(self, cursor: duckdb.DuckDBPyConnection, place: Place) -> str | None:
        """Read the comment on a table or view."""
        rows = _asked(cursor, place, f"SELECT obj_description(to_regclass({literal(_name(place))}), 'pg_class')")
        return rows[0][0] if rows else None

    def set_comment(self, cursor: duckdb.DuckDBPyConnection, place: Place, text: str) -> None:
        """Write that on a table."""
        _execute(cursor, place, f"COMMENT ON TABLE {_name(place)} IS {literal(text)}")

    def incoming(self, staging: str, columns: Mapping[str, str] = COLUMNS) -> str:
        """Write the query for the staged rows, without what PostgreSQL cannot hold."""
        held = (f"{_without_nul(name, kind)} AS {name}" for name, kind in columns.items())
        return f"SELECT {', '.join(held)} FROM {staging}"

    def replaced_characters(
        self, cursor: duckdb.DuckDBPyConnection, staging: str, columns: Mapping[str, str] = COLUMNS
    ) -> int:
        """Count what ``incoming`` replaces."""
        counts = (f"coalesce(sum({_nuls(name, kind)}), 0)" for name, kind in columns.items() if kind in _TEXTS)
        row = only_row(cursor, f"SELECT {' + '.join(counts)} FROM {staging}")
        return int(row[0]) if row else 0

    def hindrance(self, cursor: duckdb.DuckDBPyConnection, place: Place, rows: Rows) -> str | None:
        """Name what may refuse rows at the end, as the server knows it."""
        found = _asked(cursor, place, _MAY_REFUSE.format(table=f"to_regclass({literal(_name(place))})", key=rows.key))
        return next((what for what, column in found if column not in rows.filled), None)

    def exchange(self, cursor: duckdb.DuckDBPyConnection, place: Place, incoming: str) -> None:
        """Make rows the same that differ."""
        named, nameless = differing(cursor)
        if named:
            helper = Place(place.catalog, place.schema, f"_mixpanel_incoming_{uuid.uuid4().hex[:12]}")
            cursor.execute(
                f"CREATE TABLE {helper.sql} AS SELECT decode(differing.id) AS id, new.* FROM {DIFFERING} AS differing "
                f"LEFT JOIN ({incoming}) AS new ON encode(new.distinct_id) = differing.id "
                "WHERE differing.differs AND differing.id IS NOT NULL"
            )
            name, ours = _name(place), _name(helper)
            _execute(cursor, place, f"DELETE FROM {name} USING {ours} AS h WHERE {name}.distinct_id = h.id")
            _execute(
                cursor,
                place,
                f"INSERT INTO {name} ({_COLUMNS}) SELECT {_COLUMNS} FROM {ours} WHERE distinct_id IS NOT NULL",
            )
            _execute(cursor, place, f"DROP TABLE {ours}")
        if nameless:
            rewrite(cursor, place.sql, incoming, rows_of("differs")[1])

    def set_view(self, cursor: duckdb.DuckDBPyConnection, place: Place, query: str, comment: str) -> None:
        """Make the view on the server."""
        _execute(cursor, place, f"CREATE OR REPLACE VIEW {_name(place)} AS {query}")
        _execute(cursor, place, f"COMMENT ON VIEW {_name(place)} IS {literal(comment)}")


def _without_nul(name: str, kind: str) -> str:
    """The term for a column as it can be held."""
    if kind == "VARCHAR":
        return f"replace({name}, chr(0), chr(65533))"
    if kind == "JSON":
        replaced = f"replace(replace({_unescaped(name)}, {_NUL}, '\\ufffd'), {_MARK}, '\\\\')"
        return f"CASE WHEN contains({name}::VARCHAR, {_NUL}) THEN {replaced}::JSON ELSE {name} END"
    return name


def _nuls(name: str, kind: str) -> str:
    """The term for how many NUL characters a text of it has."""
    if kind == "VARCHAR":
        return f"length({name}) - length(replace({name}, chr(0), ''))"
    return f"CASE WHEN contains({name}::VARCHAR, {_NUL}) THEN length(string_split({_unescaped(name)}, {_NUL})) - 1 END"


def _unescaped(name: str) -> str:
    return f"replace({name}::VARCHAR, '\\\\', {_MARK})"


def _execute(cursor: duckdb.DuckDBPyConnection, place: Place, statement: str) -> None:
    cursor.execute(f"CALL postgres_execute({literal(place.catalog)}, {literal(statement)})").fetchall()


def _asked(cursor: duckdb.DuckDBPyConnection, place: Place, query: str) -> list[tuple[Any, ...]]:
    return cursor.execute(f"FROM postgres_query({literal(place.catalog)}, {literal(query)})").fetchall()


def _name(place: Place) -> str:
    return f"{quote(place.schema)}.{quote(place.table)}"
