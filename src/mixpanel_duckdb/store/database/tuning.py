"""Settings of ours, on an instance that nobody else in this process had open, and given back at the end.

The memory limit is tight, except for whoever needs room: a writer of pages, and work that the tight limit refused.
Every block that DuckDB writes stays in memory until the limit is reached; there it drops them one by one, and with each
of them may give the free memory of the whole process back to the system, only to ask for it again (2.0.1,
``BufferPool::EvictBlocks``). So while pages are written the limit is wide, and blocks are dropped many at a time.

A transaction that starts a checkpoint goes past the write-ahead log into compressed row groups. DuckDB asks whether one
is due before it commits, and reckons a row as 40 bytes, so that every other group of pages would be written twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import duckdb

__all__ = ["Tuning"]

_Outcome = TypeVar("_Outcome")

_MEMORY, _TIGHT = "memory_limit", "170MB"
# Three threads of ours work at a time; more inside DuckDB cost more than they bring. Merging row groups that stayed
# small ("vacuum") rewrites the whole table at the last checkpoint. Measured in docs/storage.md.
_THREADS, _SEVERAL = "threads", 4
_SETTINGS = {_MEMORY: _TIGHT, _THREADS: "1", "max_vacuum_tasks": "0"}
# What is raised once somebody has locked the configuration: then all stays as it is.
_REFUSED = duckdb.InvalidInputException
_CHECKPOINT, _AT_ONCE = "checkpoint_threshold", "1KB"
# Bytes of bodies whose transaction is worth a checkpoint; smaller ones share one, as DuckDB sees fit.
_WORTH_A_CHECKPOINT = 8_000_000
# Bytes of written blocks that are worth dropping, and how many of them stay, for another thread to take the place of.
_WORTH_DROPPING, _LEFT = 14_000_000, 4_000_000
# Bytes that DuckDB frees at once before it gives them back to the system, instead of half a gigabyte; each time costs a
# moment, so it is worth it only where a few large pieces come and go.
_FREED, _LITTLE = "allocator_bulk_deallocation_flush_threshold", "64MB"
# Bytes of bodies whose transaction leaves much free memory behind; a limit that is set gives that back, too.
_LARGE = 32_000_000
_HELD = f"""
    SELECT sum(memory_usage_bytes), sum(memory_usage_bytes) FILTER (tag = 'BASE_TABLE'),
           current_setting('{_MEMORY}'), (SELECT * FROM duckdb_connection_count())
    FROM duckdb_memory()
