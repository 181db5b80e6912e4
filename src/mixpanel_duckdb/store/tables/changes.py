"""What a fetch changes in a table: which rows come, which are not the same any more, which go.

Both sides are read once. Of a row only its id and a hash of the rest are kept, which DuckDB puts on disk where memory
is short; what differs is left in a temporary table, from which it is counted, merged and kept as versions. A row
without an id is known by its properties: of several that say the same, only the number counts. Of several rows whose
ids are one as text, those that say the same on both sides are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from ..database import COLUMNS, columns_of, only_row

__all__ = ["DIFFERING", "SEVERAL", "Changes", "can_be_compared", "contents", "count_changes", "find_changes", "rows_of"]

# A row for each profile that is not the same on all sides; ``stays`` is the hash of what it will be, ``differs``
# whether the table has to change for that, ``turns`` whether its last version is another.
DIFFERING = "temp._mixpanel_differing"
# The ids of those of them that have several rows on one side.
SEVERAL = f"(SELECT id FROM {DIFFERING} WHERE id IS NOT NULL AND greatest(rows_before, rows_now, rows_version) > 1)"
# What is compared, where that is not done while it is read.
_APART = "temp._mixpanel_sides"


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows of a table before and after a fetch went into it; ``None`` where there is nothing to compare with.

    Args:
        added: Rows of profiles that it did not have.
        changed: Rows of profiles that are not what they were.
        removed: Rows of profiles that it has no more.
        unchanged: The others.
    """

    added: int | None = None
    changed: int | None = None
    removed: int | None = None
    unchanged: int | None = None


def can_be_compared(cursor: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether a table has the columns of profiles, and perhaps more."""
    return columns_of(cursor, table).items() >= COLUMNS.items()


def rows_of(predicate: str) -> tuple[str, str]:
    """Write which rows of a table belong to some of ``DIFFERING``: those with an id, and those without.

    They are two conditions for two statements, since only the second has to read properties.
    """
    meant = f"FROM {DIFFERING} WHERE {predicate} AND id IS"
    return (
        f"encode(distinct_id) IN (SELECT id {meant} NOT NULL)",
        f"distinct_id IS NULL AND hash(properties) IN (SELECT twin {meant} NULL)",
    )


def find_changes(
    cursor: duckdb.DuckDBPyConnection,
    before: str | None,
    now: str,
    *,
    merging: bool,
    versions: str | None = None,
    between: Callable[[], object] | None = None,
) -> None:
    """Leave what differs in ``DIFFERING``.

    Args:
        cursor: In a transaction.
        before: The table, quoted for statements, if there is one to compare with.
        now: What was fetched, one row a profile: a table, quoted, or a query in brackets.
        merging: Whether rows stay that were not fetched.
        versions: The table's history, quoted, whose open versions are compared with what will be.
        between: If given, the sides are read one after the other, the table first, and compared after that; this is
            called before and behind each of these steps, to take back the memory that others have left.
    """
    there = {"before": before, "now": now, "version": versions and f"{versions} WHERE valid_to IS NULL"}
    sides = {side: rows for side, rows in there.items() if rows}
    queries = [_side(each, sides) for each in sides]
    rows = f"({' UNION ALL '.join(queries)})" if between is None else _read_apart(cursor, queries, between)
    said = ", ".join(_said(side) if side in sides else f"NULL AS {side}, 0 AS rows_{side}" for side in there)
    stays, differs = ("coalesce(now, before)", "rows_now > 0 AND ") if merging else ("now", "")
    cursor.execute(f"""
        CREATE OR REPLACE TEMP TABLE {DIFFERING} AS FROM (
            SELECT *, {stays} AS stays, {differs} (rows_before <> rows_now OR before <> now) AS differs,
                   {f"version IS DISTINCT FROM {stays}" if versions else "false"} AS turns
            FROM (SELECT id, twin, {said} FROM {rows} GROUP BY id, twin))
        WHERE differs OR turns
    """)
    if between:
        cursor.execute(f"DROP TABLE {_APART}")
        between()


def _read_apart(cursor: duckdb.DuckDBPyConnection, queries: Sequence[str], between: Callable[[], object]) -> str:
    """Keep what is compared in a temporary table; give its name."""
    making = f"CREATE OR REPLACE TEMP TABLE {_APART} AS"
    for query in queries:
        between()
        cursor.execute(f"{making} {query}")
        making = f"INSERT INTO {_APART}"
    between()
    return _APART


def count_changes(cursor: duckdb.DuckDBPyConnection, before: str, now: str) -> Changes:
    """Count what :func:`find_changes` found, while the tables are as they were."""
    same = _same(cursor, before, now)
    counted = only_row(
        cursor,
        f"""
        SELECT coalesce(sum(is_now - paired), 0), coalesce(sum(paired) FILTER (now <> before), 0),
               coalesce(sum(was - paired), 0), (SELECT count(*) FROM {before})
        FROM (SELECT before, now, rows_before - same AS was, rows_now - same AS is_now, least(was, is_now) AS paired
              FROM (SELECT *, coalesce(map($1::BLOB[], $2::BIGINT[])[id], 0) AS same FROM {DIFFERING} WHERE differs))
        """,
        [list(same), list(same.values())],
    )
    assert counted is not None  # noqa: S101 - an aggregate without groups has one row
    added, changed, removed, rows = map(int, counted)
    return Changes(added, changed, removed, rows - changed - removed)


def _same(cursor: duckdb.DuckDBPyConnection, before: str, now: str) -> dict[bytes, int]:
    """Count the rows that say the same on both sides, by id, of the few ids that several rows have."""
    if only_row(cursor, f"SELECT 1 FROM {SEVERAL} LIMIT 1") is None:
        return {}
    sides = [f"SELECT id, said, count(*) AS rows FROM ({contents(table)}) GROUP BY ALL" for table in (before, now)]
    both = f"({sides[0]}) a JOIN ({sides[1]}) b USING (id, said)"
    return dict(cursor.execute(f"SELECT id, sum(least(a.rows, b.rows))::BIGINT FROM {both} GROUP BY id").fetchall())


def contents(rows: str) -> str:
    """Write the query for what the rows of those ids say, as a hash."""
    return (
        f"SELECT encode(distinct_id) AS id, hash(properties, last_seen) AS said FROM {rows} "
        f"WHERE encode(distinct_id) IN {SEVERAL}"
    )


def _side(side: str, sides: Mapping[str, str]) -> str:
    """The query for one side; ids are compared as bytes, whatever collation a column of the caller's has."""
    hashes = (f"{'hash(properties, last_seen)' if each == side else 'NULL::UBIGINT'} AS {each}" for each in sides)
    return (
        f"SELECT encode(distinct_id) AS id, CASE WHEN distinct_id IS NULL THEN hash(properties) END AS twin, "
        f"{', '.join(hashes)} FROM {sides[side]}"
    )


def _said(side: str) -> str:
    """The terms for what the rows of a profile say on one side; ids whose text is the same may have several."""
    return f"if(id IS NULL, max({side})::HUGEINT, sum({side})) AS {side}, count({side}) AS rows_{side}"
