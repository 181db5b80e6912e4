"""Opening a database, and speaking of its faults in our own errors.

A path is opened without any configuration, since DuckDB refuses a second connection to a file whose configuration
differs, and a notebook's own ``duckdb.connect(path)`` must keep working beside ours. What we want of our own instance
is set afterwards (``tuning``), and only if nobody else in this process has the file open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

import duckdb

from ...arguments import PATH, refusal
from ...errors import DatabaseLockedError, StorageError
from ...process import ProcessLock
from .inherited import refuse_inherited
from .tuning import Tuning

__all__ = ["Database", "atomic", "connecting", "hush", "literal", "only_row", "quote", "storage_errors"]

IN_MEMORY = ":memory:"
# zstd for `properties` needs storage v1.2; v1.5.0 is what the oldest supported DuckDB reads. See docs/storage.md.
_STORAGE_VERSION = "v1.5.0"
# A file is made through one instance, opened through another, and tuned if that is nobody else's; a second thread must
# not come in between. A fork must not, either: what DuckDB does once in a process, it does in the first opening.
_OPENING = ProcessLock()


def quote(name: str) -> str:
    """Quote an identifier.

    Example:
        >>> quote('a"b')
        '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string constant, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def hush(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep DuckDB from drawing a progress bar, which it does on standard output when a statement takes 2 seconds.

    It does so on connections (not on cursors) of what it takes for an interactive Python, ``python -m`` included. In a
    notebook without ipywidgets it draws none, and refuses every setting of it.
    """
    with suppress(duckdb.InvalidInputException):
        connection.execute("SET enable_progress_bar = false")


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours.

    Args:
        doing: What was being done, as in "could not <doing>".

    Raises:
        DatabaseLockedError: Another process has the file open; names its pid.
        StorageError: Anything else that DuckDB or the file system refuses.
        KeyboardInterrupt: Ctrl-C came during a statement, which DuckDB tells in errors of its own.
    """
    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        if "Query interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise
    except duckdb.Error as error:
        text = str(error)
        if "Conflicting lock" in text or "lock on file" in text:
            owner = re.search(r"PID (\d+)", text)
            who = f"process {owner[1]}" if owner else "another process"
            raise DatabaseLockedError(
                f"Could not {doing}: {who} has the database open. End that process or use another --database."
            ) from None
        if "different configuration" in text:
            raise StorageError(
                f"Could not {doing}: a connection of this process has it open in another way (read_only, for one). "
                "Close that, or pass it in place of the path."
            ) from None
        raise StorageError(f"Could not {doing}: {_first_sentence(text)}") from error
    except OSError as error:
        raise StorageError(f"Could not {doing}: {error.strerror or error}.") from error


