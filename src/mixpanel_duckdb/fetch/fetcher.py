"""``ParallelProfileFetcher``: pages in parallel into a store, complete or said so.

The **caller's** thread owns the run (``run``): it opens the session, hears of every page through one queue of events,
and runs the caller's code, which nobody else does. At most five **fetch threads** (``download``) take pages from the
``PageSchedule`` and put bodies into a bounded queue. A **parsing thread** and the one **writer thread** behind it
(``writer``) drain it into the store, rows and journal together. All of them work under one ``FetchControl``: whatever
ends a run early (Ctrl-C, a callback that raises, a refusal of the server, a full disk) asks for its stop, cuts the
reads under way, lets the writer commit what is queued, and only then reaches the caller.

Resume is "call it again": the journal knows which pages are committed, and the schedule is what is left.
"""

from __future__ import annotations

from contextlib import closing
from threading import Event
from typing import Any, Unpack

from ..arguments import RESUME_MAX_AGE, check
from ..display import Progress, RunLog, progress_display
from ..engage import ProfileFilters, ProfileQuery
from ..http import capped_workers
from ..results import FetchObserver, ParallelProfileFetchResult
from ..store import FetchRecord, IfExists, ProfileStore, Target, check_target
from .run import FetchOptions, FetchRun, spec_of
from .source import page_source
from .telling import BatchCallback, Listener

__all__ = ["ParallelProfileFetcher"]


