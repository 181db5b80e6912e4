"""The journal: which fetches a database knows, what session they read from, and which of their pages are committed.

``_mixpanel_fetches`` has a row for each fetch, ``_mixpanel_runs`` one for each of its runs, ``_mixpanel_pages`` one for
each committed or missing page, ``_mixpanel_queries`` one for each query of the last hour that counts against a
project's quota, and ``_mixpanel_tables`` one for each fetch that a published table is made of. A page's journal row is
written by ``pages`` in the transaction that holds its profiles; that is all that resume relies on.

A fetch that is running belongs to one run of one process: see ``ownership``.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC
from typing import Any

import duckdb

from ...errors import DatabaseLockedError, StorageError
from ...http import utc_now
from ..database import is_named, only_row, quote
from .differences import distinct_rows
from .ownership import Claim
from .records import FetchRecord, FetchSpec, OddRows, OpenFetch
from .schema import FETCHES, PAGES, RUNS, SCHEMA_VERSION, ensure, knows

__all__ = ["Journal", "own_fetch"]


def own_fetch(cursor: duckdb.DuckDBPyConnection, fetch_id: str, token: str) -> None:
    """Make sure that a fetch is still this owner's; only read, since DuckDB starts no checkpoint behind an update.

    Raises:
        StorageError: Another run has taken it over, or it has ended.
    """
    if not _is_running(cursor, fetch_id, token):
        raise StorageError("Another run has taken this fetch over, or it has ended; these pages are not stored.")


def _is_running(cursor: duckdb.DuckDBPyConnection, fetch_id: str, token: str) -> bool:
    row = only_row(
        cursor,
        f"SELECT count(*) FROM {FETCHES} WHERE fetch_id = ? AND owner_token = ? AND state = 'running'",
        [fetch_id, token],
    )
    return bool(row and row[0])


class Journal:
    """Reads and writes the journal tables through one cursor, on the thread that owns that cursor."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def exists(self) -> bool:
        """Whether this database has a journal."""
        return knows(self._cursor, FETCHES)

    def ensure(self) -> None:
        """Create the journal tables, bring older ones up to date, or refuse a journal that a newer version wrote."""
        ensure(self._cursor)

    def records(self, table: str | None = None) -> list[FetchRecord]:
        """List the fetches, newest first.

        Args:
            table: Only those for this table.
        """
        account, target, asked = (  # a journal of an older version has not all of them
            f"f.{name}" if knows(self._cursor, FETCHES, name) else "NULL"
            for name in ("account", "target", "asked_page_size")
        )
        rows = self._cursor.execute(
            f"""
            SELECT f.fetch_id, f.table_name, f.state, f.total_pages, f.total, f.query, f.project_id, f.started_at,
                   greatest(f.updated_at, p.last_commit), f.staging_table, f.note, f.session_id, f.page_size,
                   f.as_of_timestamp, {asked}, f.host, coalesce({account}, ''), coalesce({target}, ''), f.owner_token,
                   coalesce(p.last_commit, f.started_at), p.done, coalesce(p.rows, 0), f.staging_table IN (
                       SELECT table_name FROM duckdb_tables()
                       WHERE database_name = current_database() AND schema_name = current_schema())
            FROM {FETCHES} f LEFT JOIN (
                SELECT fetch_id, max(committed_at) AS last_commit, list(page_index) AS done, sum(rows) AS rows
                FROM {PAGES} WHERE state = 'committed' GROUP BY fetch_id) p USING (fetch_id)
            WHERE $1 IS NULL OR {is_named("f.table_name", "$1")} ORDER BY f.started_at DESC
            """,
            [table],
        ).fetchall()
        counted = distinct_rows(self._cursor)
        return [
            replace(each, distinct_rows=counted.get((each.fetch_id, each.session_id))) for each in map(_record, rows)
        ]

    def terms(self, fetch_id: str) -> dict[str, Any]:
        """Give what the last run of a fetch might do to its table, as :meth:`claim` was told."""
        row = only_row(self._cursor, f"SELECT terms FROM {FETCHES} WHERE fetch_id = ?", [fetch_id])
        terms: dict[str, Any] = json.loads(row[0]) if row and row[0] else {}
        return terms

    def told(self, table: str | None = None) -> list[FetchRecord]:
        """List the fetches for people: none without a journal, and ``resumable`` as the usual run takes it.

        Args:
            table: Only those for this table.
        """
        return [each.as_usual() for each in self.records(table)] if self.exists() else []

    def refuse_second_run(self, table: str) -> None:
        """Raise if another run of this process writes the table.

        Raises:
            DatabaseLockedError: Names the owner.
        """
        rows = self._cursor.execute(
            f"SELECT owner_pid, owner_token FROM {FETCHES} WHERE {is_named('table_name')} AND state = 'running'",
            [table],
        ).fetchall()
        for pid, token in rows:
            if Claim.holds(token):
                raise DatabaseLockedError(
                    f"Another run (process {pid}) is fetching into table {table!r} of this database; wait for it or "
                    "use another table."
                )

    def claim(self, spec: FetchSpec, fetch_id: str | None, staging: str, token: str, terms: Mapping[str, Any]) -> str:
        """Make this run the owner of a fetch, new or taken over, in the caller's transaction.

        Args:
            spec: What is fetched.
            fetch_id: The fetch to go on with; ``None`` starts a new one.
            staging: Its staging table.
            token: The owner's.
            terms: What this run may do to its table.

        Returns:
            The fetch id.
        """
        now = utc_now()
        if fetch_id is None:
            fetch_id = uuid.uuid4().hex
            self._cursor.execute(
                f"INSERT INTO {FETCHES} (fetch_id, schema_version, table_name, staging_table, project_id, host, "
                "account, query, target, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    fetch_id,
                    SCHEMA_VERSION,
                    spec.table,
                    staging,
                    spec.project_id,
                    spec.host,
                    spec.account,
                    spec.query,
                    spec.target,
                    now,
                ],
            )
        self._cursor.execute(
            f"UPDATE {FETCHES} SET state = 'running', owner_pid = ?, owner_token = ?, updated_at = ?, terms = ?, "
            "note = NULL WHERE fetch_id = ?",
            [os.getpid(), token, now, json.dumps(terms), fetch_id],
        )
        self._cursor.execute(
            f"INSERT INTO {RUNS} (fetch_id, owner_token, started_at) VALUES (?, ?, ?)", [fetch_id, token, now]
        )
        return fetch_id

    def is_running(self, fetch_id: str, token: str) -> bool:
        """Whether a fetch is this owner's and not over: a Ctrl-C may come right behind the commit that ended it."""
        return _is_running(self._cursor, fetch_id, token)

    def opened(self, fetch: OpenFetch, pages: int) -> None:
        """Keep what page 0 said: the session, and how many profiles and pages there are."""
        said = (fetch.session_id, fetch.total, fetch.page_size, fetch.asked_page_size, pages, fetch.as_of_timestamp)
        self._cursor.execute(
            f"UPDATE {FETCHES} SET staging_table = ?, session_id = ?, total = ?, page_size = ?, "
            "asked_page_size = ?, total_pages = ?, as_of_timestamp = ?, updated_at = ? WHERE fetch_id = ?",
            [fetch.staging, *said, utc_now(), fetch.fetch_id],
        )

    def empty(self, fetch_id: str) -> None:
        """Drop the pages and the staging table that a fetch has from an earlier session."""
        row = only_row(self._cursor, f"SELECT staging_table FROM {FETCHES} WHERE fetch_id = ?", [fetch_id])
        if row is not None:
            self._cursor.execute(f"DROP TABLE IF EXISTS {quote(row[0])}")
        self._cursor.execute(f"DELETE FROM {PAGES} WHERE fetch_id = ?", [fetch_id])

    def closed(
        self, fetch_id: str, *, state: str, note: str | None, pages: list[tuple[int, str, str, str | None]]
    ) -> None:
        """Record how a run ended, with state, reason and steps of pages that did not come."""
        now = utc_now()
        self._cursor.execute(
            f"DELETE FROM {PAGES} WHERE fetch_id = ? AND state = 'missing' AND steps IS NULL", [fetch_id]
        )
        self._cursor.execute(f"UPDATE {PAGES} SET state = 'left' WHERE fetch_id = ? AND state = 'missing'", [fetch_id])
        if pages:
            self._cursor.execute(
                f"INSERT INTO {PAGES} (fetch_id, page_index, state, error, steps) "
                "SELECT ?, unnest(?::INTEGER[]), unnest(?::VARCHAR[]), unnest(?::VARCHAR[]), unnest(?::JSON[])",
                [fetch_id, *map(list, zip(*pages, strict=True))],
            )
        self._cursor.execute(
            f"UPDATE {RUNS} SET ended_at = ?, note = ? WHERE fetch_id = ? "
            f"AND owner_token = (SELECT owner_token FROM {FETCHES} WHERE fetch_id = ?)",
            [now, note, fetch_id, fetch_id],
        )
        self._cursor.execute(
            f"UPDATE {FETCHES} SET state = ?, note = ?, updated_at = ? WHERE fetch_id = ?",
            [state, note, now, fetch_id],
        )

    def committed(self, fetch_id: str) -> tuple[tuple[int, int], ...]:
        """Give index and rows of each committed page."""
        return tuple(
            self._cursor.execute(
                f"SELECT page_index, rows FROM {PAGES} WHERE fetch_id = ? AND state = 'committed' ORDER BY 1 ASC",
                [fetch_id],
            ).fetchall()
        )

    def largest_body(self, fetch_id: str) -> int:
        """Give the bytes of the largest body that is committed, 0 if none is."""
        row = only_row(self._cursor, f"SELECT max(bytes) FROM {PAGES} WHERE fetch_id = ?", [fetch_id])
        return int(row[0] or 0) if row else 0

    def odd_rows(self, fetch_id: str) -> OddRows:
        """Sum up the odd rows of the committed pages."""
        sums = ", ".join(f"sum({each.name})" for each in fields(OddRows))
        row = only_row(
            self._cursor, f"SELECT {sums} FROM {PAGES} WHERE fetch_id = ? AND state = 'committed'", [fetch_id]
        )
        return OddRows(*(int(value or 0) for value in row or ()))

    def forget_history(self, records: Sequence[FetchRecord]) -> None:
        """Remove the journal of fetches whose rows have been published and replaced since."""
        ids = [record.fetch_id for record in records]
        for table in (PAGES, RUNS, FETCHES):
            self._cursor.execute(f"DELETE FROM {table} WHERE list_contains($1::VARCHAR[], fetch_id)", [ids])

    def forget(self, records: Sequence[FetchRecord]) -> None:
        """Remove fetches with their pages and staging tables."""
        for record in records:
            self._cursor.execute(f"DROP TABLE IF EXISTS {quote(record.staging_table)}")
        self.forget_history(records)


