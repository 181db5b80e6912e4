r"""A PostgreSQL database.

Its ``text`` holds no NUL, and a ``\u0000`` inside ``json`` would make later queries fail: both become U+FFFD. Changed
rows go into a table of their own first, then one DELETE and one INSERT on the server: readers are never blocked, and
views and grants stay.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import duckdb

from ..database import COLUMNS, literal, only_row, quote
from ..tables import DIFFERING, rows_of
from .common import Attached, differing, rewrite
from .kind import Place
from .target import Target

__all__ = ["Postgres"]

_COLUMNS = ", ".join(COLUMNS)
# Written where an escaped backslash stood, so that what is behind one is not taken for an escape: no JSON text has it.
_MARK = "chr(1)"
_NUL = "'\\u0000'"
_UNESCAPED = f"replace(properties::VARCHAR, '\\\\', {_MARK})"
# What the server says when another transaction was first.
_CONFLICTS = ("could not serialize", "already exists", "duplicate key value", "deadlock detected")


class Postgres(Attached):
    """See ``Kind``. Writers of a table wait for one another."""

    type: ClassVar[str] = "postgres"
    schema: ClassVar[str] = "public"
    extensions: ClassVar[tuple[str, ...]] = ("postgres_scanner",)

    def statement(self, target: Target, alias: str, *, read_only: bool) -> str:
        """Write the statement that attaches a target."""
        text = target.name.split(":", 1)[1]
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
        """Give them as the server has them now, which tells tables from views, unlike DuckDB of what is attached."""
        text = (
            "SELECT attname::text, CASE WHEN relkind NOT IN ('r', 'p') THEN 'view' WHEN atttypid IN ('json'::regtype, "
            "'jsonb'::regtype) THEN 'JSON' WHEN atttypid IN ('text'::regtype, 'varchar'::regtype) THEN 'VARCHAR' WHEN "
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

    def incoming(self, staging: str) -> str:
        """Write the query for the staged rows, without what PostgreSQL cannot hold."""
        replaced = f"replace(replace({_UNESCAPED}, {_NUL}, '\\ufffd'), {_MARK}, '\\\\')"
        return (
            "SELECT replace(distinct_id, chr(0), chr(65533)) AS distinct_id, CASE WHEN "
            f"contains(properties::VARCHAR, {_NUL}) THEN {replaced}::JSON ELSE properties END AS properties, "
            f"last_seen FROM {staging}"
        )

    def replaced_characters(self, cursor: duckdb.DuckDBPyConnection, staging: str) -> int:
        """Count what ``incoming`` replaces."""
        row = only_row(
            cursor,
            "SELECT coalesce(sum(length(distinct_id) - length(replace(distinct_id, chr(0), ''))), 0) + "
            f"(SELECT coalesce(sum(length(string_split({_UNESCAPED}, {_NUL})) - 1), 0) FROM {staging} "
            f"WHERE contains(properties::VARCHAR, {_NUL})) FROM {staging}",
        )
        return int(row[0]) if row else 0

    def exchange(self, cursor: duckdb.DuckDBPyConnection, place: Place, incoming: str) -> None:
        """Make rows the same that differ."""
        come, go, several, nameless = differing(cursor)
        if come or go or several:
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
            rewrite(cursor, place, incoming, rows_of("differs")[1])

    def set_view(self, cursor: duckdb.DuckDBPyConnection, place: Place, query: str, comment: str) -> None:
        """Make the view on the server."""
        _execute(cursor, place, f"CREATE OR REPLACE VIEW {_name(place)} AS {query}")
        _execute(cursor, place, f"COMMENT ON VIEW {_name(place)} IS {literal(comment)}")


def _execute(cursor: duckdb.DuckDBPyConnection, place: Place, statement: str) -> None:
    cursor.execute(f"CALL postgres_execute({literal(place.catalog)}, {literal(statement)})").fetchall()


def _asked(cursor: duckdb.DuckDBPyConnection, place: Place, query: str) -> list[tuple[Any, ...]]:
    return cursor.execute(f"FROM postgres_query({literal(place.catalog)}, {literal(query)})").fetchall()


def _name(place: Place) -> str:
    return f"{quote(place.schema)}.{quote(place.table)}"
