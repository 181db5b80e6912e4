"""Database files: made whole or not at all, opened as what they are, to write or to read beside other readers.

Of one process DuckDB takes no second connection to a file that is configured in another way, and ``read_only`` is such
a way. So whoever reads joins a connection that may write, if there is one; whoever writes waits for readers of ours.
"""

from __future__ import annotations

import errno
import glob
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import duckdb

from ...errors import StorageError
from ...process import ProcessLock, in_child, lives
from .inherited import is_open_here
from .paths import IN_MEMORY, file_of
from .statements import is_open_otherwise, literal, only_row

__all__ = ["connect", "connect_to_read", "make", "opening", "sweep", "usable_file"]

# zstd for `properties` needs storage v1.2; v1.5.0 is what the oldest supported DuckDB reads. See docs/storage.md.
_STORAGE_VERSION = "v1.5.0"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# A file is made through one instance, opened through another, and tuned if that is nobody else's; a second thread must
# not come in between. A fork must not, either: what DuckDB does once in a process, it does in the first opening.
_OPENING = ProcessLock()
# File and thread of each read-only connection of ours, by what tells its end; added to by whoever is opening.
_READERS: dict[threading.Event, tuple[str, int]] = {}
_LONGEST_READ = 600.0
# How a file is named that is being made, before the process; seconds after which nobody is making it any more.
_UNNAMED, _MAKING = ".mp-fetch-", 60.0
_MAGIC = slice(8, 12), b"DUCK"


@contextmanager
def opening(file: str | None = None) -> Iterator[None]:
    """Be the only one who opens a database.

    Args:
        file: One that is to be written: nobody of this package reads it meanwhile.
    """
    patience = True
    while True:
        with _OPENING.lock:
            ends = _others_end(file)
            if ends is None or not patience:
                yield
                return
        patience = ends.wait(_LONGEST_READ)


def connect_to_read(file: str) -> tuple[duckdb.DuckDBPyConnection, Callable[[], None]]:
    """Open a file beside others that read it, also where nothing can be written.

    Args:
        file: One that is there; the caller has the ``opening`` of databases.

    Returns:
        The connection, and what is to be called when it is closed.

    Raises:
        StorageError: It is no database.
        duckdb.Error: It cannot be opened.
    """
    try:
        connection = connect(file, read_only=True)
    except duckdb.Error as error:
        if not is_open_otherwise(error):
            raise
        return connect(file), lambda: None  # beside one of this process that may write
    _READERS[ends := threading.Event()] = file, threading.get_ident()
    return connection, partial(_read, ends)


def _others_end(file: str | None) -> threading.Event | None:
    here = threading.get_ident()
    return next((ends for ends, (read, by) in list(_READERS.items()) if read == file and by != here), None)


def _read(ends: threading.Event) -> None:
    _READERS.pop(ends, None)
    ends.set()


def connect(file: str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a file that is there, and make sure that what was opened is that file.

    Of a Parquet, CSV or JSON file DuckDB makes a database in memory, with a view of it: what is stored there is lost.
    For a file of SQLite it looks for an extension in the network.

    Raises:
        StorageError: It is no database.
        duckdb.Error: It cannot be opened.
    """
    # To close a file that this process has open elsewhere would give up the lock on it.
    if not is_open_here(file) and not _begins_as_database(file):
        raise _no_database(file)
    connection = duckdb.connect(file, read_only=read_only)
    found = only_row(connection, "SELECT path, type FROM duckdb_databases() WHERE database_name = current_database()")
    if found is None or found[0] is None or found[1] != "duckdb":
        connection.close()
        raise _no_database(file)
    return connection


def usable_file(path: str) -> str:
    """Give the absolute path of a database, or of one that may be made there.

    Args:
        path: As somebody gave it, with the user's home for a leading ``~``.

    Raises:
        StorageError: It means no file, a file of another kind, or a new one that would pass for one.
    """
    file = file_of(os.path.expanduser(path))
    if os.path.exists(file) and not is_open_here(file) and not _begins_as_database(file):
        raise _no_database(file)
    return file


def make(file: str) -> None:
    """Make a database under another name and link it into place: neither a full disk nor a kill leaves half of one.

    Args:
        file: Its absolute path.

    Raises:
        StorageError: Its folder is not there.
        duckdb.Error: It cannot be made.
        OSError: Likewise.
    """
    for named in (file, file := os.path.realpath(file)):  # a link, and where it leads
        folder = os.path.dirname(named)
        if not os.path.isdir(folder):
            raise StorageError(f"Could not open {named}: the folder {folder} does not exist.")
    if os.path.exists(f"{file}.wal"):  # of a file that is gone: DuckDB takes it away, but only as it makes the new one
        _write_empty(file)
        return
    unnamed = os.path.join(folder, f"{_UNNAMED}{os.getpid()}-{uuid.uuid4().hex[:12]}.new")
    try:
        _write_empty(unnamed)
        os.link(unnamed, file)  # unlike a rename, never over what another process has made meanwhile
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise
        _write_empty(file)  # a file system without links
    finally:
        for ending in ("", ".wal"):
            with suppress(OSError):
                os.unlink(unnamed + ending)


def sweep(file: str) -> None:
    """Take away what a kill left beside a database as one was made.

    Args:
        file: Path of the database.
    """
    for left in glob.glob(os.path.join(glob.escape(os.path.dirname(os.path.realpath(file))), f"{_UNNAMED}*.new*")):
        maker = os.path.basename(left).removeprefix(_UNNAMED).split("-")[0]
        with suppress(OSError):
            old = time.time() - os.stat(left).st_mtime > _MAKING
            if old or (os.name == "posix" and maker.isdigit() and not lives(int(maker))):
                os.unlink(left)


def _write_empty(file: str) -> None:
    maker = duckdb.connect(IN_MEMORY)
    try:
        maker.execute(f"ATTACH {literal(file)} AS made (STORAGE_VERSION {literal(_STORAGE_VERSION)})")
        maker.execute("DETACH made")
    finally:
        maker.close()
    os.chmod(file, 0o600)


def _begins_as_database(file: str) -> bool:
    where, magic = _MAGIC
    try:
        with open(file, "rb") as opened:
            return opened.read(where.stop)[where] == magic
    except OSError:
        return True  # as far as anybody can tell


def _no_database(file: str) -> StorageError:
    return StorageError(
        f"Could not open {file}: it is not a valid DuckDB database file, and stays as it is. Choose another path for "
        "the database."
    )


in_child(_READERS.clear)  # what threads of a parent read ends in no child
