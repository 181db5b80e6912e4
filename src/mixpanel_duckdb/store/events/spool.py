"""Pieces of streams as files for a moment: DuckDB's own reader takes them apart in half the time that SQL does.

What that reader would leave out or change without a word is looked for: a field beside ``event`` and ``properties``, a
number that is none, a value too deep. Numbers are looked for before; the rest shows in the lengths of what is read, or,
where a server writes spaces, line by line. A piece that has any of it is read line by line, as every piece is where
DuckDB may not read files.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import tempfile
import uuid
from contextlib import suppress
from dataclasses import replace

import duckdb

from ..database import literal
from ..pages import DEEP, has_odd_number
from .pieces import PieceFile
from .sql import columns_of_events, has_longer_number, is_of_both

__all__ = ["Spool"]

_FOLDER = ".pieces"
# DuckDB reads no longer line, and what it refuses would end a transaction.
_LONGEST = 16_000_000
# What stands between a database's name and that: a process, and what no other folder has.
_WHOSE = re.compile(r"\d+-[0-9a-f]+")
# Folders of this process that are in use; those of another process cannot be, since it cannot have the database open.
_IN_USE: set[str] = set()


class Spool:
    """Files of one download; only one thread puts, and any may do everything else.

    Args:
        cursor: Looks at files that are put.
        database: The file beside which they are; ``None``: where temporary files are.

    Attributes:
        compact: Whether lengths tell what a line has; where they do not, files are looked through when they are put.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, database: str | None) -> None:
        self._cursor = cursor
        self.compact = True
        self._folder = tempfile.mkdtemp(suffix=_FOLDER) if database is None else _beside(database)
        self._number = 0
        self._works = True
        probe = self.put(b'{"event":"","properties":{}}\n', 1)
        self._works = probe is not None
        if probe is not None:
            self.drop(probe)

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _IN_USE.discard(self._folder)

    def put(self, text: bytes, lines: int) -> PieceFile | None:
        """Keep a piece for a moment.

        Args:
            text: Whole lines, none of them empty, each with its line end.
            lines: How many.

        Returns:
            Its file, or ``None`` if it has to be read line by line.
        """
        if not self._works or len(text) > _LONGEST:
            return None
        self._number += 1  # a name of its own: DuckDB remembers files that it has read
        file = PieceFile(os.path.join(self._folder, f"{self._number}.json"), lines, len(text), plain=False)
        try:
            with open(file.path, "wb") as opened:
                opened.write(text)
            if self.compact and not self._has(f"{has_odd_number('content')} OR {has_longer_number('content')}", file):
                return file
            if self.is_plain(file, self._cursor):
                return replace(file, plain=True)
        except (OSError, duckdb.Error):  # no room, or no right to read
            pass
        self.drop(file)
        return None

    def drop(self, file: PieceFile) -> None:
        """Delete a file."""
        with suppress(OSError):
            os.unlink(file.path)

    def is_plain(self, file: PieceFile, cursor: duckdb.DuckDBPyConnection) -> bool:
        """Look at each line of a file: whether it is an event and nothing else.

        Args:
            file: The file.
            cursor: In no transaction, which an error would end.
        """
        read = literal(file.path)
        try:
            ((lines, objects, deep),) = cursor.execute(
                "SELECT count(*), bool_and(coalesce(starts_with(properties, '{'), false)), "
                f"bool_or({DEEP}) FROM ({columns_of_events(read)})"
            ).fetchall()
            if lines != file.lines or not objects or deep or self._has(has_odd_number("content"), file, cursor):
                return False
            ((plain,),) = cursor.execute(
                f"SELECT bool_and({is_of_both('json')}) FROM read_ndjson_objects({read})"
            ).fetchall()
        except duckdb.Error:  # bytes that are no text
            return False
        return bool(plain)

    def _has(self, condition: str, file: PieceFile, cursor: duckdb.DuckDBPyConnection | None = None) -> bool:
        ((has,),) = (
            (cursor or self._cursor).execute(f"SELECT {condition} FROM read_text({literal(file.path)})").fetchall()
        )
        return bool(has)


def _beside(database: str) -> str:
    """Make a folder, and take away those that a process has left that was killed."""
    for path in glob.glob(f"{glob.escape(database)}.*{_FOLDER}"):
        whose = path.removeprefix(f"{database}.").removesuffix(_FOLDER)
        if path not in _IN_USE and _WHOSE.fullmatch(whose):
            shutil.rmtree(path, ignore_errors=True)
    folder = f"{database}.{os.getpid()}-{uuid.uuid4().hex[:12]}{_FOLDER}"
    _IN_USE.add(folder)  # before anybody can find it
    try:
        os.mkdir(folder, 0o700)
    except OSError:
        _IN_USE.discard(folder)
        raise
    return folder