def _record(row: tuple[Any, ...]) -> FetchRecord:
    (fetch_id, table, state, total_pages, total, query, project_id, started, updated, staging, note, session,
     page_size, as_of, asked, host, account, target, token, alive, done, rows, staged) = row  # fmt: skip
    committed = set(done or ())
    missing = tuple(index for index in range(total_pages or 0) if index not in committed)
    killed = state == "running" and not Claim.holds(token)
    return FetchRecord(
        fetch_id=fetch_id,
        table=table,
        state="incomplete" if killed else state,
        pages_done=len(committed),
        pages_missing=missing,
        total_pages=total_pages,
        rows=int(rows),
        expected_rows=total,
        query=json.loads(query),
        project_id=project_id,
        started_at=started.replace(tzinfo=UTC),
        updated_at=updated.replace(tzinfo=UTC),
        resumable=(kept := bool(committed and staged)) and (killed or state == "incomplete"),
        publishable=kept and (killed or state in ("incomplete", "held")),
        staging_table=staging,
        note="The run was killed." if killed and not note else note,
        page_size=page_size,
        as_of_timestamp=as_of,
        asked_page_size=asked,
        host=host,
        account=account,
        target=target,
        query_text=query,
        session_id=session,
        last_commit=alive.replace(tzinfo=UTC),
    )
