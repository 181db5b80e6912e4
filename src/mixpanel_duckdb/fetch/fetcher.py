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

from collections.abc import Callable
from contextlib import closing
from typing import Any, Unpack

from ..arguments import check
from ..display import Progress, progress_display
from ..engage import ProfileFilters, ProfileQuery
from ..http import capped_workers
from ..results import FetchObserver, FetchPlan, ParallelProfileFetchResult, ProfileBatchProgress
from ..store import IfExists, ProfileStore
from .run import FetchOptions, FetchRun
from .source import page_source

__all__ = ["ParallelProfileFetcher"]

BatchCallback = Callable[[ProfileBatchProgress], object]


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
        check(locals(), but={"self"}, required={"client"})
        self._source = page_source(client)
        self._store = store
        self._workers = capped_workers(max_workers)

    def fetch_profiles(
        self,
        table: str = "profiles",
        *,
        if_exists: IfExists = "error",
        resume: bool = True,
        resume_max_age: float | None = 3600.0,
        rate_limit_wait: float | None = None,
        max_workers: int | None = None,
        on_batch_complete: BatchCallback | None = None,
        observer: FetchObserver | None = None,
        progress: Progress = "auto",
        **filters: Unpack[ProfileFilters],
    ) -> ParallelProfileFetchResult:
        """Fetch every matching profile, going on where an earlier run of the same fetch stopped.

        Args:
            table: Table to publish; it appears, or is replaced, only when the fetch is complete.
            if_exists: ``"error"`` refuses an existing table before the first request, ``"replace"`` swaps it at the
                end, ``"merge"`` updates the profiles that exist and inserts the others.
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
            **filters: See :class:`ProfileQuery`; ``page_size`` among them.

        Returns:
            Counts that prove the fetch complete, or say what is missing. An incomplete fetch is returned, not raised.

        Raises:
            QueryError: A filter or another argument is wrong; nothing was sent.
            TableExistsError: The table exists and ``if_exists`` is ``"error"``; nothing was sent.
            MixpanelError: The server refuses (400, 401, 402, 403, 404), or the store does; or ``progress`` is ``True``
                and tqdm is missing.
        """
        check(locals(), but={"self", "filters"})
        query = ProfileQuery(**filters)
        options = FetchOptions(
            workers=self._workers if max_workers is None else capped_workers(max_workers),
            if_exists=if_exists,
            resume=resume,
            resume_max_age=resume_max_age,
            rate_limit_wait=rate_limit_wait,
        )
        heard = on_batch_complete is not None or observer is not None
        showing = closing(progress_display(progress, heard=heard))
        with self._store.in_one_thread(), showing as display:
            listener = _Listener(on_batch_complete, display, *([] if observer is None else [observer]))
            return FetchRun(self._source, self._store, query, table, options, listener).execute()


class _Listener:
    """Passes everything on to several observers, and pages to the caller's callback."""

    def __init__(self, on_batch_complete: BatchCallback | None, *observers: FetchObserver) -> None:
        self._on_batch_complete = on_batch_complete
        self._observers = observers

    def planned(self, plan: FetchPlan) -> None:
        for each in self._observers:
            each.planned(plan)

    def page_done(self, progress: ProfileBatchProgress) -> None:
        for each in self._observers:
            each.page_done(progress)
        if self._on_batch_complete is not None:
            self._on_batch_complete(progress)

    def waiting(self, seconds: float, reason: str) -> None:
        for each in self._observers:
            each.waiting(seconds, reason)

    def notice(self, text: str) -> None:
        for each in self._observers:
            each.notice(text)

    def ticked(self) -> None:
        for each in self._observers:
            each.ticked()
