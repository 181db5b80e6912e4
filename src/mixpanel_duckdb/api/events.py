"""Fetch events: open what is needed, do it, close it again."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import date, datetime
from threading import Event
from typing import TYPE_CHECKING, Any, Unpack

from ..accounts import AnyCredentials, Credentials
from ..arguments import REFRESH_DAYS, check
from ..display import Progress
from ..engage import MixpanelClient
from ..events import EventFilters, EventQuery
from ..fetch import EventCallback, ParallelEventFetcher, begun, days_to_fetch, requests_for
from ..http import EXPORT_QUOTA, MOST_EXPORTS, USUAL_EXPORTS, capped_workers
from ..results import FetchObserver, ParallelFetchResult
from ..store import DayRecord, ProfileStore, Target, check_target, path_of, reading
from ..text import many

if TYPE_CHECKING:
    from ..store import AnyDatabase

__all__ = ["EventEstimate", "fetch_events", "plan_events"]


def fetch_events(
    database: AnyDatabase,
    from_date: str | date,
    to_date: str | date,
    table: str = "events",
    *,
    credentials: AnyCredentials | None = None,
    client: MixpanelClient | None = None,
    max_workers: int | None = None,
    into: Target | None = None,
    days_per_request: int | None = None,
    refresh_days: int = REFRESH_DAYS,
    refetch: bool = False,
    rate_limit_wait: float | None = None,
    on_batch_complete: EventCallback | None = None,
    observer: FetchObserver | None = None,
    progress: Progress = "auto",
    stop: Event | None = None,
    base_url: str | None = None,
    allow_http: bool = False,
    **filters: Unpack[EventFilters],
) -> ParallelFetchResult:
    """Fetch the events of some days into a DuckDB table: those days that are missing, or were still open.

    Args:
        database: A path, ``":memory:"``, your own ``DuckDBPyConnection`` or a :class:`ProfileStore`.
        from_date: First day, as YYYY-MM-DD or a ``datetime.date``.
        to_date: Last day, which is included.
        table: Table to fetch into; it is made if there is none.
        credentials: Who asks; default: the environment.
        client: Your own client instead of ``credentials`` and ``base_url``.
        max_workers: Requests at a time, 1 to 10; default: 4. More is capped with a warning.
        into: Where to publish the days, too: see :class:`Target`. The database keeps them, and is what the next run
            goes on from.
        days_per_request: Days of each request; default: as many as make about a million events, 30 at most.
        refresh_days: A day that was younger than this when it was fetched is fetched again.
        refetch: Fetch every day again.
        rate_limit_wait: Most seconds to wait in all for the limits.
        on_batch_complete: Called on this thread for each request whose days were stored or given up.
        observer: Hears more than that: the plan, waits, notices; days are what pages are for profiles.
        progress: What to show on standard error, as for :func:`fetch_profiles`.
        stop: Set it, from any thread, and the run ends as at a Ctrl-C.
        base_url: Host part of the server's URL.
        allow_http: Accept a base URL that is neither https nor loopback.
        **filters: ``events``, names of events, and ``where``, an expression.

    Returns:
        Which days are there; ``.df()``, ``.pl()``, ``.arrow()`` and ``.relation()`` give the rows of the table.

    Raises:
        MixpanelError: See :meth:`ParallelEventFetcher.fetch_events`.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import EventPopulation, RawExport, Simulator
        >>> with Simulator(events=RawExport(EventPopulation("2026-01-01", "2026-01-31", 100))) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     result = md.fetch_events(":memory:", "2026-01-01", "2026-01-03", credentials=who, base_url=sim.base_url)
        >>> result.relation().aggregate("count(*)").fetchall()
        [(300,)]
    """
    given = {name: value for name, value in locals().items() if name not in ("from_date", "to_date")}
    check(given, but={"database", "credentials", "filters", "max_workers", "into"}, optional={"client"})
    check_target(into)
    workers = capped_workers(max_workers, most=MOST_EXPORTS, usual=USUAL_EXPORTS)
    EventQuery.of(from_date, to_date, **filters)
    with ExitStack() as stack:
        if client is None:
            who = Credentials.from_env() if credentials is None else credentials
            client = stack.enter_context(MixpanelClient(who, base_url=base_url, allow_http=allow_http))
        store = database if isinstance(database, ProfileStore) else stack.enter_context(ProfileStore(database))
        return ParallelEventFetcher(client, store, max_workers=workers).fetch_events(
            table,
            from_date,
            to_date,
            into=into,
            days_per_request=days_per_request,
            refresh_days=refresh_days,
            refetch=refetch,
            rate_limit_wait=rate_limit_wait,
            on_batch_complete=on_batch_complete,
            observer=observer,
            progress=progress,
            stop=stop,
            **filters,
        )


@dataclass(frozen=True, slots=True)
class EventEstimate:
    """What a fetch of events would be, as the database tells; nothing was requested.

    Args:
        table: Table that it would go into.
        days: Days that are asked for.
        days_to_fetch: Those that are missing, or were open when they were fetched.
        least_requests: Requests that takes, if the days are as full as those that are there, or all but empty.
        most_requests: The same, if nothing is known and they are full.
        requests_last_hour: Requests of the last hour that the database's ledger knows of.
        hourly_quota: The published limit.
        days_not_begun: Days that are asked for and cannot be fetched yet.
    """

    table: str
    days: int
    days_to_fetch: int
    least_requests: int
    most_requests: int
    requests_last_hour: int
    hourly_quota: int = EXPORT_QUOTA
    days_not_begun: int = 0

    @property
    def requests_left(self) -> int:
        """Requests left in this hour by the published limit."""
        return max(0, self.hourly_quota - self.requests_last_hour)

    @property
    def most_hours(self) -> int:
        """Hours of waiting that the limit means at most."""
        return -(-max(0, self.most_requests - self.requests_left) // self.hourly_quota)

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        return {**asdict(self), "requests_left": self.requests_left, "most_hours": self.most_hours}

    def summary(self) -> str:
        """Say in a few lines what the fetch would be and what the limits mean for it."""
        requests = f"{self.least_requests:,}"
        if self.most_requests > self.least_requests:
            requests += f" to {self.most_requests:,}"
        later = f"; {self.days_not_begun:,} of them have not begun" if self.days_not_begun else ""
        waits = f"up to {self.most_hours:,} hours of waiting" if self.most_hours else "no waiting"
        return (
            f"{self.days_to_fetch:,} of {many(self.days, 'day')} to fetch into {self.table!r}, in {requests} requests"
            f"{later}.\n"
            f"Mixpanel publishes {self.hourly_quota} requests an hour; this database knows of "
            f"{self.requests_last_hour} in the last hour, so that means {waits}."
        )


def plan_events(
    database: AnyDatabase,
    from_date: str | date,
    to_date: str | date,
    table: str = "events",
    *,
    credentials: AnyCredentials | None = None,
    client: MixpanelClient | None = None,
    days_per_request: int | None = None,
    refresh_days: int = REFRESH_DAYS,
    refetch: bool = False,
    base_url: str | None = None,
    allow_http: bool = False,
) -> EventEstimate:
    """Say what :func:`fetch_events` would do, from what the database knows; nothing is requested.

    Args:
        database: As for :func:`fetch_events`; a file that is not there is not made.
        from_date: First day.
        to_date: Last day, which is included.
        table: Table that it would go into.
        credentials: Whose ledger of requests is looked at; default: the environment.
        client: Your own client instead of ``credentials`` and ``base_url``.
        days_per_request: Days of each request.
        refresh_days: A day that was younger than this when it was fetched is fetched again.
        refetch: Fetch every day again.
        base_url: Host part of the server's URL.
        allow_http: Accept a base URL that is neither https nor loopback.

    Raises:
        QueryError: An argument is wrong.
        StorageError: The file cannot be opened.

    Example:
        >>> import mixpanel_duckdb as md
        >>> who = md.Credentials(username="me", secret="mine", project_id="1")
        >>> md.plan_events(":memory:", "2025-01-01", "2025-12-31", credentials=who).least_requests
        15
    """
    given = {name: value for name, value in locals().items() if name not in ("from_date", "to_date")}
    check(given, but={"database", "credentials"}, optional={"client"})
    days = EventQuery.of(from_date, to_date).days
    known: dict[date, DayRecord] = {}
    asked: list[datetime] = []
    with ExitStack() as stack:
        if client is None:
            who = Credentials.from_env() if credentials is None else credentials
            client = stack.enter_context(MixpanelClient(who, base_url=base_url, allow_http=allow_http))
        if not isinstance(database, str | os.PathLike) or os.path.exists(path_of(database)):
            events = stack.enter_context(closing(stack.enter_context(reading(database)).events()))
            known = events.days(table, days.first, days.last)
            asked = events.asked(client.credentials.project_id, client.export_url)
    missing = days_to_fetch(days, known, refresh_days, refetch=refetch)
    todo = begun(missing)
    least, most = requests_for(todo, days_per_request, known.values())
    later = len(missing) - len(todo)
    return EventEstimate(table, len(days), len(todo), least, most, len(asked), days_not_begun=later)
