"""From a staging table to the table that was asked for, in one transaction, and only if it is complete.

Duplicates are looked for before anything is moved: without any, publishing renames the staging table and copies
nothing. Readers see the old table until the transaction commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb

from .database import COLUMNS, create_table, existing, only_row, quote
from .journal import FetchSpec, Journal, OpenFetch, hold, holdings_of
from .tables import (
    DIFFERING,
    Changes,
    Terms,
    can_be_compared,
    check_history,
    check_holding,
    check_target,
    count_changes,
    exchange,
    find_changes,
    has_keys,
    history_table,
    holdings_by_comment,
    is_covered,
    keep_versions,
    losses,
    would_shrink,
)

__all__ = [
    "Publication",
    "StagedRows",
    "check_publishable",
    "complete_staging",
    "count_staged",
    "create_staging",
    "named_by_none",
    "one_row_each",
    "publish",
    "without_repeated",
]

_NAMES_AT_ONCE = 500_000
# Bytes are told apart as they are, whatever collation the database or a column of the caller's table has.
_ID = "encode(distinct_id)"
LAST_SEEN = "$last_seen"
_COLUMNS = ", ".join(COLUMNS)
_REPEATED = "_mixpanel_repeated"


@dataclass(frozen=True, slots=True)
class StagedRows:
    """What a staging table holds.

    Args:
        rows: All rows.
        distinct: Profiles: distinct ids as the server sent them, and every row without an id.
        colliding: How many of them have an id that is another's as text: ``1`` and ``"1"``.
    """

    rows: int
    distinct: int
    colliding: int = 0

    @property
    def duplicates(self) -> int:
        """Rows that repeat a profile."""
        return self.rows - self.distinct


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of a fetch.

    Args:
        published: Whether its table has its rows now.
        shrinks_from: Rows of the table that it was held back from replacing by fewer than half of them.
        changes: What it changed in a table that was there.
        notices: What is to be said.
        refused: Why the target did not take it.
        replaced_characters: Characters that the target cannot hold, so that others took their place.
    """

    published: bool = False
    shrinks_from: int | None = None
    changes: Changes = field(default_factory=Changes)
    notices: tuple[str, ...] = ()
    refused: str | None = None
    replaced_characters: int = 0


def create_staging(cursor: duckdb.DuckDBPyConnection, staging: str, *, zstd: bool) -> None:
    """Create a staging table, compressed with zstd where the file can hold it.

    It has one column more than what it becomes: ``sent_as`` tells ids apart whose text is the same. It is NULL for an
    id that is a text, ``JSON`` for any other, and the text as it was sent where a character of it had to be replaced.
    """
    create_table(cursor, staging, {**COLUMNS, "sent_as": "VARCHAR"}, zstd=zstd)


def complete_staging(cursor: duckdb.DuckDBPyConnection, staging: str) -> None:
    """Give a staging table that an older version of this package made the column that it lacks."""
    cursor.execute(f"ALTER TABLE {quote(staging)} ADD COLUMN IF NOT EXISTS sent_as VARCHAR")


def count_staged(cursor: duckdb.DuckDBPyConnection, staging: str) -> StagedRows:
    """Count rows and distinct profiles; the latter in parts, so that the memory for it does not grow with the table."""
    (rows, named, others) = _one(cursor, f"SELECT count(*), count(distinct_id), count(sent_as) FROM {quote(staging)}")
    texts = _distinct(cursor, staging, _ID, rows)
    ids = _distinct(cursor, staging, f"({_ID}, sent_as)", rows) if others else texts
    return StagedRows(rows, rows - named + ids, ids - texts)


def _distinct(cursor: duckdb.DuckDBPyConnection, staging: str, what: str, rows: int) -> int:
    parts = 1 + rows // _NAMES_AT_ONCE
    counted = f"SELECT count(DISTINCT {what}) FROM {quote(staging)} WHERE distinct_id IS NOT NULL AND hash({_ID}) % "
    return sum(_one(cursor, f"{counted}{parts} = {part}")[0] for part in range(parts))


def _leave_one_row_each(cursor: duckdb.DuckDBPyConnection, staging: str, duplicates: int) -> None:
    """Take off the rows that repeat a profile, and ``sent_as``, which nobody needs any more."""
    name, repeated = quote(staging), quote(f"{staging}_repeated")
    if duplicates:
        cursor.execute(f"CREATE TEMP TABLE {repeated} AS {_repeated(name)}")
    # In this order: DuckDB 1.5 does not alter a table that it has deleted from in the same transaction.
    cursor.execute(f"ALTER TABLE {name} DROP COLUMN sent_as")
    if duplicates:
        cursor.execute(f"DELETE FROM {name} WHERE rowid IN (FROM {repeated})")
        cursor.execute(f"DROP TABLE {repeated}")


@contextmanager
def without_repeated(cursor: duckdb.DuckDBPyConnection, staging: str, duplicates: int) -> Iterator[str]:
    """Give the rows that :func:`one_row_each` names, for many statements of this cursor: it looks for the others once.

    Args:
        cursor: To the database of the staging table.
        staging: That, quoted for statements.
        duplicates: How many rows repeat a profile.
    """
    if not duplicates:
        yield staging
        return
    cursor.execute(f"CREATE TEMP TABLE {_REPEATED} AS {_repeated(staging)}")
    try:
        yield f"(SELECT {_COLUMNS} FROM {staging} WHERE rowid NOT IN (FROM temp.{_REPEATED}))"
    finally:
        cursor.execute(f"DROP TABLE temp.{_REPEATED}")


def one_row_each(staging: str) -> str:
    """Write the query for the rows of a staging table, quoted for statements, that :func:`publish` would leave."""
    return f"SELECT {_COLUMNS} FROM {staging} WHERE rowid NOT IN ({_repeated(staging)})"


