"""Pieces of SQL, transactions, and DuckDB's errors in our words."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import duckdb

from ...errors import DatabaseLockedError, StorageError

__all__ = [
    "atomic",
    "guard_log",
    "heeding_interrupts",
    "hush",
    "is_nested",
    "is_open_otherwise",
    "literal",
    "only_row",
    "quote",
    "readable",
    "storage_errors",
]


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


def is_nested(kind: str) -> bool:
    """Whether values of a type are written by DuckDB in a notation of its own.

    Example:
        >>> is_nested("STRUCT(a INTEGER)"), is_nested("INTEGER[]"), is_nested("JSON")
        (True, True, False)
    """
    return kind.startswith(("STRUCT(", "MAP(", "UNION(")) or kind.endswith("]")


def readable(moment: str) -> str:
    """Write a moment, or NULL where Python, Arrow and Parquet have no such year: a zone or "24:00" may lead there.

    Args:
        moment: A TIMESTAMP, as SQL writes it.
    """
    known = "BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
    return f"CASE WHEN {moment} {known} THEN {moment} END"


def hush(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep DuckDB from drawing a progress bar, which it does on standard output when a statement takes 2 seconds.

    It does so on connections (not on cursors) of what it takes for an interactive Python, ``python -m`` included. In a
    notebook without ipywidgets it draws none, and refuses every setting of it.
    """
    with suppress(duckdb.InvalidInputException):
        connection.execute("SET enable_progress_bar = false")


@contextmanager
def heeding_interrupts() -> Iterator[None]:
    """Give Ctrl-C during a statement its name, which DuckDB tells in errors of its own.

    Raises:
        KeyboardInterrupt: It came.
    """
    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        if "Query interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours.

    Args:
        doing: What was being done, as in "could not <doing>".

    Raises:
        DatabaseLockedError: Another process has the file open; names its pid.
        StorageError: Anything else that DuckDB or the file system refuses.
        KeyboardInterrupt: Ctrl-C came during a statement.
    """
    try:
        with heeding_interrupts():
            yield
    except duckdb.Error as error:
        text = str(error)
        if "Conflicting lock" in text or "lock on file" in text:
            owner = re.search(r"PID (\d+)", text)
            who = f"process {owner[1]}" if owner else "another process"
            raise DatabaseLockedError(
                f"Could not {doing}: {who} has the database open. If that is a fetch, `mp-fetch status` tells how far "
                "it is; wait for its end, or use another --database."
            ) from None
        if is_open_otherwise(error):
            raise StorageError(
                f"Could not {doing}: a connection of this process has it open in another way (read_only, for one). "
                "Close that, or pass it in place of the path."
            ) from None
        raise StorageError(f"Could not {doing}: {_said(text)}") from error
    except OSError as error:
        raise StorageError(f"Could not {doing}: {error.strerror or error}.") from error


def is_open_otherwise(error: duckdb.Error) -> bool:
    """Whether a connection of this process has the file open with other settings, or attached."""
    return "different configuration" in str(error) or "Unique file handle conflict" in str(error)


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
    guard_log(cursor)


def guard_log(cursor: duckdb.DuckDBPyConnection) -> None:
    """Let nobody read the write-ahead log who may not read its database: DuckDB makes it anew, with the umask's mode.

    Called behind each commit. To make it beforehand would leave an empty one where nothing comes to be written.
    """
    with suppress(duckdb.Error, OSError), heeding_interrupts():
        for (path,) in cursor.execute("SELECT path FROM duckdb_databases() WHERE type = 'duckdb'").fetchall():
            if path and os.path.exists(log := f"{path}.wal"):
                mode = stat.S_IMODE(os.stat(path).st_mode)
                if stat.S_IMODE(os.stat(log).st_mode) & ~mode:
                    os.chmod(log, mode)


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


def _said(text: str) -> str:
    """All lines of an error in one, which may say the reason in the last, but no statement of ours."""
    return " ".join(text.split("\n\nLINE ", maxsplit=1)[0].split())[:600]
