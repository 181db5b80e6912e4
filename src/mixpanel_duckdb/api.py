"""The one-call forms: open what is needed, do one thing, close it again."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Unpack

from .accounts import AnyCredentials, Credentials
from .arguments import check
from .display import Progress
from .engage import Announcement, MixpanelClient, ProfileFilters, ProfileQuery
from .errors import QueryError
from .fetch import BatchCallback, ParallelProfileFetcher, page_source
from .http import HOURLY_QUOTA, MAX_IN_FLIGHT, FetchControl
from .results import FetchObserver, ParallelProfileFetchResult
from .store import FetchRecord, IfExists, ProfileStore
from .timeline import Timeline, timeline_of

if TYPE_CHECKING:
    from .store import AnyDatabase

__all__ = ["FetchEstimate", "fetch_profiles", "fetch_timeline", "list_fetches", "plan_fetch"]


def fetch_profiles(
    database: AnyDatabase,
    table: str = "profiles",
    *,
    credentials: AnyCredentials | None = None,
    client: Any = None,
    parallel: bool = True,
    max_workers: int | None = None,
    if_exists: IfExists = "error",
    resume: bool = True,
    resume_max_age: float | None = 3600.0,
    rate_limit_wait: float | None = None,
    on_batch_complete: BatchCallback | None = None,
    observer: FetchObserver | None = None,
    progress: Progress = "auto",
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
        if_exists: ``"error"``, ``"replace"`` or ``"merge"``.
        resume: Whether to go on with an unfinished fetch of the same query, project and table.
        resume_max_age: Seconds since its last committed page after which its session is not trusted; ``None``: it is as
            long as the server knows it.
        rate_limit_wait: Most seconds to wait in all for the server's limits.
        on_batch_complete: Called on this thread for every page that was committed or given up.
        observer: Hears more than that: the plan, waits, notices.
        progress: ``"auto"``: a bar in a notebook or on a terminal, in a log a line now and then, nothing beside a
            callback or an observer of yours; ``True``: a bar in any case; ``False`` or ``None``: nothing. See
            :meth:`ParallelProfileFetcher.fetch_profiles`.
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
    check(locals(), but={"database", "credentials", "filters"})
    query = ProfileQuery(**filters)
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(_client(credentials, base_url, allow_http=allow_http))
        store = database if isinstance(database, ProfileStore) else stack.enter_context(ProfileStore(database))
        fetcher = ParallelProfileFetcher(client, store, max_workers=max_workers if parallel else 1)
        return fetcher.fetch_profiles(
            table,
            if_exists=if_exists,
            resume=resume,
            resume_max_age=resume_max_age,
            rate_limit_wait=rate_limit_wait,
            on_batch_complete=on_batch_complete,
            observer=observer,
            progress=progress,
            **query.given(),
        )


@dataclass(frozen=True, slots=True)
class FetchEstimate:
    """What a fetch would be, as one request tells.

    Args:
        expected_rows: The server's ``total``.
        page_size: Profiles a page that the server uses.
        total_pages: Pages of the whole result.
        request_seconds: Time that the one request took.
        queries_last_hour: Queries of the last hour that the database's ledger knows of, this one included; ``None``
            without a database.
        hourly_quota: The published limit.
    """

    expected_rows: int
    page_size: int
    total_pages: int
    request_seconds: float
    queries_last_hour: int | None = None
    hourly_quota: int = HOURLY_QUOTA

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

    def summary(self) -> str:
        """Say in a few lines what the fetch would be and what the limits mean for it."""
        lines = [
            f"{self.expected_rows:,} profiles in {self.total_pages:,} pages of {self.page_size:,}.",
            f"This page took {self.request_seconds:.2f} s; {MAX_IN_FLIGHT} at a time, all pages take about "
            f"{self.parallel_seconds:,.0f} s.",
            f"Mixpanel publishes {self.hourly_quota} queries an hour. A fetch is one such query by what Mixpanel's own "
            "client says of session pages",
        ]
        if self.total_pages > self.hourly_quota:
            hours = -(-self.total_pages // self.hourly_quota)
            lines[-1] += f"; should a server count each page, it would take about {hours} hours of waiting."
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
    base_url: str | None = None,
    allow_http: bool = False,
    **filters: Unpack[ProfileFilters],
) -> FetchEstimate:
    """Ask for page 0 only and say what a fetch would be; costs one query.

    Args:
        credentials: Who asks, as for :func:`fetch_profiles`; default: the environment.
        client: Your own client instead of ``credentials`` and ``base_url``; see :class:`ParallelProfileFetcher`.
        database: Where the ledger of recent queries is; optional.
        base_url: Host part of the server's URL.
        allow_http: Accept a base URL that is neither https nor loopback.
        **filters: See :class:`ProfileQuery`.

    Raises:
        MixpanelError: As :meth:`MixpanelClient.query_engage_page`; also when the answer has no ``total``.
    """
    check(locals(), but={"database", "credentials", "filters"})
    query = ProfileQuery(**filters)
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(_client(credentials, base_url, allow_http=allow_http))
        source, recent = page_source(client), None
        if database is not None:
            store = database if isinstance(database, ProfileStore) else stack.enter_context(ProfileStore(database))
            store.count_queries(source.project_id, source.host)
            recent = store.queries_last_hour(source.project_id, source.host)
        started = time.monotonic()
        page = source.fetch(0, query, None, FetchControl())
        seconds = time.monotonic() - started
    announced = Announcement.opened_by(page)
    return FetchEstimate(announced.total, announced.page_size, announced.pages, seconds, recent)


def list_fetches(database: AnyDatabase) -> list[FetchRecord]:
    """List the fetches that a database knows: state, pages done and missing, rows, query.

    Args:
        database: A path to an existing file, a connection or a store.

    Raises:
        StorageError: There is no such file, or it cannot be opened.
    """
    if isinstance(database, ProfileStore):
        return database.fetches()
    with ProfileStore.open_existing(database) as store:
        return store.fetches()


def fetch_timeline(database: AnyDatabase, *, fetch_id: str | None = None) -> Timeline:
    """Draw how a fetch went, from the journal: complete, interrupted or still going on.

    Args:
        database: A path to an existing file, a connection or a store.
        fetch_id: A fetch of :func:`list_fetches`; the beginning of its id is enough. Default: the one that something
            happened to last.

    Raises:
        StorageError: There is no such file, or it cannot be opened.
        QueryError: The database knows no such fetch, or several.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with md.ProfileStore(":memory:") as store, Simulator(Population(1200, seed=1)) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     result = md.fetch_profiles(store, credentials=who, base_url=sim.base_url)
        ...     md.fetch_timeline(store).svg == result.timeline().svg
        True
    """
    check(locals(), but={"database"})
    with ExitStack() as stack:
        if isinstance(database, ProfileStore):
            store = database
        else:
            store = stack.enter_context(ProfileStore.open_existing(database))
        found = [record for record in store.fetches() if record.fetch_id.startswith(fetch_id or "")]
        if not found or (fetch_id and len(found) > 1):
            what = f"{len(found) or 'no'} fetches whose id begins with {fetch_id!r}" if fetch_id else "no fetches"
            raise QueryError(f"The database knows {what}, so there is no timeline to draw.")
        newest = max(found, key=lambda record: record.updated_at)
        return timeline_of(store.reader(), newest.fetch_id)


def _client(credentials: AnyCredentials | None, base_url: str | None, *, allow_http: bool) -> MixpanelClient:
    who = Credentials.from_env() if credentials is None else credentials
    return MixpanelClient(who, base_url=base_url, allow_http=allow_http)