class ParallelProfileFetcher:
    """Fetches all profiles of a query into a table of a store.

    Args:
        client: A :class:`MixpanelClient`, or any object with ``query_engage_page(page, *, session_id=None, **filters)``
            that returns the server's answer as a dict and may be called from several threads.
        store: Where the profiles go.
        max_workers: Page fetchers at a time, 1 to 5; more is capped with a warning, since Mixpanel allows 5 queries
            at a time.

    Raises:
        QueryError: One of these is not what it must be.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with Simulator(Population(2500, seed=1)) as sim:
        ...     credentials = md.Credentials.from_env(sim.environment())
        ...     client = md.MixpanelClient(credentials, base_url=sim.base_url)
        ...     with client, md.ProfileStore(":memory:") as store:
        ...         result = md.ParallelProfileFetcher(client, store).fetch_profiles("profiles")
        >>> result.total_rows, result.successful_pages
        (2500, 3)
    """

    def __init__(self, client: Any, store: ProfileStore, *, max_workers: int | None = None) -> None:
        check(locals(), but={"self"})
        self._source = page_source(client)
        self._store = store
        self._workers = capped_workers(max_workers)

    def fetch_profiles(
        self,
        table: str = "profiles",
        *,
        into: Target | None = None,
        if_exists: IfExists = "error",
        allow_other: bool = False,
        allow_shrink: bool = False,
        tolerance: int | str = 0,
        keep_history: bool = False,
        resume: bool = True,
        resume_max_age: float | None = RESUME_MAX_AGE,
        rate_limit_wait: float | None = None,
        max_workers: int | None = None,
        on_batch_complete: BatchCallback | None = None,
        observer: FetchObserver | None = None,
        progress: Progress = "auto",
        stop: Event | None = None,
        **filters: Unpack[ProfileFilters],
    ) -> ParallelProfileFetchResult:
        """Fetch every matching profile, going on where an earlier run of the same fetch stopped.

        Args:
            table: Table to publish; it appears, or is replaced, only when the fetch is complete.
            into: Where to publish, if not in the database itself: see :class:`Target`. Staging and journal stay there.
            if_exists: ``"error"`` refuses an existing table before the first request, ``"replace"`` swaps it at the
                end, ``"merge"`` updates the profiles that exist and inserts the others.
            allow_other: Replace or merge into a table that holds something else: another project, host or Data View,
                another group's profiles, other filters, more properties. By default that is refused before the first
                request.
            allow_shrink: Replace a table of 1,000 rows or more by fewer than half as many. By default such a fetch is
                held back, complete but not published; the same call with ``allow_shrink=True`` then publishes it
                without a request.
            tolerance: By how many profiles the result may differ from the server's total, or a share of that such as
                ``"0.1%"``: if all pages arrived, it is published all the same (``accepted_difference``), though not
                complete.
            keep_history: Keep each version of each profile in the table ``<table>_history``, in the transaction that
                publishes; see :func:`~mixpanel_duckdb.changes`.
            resume: Whether to go on with an unfinished fetch of the same query, project and table.
            resume_max_age: Seconds since its last committed page after which its session is not trusted; ``None``: it
                is for as long as the server knows it.
            rate_limit_wait: Most seconds to wait in all for the server's limits; ``None``: as long as it asks. Past it
                the run ends incomplete and can be resumed.
            max_workers: Overrides the fetcher's own number for this run.
            on_batch_complete: Called on this thread for every page that was committed or given up; what it raises
                ends the run and is raised here.
            observer: Hears more than that: the plan, waits, notices.
            progress: What to show on standard error. ``"auto"``: a bar in a notebook or on a terminal (by tqdm if the
                extra ``progress`` is installed), in a log a line every half minute, nothing in a shorter run; nothing
                either if you pass ``on_batch_complete`` or ``observer``. ``True``: a bar by tqdm in any case. ``False``
                or ``None``: nothing.
            stop: Set it, from any thread, and the run ends as at a Ctrl-C: no further request, what has arrived is
                kept, and :class:`FetchStopped` is raised here within about a second.
            **filters: See :class:`ProfileQuery`; ``page_size`` among them.

        Returns:
            Counts that prove the fetch complete, or say what is missing. An incomplete fetch is returned, not raised.

        Raises:
            QueryError: A filter or another argument is wrong; nothing was sent.
            TableExistsError: The table exists and ``if_exists`` is ``"error"``; nothing was sent.
            UnsuitableTableError: The table holds something else, or could not take the profiles; nothing was sent.
            FetchStopped: ``stop`` was set.
            MixpanelError: The server refuses (400, 401, 402, 403, 404), or the store does; or ``progress`` is ``True``
                and tqdm is missing.
        """
        check(locals(), but={"self", "filters", "into"})
        check_target(into, keep_history=keep_history)
        if into is not None:
            into, table = into.heeding(stop).of(table)
        query = ProfileQuery(**filters)
        options = FetchOptions(
            workers=self._workers if max_workers is None else capped_workers(max_workers),
            into=into,
            allowed={
                "if_exists": if_exists,
                "allow_other": allow_other,
                "allow_shrink": allow_shrink,
                "keep_history": keep_history,
            },
            tolerance=tolerance,
            resume=resume,
            resume_max_age=resume_max_age,
            rate_limit_wait=rate_limit_wait,
            stop=stop,
        )
        heard = on_batch_complete is not None or observer is not None
        showing = closing(progress_display(progress, heard=heard))
        with self._store.in_one_thread(), showing as display:
            log = RunLog()
            listener = Listener(on_batch_complete, log, display, observer)
            try:
                run = FetchRun(self._source, self._store, query, table, options, listener)
                result = run.execute(lambda: log.begun(table, self._described(query)))
            except BaseException as error:
                log.ended_by(error)
                raise
            log.ended(result)
            return result

    def last_published(
        self, table: str = "profiles", into: Target | None = None, **filters: Unpack[ProfileFilters]
    ) -> FetchRecord | None:
        """Find the fetch that a table was last published by, if that is of just this and the table is still there.

        Args:
            table: The table.
            into: Where it was published, if not in the database itself; whether it is still there is not looked at.
            **filters: See :class:`ProfileQuery`.
        """
        check({"table": table})
        if into is not None:
            into, table = into.of(table)
        return self._store.published(spec_of(self._source, ProfileQuery(**filters), table, into))

    def _described(self, query: ProfileQuery) -> str:
        """Say what is fetched, from where."""
        filters = ", ".join(f"{name}={value}" for name, value in query.params().items())
        source = self._source
        where = f"project {source.project_id} at {source.host}" if source.project_id else "a client of the caller's"
        return f"{where}, {filters or 'all profiles'}"
