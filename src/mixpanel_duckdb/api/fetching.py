"""Fetch, or ask what a fetch would be: open what is needed, do one thing, close it again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any, Unpack

from ..accounts import AnyCredentials, Credentials
from ..arguments import RESUME_MAX_AGE, check
from ..display import Progress, RunLog, progress_display
from ..engage import Announcement, MixpanelClient, PageSizing, ProfileFilters, ProfileQuery, page_sizing
from ..errors import StorageError
from ..fetch import BatchCallback, ParallelProfileFetcher, page_source
from ..http import HOURLY_QUOTA, MAX_IN_FLIGHT, FetchControl, Meter, capped_workers
from ..results import FetchObserver, ParallelProfileFetchResult
from ..store import IfExists, ProfileStore, Target, check_target
from ..text import duration, facts, many

if TYPE_CHECKING:
    from ..store import AnyDatabase

__all__ = ["FetchEstimate", "fetch_profiles", "plan_fetch"]

_log = logging.getLogger("mixpanel_duckdb")


def fetch_profiles(
    database: AnyDatabase,
    table: str = "profiles",
    *,
    credentials: AnyCredentials | None = None,
    client: Any = None,
    parallel: bool = True,
    max_workers: int | None = None,
    into: Target | None = None,
    if_exists: IfExists = "error",
    allow_other: bool = False,
    allow_shrink: bool = False,
    tolerance: int | str = 0,
    keep_history: bool = False,
    resume: bool = True,
    resume_max_age: float | None = RESUME_MAX_AGE,
    rate_limit_wait: float | None = None,
    on_batch_complete: BatchCallback | None = None,
    observer: FetchObserver | None = None,
    progress: Progress = "auto",
    stop: Event | None = None,
    base_url: str | None = None,
    allow_http: bool = False,
    **filters: Unpack[ProfileFilters],
) -> ParallelProfileFetchResult:
    """Fetch every matching profile of a project into a DuckDB table.

    Args:
        database: A path, ``":memory:"``, your own ``DuckDBPyConnection`` or a :class:`ProfileStore`.
        table: Table to publish; it appears, or is replaced, only when the fetch is complete.
        credentials: Who asks: :class:`Credentials`, or a ``Workspace`` or ``Session`` of ``mixpanel-headless``;
            default: the environment (see :meth:`Credentials.from_env`).
        client: Your own client instead of ``credentials`` and ``base_url``; see :class:`ParallelProfileFetcher`.
        parallel: ``False`` is the same flow with one page fetcher.
        max_workers: Page fetchers at a time, 1 to 5.
        into: Where to publish, if not in the database itself: see :class:`Target`. Staging and journal stay there.
        if_exists: ``"error"``, ``"replace"`` or ``"merge"``.
        allow_other: Replace or merge into a table that holds something else: another project, other filters, more
            properties.
        allow_shrink: Replace a table of 1,000 rows or more by fewer than half as many.
        tolerance: By how many profiles, or which share of them (``"0.1%"``), the result may differ from the server's
            total and be published all the same.
        keep_history: Keep each version of each profile in the table ``<table>_history``; see :func:`changes`.
        resume: Whether to go on with an unfinished fetch of the same query, project and table.
        resume_max_age: Seconds since its last committed page after which its session is not trusted; ``None``: it is as
            long as the server knows it.
        rate_limit_wait: Most seconds to wait in all for the server's limits.
        on_batch_complete: Called on this thread for every page that was committed or given up.
        observer: Hears more than that: the plan, waits, notices.
        progress: ``"auto"``: a bar in a notebook or on a terminal, in a log a line now and then, nothing beside a
            callback or an observer of yours; ``True``: a bar in any case; ``False`` or ``None``: nothing. See
            :meth:`ParallelProfileFetcher.fetch_profiles`.
        stop: Set it, from any thread, and the run ends as at a Ctrl-C, with :class:`FetchStopped`.
        base_url: Host part of the server's URL.
        allow_http: Accept a base URL that is neither https nor loopback.
        **filters: See :class:`ProfileQuery`.

    Returns:
        Counts that prove the fetch complete, or say what is missing; ``.df()``, ``.pl()``, ``.arrow()`` and
        ``.relation()`` give the rows.

    Raises:
        MixpanelError: See :meth:`ParallelProfileFetcher.fetch_profiles`.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with Simulator(Population(1200, seed=1)) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     result = md.fetch_profiles(":memory:", credentials=who, base_url=sim.base_url)
        >>> result.relation().aggregate("count(*)").fetchall()
        [(1200,)]
    """
    check(locals(), but={"database", "credentials", "filters", "into"}, optional={"client"})
    check_target(into, keep_history=keep_history)
    workers = capped_workers(max_workers) if parallel else 1  # here, so that its warning points at the caller
    query = ProfileQuery(**filters)
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(_client(credentials, base_url, allow_http=allow_http))
        store = database if isinstance(database, ProfileStore) else stack.enter_context(ProfileStore(database))
        fetcher = ParallelProfileFetcher(client, store, max_workers=workers)
        return fetcher.fetch_profiles(
            table,
            into=into,
            if_exists=if_exists,
            allow_other=allow_other,
            allow_shrink=allow_shrink,
            tolerance=tolerance,
            keep_history=keep_history,
            resume=resume,
            resume_max_age=resume_max_age,
            rate_limit_wait=rate_limit_wait,
            on_batch_complete=on_batch_complete,
            observer=observer,
            progress=progress,
            stop=stop,
            **query.given(),
        )


@dataclass(frozen=True, slots=True)
class FetchEstimate:
    """What a fetch would be, as one request tells.

    Args:
        expected_rows: The server's ``total``, or the limit if that is less.
        page_size: Profiles a page that the server uses.
        total_pages: Pages of the whole result.
        request_seconds: Time that the one request took, without those that failed before and the waits between.
        queries_last_hour: Queries of the last hour that the database's ledger knows of, this one included; ``None``
            without a database.
        hourly_quota: The published limit.
        sizing: What a fetch makes of that: the size that it asks for, the pages that this makes, and why.
    """

    expected_rows: int
    page_size: int
    total_pages: int
    request_seconds: float
    queries_last_hour: int | None = None
    hourly_quota: int = HOURLY_QUOTA
    sizing: PageSizing | None = None

    @property
    def queries_left(self) -> int | None:
        """Queries left in this hour by the published limit, as far as the ledger knows."""
        return None if self.queries_last_hour is None else max(0, self.hourly_quota - self.queries_last_hour)

    @property
    def parallel_seconds(self) -> float:
        """Time the pages would take five at a time, if each takes as long as this one did."""
        return self.request_seconds * (1 + -(-(self.total_pages - 1) // MAX_IN_FLIGHT))

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        return {**asdict(self), "queries_left": self.queries_left, "parallel_seconds": self.parallel_seconds}

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        sizing = self.sizing
        left = {} if self.queries_left is None else {"queries left": f"{self.queries_left} of {self.hourly_quota}"}
        return facts(
            {
                "profiles": f"{self.expected_rows:,}",
                "pages": f"{self.total_pages:,} of {self.page_size:,}",
                **({"larger pages": f"{sizing.pages:,} of {sizing.page_size:,}"} if sizing and sizing.larger else {}),
                "takes about": duration(self.parallel_seconds),
                **left,
            }
        )

    def summary(self) -> str:
        """Say in a few lines what the fetch would be and what the limits mean for it."""
        pages = self.sizing.pages if self.sizing else self.total_pages
        lines = [
            f"{many(self.expected_rows, 'profile')} in {many(self.total_pages, 'page')} of {self.page_size:,}.",
            *(
                [f"With --page-size auto, the default: {self.sizing.reason}"]
                if self.sizing and self.sizing.reason
                else []
            ),
            f"This page took {self.request_seconds:.2f} s; {MAX_IN_FLIGHT} at a time, all pages take about "
            f"{self.parallel_seconds:,.0f} s.",
            f"Mixpanel publishes {self.hourly_quota} queries an hour. A fetch is one such query by what Mixpanel's own "
            "client says of session pages",
        ]
        if pages > self.hourly_quota:
            hours = many((pages - 1) // self.hourly_quota, "hour")  # the first lot of pages waits for nothing
            lines[-1] += f"; should a server count each page, it would take about {hours} of waiting."
        else:
            lines[-1] += "; even if each page were counted, it fits one hour."
        if self.queries_left is not None:
            lines.append(
                f"This database knows of {self.queries_last_hour} queries in the last hour: {self.queries_left} left."
            )
        return "\n".join(lines)


def plan_fetch(
    *,
    credentials: AnyCredentials | None = None,
    client: Any = None,
    database: AnyDatabase | None = None,
    rate_limit_wait: float | None = None,
    observer: FetchObserver | None = None,
    base_url: str | None = None,
    allow_http: bool = False,
    **filters: Unpack[ProfileFilters],
) -> FetchEstimate:
    """Ask for page 0 only and say what a fetch would be; costs one query.

    Args:
        credentials: Who asks, as for :func:`fetch_profiles`; default: the environment.
        client: Your own client instead of ``credentials`` and ``base_url``; see :class:`ParallelProfileFetcher`.
        database: Where the ledger of recent queries is; optional. One that cannot be written is told to the log, and
            the plan goes on without.
        rate_limit_wait: Most seconds to wait in all for the server's limits.
        observer: Hears of such a wait, which is shown as that of a fetch otherwise.
        base_url: Host part of the server's URL.
        allow_http: Accept a base URL that is neither https nor loopback.
        **filters: See :class:`ProfileQuery`.

    Raises:
        MixpanelError: As :meth:`MixpanelClient.query_engage_page`; also when the answer has no ``total``.
    """
    check(locals(), but={"database", "credentials", "filters"}, optional={"client"})
    query = ProfileQuery(**filters)
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(_client(credentials, base_url, allow_http=allow_http))
        source, recent = page_source(client), None
        if database is not None:
            recent = _in_the_ledger(database, source.project_id, source.host)
        display = stack.enter_context(closing(progress_display("auto", heard=observer is not None)))
        meter = Meter(max_wait=rate_limit_wait, on_wait=partial(_tell_wait, (RunLog(), observer or display)))
        control = FetchControl(meter=meter)
        control.trace.take(0)
        page = source.fetch(0, query, None, control)
        seconds = control.trace.arrived(0).seconds
    announced = Announcement.opened_by(page, query.limit)
    sizing = page_sizing(announced, len(page.body), seconds) if query.page_size == "auto" else None
    return FetchEstimate(announced.total, announced.page_size, announced.pages, seconds, recent, sizing=sizing)


def _tell_wait(observers: Iterable[FetchObserver], seconds: float, why: str) -> None:
    for each in observers:
        each.waiting(seconds, why)
        each.ticked()


def _in_the_ledger(database: AnyDatabase, project_id: str, host: str) -> int | None:
    """Note one query, and give those of the last hour, if the database can be written."""
    try:
        with ExitStack() as stack:
            store = database if isinstance(database, ProfileStore) else stack.enter_context(ProfileStore(database))
            store.count_queries(project_id, host)
            return store.queries_last_hour(project_id, host)
    except StorageError as error:
        _log.warning("The queries of the last hour are not known. %s", error)
        return None


def _client(credentials: AnyCredentials | None, base_url: str | None, *, allow_http: bool) -> MixpanelClient:
    who = Credentials.from_env() if credentials is None else credentials
    return MixpanelClient(who, base_url=base_url, allow_http=allow_http)
