"""Check, publish, read back: what is the same for every kind of target.

A target's transaction comes first, the journal's second. Between the two a run may be killed: the next one finds the id
of its own fetch in the table's comment, and has nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import duckdb

from ...errors import QueryError, TableExistsError, UnsuitableTableError
from ..database import COLUMNS, Tuning, atomic, only_row, quote
from ..journal import HOLDINGS, FetchSpec, OpenFetch, forget_holdings, holdings_of
from ..tables import (
    DIFFERING,
    PREFIX,
    PROFILES,
    Changes,
    Marker,
    Terms,
    check_holding,
    count_changes,
    differing,
    find_changes,
    is_covered,
    would_shrink,
)
from .attached import Attachment, again_and_again, attached, in_our_words, kind_of, prepared, set_up
from .common import told_of_replaced
from .kind import Kind, Place
from .staged import are_one, within_reach
from .target import Target
from .union_view import VIEW_PREFIX, check_view, make_view

__all__ = [
    "Published",
    "check_into",
    "check_writable",
    "publish_into",
    "reader_of",
    "refuse_itself",
]

_COLUMNS = ", ".join(COLUMNS)
# What DuckDB calls a column of this kind in an engine that has no such type.
_ALSO = {"properties": {"JSON", "VARCHAR"}}
# Of DuckDB. A lake's writer and its reader hold a row group: of 122,880 profiles of 1 KB, the first has to have 320 MB
# and the second 230; of those that our own tables are made of, several writers together have to have 200.
_TO_MAKE_BY_SEVERAL, _TO_MAKE, _TO_READ = "250MB", "400MB", "250MB"


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a publish.

    Args:
        changes: What it changed.
        shrinks_from: Rows of the table that it was held back from replacing by fewer than half of them.
        replaced_characters: Characters that the target cannot hold.
        notices: What is to be said.
    """

    changes: Changes = field(default_factory=Changes)
    shrinks_from: int | None = None
    replaced_characters: int = 0
    notices: tuple[str, ...] = ()


def check_into(
    cursor: duckdb.DuckDBPyConnection, target: Target, spec: FetchSpec, terms: Terms, going_on: str | None
) -> str | None:
    """Refuse, before anything is requested, what could not be published at the end, or should not be.

    Args:
        cursor: To the database of the staging table, with no transaction open.
        target: Where to publish.
        spec: What is fetched.
        terms: What may happen to an existing table.
        going_on: The unfinished fetch that is gone on with: it may have been published already.

    Returns:
        What is to be said before anything is requested.

    Raises:
        TableExistsError: The table exists and is to be left alone.
        UnsuitableTableError: It is no table of profiles, somebody else's, or holds something else.
        ConfigurationError: The target cannot be attached as it is named.
        DuckDB's own errors: It cannot be reached.
    """
    kind = kind_of(target)
    if not kind.exists(target):
        with prepared(cursor, target.setup, target.name, kind.extensions):
            return None
    with attached(cursor, target, writing=kind.is_made_by_attaching) as site:
        refuse_itself(cursor, site)
        check_writable(site, target)
        if target.union_view is not None:
            check_view(site.cursor, site.kind, site.place(target, target.union_view))
        return _check(site.cursor, site.kind, site.place(target, spec.table), spec, terms, going_on)


def publish_into(
    cursor: duckdb.DuckDBPyConnection,
    target: Target,
    fetch: OpenFetch,
    terms: Terms,
    staging: str,
    tuning: Tuning,
) -> Published:
    """Make the staged rows the table of a target, in one transaction of its own.

    Args:
        cursor: To the database of the staging table, with no transaction open.
        target: Where to publish.
        fetch: Complete.
        terms: What may happen to an existing table.
        staging: Its staging table, or a query in brackets, for statements.
        tuning: Of the database.
    """
    with attached(cursor, target, writing=True) as site, within_reach(cursor, site.cursor, staging) as rows:
        publish = _Publish(site, site.place(target, fetch.spec.table), fetch, terms, rows, target, tuning)
        outcome = again_and_again(site, publish.once)
        if target.union_view is not None and outcome.shrinks_from is None:
            view = site.place(target, target.union_view)
            again_and_again(site, lambda: make_view(site.cursor, site.kind, view))
        return outcome


