"""``ProfileStore``: a DuckDB database that profiles are fetched into, and the fetches that it knows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Self

import duckdb

from ..arguments import check
from ..errors import QueryError, StorageError
from ..http import utc_now
from ..text import note
from . import targets
from .database import IN_MEMORY, Database, atomic, existing, must_exist, refuse_inherited, storage_errors
from .elsewhere import check_days_elsewhere, publish_days_elsewhere
from .events import EventFetching, EventTable, event_fetches, event_tables
from .fetching import Fetching
from .journal import Claim, FetchRecord, FetchSpec, Journal, OpenFetch, count_queries, queries_last_hour
from .overview import overview
from .sign import Sign
from .tables import ProfileChange, versions_changed
from .targets import Target

__all__ = ["ProfileStore"]


class ProfileStore(Fetching):
    """A DuckDB database for profiles; use it as a context manager, and in one thread at a time.

    Args:
        database: A path (created if missing), ``":memory:"``, or your own ``DuckDBPyConnection``, which is used
            through cursors and never closed.
        read_only: Open a file only to read it, beside others who do, also where nothing can be written.

    Raises:
        DatabaseLockedError: Another process has the file open.
        StorageError: The file cannot be opened.

    Example:
        >>> with ProfileStore(":memory:") as store:
        ...     store.fetches()
        []
    """

    def __init__(
        self, database: str | os.PathLike[str] | duckdb.DuckDBPyConnection = IN_MEMORY, *, read_only: bool = False
    ) -> None:
        check({"read_only": read_only})
        super().__init__(Database(database, read_only=read_only))
        self._in_use = threading.RLock()

    @classmethod
    def open_existing(
        cls, database: str | os.PathLike[str] | duckdb.DuckDBPyConnection, *, read_only: bool = False
    ) -> Self:
        """Open a database that must be there already.

        Raises:
            StorageError: There is no such file.
        """
        check({"read_only": read_only})
        if isinstance(database, str | os.PathLike):
            must_exist(database)
        return cls(database, read_only=read_only)

    def __repr__(self) -> str:
        return f"ProfileStore({self._database.path or 'a connection'!r})"

    def _repr_html_(self) -> str:
        """Show tables and fetches; through a cursor of its own, since a run may be using ours."""
        try:
            with storage_errors("look into the database"), self._database.cursor() as cursor:
                return note(repr(self)) + overview(cursor, Journal(cursor).told())
        except StorageError as error:
            return note(f"{self!r}: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database if it was opened here."""
        try:
            self._cursor.close()
        finally:
            self._database.close()

    @contextmanager
    def in_one_thread(self) -> Iterator[None]:
        """Keep a second thread out, whose transactions would get mixed up with ours.

        Raises:
            StorageError: Another thread is in here, or the store was opened before this process was forked.
        """
        with storage_errors("use the database"):
            refuse_inherited(self._cursor)
        if not self._in_use.acquire(blocking=False):
            raise StorageError("Another thread is fetching through this ProfileStore; give each thread one of its own.")
        try:
            yield
        finally:
            self._in_use.release()

    def events(self) -> EventFetching:
        """Give what fetches events into this database."""
        return EventFetching(self._database)

    def event_tables(self) -> list[EventTable]:
        """List the tables of events that this database has; any thread may call it."""
        with storage_errors("read the journal"), self._database.cursor() as cursor:
            return event_tables(cursor)

    def event_fetches(self) -> list[FetchRecord]:
        """List the last run into each table of events; any thread may call it."""
        with storage_errors("read the journal"), self._database.cursor() as cursor:
            return event_fetches(cursor)

    def check_days(self, spec: FetchSpec, into: Target) -> None:
        """Refuse a target that could not take days of events; see :class:`Target`."""
        check_days_elsewhere(self._database, into, spec)

    def publish_days(self, spec: FetchSpec, into: Target) -> targets.PublishedDays:
        """Publish the days of a table of events into a target, those that are newer here."""
        return publish_days_elsewhere(self._database, into, spec)

    def sign(self, fetch: OpenFetch) -> Sign:
        """Give what tells other processes of a run while it lasts."""
        return Sign(self._database.file, fetch)

    def reader(self, into: Target | None = None) -> Callable[[], duckdb.DuckDBPyConnection]:
        """Give a function that connects to the same database, for reading results after this store is closed.

        Args:
            into: The target that they were published into, if they were.
        """
        return self._database.reader() if into is None else targets.reader_of(into)

    def fetches(self, table: str | None = None) -> list[FetchRecord]:
        """List the fetches that this database knows, newest first; any thread may call it.

        Args:
            table: Only those for this table.
        """
        with storage_errors("read the journal"), self._database.cursor() as cursor:
            return Journal(cursor).told(table)

    def published(self, spec: FetchSpec) -> FetchRecord | None:
        """Find the fetch that a table was last published by, if it is of this spec; any thread may call it."""
        with storage_errors("read the journal"), self._database.cursor() as cursor:
            journal = Journal(cursor)
            known = journal.records(spec.table) if journal.exists() else []
            published = (each for each in known if each.is_published and each.target == spec.target)
            newest = max(published, key=lambda each: each.updated_at, default=None)
            if newest is None or not newest.is_of(spec):
                return None
            return newest if spec.target or existing(cursor, spec.table) else None

    def forget(self, which: Callable[[FetchRecord], bool], table: str | None = None) -> list[FetchRecord]:
        """Forget fetches, with the rows that wait for being published; any thread may call it.

        Args:
            which: Says of each fetch whether it goes; one that is running stays.
            table: Only fetches into this table.

        Returns:
            Those that are gone.
        """
        with storage_errors("forget a fetch"), Claim.alone(), self._database.cursor() as cursor, atomic(cursor):
            journal = Journal(cursor)
            gone = [each for each in journal.told(table) if each.state != "running" and which(each)]
            if gone:
                journal.forget(gone)
        return gone

    def changes(self, table: str = "profiles", since: datetime | None = None) -> list[ProfileChange]:
        """List what a table's history knows to have changed, in order of time; any thread may call it.

        Args:
            table: The table.
            since: First moment of interest; without a zone it is UTC.

        Raises:
            QueryError: That moment has no date in UTC.
        """
        if since is not None and since.tzinfo is not None:
            try:
                since = since.astimezone(UTC).replace(tzinfo=None)
            except OverflowError:
                raise QueryError(f"since is {since.isoformat()}, which no calendar has in UTC.") from None
        with storage_errors(f"read the history of {table!r}"), self._database.cursor() as cursor:
            return versions_changed(cursor, table, since)

    def queries_last_hour(self, project_id: str, host: str) -> int:
        """Count the project's page-0 queries of the last hour that this database knows of; any thread may call it."""
        with storage_errors("read the journal"), self._database.cursor() as cursor:
            return queries_last_hour(cursor, project_id, host) if Journal(cursor).exists() else 0

    def count_queries(self, project_id: str, host: str, asked: int = 1) -> None:
        """Note queries that count against a project's hourly quota; any thread may call it."""
        with storage_errors("write the journal"), Claim.alone(), self._database.cursor() as cursor:
            Journal(cursor).ensure()
            count_queries(cursor, project_id, host, [utc_now()] * asked)
