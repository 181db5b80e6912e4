"""Pieces of streams as files for a moment: DuckDB's own reader takes them apart in half the time that SQL does.

What that reader would leave out or change without a word is looked for before: a field beside ``event`` and
``properties``, a number that is none, a value too deep. A piece that has any of it is read line by line, as every piece
is where DuckDB may not read files.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import tempfile
import uuid
from contextlib import suppress

import duckdb

from ..database import literal
from ..pages import DEEP, has_odd_number
from .sql import AROUND, columns_of_events, has_longer_number, is_of_both

__all__ = ["Spool"]

_FOLDER = ".pieces"
# What stands between a database's name and that: a process, and what no other folder has.
_WHOSE = re.compile(r"\d+-[0-9a-f]+")
# Folders of this process that are in use; those of another process cannot be, since it cannot have the database open.
_IN_USE: set[str] = set()


class Spool:
    """Files of one download; any thread may delete what another has put.

    Args:
        cursor: Looks at them; only one thread puts.
        database: The file beside which they are; ``None``: where temporary files are.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, database: str | None) -> None:
        self._cursor = cursor
        self._folder = tempfile.mkdtemp(suffix=_FOLDER) if database is None else _beside(database)
        self._number = 0
        self._works = True
        self._works = self.put(b'{"event":"","properties":{}}', 1) is not None

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _IN_USE.discard(self._folder)

    def put(self, text: bytes, lines: int) -> str | None:
        """Keep a piece for a moment.

        Args:
            text: Whole lines, none of them empty.
            lines: How many.

        Returns:
            Its path, or ``None`` if it has to be read line by line.
        """
        if not self._works:
            return None
        self._number += 1  # a name of its own: DuckDB remembers files that it has read
        path = os.path.join(self._folder, f"{self._number}.json")
        try:
            with open(path, "wb") as file:
                file.write(text)
            if self._is_plain(path, len(text) + 1, lines):
                return path
        except (OSError, duckdb.Error):  # no room, no right to read, or a line that is not JSON
            pass
        self.drop(path)
        return None

    def drop(self, path: str) -> None:
        """Delete a file."""
        with suppress(OSError):
            os.unlink(path)

    def _is_plain(self, path: str, size: int, lines: int) -> bool:
        """Whether nothing of it would be lost: its parts are as long as it is, or each line has no other keys.

        No part is longer than it came, but for numbers that are looked for: no line's parts hide what another has more.
        """
        read = literal(path)
        ((rows, held, objects, deep),) = self._cursor.execute(
            f"SELECT count(*), sum(strlen(event) + strlen(properties) + {AROUND + 1}), "
            f"bool_and(starts_with(properties, '{{')), bool_or({DEEP}) FROM ({columns_of_events(read, 'JSON')})"
        ).fetchall()
        if rows != lines or not objects or deep:
            return False
        ((odd, longer),) = self._cursor.execute(
            f"SELECT {has_odd_number('content')}, {has_longer_number('content')} FROM read_text({read})"
        ).fetchall()
        if odd:
            return False
        if held == size and not longer:
            return True
        ((plain,),) = self._cursor.execute(
            f"SELECT bool_and({is_of_both('json')}) FROM read_ndjson_objects({read})"
        ).fetchall()
        return bool(plain)


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