def reader_of(target: Target) -> Callable[[], duckdb.DuckDBPyConnection]:
    """Give a way to connect to a target, for reading what was published."""
    return partial(in_our_words, f"read {target.name}", partial(_connect, target))


def _connect(target: Target) -> duckdb.DuckDBPyConnection:
    kind = kind_of(target)
    if target.connection is not None:
        cursor, catalog = target.connection.cursor(), quote(target.name)
    else:
        cursor, catalog = duckdb.connect(), "target"
        set_up(cursor, target.setup)
        cursor.execute(kind.statement(target, catalog, read_only=True))
    cursor.execute(f"USE {catalog}.{quote(target.schema or kind.schema)}")
    return cursor


def refuse_itself(cursor: duckdb.DuckDBPyConnection, site: Attachment) -> None:
    """Refuse a target that is the database of the rows."""
    row = only_row(cursor, "SELECT current_database()")
    if row == (site.catalog,) and are_one(cursor, site.cursor):
        raise QueryError(f"The target {site.catalog!r} is the database itself; leave it out.")


def check_writable(site: Attachment, target: Target) -> None:
    """Refuse a target that can only be read."""
    row = only_row(site.cursor, "SELECT readonly FROM duckdb_databases() WHERE database_name = ?", [site.catalog])
    if row and row[0] and (target.connection is not None or site.kind.is_made_by_attaching):
        raise UnsuitableTableError("The target can only be read; --into needs one that can be written.")


def _check(
    cursor: duckdb.DuckDBPyConnection,
    kind: Kind,
    place: Place,
    spec: FetchSpec,
    terms: Terms,
    going_on: str | None,
) -> str | None:
    if not (columns := kind.columns(cursor, place)):
        return None
    comment = kind.comment(cursor, place)
    marker = Marker.of(comment, spec.table)
    if marker and marker.fetch_id == going_on:
        return None
    if terms.if_exists == "error":
        raise TableExistsError(spec.table)
    named = f"{spec.table!r} of the target"
    if comment and marker is None:
        raise UnsuitableTableError(f"{named} {_what_else(comment)}")
    if list(columns) != list(COLUMNS) or any(
        kind_ not in _ALSO.get(name, {COLUMNS[name]}) for name, kind_ in columns.items()
    ):
        wanted = ", ".join(f"{name} {each}" for name, each in COLUMNS.items())
        raise UnsuitableTableError(f"{named} is a view, or its columns are not ({wanted}). Choose another table.")
    if (what := kind.hindrance(cursor, place, PROFILES)) is not None:
        raise UnsuitableTableError(f"{named}: its {what} may refuse profiles. Drop that, or choose another table.")
    journal = _journal(cursor, kind, place)
    held = holdings_of(cursor, place.table, journal) if journal else []
    return check_holding([*(marker.holds if marker else ()), *held], spec, terms)


def _journal(cursor: duckdb.DuckDBPyConnection, kind: Kind, place: Place) -> str | None:
    """Find where a database that is fetched into directly, too, notes what its tables hold."""
    journal = replace(place, table=HOLDINGS)
    return journal.sql if kind.columns(cursor, journal) else None


def _what_else(comment: str) -> str:
    """Say of a table whose comment is not that of published profiles what it is."""
    if comment.startswith(VIEW_PREFIX):
        return "is a view over several published tables; choose another table."
    if comment.startswith(PREFIX):
        return "holds something else than profiles that this package has published, events for one; choose another."
    return (
        "has a comment that is not this package's, which would be lost: it marks what was published. Remove it, or "
        "choose another table."
    )


