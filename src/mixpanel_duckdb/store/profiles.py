"""``ProfileStore``: a DuckDB database that profiles are fetched into, and the fetches that it knows.

A fetch goes through four calls, all but the writer's on the caller's thread: ``begin`` takes it over or starts it,
``opened`` keeps what page 0 said, the ``PageIngest`` of ``writer()`` commits pages on the writer thread, and
``publish`` or ``leave`` ends it.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Self

import duckdb

from ..engage import page_count
from ..errors import QueryError, StorageError
from ..http import Step, steps_text, utc_now
from ..text import note
from .database import IN_MEMORY, Database, atomic, must_exist, refuse_inherited, storage_errors
from .journal import (
    PREFIX,
    FetchRecord,
    FetchSpec,
    Journal,
    OddRows,
    OpenFetch,
    Ownership,
    count_queries,
    queries_last_hour,
)
from .overview import overview
from .pages import PageIngest
from .publish import IfExists, StagedRows, check_target, count_staged, create_staging, drop_duplicates, publish

__all__ = ["AnyDatabase", "ProfileStore"]


class ProfileStore:
    """A DuckDB database for profiles; use it as a context manager, and in one thread at a time.

    Args:
        database: A path (created if missing), ``":memory:"``, or your own ``DuckDBPyConnection``, which is used
            through cursors and never closed.

    Attributes:
        tuned: Whether the settings of the database are this store's to change.
        with_room: Does something again without the memory limit of ours that was too tight for it.

    Raises:
        DatabaseLockedError: Another process has the file open.
        StorageError: The file cannot be opened.

    Example:
        >>> with ProfileStore(":memory:") as store:
        ...     store.fetches()
        []
    """

    def __init__(self, database: str | os.PathLike[str] | duckdb.DuckDBPyConnection = IN_MEMORY) -> None:
        self._database = Database(database)
        self.tuned, self.with_room = self._database.tuning.ours, self._database.tuning.with_room
        self._cursor = self._database.cursor()
        self._in_use = threading.RLock()
        self._journal = Journal(self._cursor)

    @classmethod
    def open_existing(cls, database: str | os.PathLike[str] | duckdb.DuckDBPyConnection) -> Self:
        """Open a database that must be there already.

        Raises:
            StorageError: There is no such file.
        """
        if isinstance(database, str | os.PathLike):
            must_exist(database)
        return cls(database)

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
        self._cursor.close()
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

    def reader(self) -> Callable[[], duckdb.DuckDBPyConnection]:
        """Give a function that connects to the same database, for reading results after this store is closed."""
        return self._database.reader()

    def fetches(self, table: str | None = None) -> list[FetchRecord]:
        """List the fetches that this database knows, newest first; any thread may call it.

        Args:
            table: Only those for this table.
        """
        with storage_errors("read the journal"), self._database.cursor() as cursor:
            return Journal(cursor).told(table)

    def queries_last_hour(self, project_id: str, host: str) -> int:
        """Count the project's page-0 queries of the last hour that this database knows of; any thread may call it."""
        with storage_errors("read the journal"), self._database.cursor() as cursor:
            return queries_last_hour(cursor, project_id, host) if Journal(cursor).exists() else 0

    def count_queries(self, project_id: str, host: str, asked: int = 1) -> None:
        """Note queries that count against a project's hourly quota; any thread may call it."""
        with storage_errors("write the journal"), Ownership.alone(), self._database.cursor() as cursor:
            Journal(cursor).ensure()
            count_queries(cursor, project_id, host, asked)

    def begin(
        self, spec: FetchSpec, *, if_exists: IfExists = "error", resume: bool = True, resume_max_age: float = 3600.0
    ) -> OpenFetch:
        """Own a fetch: go on with an unfinished one of the same spec, or start a new one.

        Args:
            spec: What is fetched, and into which table.
            if_exists: What to do with an existing table at the end; checked now.
            resume: Whether to look for an unfinished fetch.
            resume_max_age: Seconds since its last committed page after which a session is not trusted any more.

        Raises:
            TableExistsError: The table exists and ``if_exists`` is ``"error"``.
            DatabaseLockedError: Another run is fetching into this table.
            QueryError: The table's name is reserved.
        """
        if spec.table.lower().startswith(PREFIX) or not spec.table.strip():
            raise QueryError(
                f"{spec.table!r} cannot be a table's name here: it is empty or the journal's ({PREFIX}...)."
            )
        token, doing = uuid.uuid4().hex, f"begin a fetch into {spec.table!r}"
        with storage_errors(doing), Ownership.claiming(token), atomic(self._cursor):
            self._journal.ensure()
            self._journal.refuse_second_run(spec.table)
            check_target(self._cursor, spec.table, if_exists)
            known = [each for each in self._journal.records(spec.table) if each.state != "complete"]
            old = [each for each in known if utc_now() - each.last_commit > timedelta(seconds=resume_max_age)]
            same = [each for each in known if each not in old and self._is_same(each, spec)]
            found = next((each for each in same if resume and each.resumable), None)
            self._journal.forget([*old, *(each for each in same if each is not found)])
            return replace(self._claim(spec, found, token), dropped_pages=sum(each.pages_done for each in old))

    def restart(self, fetch: OpenFetch) -> OpenFetch:
        """Give up a fetch whose session the server refuses, with its rows, and start a new one in its place."""
        token, doing = uuid.uuid4().hex, f"start over with {fetch.spec.table!r}"
        with storage_errors(doing), Ownership.claiming(token), atomic(self._cursor):
            self._journal.forget(
                [each for each in self._journal.records(fetch.spec.table) if each.fetch_id == fetch.fetch_id]
            )
            Ownership.release(fetch.token)
            return self._claim(fetch.spec, None, token)

    def opened(
        self,
        fetch: OpenFetch,
        *,
        session_id: str | None,
        total: int,
        page_size: int,
        as_of_timestamp: int | None = None,
    ) -> OpenFetch:
        """Keep what page 0 said.

        Returns:
            The fetch with it.
        """
        with storage_errors("write the journal"):
            self._journal.opened(
                fetch.fetch_id,
                session_id=session_id,
                total=total,
                page_size=page_size,
                pages=page_count(total, page_size),
                as_of=as_of_timestamp,
            )
        return replace(fetch, session_id=session_id, total=total, page_size=page_size, as_of_timestamp=as_of_timestamp)

    def writer(self, fetch: OpenFetch) -> PageIngest:
        """Give the object that stages and commits pages, for the threads of one download."""
        return PageIngest(self._database, fetch.fetch_id, fetch.staging)

    def staged(self, fetch: OpenFetch) -> StagedRows:
        """Count what has arrived."""
        with storage_errors("count the rows"):
            return self.with_room(lambda: count_staged(self._cursor, fetch.staging))

    def odd_rows(self, fetch: OpenFetch) -> OddRows:
        """Sum up, over the committed pages, what the result reports."""
        with storage_errors("read the journal"):
            return OddRows(*self._journal.odd_rows(fetch.fetch_id))

    def publish(self, fetch: OpenFetch, *, if_exists: IfExists, staged: StagedRows) -> None:
        """Make the staged rows the table, and the fetch complete, in one transaction.

        Args:
            fetch: Complete.
            if_exists: What to do with an existing table.
            staged: What :meth:`staged` said; without duplicates nothing is rewritten.
        """
        with storage_errors(f"publish {fetch.spec.table!r}"):
            self.with_room(lambda: self._publish(fetch, if_exists, staged))
        Ownership.release(fetch.token)

    def _publish(self, fetch: OpenFetch, if_exists: IfExists, staged: StagedRows) -> None:
        done = [each for each in self._journal.records(fetch.spec.table) if each.state == "complete"]
        with atomic(self._cursor):
            if staged.duplicates:
                drop_duplicates(self._cursor, fetch.staging)
            publish(self._cursor, fetch.staging, fetch.spec.table, if_exists)
            self._journal.forget_history(done)
            self._journal.closed(fetch.fetch_id, state="complete", note=None, pages=[])

    def leave(
        self,
        fetch: OpenFetch,
        *,
        note: str | None,
        missing: Sequence[tuple[int, str]] = (),
        steps: Mapping[int, Sequence[Step]] | None = None,
    ) -> None:
        """End a run that did not complete its fetch; what was committed stays, for the next run to go on with.

        Args:
            fetch: The fetch.
            note: Why.
            missing: Pages given up in this run, with what went wrong.
            steps: What was done for pages that did not arrive.
        """
        try:
            with storage_errors("write the journal"), atomic(self._cursor):
                if not self._journal.is_running(fetch.fetch_id, fetch.token):
                    return
                tried = {index: steps_text(done) for index, done in (steps or {}).items()}
                entries = [(index, "missing", why, tried.pop(index, None)) for index, why in missing]
                entries += [(index, "left", note or "", done) for index, done in tried.items()]
                self._journal.closed(fetch.fetch_id, state="incomplete", note=note, pages=entries)
        finally:
            Ownership.release(fetch.token)

    def _claim(self, spec: FetchSpec, found: FetchRecord | None, token: str) -> OpenFetch:
        staging = found.staging_table if found else f"{PREFIX}staging_{uuid.uuid4().hex[:12]}"
        if found is None:
            create_staging(self._cursor, staging, zstd=self._database.zstd)
        fetch_id = self._journal.claim(spec, found.fetch_id if found else None, staging, token)
        fetch = OpenFetch(fetch_id, staging, spec, token)
        if found is None:
            return fetch
        return replace(
            fetch,
            session_id=found.session_id,
            total=found.expected_rows,
            page_size=found.page_size,
            as_of_timestamp=found.as_of_timestamp,
            committed=self._journal.committed(fetch_id),
            largest_body=self._journal.largest_body(fetch_id),
        )

    @staticmethod
    def _is_same(record: FetchRecord, spec: FetchSpec) -> bool:
        return (record.query_text, record.project_id, record.host) == (spec.query, spec.project_id, spec.host)


# What a database may be given as.
AnyDatabase = str | os.PathLike[str] | duckdb.DuckDBPyConnection | ProfileStore