"""


class Tuning:
    """What was set, and what it was before; any thread may call any method.

    Args:
        connection: To the instance.
        ours: Whether the instance is; if not, nothing is set, and the methods do nothing.
        limit_memory: Whether to limit DuckDB's memory; not where the tables are kept in it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, ours: bool, limit_memory: bool) -> None:
        self._connection = connection
        # What each setting was, and how DuckDB shows what we made of it; whatever it shows later is somebody else's.
        self._before: dict[str, str] = {}
        self._ours: dict[str, str] = {}
        for name, value in _SETTINGS.items():
            if ours and (limit_memory or name != _MEMORY):
                self._before[name] = _current(connection, name)
                _set(connection, name, value)
                self._ours[name] = _current(connection, name)
        self._limited = ours and limit_memory
        self._limit = _TIGHT  # as we wrote it: how DuckDB shows it is a little less
        # Guards every change of the limit, and how many need room.
        self._changing = threading.Lock()
        self._need_room = 0

    @property
    def ours(self) -> bool:
        """Whether anything was set."""
        return bool(self._before)

    def give_back(self) -> None:
        """Set as it was what nobody else has set since, for those who go on with the instance."""
        for name, value in self._before.items():
            if _current(self._connection, name) != self._ours[name]:
                continue
            _set(self._connection, name, value)  # on DuckDB 1.5, RESET shows another limit but does not lift it
            with suppress(_REFUSED):
                self._connection.execute(f"RESET GLOBAL {name}")

    def with_room(self, work: Callable[[], _Outcome]) -> _Outcome:
        """Do something; if a limit of ours is too tight for it, do it again with as much memory as DuckDB would take.

        Args:
            work: Leaves nothing behind when it fails.
        """
        try:
            return work()
        except duckdb.OutOfMemoryException:
            if not self._limited:
                raise
        with self.room():
            return work()

    @contextmanager
    def all_threads(self) -> Iterator[None]:
        """Let DuckDB work with several threads, while none of a fetch does; what the caller has set since stays."""
        if _THREADS not in self._ours or _current(self._connection, _THREADS) != self._ours[_THREADS]:
            yield
            return
        several = str(min(int(self._before[_THREADS]), _SEVERAL))
        _set(self._connection, _THREADS, several)
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # a database that a full disk has closed must not hide why
                if _current(self._connection, _THREADS) == several:
                    _set(self._connection, _THREADS, self._ours[_THREADS])

    @contextmanager
    def room(self) -> Iterator[None]:
        """Let DuckDB take as much memory as it would by itself, for as long as somebody needs it."""
        self._need(1)
        try:
            yield
        finally:
            self._need(-1)

    @contextmanager
    def within(self, limit: str, *, large_pieces: bool = False) -> Iterator[None]:
        """Let DuckDB take somewhat more memory, up to another limit.

        Args:
            limit: That.
            large_pieces: Whether it is taken in a few large pieces, which are to go back to the system when they are
                free: else the next ones come on top.
        """
        with self._changing:
            before = self._limit
            wider = self._limited and not self._need_room and self._limit_if_ours(limit)
        large_pieces = large_pieces and wider
        if large_pieces:
            freed = _current(self._connection, _FREED)
            _set(self._connection, _FREED, _LITTLE)
        try:
            yield
        finally:
            if large_pieces:
                with suppress(duckdb.Error):  # as below
                    _set(self._connection, _FREED, freed)
            if wider:
                with self._changing, suppress(duckdb.Error):  # a database that a full disk has closed must not hide why
                    self._limit_if_ours(before)

    def give_memory_back(self) -> None:
        """Have DuckDB drop the blocks of tables that it keeps, and give the system back what is free of its memory."""
        with self._changing:
            if not self._limited or _current(self._connection, _MEMORY) != self._ours[_MEMORY]:
                return
            ((held, blocks, _, _),) = self._connection.execute(_HELD).fetchall()
            with suppress(duckdb.OutOfMemoryException):  # somebody reads some of them
                _set(self._connection, _MEMORY, f"{held - blocks + _LEFT}B")
            _set(self._connection, _MEMORY, self._limit)

    def _limit_if_ours(self, limit: str, cursor: duckdb.DuckDBPyConnection | None = None) -> bool:
        """Set another limit, unless it is somebody else's by now."""
        connection = cursor or self._connection
        if _current(connection, _MEMORY) != self._ours[_MEMORY]:
            return False
        self._limit = limit
        try:
            _set(connection, _MEMORY, limit)
        finally:  # what DuckDB cannot come down to, it shows all the same
            self._ours[_MEMORY] = _current(connection, _MEMORY)
        return True

    @contextmanager
    def past_the_log(self, cursor: duckdb.DuckDBPyConnection, size: int) -> Iterator[None]:
        """Surround a commit that is worth a checkpoint, unless the settings are somebody else's.

        Args:
            cursor: The writer's.
            size: Bytes of what it has written.
        """
        if not self._limited or size < _WORTH_A_CHECKPOINT:
            yield
            return
        before = _current(cursor, _CHECKPOINT)
        _set(cursor, _CHECKPOINT, _AT_ONCE)
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # a database that a full disk has closed must not hide why
                _set(cursor, _CHECKPOINT, before)

    @contextmanager
    def transaction(self, cursor: duckdb.DuckDBPyConnection, size: int, *, connections: int) -> Iterator[None]:
        """Surround a transaction that stores pages, by somebody who has room.

        Args:
            cursor: The writer's, with no transaction open. A new one would find no memory where the limit is lowered.
            size: Bytes of the pages' bodies.
            connections: How many to the instance are this package's own.
        """
        if not self._limited:
            yield
            return
        with self.past_the_log(cursor, size):
            yield
        with suppress(duckdb.OutOfMemoryException):
            self._drop_written(cursor, connections, large=size > _LARGE)

    def _drop_written(self, cursor: duckdb.DuckDBPyConnection, connections: int, *, large: bool) -> None:
        """Lower the limit for a moment, unless it is somebody else's by now, or somebody else could run into it."""
        with self._changing:
            ((held, written, limit, open_now),) = cursor.execute(_HELD).fetchall()
            others = open_now > connections or self._need_room > 1
            if not others and limit == self._ours[_MEMORY] and (large or written > _WORTH_DROPPING):
                try:
                    _set(cursor, _MEMORY, f"{held - written + _LEFT}B")
                finally:
                    _set(cursor, _MEMORY, self._before[_MEMORY])

    def _need(self, more: int) -> None:
        with self._changing:
            had = self._need_room > 0
            self._need_room += more
            if not self._limited or had == (self._need_room > 0):
                return
            with suppress(duckdb.OutOfMemoryException), self._connection.cursor() as cursor:
                self._limit_if_ours(_TIGHT if had else self._before[_MEMORY], cursor)


def _current(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    ((value,),) = connection.execute(f"SELECT current_setting('{name}')").fetchall()
    return str(value)


def _set(connection: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    with suppress(_REFUSED):
        connection.execute(f"SET GLOBAL {name} = '{value}'")
