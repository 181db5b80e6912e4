"""A table of events made ready for a fetch, and what is known of its days."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from weakref import WeakValueDictionary

from ...errors import DatabaseLockedError, QueryError, UnsuitableTableError
from ...events import DayRange
from ...http import utc_now
from ..database import (
    Database,
    atomic,
    columns_of,
    existing,
    folded,
    is_named,
    must_be_duckdb,
    only_row,
    pack,
    quote,
    storage_errors,
    unusable,
)
from ..journal import PREFIX, QUERIES, Claim, FetchSpec, Journal, OpenFetch, PageHistory, count_queries
from .days import DayRecord
from .history import write_history
from .ingest import EventIngest
from .pieces import OddEvents
from .schema import DAYS, LAST_RUNS, ODD, REQUESTS, RUNS, STRAYS, ensure_journal, ensure_table
from .strays import fetched_together, has_strays
from .zone import clock_offset

__all__ = ["EventFetching"]

# After so long, days that were open are fetched again even by a run that goes on.
_LONGEST_RUN = timedelta(days=1)
# Weak, as the claims that are in force: an interrupt at a run's end must not keep its table for good.
_RUNNING: WeakValueDictionary[tuple[str, str], Claim] = WeakValueDictionary()


class EventFetching:
    """Fetches of events into one database; one thread at a time, but for the writer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cursor = database.cursor()

    @contextmanager
    def fetching(self, spec: FetchSpec) -> Iterator[OpenFetch]:
        """Make a table ready, and be the only one who fetches into it.

        Args:
            spec: What is fetched; a table that is there keeps its own way to write its name.

        Raises:
            QueryError: Its name is reserved.
            UnsuitableTableError: It is something else, or holds events of something else.
            DatabaseLockedError: Another run of this process is at it.
        """
        claim, key = Claim(), (self._database.file or str(id(self._database)), folded(spec.table))
        try:
            with storage_errors(f"begin a fetch into {spec.table!r}"), claim.taking(), atomic(self._cursor):
                must_be_duckdb(self._cursor)
                if reason := unusable(self._cursor, spec.table, reserved=PREFIX):
                    raise QueryError(f"{spec.table!r} cannot be a table's name here: {reason}.")
                if (other := _RUNNING.get(key)) and Claim.holds(other.token):
                    raise DatabaseLockedError(f"Another run is fetching into table {spec.table!r} of this database.")
                _RUNNING[key] = claim
                journal = Journal(self._cursor)
                journal.ensure()
                journal.refuse_second_run(spec.table)
                ensure_journal(self._cursor)
                if found := existing(self._cursor, spec.table):
                    spec = replace(spec, table=found.name)
                self._check(spec)
                ensure_table(self._cursor, spec.table, zstd=self._database.zstd)
            yield OpenFetch(uuid.uuid4().hex, "", spec, claim)
        finally:
            claim.release()

    def _check(self, spec: FetchSpec) -> None:
        """Refuse events of something else; forget the days of a table that somebody has dropped."""
        if existing(self._cursor, spec.table) is None:
            for name in (DAYS, STRAYS, RUNS, LAST_RUNS, REQUESTS):
                self._cursor.execute(f"DELETE FROM {name} WHERE {is_named('table_name')}", [spec.table])
            return
        held = self._cursor.execute(
            f"SELECT DISTINCT project_id, host, query FROM {DAYS} WHERE table_name = ?", [spec.table]
        ).fetchall()
        for project, host, query in held:
            has, wants = FetchSpec(spec.table, query, project, host).events, spec.events
            if has != wants:
                raise UnsuitableTableError(
                    f"Table {spec.table!r} holds {has}, but this fetch is of {wants}: nothing was requested. Choose "
                    "another table."
                )

    def days(self, table: str, first: date, last: date) -> dict[date, DayRecord]:
        """Give what is known of some days."""
        with storage_errors("read the journal"):
            if not columns_of(self._cursor, DAYS):
                return {}
            rows = self._cursor.execute(
                f"SELECT day, rows, fetched_at, {', '.join(ODD)} FROM {DAYS} "
                f"WHERE {is_named('table_name')} AND day BETWEEN ? AND ?", [table, first, last],
            ).fetchall()  # fmt: skip
        return {day: DayRecord(day, events, at, OddEvents(*odd)) for day, events, at, *odd in rows}

    def lost(self, table: str, first: date, last: date) -> list[date]:
        """Give the days of which the table has fewer rows than were stored: somebody has deleted some."""
        with storage_errors("read the events"):
            rows = self._cursor.execute(
                f"SELECT d.day FROM {DAYS} d LEFT JOIN (SELECT time::DATE AS day, sum(one) AS n FROM ("
                f"SELECT time, 1 AS one FROM {quote(table)} UNION ALL "  # but those that came with other days
                f"SELECT time, -1 FROM {STRAYS} WHERE {is_named('table_name', '$1')}"
                ") WHERE time >= $2::DATE AND time < $3::DATE + 1 GROUP BY ALL) t ON t.day = d.day "
                f"WHERE {is_named('d.table_name', '$1')} AND d.day BETWEEN $2 AND $3 AND coalesce(t.n, 0) < d.rows "
                "ORDER BY d.day ASC",
                [table, first, last],
            ).fetchall()
        return [day for (day,) in rows]

    def since(self, table: str, run: str) -> datetime:
        """Tell when a run began; if the same one ended early before, when that began.

        Args:
            table: Table that is fetched into.
            run: What makes two runs the same.
        """
        now = utc_now()
        with storage_errors("write the journal"), atomic(self._cursor):
            row = only_row(
                self._cursor,
                f"SELECT started_at FROM {RUNS} WHERE table_name = ? AND run = ? AND started_at > ?",
                [table, run, now - _LONGEST_RUN],
            )
            if row is None:
                self._cursor.execute(f"DELETE FROM {RUNS} WHERE table_name = ?", [table])
                self._cursor.execute(f"INSERT INTO {RUNS} VALUES (?, ?, ?)", [table, run, now])
        return now if row is None else row[0]

    def completed(self, table: str) -> None:
        """Note that the run has asked for all of its days, and leave small tables in few row groups."""
        with storage_errors("write the journal"):
            self._cursor.execute(f"DELETE FROM {RUNS} WHERE table_name = ?", [table])
            for each in (table, DAYS):
                pack(self._cursor, self._database.tuning, each)

    def remember(
        self,
        fetch: OpenFetch,
        days: DayRange,
        started: datetime,
        requests: Iterable[PageHistory],
        not_begun: date | None,
    ) -> None:
        """Note how a run went, for a picture of it, in the place of the one before.

        Args:
            fetch: The run.
            days: What was asked for.
            started: Its start, in UTC.
            requests: What happened for each request.
            not_begun: The first day that had not begun, if any: neither it nor one after it is missing.
        """
        known = self.days(fetch.spec.table, days.first, days.last)
        wanted = sum(not_begun is None or day < not_begun or day in known for day in days)
        counts = wanted, wanted - len(known), sum(each.total for each in known.values())
        write_history(self._cursor, fetch, started, counts, requests)

    def clock_offset(self, table: str, days: Sequence[date]) -> int | None:
        """Give the minutes that the clock of the times is before UTC, as far as events of some days tell."""
        with storage_errors("read the events"):
            return clock_offset(self._cursor, table, days)

    def has_strays(self, table: str) -> bool:
        """Whether events came with other days than those of their times: replacing one day may touch another then."""
        with storage_errors("read the journal"):
            return has_strays(self._cursor, table)

    def fetched_together(self, table: str, days: Sequence[date]) -> list[date]:
        """Give the days that must be fetched with some others, whichever are asked for; see ``strays``."""
        with storage_errors("read the journal"):
            return fetched_together(self._cursor, table, days)

    def writer(self, spec: FetchSpec) -> EventIngest:
        """Give the object that stores streams, for the writer's thread."""
        # Two transactions would take away the same stray: as one of its own day, and as one that came with another.
        return EventIngest(self._database, spec, one_by_one=self.has_strays(spec.table))

    def asked(self, project_id: str, host: str) -> list[datetime]:
        """Give the moment, in UTC, of each request for raw events of the last hour that this database knows of."""
        if not columns_of(self._cursor, QUERIES):
            return []
        rows = self._cursor.execute(
            f"SELECT asked_at FROM {QUERIES} WHERE project_id = ? AND host = ? AND asked_at > ?",
            [project_id, _ledger(host), utc_now() - timedelta(hours=1)],
        ).fetchall()
        return [at for (at,) in rows]

    def count_requests(self, project_id: str, host: str, moments: Sequence[datetime]) -> None:
        """Note requests for raw events, which have an hour of their own."""
        if moments:
            with storage_errors("write the journal"), Claim.alone():
                count_queries(self._cursor, project_id, _ledger(host), moments)

    def close(self) -> None:
        """Give the cursor back."""
        self._cursor.close()


def _ledger(host: str) -> str:
    return f"{host}/export"