def _repeated(name: str) -> str:
    """The query for all rows of a profile but one: the newest ``last_seen`` stays, else the one that came first."""
    return f"""
        SELECT rowid FROM {name}
        WHERE {_ID} IN (SELECT {_ID} FROM {name} WHERE distinct_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1)
        QUALIFY row_number() OVER (PARTITION BY {_ID}, sent_as ORDER BY last_seen DESC NULLS LAST, rowid ASC) > 1
    """


def check_publishable(cursor: duckdb.DuckDBPyConnection, spec: FetchSpec, terms: Terms) -> tuple[str, ...]:
    """Refuse, before anything is requested, what could not be published at the end, or should not be.

    Returns:
        What is to be said before anything is requested.

    Raises:
        TableExistsError: The table exists and is to be left alone.
        UnsuitableTableError: The table cannot take a fetch, or holds something else.
    """
    notices: list[str | None] = []
    if not spec.target:
        check_target(cursor, spec.table, terms.if_exists)
        if terms.keep_history:
            check_history(cursor, spec.table)
    if not spec.target and existing(cursor, spec.table):
        held = [*holdings_of(cursor, spec.table), *holdings_by_comment(cursor, spec.table)]
        notices.append(check_holding(held, spec, terms))
        notices.append(None if terms.merging else losses(cursor, spec.table))
    if spec.properties is not None and LAST_SEEN not in spec.properties:
        notices.append(f"Without {LAST_SEEN} among the output_properties, the column last_seen stays NULL.")
    return tuple(filter(None, notices))


def publish(
    cursor: duckdb.DuckDBPyConnection,
    fetch: OpenFetch,
    staged: StagedRows,
    terms: Terms,
    *,
    but: str | None,
    zstd: bool,
) -> Publication:
    """Make the staged rows the table, and the fetch complete, or hold it back.

    Args:
        cursor: In a transaction.
        fetch: Complete.
        staged: What its staging table holds; without duplicates nothing is rewritten.
        terms: What to do with an existing table.
        but: What is accepted though it is not as the server said.
        zstd: Whether the file can hold that compression.

    Raises:
        TableExistsError: The table has come into being since the run began, and is to be left alone.
        UnsuitableTableError: It cannot take the fetch any more.
    """
    journal, spec = Journal(cursor), fetch.spec
    check_target(cursor, spec.table, terms.if_exists)
    notices = named_by_none(cursor, fetch) if staged.rows else ()
    there = existing(cursor, spec.table) is not None
    if there and (many := would_shrink(cursor, quote(spec.table), staged.distinct, terms)) is not None:
        journal.closed(fetch.fetch_id, state="held", note=f"{staged.distinct:,} would replace {many:,} rows", pages=[])
        return Publication(shrinks_from=many, notices=notices)
    _leave_one_row_each(cursor, fetch.staging, staged.duplicates)
    changes = _put_in_place(cursor, fetch, terms, zstd=zstd)
    old = [each for each in journal.records(spec.table) if each.is_published and each.target == spec.target]
    journal.forget_history(old)
    journal.closed(fetch.fetch_id, state="complete" if but is None else "accepted", note=but, pages=[])
    return Publication(published=True, changes=changes, notices=notices)


def _put_in_place(cursor: duckdb.DuckDBPyConnection, fetch: OpenFetch, terms: Terms, *, zstd: bool) -> Changes:
    """Find what changes, swap or merge, and keep the versions."""
    spec, staging = fetch.spec, fetch.staging
    there = existing(cursor, spec.table) is not None
    before = quote(spec.table) if there and can_be_compared(cursor, spec.table) else None
    history = history_table(spec.table) if terms.keep_history else None
    versions = quote(history) if history and existing(cursor, history) else None
    changes = Changes()
    if before or versions:
        find_changes(cursor, before, quote(staging), merging=terms.merging, versions=versions)
        changes = count_changes(cursor, before, quote(staging)) if before else changes
    if there and terms.merging:
        _merge(cursor, staging, spec)
    else:
        _swap(cursor, staging, spec)
    if history:
        keep_versions(cursor, spec.table, zstd=zstd)
    cursor.execute(f"DROP TABLE IF EXISTS {DIFFERING}")
    return changes


def named_by_none(cursor: duckdb.DuckDBPyConnection, fetch: OpenFetch) -> tuple[str, ...]:
    """Say which properties were asked for by name that no staged profile has."""
    has = f"SELECT 1 FROM {quote(fetch.staging)} WHERE list_contains(json_keys(properties), ?) LIMIT 1"
    names = [name for name in fetch.spec.properties or () if name != "$distinct_id"]  # which has a column of its own
    nowhere = ", ".join(repr(name) for name in names if only_row(cursor, has, [name]) is None)
    return (f"No profile has a property of this name: {nowhere} (output_properties).",) if nowhere else ()


def _swap(cursor: duckdb.DuckDBPyConnection, staging: str, spec: FetchSpec) -> None:
    cursor.execute(f"DROP TABLE IF EXISTS {quote(spec.table)}")
    cursor.execute(f"ALTER TABLE {quote(staging)} RENAME TO {quote(spec.table)}")
    hold(cursor, spec, alone=True)


def _merge(cursor: duckdb.DuckDBPyConnection, staging: str, spec: FetchSpec) -> None:
    """Write the rows that differ, and no others; a row without an id is the same profile if it says the same."""
    source = quote(staging)
    exchange(cursor, quote(spec.table), f"FROM {source}", keyed=has_keys(cursor, spec.table))
    cursor.execute(f"DROP TABLE {source}")
    if not is_covered(holdings_of(cursor, spec.table), spec):
        hold(cursor, spec, alone=False)


def _one(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    row = only_row(cursor, sql)
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    return row