@dataclass(frozen=True, slots=True)
class _Publish:
    """One publish, which may take several tries."""

    site: Attachment
    place: Place
    fetch: OpenFetch
    terms: Terms
    staging: str
    target: Target
    tuning: Tuning

    def once(self) -> Published:
        """Try it, and a table that is not there with several threads, unless these need too much memory."""
        if self.site.kind.columns(self.site.cursor, self.place):
            return self._in_one_transaction(there=True)
        with suppress(duckdb.OutOfMemoryException), self.tuning.all_threads(), self.tuning.within(_TO_MAKE_BY_SEVERAL):
            return self._in_one_transaction(there=False)
        with self.tuning.within(_TO_MAKE):
            return self._in_one_transaction(there=False)

    def _in_one_transaction(self, *, there: bool) -> Published:
        """Try it; a table that was there before is locked, which has to come first in the transaction."""
        cursor, kind, place = self.site.cursor, self.site.kind, self.place
        with atomic(cursor):
            if there:
                kind.lock(cursor, place, self.target.lock_wait)
            outcome = self._replaced_or_merged() if kind.columns(cursor, place) else self._made()
            cursor.execute(f"DROP TABLE IF EXISTS {DIFFERING}")
            return outcome

    def _made(self) -> Published:
        cursor, place = self.site.cursor, self.place
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(place.catalog)}.{quote(place.schema)}")
        cursor.execute(f"CREATE TABLE {place.sql} AS SELECT {_COLUMNS} FROM ({self.site.kind.incoming(self.staging)})")
        return self._marked((), Changes(_count(cursor, place.sql), 0, 0, 0), ())

    def _replaced_or_merged(self) -> Published:
        cursor, kind, place, terms, fetch = self.site.cursor, self.site.kind, self.place, self.terms, self.fetch
        marker = Marker.of(kind.comment(cursor, place), fetch.spec.table)
        if marker and (marker.fetch_id, marker.staging) == (fetch.fetch_id, fetch.staging):
            return Published(marker.changes)
        notice = _check(cursor, kind, place, fetch.spec, terms, fetch.fetch_id)
        if (many := would_shrink(cursor, place.sql, _count(cursor, self.staging), terms)) is not None:
            return Published(shrinks_from=many)
        incoming = kind.incoming(self.staging)
        reading = partial(self.tuning.within, _TO_READ, large_pieces=True)
        with reading():
            rows, between = f"({incoming})", self.tuning.give_memory_back
            find_changes(cursor, place.sql, rows, merging=terms.merging, between=between)
            changes = count_changes(cursor, place.sql, rows)
        # Rows without an id are found by their properties; nothing else that is changed has to be read as a whole.
        with reading() if differing(cursor).nameless else nullcontext():
            kind.exchange(cursor, place, incoming)
        before = marker.holds if marker and terms.merging else ()
        return self._marked(before, changes, (notice,) if notice else ())

    def _marked(self, before: tuple[FetchSpec, ...], changes: Changes, notices: tuple[str, ...]) -> Published:
        cursor, kind, spec = self.site.cursor, self.site.kind, self.fetch.spec
        if not self.terms.merging and (journal := _journal(cursor, kind, self.place)):
            forget_holdings(cursor, self.place.table, journal)
        holds = before if is_covered(before, spec) else (*before, spec)
        replaced = kind.replaced_characters(self.site.cursor, self.staging)
        notices += told_of_replaced(replaced)
        marker = Marker(self.fetch.fetch_id, self.fetch.staging, holds, changes)
        kind.set_comment(cursor, self.place, marker.text)
        if self.site.notice:
            notices += (self.site.notice,)
        return Published(changes, None, replaced, notices)


def _count(cursor: duckdb.DuckDBPyConnection, rows: str) -> int:
    row = only_row(cursor, f"SELECT count(*) FROM {rows}")
    return int(row[0]) if row else 0
