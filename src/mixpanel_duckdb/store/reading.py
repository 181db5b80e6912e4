"""For whoever only reads: the caller's own store, or one that is opened for as long as it takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from .profiles import ProfileStore

__all__ = ["AnyDatabase", "reading"]

# What a database may be given as.
AnyDatabase = str | os.PathLike[str] | duckdb.DuckDBPyConnection | ProfileStore


@contextmanager
def reading(database: AnyDatabase) -> Iterator[ProfileStore]:
    """Have a store to read from, beside other readers and where nothing can be written.

    Raises:
        StorageError: There is no such file, or it cannot be opened.
    """
    if isinstance(database, ProfileStore):
        yield database
        return
    with ProfileStore.open_existing(database, read_only=True) as store:
        yield store
