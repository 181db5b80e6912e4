"""Settings of ours, on an instance that nobody else in this process uses, and given back at the end.

The memory limit is tight, except while pages are written. Every block that DuckDB writes stays in memory until the
limit is reached; there it drops them one by one, and with each of them may give the free memory of the whole process
back to the system, only to ask for it again (2.0.1, ``BufferPool::EvictBlocks``). So a writer widens the limit, and has
the blocks dropped many at a time.

A transaction that starts a checkpoint goes past the write-ahead log into compressed row groups. DuckDB asks whether one
is due before it commits, and reckons a row as 40 bytes, so that every other group of pages would be written twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TypeVar

import duckdb

__all__ = ["Tuning"]

_Outcome = TypeVar("_Outcome")

_MEMORY, _TIGHT = "memory_limit", "170MB"
# Three threads of ours work at a time; more inside DuckDB cost more than they bring. Merging row groups that stayed
# small ("vacuum") rewrites the whole table at the last checkpoint. Measured in docs/storage.md.
_SETTINGS = {_MEMORY: _TIGHT, "threads": "1", "max_vacuum_tasks": "0"}
_CHECKPOINT, _AT_ONCE = "checkpoint_threshold", "1KB"
# Bytes of bodies whose transaction is worth a checkpoint; smaller ones share one, as DuckDB sees fit.
_WORTH_A_CHECKPOINT = 8_000_000
# Bytes of written blocks in memory that are worth dropping, and how many of them stay: another thread may need room
# meanwhile, and takes theirs. After a transaction of so many bytes there is more free memory than the next one needs.
_WORTH_DROPPING, _LEFT, _LARGE = 16_000_000, 8_000_000, 32_000_000
_HELD = """
    SELECT sum(memory_usage_bytes), sum(memory_usage_bytes) FILTER (tag = 'BASE_TABLE') FROM duckdb_memory()
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
        self._before: dict[str, str] = {}
        self._changing = threading.Lock()
        self._limited = ours and limit_memory
        for name, value in _SETTINGS.items():
            if ours and (limit_memory or name != _MEMORY):
                ((before,),) = connection.execute(f"SELECT current_setting('{name}')").fetchall()
                self._before[name] = str(before)
                _set(connection, name, value)

    @property
    def ours(self) -> bool:
        """Whether anything was set."""
        return bool(self._before)

    def with_room(self, work: Callable[[], _Outcome]) -> _Outcome:
        """Do something; if a limit of ours is too tight for it, do it again without.

        Args:
            work: Leaves nothing behind when it fails.
        """
        try:
            return work()
        except duckdb.OutOfMemoryException:
            if not self._limited:
                raise
        self.widen()
        return work()

    def widen(self) -> None:
        """Let DuckDB take as much memory as it would by itself; waits until no blocks are being dropped."""
        self._limit(tight=False)

    def narrow(self) -> None:
        """Take the room back that ``widen`` gave."""
        self._limit(tight=True)

    @contextmanager
    def committing(self, size: int) -> Iterator[None]:
        """Surround a transaction that writes pages; for use between ``widen`` and ``narrow``.

        Args:
            size: Bytes of the pages' bodies.
        """
        if not self._limited:
            yield
            return
        with self._checkpoint_at_once() if size >= _WORTH_A_CHECKPOINT else nullcontext():
            yield
        self._drop_written(large=size > _LARGE)

    @contextmanager
    def _checkpoint_at_once(self) -> Iterator[None]:
        with self._connection.cursor() as cursor:
            ((before,),) = cursor.execute(f"SELECT current_setting('{_CHECKPOINT}')").fetchall()
            _set(cursor, _CHECKPOINT, _AT_ONCE)
            try:
                yield
            finally:
                _set(cursor, _CHECKPOINT, before)

    def _drop_written(self, *, large: bool) -> None:
        with self._changing, self._connection.cursor() as cursor:
            ((held, written),) = cursor.execute(_HELD).fetchall()
            if large or written > _WORTH_DROPPING:
                with suppress(duckdb.OutOfMemoryException):
                    _set(cursor, _MEMORY, f"{held - written + _LEFT}B")
                _set(cursor, _MEMORY, self._before[_MEMORY])

    def _limit(self, *, tight: bool) -> None:
        if self._limited:
            with self._changing, self._connection.cursor() as cursor, suppress(duckdb.OutOfMemoryException):
                _set(cursor, _MEMORY, _TIGHT if tight else self._before[_MEMORY])

    def give_back(self) -> None:
        """Set everything as it was, for those who go on with the instance."""
        for name, value in self._before.items():
            _set(self._connection, name, value)  # on DuckDB 1.5, RESET shows another limit but does not lift it
            self._connection.execute(f"RESET GLOBAL {name}")


def _set(connection: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    connection.execute(f"SET GLOBAL {name} = '{value}'")
