"""How the last run into each table of events went: written when it ends, however that is, and read for a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import duckdb

from ...errors import StorageError
from ...http import steps_from, steps_text, utc_now
from ..database import atomic, columns_of, is_named, storage_errors
from ..journal import FetchHistory, FetchRecord, OpenFetch, PageHistory, RunHistory
from .schema import LAST_RUNS, REQUESTS

__all__ = ["event_fetches", "event_history", "write_history"]


def write_history(
    cursor: duckdb.DuckDBPyConnection,
    fetch: OpenFetch,
    started: datetime,
    counts: tuple[int, int, int],
    requests: Iterable[PageHistory],
) -> None:
    """Remember a run in the place of the one before.

    Args:
        cursor: Where the table is.
        fetch: The run.
        started: Its start, in UTC.
        counts: Days that were asked for and have begun, those of them that are not there, and the events of the others.
        requests: What happened for each request.
    """
    spec, mine = fetch.spec, f"WHERE {is_named('table_name')}"
    listed = [
        (spec.table, each.index, each.name, each.state, each.rows, each.error, each.requested_at, each.received_at,
         each.committed_at, each.worker, steps_text(each.steps))
        for each in requests
    ]  # fmt: skip
    with storage_errors("write the journal"), atomic(cursor):
        for name in (LAST_RUNS, REQUESTS):
            cursor.execute(f"DELETE FROM {name} {mine}", [spec.table])
        cursor.execute(
            f"INSERT INTO {LAST_RUNS} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [spec.table, fetch.fetch_id, spec.project_id, spec.query, started, utc_now(), *counts],
        )
        if listed:
            cursor.executemany(f"INSERT INTO {REQUESTS} VALUES ({', '.join('?' * len(listed[0]))})", listed)


def event_fetches(cursor: duckdb.DuckDBPyConnection) -> list[FetchRecord]:
    """List the last run into each table of events, days in the place of pages."""
    if not columns_of(cursor, LAST_RUNS):
        return []
    return [
        FetchRecord(
            fetch_id=fetch_id, table=table, state="incomplete" if missing else "complete", pages_done=days - missing,
            pages_missing=tuple(range(missing)), total_pages=days, rows=rows, expected_rows=None,
            query=json.loads(query), project_id=project, started_at=started.replace(tzinfo=UTC),
            updated_at=ended.replace(tzinfo=UTC), resumable=False, staging_table="", note=None,
        )
        for table, fetch_id, project, query, started, ended, days, missing, rows in cursor.execute(
            f"FROM {LAST_RUNS}"
        ).fetchall()
    ]  # fmt: skip


def event_history(connect: Callable[[], duckdb.DuckDBPyConnection], fetch_id: str) -> FetchHistory:
    """Read how a run went.

    Args:
        connect: Gives a connection of our own to the database; closed here.
        fetch_id: The run.

    Raises:
        StorageError: The database cannot be read, or does not know the run (any more).
    """
    with storage_errors("read the journal"), closing(connect()) as cursor:
        found = next((each for each in event_fetches(cursor) if each.fetch_id == fetch_id), None)
        if found is None:
            raise StorageError("The journal does not know this run any more: a newer one has taken its place.")
        rows = cursor.execute(
            "SELECT number, state, rows, error, requested_at, received_at, committed_at, worker, steps, days "
            f"FROM {REQUESTS} WHERE table_name = ? ORDER BY number ASC", [found.table],
        ).fetchall()  # fmt: skip
    start, end = (each.replace(tzinfo=None) for each in (found.started_at, found.updated_at))
    return FetchHistory(found, (RunHistory(start, end),), tuple(map(_request, rows)), what="events")


def _request(row: tuple[Any, ...]) -> PageHistory:
    number, state, events, error, requested, received, committed, worker, steps, days = row
    return PageHistory(number, state, events, error, requested, received, committed, worker, steps_from(steps), days)
