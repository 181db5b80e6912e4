"""What the journal remembers of how a fetch went: its runs, and when each page was asked for, came and was committed.

A journal of version 1 is read as it is: it knows no runs, no waits and no requests that failed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb

from ...errors import StorageError
from ...http import Step, steps_from
from ..database import storage_errors
from .records import FetchRecord
from .schema import PAGES, RUNS, knows
from .tables import Journal

__all__ = ["FetchHistory", "PageHistory", "RunHistory", "history_of"]


@dataclass(frozen=True, slots=True)
class RunHistory:
    """One run of a fetch.

    Args:
        started_at: Its start, in UTC.
        ended_at: Its end, in UTC; ``None`` while it runs, or if it was killed.
        note: Why it did not complete the fetch, if so.
    """

    started_at: datetime
    ended_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PageHistory:
    """What happened for one page, all times in UTC.

    Args:
        index: The page.
        state: ``"committed"``; ``"missing"`` after the last run gave it up; ``"left"`` by one that was stopped or came
            before.
        rows: Its profiles, if it was committed.
        error: Why it is missing.
        requested_at: When a worker took it; ``None`` if not known, or if it did not come.
        received_at: When its body was whole, likewise.
        committed_at: When it was written, likewise.
        worker: Name of the thread that fetched it.
        steps: Requests that failed and waits, in order.
        name: What it is called, if not by its index.
    """

    index: int
    state: str = "committed"
    rows: int = 0
    error: str | None = None
    requested_at: datetime | None = None
    received_at: datetime | None = None
    committed_at: datetime | None = None
    worker: str | None = None
    steps: tuple[Step, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class FetchHistory:
    """A fetch with its runs and its pages, in order of time; of events, days are its pages, and requests have names."""

    fetch: FetchRecord
    runs: tuple[RunHistory, ...] = ()
    pages: tuple[PageHistory, ...] = ()
    what: Literal["profiles", "events"] = "profiles"


def history_of(connect: Callable[[], duckdb.DuckDBPyConnection], fetch_id: str) -> FetchHistory:
    """Read how a fetch went.

    Args:
        connect: Gives a connection of our own to the database that knows the fetch; closed here.
        fetch_id: The fetch.

    Raises:
        StorageError: The database cannot be read, or does not know the fetch (any more).
    """
    with storage_errors("read the journal"), closing(connect()) as cursor:
        found = next((record for record in Journal(cursor).told() if record.fetch_id == fetch_id), None)
        if found is None:
            raise StorageError(
                "The journal does not know this fetch any more: a newer one of the same table has taken its place."
            )
        return _read(cursor, found)


def _read(cursor: duckdb.DuckDBPyConnection, fetch: FetchRecord) -> FetchHistory:
    steps = "steps" if knows(cursor, PAGES, "steps") else "NULL"
    pages = cursor.execute(
        "SELECT page_index, state, coalesce(rows, 0), error, requested_at, received_at, committed_at, worker, "
        f"{steps} FROM {PAGES} WHERE fetch_id = ? "
        "ORDER BY coalesce(received_at, committed_at) ASC NULLS LAST, page_index ASC",
        [fetch.fetch_id],
    ).fetchall()
    runs = []
    if knows(cursor, RUNS):
        runs = cursor.execute(
            f"SELECT started_at, ended_at, note FROM {RUNS} WHERE fetch_id = ? ORDER BY started_at ASC",
            [fetch.fetch_id],
        ).fetchall()
    return FetchHistory(
        fetch,
        tuple(RunHistory(*run) for run in runs),
        tuple(map(_page, pages)),
    )


def _page(row: tuple[Any, ...]) -> PageHistory:
    index, state, rows, error, requested, received, committed, worker, steps = row
    return PageHistory(index, state, rows, error, requested, received, committed, worker, steps_from(steps))
