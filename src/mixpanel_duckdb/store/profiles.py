"""``ProfileStore``: a DuckDB database that profiles are fetched into, and the fetches that it knows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import duckdb

from ..errors import StorageError
from ..text import note
from .database import IN_MEMORY, Database, must_exist, refuse_inherited, storage_errors
from .fetching import Fetching
from .journal import Claim, FetchRecord, Journal, count_queries, queries_last_hour
from .overview import overview

__all__ = ["AnyDatabase", "ProfileStore"]


class ProfileStore(Fetching):
    """A DuckDB database for profiles; use it as a context manager, and in one thread at a time.

    Args:
        database: A path (created if missing), ``":memory:"``, or your own ``DuckDBPyConnection``, which is used
            through cursors and never closed.

    Raises:
        DatabaseLockedError: Another process has the file open.
        StorageError: The file cannot be opened.

    Example:
        >>> with ProfileStore(":memory:") as store:
        ...     store.fetches()
        []
    """

    def __init__(self, database: str | os.PathLike[str] | duckdb.DuckDBPyConnection = IN_MEMORY) -> None:
        super().__init__(Database(database))
        self._in_use = threading.RLock()

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
        with storage_errors("write the journal"), Claim.alone(), self._database.cursor() as cursor:
            Journal(cursor).ensure()
            count_queries(cursor, project_id, host, asked)


# What a database may be given as.
AnyDatabase = str | os.PathLike[str] | duckdb.DuckDBPyConnection | ProfileStore
