"""Another DuckDB file, also while other processes read it.

One process at a time may write a DuckDB file, and none while others have it open for reading. If these are in the way,
a copy of the file is written, changed, and put in its place: they go on reading the old one until they open it anew.
That is done only with a file that holds tables of ours and nothing else; else it is waited for.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import duckdb

from ...errors import DatabaseLockedError, StorageError
from ..database import literal, only_row, quote, usable_file
from ..tables import PREFIX
from .common import POLL, Attached, detach, is_in_use
from .kind import Place
from .target import Target
from .union_view import VIEW_PREFIX

__all__ = ["DuckDBFile"]

_VERSION = "v1.5.0"  # which the oldest supported DuckDB reads
# What a copy of the tables would not have.
_MORE = (
    f"duckdb_views() WHERE NOT internal AND NOT starts_with(coalesce(comment, ''), '{PREFIX}') AND",
    "duckdb_indexes() WHERE",
    "duckdb_sequences() WHERE",
    "duckdb_constraints() WHERE",
    "duckdb_functions() WHERE NOT internal AND",
    "duckdb_types() WHERE NOT internal AND",
    "duckdb_columns() WHERE (comment IS NOT NULL OR column_default IS NOT NULL) AND",
    f"duckdb_tables() WHERE NOT starts_with(coalesce(comment, ''), '{PREFIX}') AND",
)


class DuckDBFile(Attached):
    """See ``Kind``. Those who publish into files of one folder take turns."""

    is_made_by_attaching: ClassVar[bool] = False

    def statement(self, target: Target, alias: str, *, read_only: bool) -> str:
        """Write the statement that attaches a target."""
        file = usable_file(target.name)
        option = "READ_ONLY" if read_only else f"STORAGE_VERSION '{_VERSION}'"
        if not read_only and os.path.exists(file):
            option = "READ_WRITE"
        return f"ATTACH {literal(file)} AS {alias} ({option})"

    def exists(self, target: Target) -> bool:
        """Whether the file is there.

        Raises:
            StorageError: It is no database, or could not be made or written.
        """
        path = Path(usable_file(target.name))
        if not path.parent.is_dir():
            raise StorageError(f"The folder {path.parent} of the target does not exist.")
        try:
            path.lstat()
            there = True
        except FileNotFoundError:
            there = False
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}.") from None
        if not os.access(path if there else path.parent, os.W_OK):
            raise StorageError(f"{path} cannot be written: see its permissions.")
        return there

    @contextmanager
    def attached(
        self, cursor: duckdb.DuckDBPyConnection, target: Target, alias: str, *, writing: bool
    ) -> Iterator[str | None]:
        """Attach the file, or a copy that takes its place afterwards."""
        deadline = time.monotonic() + target.lock_wait
        with _turn(Path(usable_file(target.name)).resolve(), target, deadline) as path:
            if not writing:
                with super().attached(cursor, target, alias, writing=False):
                    yield None
            elif (old := self._attach_or_old(cursor, target, alias, path, deadline)) is None:
                try:
                    yield None
                finally:
                    detach(cursor, alias)
            else:
                with _copy(cursor, old, path, alias):
                    yield f"Other processes read {path}: a new file took its place, which they see when they reopen it."

    def _attach_or_old(
        self, cursor: duckdb.DuckDBPyConnection, target: Target, alias: str, path: Path, deadline: float
    ) -> str | None:
        """Attach the file for writing; if readers are in the way, for reading, and give the name of that."""
        is_new = not os.path.exists(path)
        while True:
            try:
                cursor.execute(self.statement(target, alias, read_only=False))
                if is_new:
                    path.chmod(0o600)  # it holds what the database does
            except duckdb.Error as error:
                if not is_in_use(error):
                    raise
                if (old := _replaceable(cursor, path)) is not None:
                    return old
                if time.monotonic() > deadline:
                    raise
                target.pause(POLL)
            else:
                return None


@contextmanager
def _turn(path: Path, target: Target, deadline: float) -> Iterator[Path]:
    """Be the only one that publishes into files of a folder, where the system can tell.

    Raises:
        DatabaseLockedError: Others do, for too long.
    """
    try:
        import fcntl  # noqa: PLC0415 - not on Windows, where no file is put in the place of an open one either
    except ImportError:
        yield path
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DatabaseLockedError(
                        f"Another process publishes into a file of {path.parent}, for longer than was to be waited "
                        "(--lock-wait)."
                    ) from None
                target.pause(POLL)
            else:
                break
        for left in path.parent.glob(f".{path.name}.*.part*"):  # by somebody who was killed
            left.unlink(missing_ok=True)
        yield path
    finally:
        os.close(folder)


def _replaceable(cursor: duckdb.DuckDBPyConnection, path: Path) -> str | None:
    """Attach a file for reading, which keeps writers out, if a copy of its tables is all of it; give its name."""
    if os.name != "posix" or Path(f"{path}.wal").exists():
        return None
    old = f"_mixpanel_old_{uuid.uuid4().hex[:8]}"
    try:
        cursor.execute(f"ATTACH {literal(str(path))} AS {old} (READ_ONLY)")
    except duckdb.IOException:
        return None  # a writer has it
    more = " + ".join(f"(SELECT count(*) FROM {each} database_name = {literal(old)})" for each in _MORE)
    row = only_row(cursor, f"SELECT {more}")
    if row and row[0] == 0:
        return old
    cursor.execute(f"DETACH {old}")
    return None


@contextmanager
def _copy(cursor: duckdb.DuckDBPyConnection, old: str, path: Path, alias: str) -> Iterator[None]:
    """Attach a copy, which takes the file's place when it is whole and on the disk."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        try:
            cursor.execute(f"ATTACH {literal(str(part))} AS {alias} (STORAGE_VERSION '{_VERSION}')")
            part.chmod(0o600)
            _copy_all(cursor, old, alias)
            yield
            # A transaction of another thread that has looked at the catalog keeps the file from being closed below,
            # and so what was committed in a log that would not go along.
            cursor.execute(f"CHECKPOINT {alias}")
        finally:
            detach(cursor, alias)
        if Path(f"{part}.wal").exists():
            raise StorageError(f"The new file for {path} could not be written as a whole. Try again.")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        shutil.copymode(path, part)
        part.replace(path)
    finally:
        detach(cursor, old)
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _copy_all(cursor: duckdb.DuckDBPyConnection, old: str, alias: str) -> None:
    """Copy tables and views, all of them ours, with their comments."""
    ours = Attached()
    tables = cursor.execute(
        "SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = ?", [old]
    ).fetchall()
    for schema, table, comment in tables:
        place = Place(alias, schema, table)
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {alias}.{quote(schema)}")
        cursor.execute(f"CREATE TABLE {place.sql} AS FROM {Place(old, schema, table).sql}")
        ours.set_comment(cursor, place, comment)
    views = cursor.execute(
        "SELECT schema_name, view_name, comment FROM duckdb_views() WHERE NOT internal AND database_name = ?", [old]
    ).fetchall()
    for schema, view, comment in views:
        ours.set_view(cursor, Place(alias, schema, view), comment.removeprefix(VIEW_PREFIX), comment)