@contextmanager
def atomic(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Run a block in one transaction; anything raised inside, or while it begins, rolls it back."""
    try:
        _begin(cursor)
        yield
        cursor.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):
            cursor.execute("ROLLBACK")
        raise


def _begin(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute("BEGIN TRANSACTION")
    except duckdb.TransactionException:  # an interrupt in the middle of a rollback has left one open
        cursor.execute("ROLLBACK")
        cursor.execute("BEGIN TRANSACTION")


def only_row(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
    """Give the first row, and leave no open result behind: it would hold a transaction, and so every checkpoint."""
    rows = cursor.execute(sql, list(parameters)).fetchall()
    return rows[0] if rows else None


def connecting(source: str | os.PathLike[str] | duckdb.DuckDBPyConnection) -> Callable[[], duckdb.DuckDBPyConnection]:
    """Give a way to connect to a database that must be there already, as :meth:`Database.reader` does.

    Unlike a :class:`Database`, it changes no setting: DuckDB may use all cores, and its own share of the memory.

    Raises:
        StorageError: There is no such file.
    """
    if isinstance(source, duckdb.DuckDBPyConnection):
        return Database(source).reader()
    must_exist(source)
    return partial(_connect, os.path.abspath(path_of(source)))


def must_exist(path: str | os.PathLike[str]) -> None:
    """Refuse the path of a file that is not there, rather than make it.

    Raises:
        StorageError: There is no such file.
    """
    name = path_of(path)
    if name != IN_MEMORY and not os.path.exists(name):  # unlike Path, it knows no file without a name
        raise StorageError(f"There is no database {name!r}; check its path, or --database.")


def path_of(source: object) -> str:
    """Give the path that somebody named a database by.

    Raises:
        QueryError: It is none.
    """
    if not PATH.fits(source):
        raise refusal("database", source, "a path, as text or os.PathLike, ':memory:' or a DuckDB connection")
    return os.fspath(cast("str", source))


class Database:
    """One DuckDB database: ours to close if it was given as a path, the caller's if it was a connection.

    Args:
        source: A path, ``":memory:"``, or an open ``DuckDBPyConnection``.

    Raises:
        DatabaseLockedError: Another process has the file open.
        StorageError: The path cannot be opened or is not a DuckDB file.
    """

    def __init__(self, source: str | os.PathLike[str] | duckdb.DuckDBPyConnection) -> None:
        self.path = None if isinstance(source, duckdb.DuckDBPyConnection) else path_of(source)
        with storage_errors(f"open {self.path}" if self.path is not None else "use the connection"), _OPENING.lock:
            self._source = source if isinstance(source, duckdb.DuckDBPyConnection) else _opened(path_of(source))
            refuse_inherited(self._source)
            ours = self.path is not None and _is_alone(self._source)
            self.tuning = Tuning(self._source, ours=ours, limit_memory=self._on_disk)
            self._home = None if self.path else _place(self._source)
            # What is closed here must not close a caller's connection, nor a database in memory that a result still
            # reads.
            self.connection = self._source if self._on_disk else _cursor(self._source, self._home)
            _tell_apart(self.connection)
            self.zstd = self._stores_zstd()

    def __repr__(self) -> str:
        return f"Database({self.path or 'a connection'!r})"

    @property
    def _on_disk(self) -> bool:
        return self.path is not None and self.path != IN_MEMORY

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Give a connection of its own to whoever works on another thread."""
        with storage_errors("use the database; was it closed?"):
            cursor = _cursor(self.connection, self._home)
            _tell_apart(cursor)
            return cursor

    def reader(self) -> Callable[[], duckdb.DuckDBPyConnection]:
        """Give a way to connect that outlives this object, for a result that is read later.

        A file is opened when somebody reads; a database in memory lives on as long as the result does; a caller's
        connection stays the caller's to close.
        """
        if self.path and self._on_disk:
            return partial(_connect, os.path.abspath(self.path))
        return _Here(self._source, self._home)

    def close(self) -> None:
        """Close what was opened here; a caller's instance keeps none of our settings."""
        with suppress(duckdb.Error):
            if not (self._on_disk and _is_alone(self.connection)):
                self.tuning.give_back()
        self.connection.close()

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


def _connect(path: str) -> duckdb.DuckDBPyConnection:
    must_exist(path)
    with storage_errors(f"open {path}"):
        return duckdb.connect(path)


def _opened(path: str) -> duckdb.DuckDBPyConnection:
    if path != IN_MEMORY and not os.path.exists(path):
        _create_file(path)
    return duckdb.connect(path)


def _create_file(path: str) -> None:
    if not path:
        raise StorageError("A database needs a name: the path of a file, or ':memory:'.")
    parent = Path(path).parent
    if not parent.is_dir():
        raise StorageError(f"Could not open {path}: the folder {parent} does not exist.")
    maker = duckdb.connect(IN_MEMORY)
    try:
        maker.execute(f"ATTACH {literal(path)} AS made (STORAGE_VERSION {literal(_STORAGE_VERSION)})")
        maker.execute("DETACH made")
    finally:
        maker.close()


def _first_sentence(text: str) -> str:
    return text.strip().split("\n", 1)[0][:400]
