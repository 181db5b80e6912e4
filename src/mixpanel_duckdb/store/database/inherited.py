"""Files that were open for writing when this process was forked, and still are.

A forked child has its parent's DuckDB instances, but not the lock on their files. Whoever connects to such a file in
the child writes through a copy of what the parent writes, and nothing keeps the two apart.
"""

from __future__ import annotations

import os
import stat

import duckdb

from ...errors import DatabaseLockedError
from ...process import in_child

__all__ = ["is_open_here", "refuse_inherited"]

_FOLDER = "/dev/fd"
# Numbers of the descriptors that this process was given.
_GIVEN: set[int] = set()


def refuse_inherited(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse to write a file that the process had open which this one was forked from.

    Args:
        connection: To that file, where the caller works.

    Raises:
        DatabaseLockedError: Says what to do instead.
    """
    if not _GIVEN:
        return
    found = connection.execute("SELECT path FROM duckdb_databases() WHERE database_name = current_database()")
    ((path,),) = found.fetchall()
    if path and any(_is_open(number, path) for number in _GIVEN):
        raise DatabaseLockedError(
            f"Could not use {path}: this process was forked from one that had it open. Close it there before the fork, "
            "start this process another way (multiprocessing's 'spawn'), or use another --database."
        )


def is_open_here(file: str) -> bool:
    """Whether this process has a file open, as far as the system tells."""
    if not os.path.isdir(_FOLDER):
        return os.name == "posix"
    return any(_is_open(number, file) for number in _descriptors())


def _descriptors() -> list[int]:
    return [int(name) for name in os.listdir(_FOLDER)]


def _is_open(number: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(number), os.stat(path))
    except OSError:
        return False


def _note() -> None:
    """In a child: see what it was given."""
    _GIVEN.clear()
    if os.path.isdir(_FOLDER):
        _GIVEN.update(filter(_is_written, _descriptors()))


def _is_written(number: int) -> bool:
    from fcntl import F_GETFL, fcntl  # noqa: PLC0415 - not on Windows, which knows no fork

    try:
        mode = fcntl(number, F_GETFL) & os.O_ACCMODE
        return mode == os.O_RDWR and stat.S_ISREG(os.fstat(number).st_mode)
    except OSError:
        return False


in_child(_note)
