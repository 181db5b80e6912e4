"""``Database``: whose it is, its cursors, and what is given back at its end.

A path is opened without any configuration, since DuckDB refuses a second connection to a file whose configuration
differs, and a notebook's own ``duckdb.connect(path)`` must keep working beside ours. What we want of our own instance
is set afterwards (``tuning``), and only if nobody else in this process has the file open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Self

import duckdb

from .files import connect, connect_to_read, make, opening, sweep
from .inherited import refuse_inherited
from .paths import IN_MEMORY, absolute, file_of, must_exist, path_of
from .statements import heeding_interrupts, only_row, quote, storage_errors
from .tuning import Tuning

__all__ = ["Database", "connecting"]


def connecting(source: str | os.PathLike[str] | duckdb.DuckDBPyConnection) -> Callable[[], duckdb.DuckDBPyConnection]:
    """Give a way to connect to a database that must be there already, as :meth:`Database.reader` does.

    Unlike a :class:`Database`, it changes no setting: DuckDB may use all cores, and its own share of the memory.

    Raises:
        StorageError: There is no such file.
    """
    if isinstance(source, duckdb.DuckDBPyConnection):
        return Database(source).reader()
    must_exist(source)
    return partial(_connect, absolute(path_of(source)))


class Database:
    """One DuckDB database: ours to close if it was given as a path, the caller's if it was a connection.

    Args:
        source: A path, ``":memory:"``, or an open ``DuckDBPyConnection``.
        read_only: Whether a file is only read, beside others who read it, and where nothing can be written.

    Attributes:
        path: The path as it was given; ``None`` for a connection.
        file: The absolute path of the file, if there is one.

    Raises:
        DatabaseLockedError: Another process has the file open.
        StorageError: The path cannot be opened or is not a DuckDB file.
    """

    def __init__(self, source: str | os.PathLike[str] | duckdb.DuckDBPyConnection, *, read_only: bool = False) -> None:
        self.path: str | None = None if isinstance(source, duckdb.DuckDBPyConnection) else path_of(source)
        self.file: str | None = None if self.path in (None, IN_MEMORY) else file_of(self.path)
        self._reads_only = read_only and self.file is not None
        doing = "use the connection" if self.path is None else f"open {self.path}"
        with storage_errors(doing), opening(None if self._reads_only else self.file):
            self._source, self._done = self._opened(source)
            try:
                self._prepare()
            except BaseException:
                if self.path is not None:
                    self._source.close()
                self._done()
                raise

    def __repr__(self) -> str:
        return f"Database({self.path or 'a connection'!r})"

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Give a connection of its own to whoever works on another thread."""
        with storage_errors("use the database; was it closed?"):
            cursor = _cursor(self.connection, self._home)
            _tell_apart(cursor)
            return cursor

    def reader(self) -> Callable[[], duckdb.DuckDBPyConnection]:
        """Give a way to connect that outlives this object, for a result that is read later.

        A file is opened when somebody reads; a database in memory lives on as long as the result does; a caller's
        connection stays the caller's to close. What is only read is read here.
        """
        if self.file and not self._reads_only:
            return partial(_connect, self.file)
        return _Here(self._source, self._home)

    def close(self) -> None:
        """Close what was opened here; a caller's instance keeps none of our settings."""
        try:
            with suppress(duckdb.Error), heeding_interrupts():
                if not (self.file and _is_alone(self.connection)):
                    self.tuning.give_back()
        finally:
            self.connection.close()
            self._done()

    def _opened(
        self, source: str | os.PathLike[str] | duckdb.DuckDBPyConnection
    ) -> tuple[duckdb.DuckDBPyConnection, Callable[[], object]]:
        """Give the connection, and what is to be called when it is closed."""
        if isinstance(source, duckdb.DuckDBPyConnection):
            return source, _nothing
        if self.file is None:
            return duckdb.connect(IN_MEMORY), _nothing
        if self._reads_only:
            return connect_to_read(self.file)
        sweep(self.file)
        if not os.path.exists(self.file):
            make(self.file)
        return connect(self.file), _nothing

    def _prepare(self) -> None:
        refuse_inherited(self._source)
        ours = self.path is not None and _is_alone(self._source)
        self.tuning: Tuning = Tuning(self._source, ours=ours, limit_memory=self.file is not None)
        self._home = None if self.path else _place(self._source)
        # What is closed here must not close a caller's connection, nor a database in memory that a result still reads.
        self.connection: duckdb.DuckDBPyConnection = self._source if self.file else _cursor(self._source, self._home)
        _tell_apart(self.connection)
        self.zstd: bool = self._stores_zstd()

    def _stores_zstd(self) -> bool:
        """Whether this file's storage version can hold zstd; older files store such a column uncompressed."""
        row = only_row(
            self.connection,
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()",
        )
        found = re.match(r"v(\d+)\.(\d+)", str(row[0])) if row and row[0] else None
        return found is not None and (int(found[1]), int(found[2])) >= (1, 2)


class _Here:
    """Connects to what only this process has; what is pickled goes without, and is ``None`` in the other process."""

    def __init__(self, source: duckdb.DuckDBPyConnection, place: str | None) -> None:
        self._source, self._place = source, place

    def __call__(self) -> duckdb.DuckDBPyConnection:
        return _cursor(self._source, self._place)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    def __deepcopy__(self, _: object) -> Self:
        return self


def _nothing() -> None:
    pass


def _is_alone(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute("FROM duckdb_connection_count()").fetchall() == [(1,)]


def _place(connection: duckdb.DuckDBPyConnection) -> str:
    """Where a caller's ``USE`` has led; cursors do not inherit it."""
    row = only_row(connection, "SELECT current_database(), current_schema()")
    assert row is not None  # noqa: S101 - no table, one row
    return f"{quote(row[0])}.{quote(row[1])}"


def _cursor(connection: duckdb.DuckDBPyConnection, place: str | None) -> duckdb.DuckDBPyConnection:
    cursor = connection.cursor()
    if place is not None:
        cursor.execute(f"USE {place}")
    return cursor


def _tell_apart(connection: duckdb.DuckDBPyConnection) -> None:
    """Compare ids as they are written, whatever collation a caller has made the default for the instance."""
    with suppress(duckdb.InvalidInputException):  # the caller may have locked the configuration
        connection.execute("SET SESSION default_collation = ''")


def _connect(file: str) -> duckdb.DuckDBPyConnection:
    must_exist(file)
    with storage_errors(f"open {file}"), opening(file):
        try:
            return connect(file)
        except duckdb.IOException:  # another process reads it, or it is protected
            with suppress(duckdb.Error):
                return connect(file, read_only=True)
            raise
