"""One run of a fetch, on the caller's thread: own it, open or resume its session, download, publish or leave it.

A session that the server refuses is not the end: the run starts over with a fresh one, once or twice, and says so.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..engage import Announcement, EngagePage, ProfileQuery
from ..errors import MixpanelError, RequestRejectedError, SessionLostError, StorageError
from ..http import HOURLY_QUOTA, MAX_IN_FLIGHT, FetchControl, Meter, cut_short
from ..results import FetchObserver, FetchPlan, ParallelProfileFetchResult, ProfileBatchProgress
from ..store import DIFFERENT, FetchSpec, IfExists, OpenFetch, ProfileStore
from .download import Download, PageEvent, still_running
from .schedule import PageSchedule
from .source import PageSource

__all__ = ["FetchOptions", "FetchRun"]

_log = logging.getLogger("mixpanel_duckdb")
_MOST_RESTARTS = 2
_TICK = 0.1
# What a server may say when it does not know a session; its own text is not published.
_SESSION_STATUS = frozenset({400, 404, 410})


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How a run behaves; see ``ParallelProfileFetcher.fetch_profiles`` for each."""

    workers: int = MAX_IN_FLIGHT
    if_exists: IfExists = "error"
    resume: bool = True
    resume_max_age: float = 3600.0
    rate_limit_wait: float | None = None


@dataclass(slots=True)
class _Tally:
    """What the caller's thread has heard so far."""

    total_pages: int = 0
    completed_pages: int = 0
    cumulative_rows: int = 0
    notices: list[str] = field(default_factory=list)


class FetchRun:
    """A fetch from its claim to its result; used once, by one thread.

    Args:
        source: Where pages come from.
        store: Where they go.
        query: The filters.
        table: Table to publish.
        options: How to behave.
        observer: Hears of the run, on this thread.
    """

    def __init__(
        self,
        source: PageSource,
        store: ProfileStore,
        query: ProfileQuery,
        table: str,
        options: FetchOptions,
        observer: FetchObserver,
    ) -> None:
        self._source = source
        self._store = store
        self._query = query
        self._options = options
        self._observer = observer
        self._spec = FetchSpec(table, query.canonical(source.data_view), source.project_id, source.host)
        self._control = FetchControl(meter=Meter(max_wait=options.rate_limit_wait))
        self._tally = _Tally()
        self._lost = ""
        self._started = time.monotonic()

    def execute(self) -> ParallelProfileFetchResult:
        """Run it.

        Raises:
            MixpanelError: The server or the store refuses; what was committed is kept for the next run.
            BaseException: Whatever the observer raised, or Ctrl-C; likewise.
        """
        options = self._options
        fetch = self._store.begin(
            self._spec, if_exists=options.if_exists, resume=options.resume, resume_max_age=options.resume_max_age
        )
        for restarts in range(_MOST_RESTARTS + 1):
            try:
                return self._fetch(fetch)
            except MixpanelError as error:
                lost = self._is_session_lost(error, fetch)
                if not lost or restarts == _MOST_RESTARTS:
                    self._leave(fetch, note=str(error))
                    raise
                fetch = self._store.restart(fetch)
                self._control = self._control.starting_over()
                self._lost = str(error)
            except BaseException as error:
                self._leave(fetch, note=f"interrupted by {type(error).__name__}")
                raise
        raise AssertionError("unreachable")

    def _leave(self, fetch: OpenFetch, *, note: str) -> None:
        """Leave a fetch behind what ended it: a store that cannot take even this (a full disk) does not hide that."""
        with suppress(StorageError):
            self._store.leave(fetch, note=note, steps=self._control.trace.unfinished())

    def _is_session_lost(self, error: MixpanelError, fetch: OpenFetch) -> bool:
        """A refusal in so many words, or any refusal of a session that an earlier run opened."""
        if isinstance(error, SessionLostError):
            return True
        resumed = bool(fetch.committed) and isinstance(error, RequestRejectedError)
        return resumed and error.status in _SESSION_STATUS and not self._tally.completed_pages > len(fetch.committed)

    def _fetch(self, fetch: OpenFetch) -> ParallelProfileFetchResult:
        if fetch.dropped_pages:
            self._notice(
                f"{fetch.dropped_pages:,} pages of unfinished fetches into this table came more than "
                f"{self._options.resume_max_age:,.0f} s ago (resume_max_age) and were dropped."
            )
        if self._lost:
            self._notice(f"The session cannot be used any more ({self._lost}); starting over with a new one.")
        first: EngagePage | None = None
        query = self._query.fixed_in_time(fetch.as_of_timestamp)
        if fetch.committed:
            # What the server calls page 0 is not known to a run that goes on with an earlier one's session.
            announced = Announcement(fetch.session_id, fetch.total or 0, fetch.page_size or 1, first_numbers=(0, 1))
        else:
            first = self._first_page(query)
            announced = Announcement.opened_by(first)
            fetch = self._opened(fetch, announced, query)
        done, pages = dict(fetch.committed), announced.pages
        if not first and len(done) == pages and self._store.staged(fetch).distinct != announced.total:
            raise SessionLostError("all its pages are here, but their profiles do not add up to the server's total")
        self._tally = _Tally(pages, len(done), sum(done.values()), self._tally.notices)
        self._observer.planned(
            FetchPlan(self._spec.table, pages, announced.total, len(done), sum(done.values()), self._options.workers)
        )
        todo = [index for index in range(pages) if index not in done]
        if len(todo) > HOURLY_QUOTA:
            _log.warning(
                "%d pages to fetch. Mixpanel publishes a limit of %d queries an hour and %d at a time; its own client "
                "says that pages of one session are not counted, only the first is. If the server answers 429 all the "
                "same, every worker waits as long as it says and then goes on.",
                len(todo),
                HOURLY_QUOTA,
                MAX_IN_FLIGHT,
            )
        missing = self._download(fetch, query, announced, first, todo)
        return self._end(fetch, announced, missing, pages)

    def _first_page(self, query: ProfileQuery) -> EngagePage:
        """Open a session, on a fetch thread so that this one can be interrupted."""
        self._store.count_queries(self._source.project_id, self._source.host)
        with ThreadPoolExecutor(1, thread_name_prefix="mp-fetch-page") as executor:
            future = executor.submit(self._ask_first, query)
            try:
                while not wait([future], timeout=_TICK).done:
                    self._tick()
            except BaseException:
                cut_short(self._control.stop, self._source.abort, still_running([future]))
                executor.shutdown(wait=False)
                raise
        return future.result()

    def _ask_first(self, query: ProfileQuery) -> EngagePage:
        self._control.trace.take(0)
        return self._source.fetch(0, query, None, self._control)

    def _opened(self, fetch: OpenFetch, announced: Announcement, query: ProfileQuery) -> OpenFetch:
        return self._store.opened(
            fetch,
            session_id=announced.session_id,
            total=announced.total,
            page_size=announced.page_size,
            as_of_timestamp=query.as_of_timestamp,
        )

    def _download(
        self, fetch: OpenFetch, query: ProfileQuery, announced: Announcement, first: EngagePage | None, todo: list[int]
    ) -> dict[int, str]:
        """Fetch what is left.

        Returns:
            Pages that are missing all the same, with the reason.
        """
        if not todo:
            return {}
        schedule = PageSchedule(todo[1:], arrived=[0]) if first else PageSchedule(todo)
        workers = max(1, min(self._options.workers, len(todo)))
        sink = self._store.writer(fetch)
        with Download(
            self._source, query, announced, schedule, self._control, sink, workers, fetch.largest_body
        ) as download:
            download.start(first)
            for event in download.events():
                if event is not None:
                    self._heard(event)
                self._tick()
        missing = schedule.missing
        for index in missing:
            self._progress(index, rows=0, error=missing[index])
        return missing

    def _heard(self, event: PageEvent) -> None:
        if event.problem and (event.again or event.committed):
            what = "stored as it is" if event.committed else "fetching it again"
            self._notice(f"Page {event.index}: {event.problem.removeprefix(f'Page {event.index}: ')}; {what}.")
        if event.committed:
            self._progress(event.index, rows=event.rows, error=None)

    def _progress(self, index: int, *, rows: int, error: str | None) -> None:
        tally = self._tally
        tally.completed_pages += 1
        tally.cumulative_rows += rows
        self._observer.page_done(
            ProfileBatchProgress(
                page_index=index,
                total_pages=tally.total_pages,
                rows=rows,
                success=error is None,
                error=error,
                completed_pages=tally.completed_pages,
                cumulative_rows=tally.cumulative_rows,
            )
        )

    def _tick(self) -> None:
        pause = self._source.pause()
        if pause is not None:
            self._observer.waiting(max(0.0, pause.until - time.monotonic()), pause.kind)
        self._observer.ticked()

    def _notice(self, text: str) -> None:
        _log.info(text)
        self._tally.notices.append(text)
        self._observer.notice(text)

    def _end(
        self, fetch: OpenFetch, announced: Announcement, missing: dict[int, str], pages: int
    ) -> ParallelProfileFetchResult:
        """Publish what is complete, leave the rest for the next run, and count."""
        staged, odd = self._store.staged(fetch), self._store.odd_rows(fetch)
        complete = not missing and staged.distinct == announced.total
        if complete:
            self._store.publish(fetch, if_exists=self._options.if_exists, staged=staged)
        else:
            note = f"{len(missing)} pages are missing" if missing else DIFFERENT
            steps = self._control.trace.unfinished()
            self._store.leave(fetch, note=note, missing=list(missing.items()), steps=steps)
        return ParallelProfileFetchResult(
            table=self._spec.table,
            total_rows=staged.distinct,
            successful_pages=pages - len(missing),
            failed_pages=len(missing),
            failed_page_indices=tuple(missing),
            duration_seconds=time.monotonic() - self._started,
            fetched_at=datetime.now(UTC),
            expected_rows=announced.total,
            duplicate_rows=staged.duplicates,
            resumed_pages=len(fetch.committed),
            requests=self._control.meter.requests,
            retries=self._control.meter.retries,
            waited_seconds=self._control.meter.waited_seconds,
            published=complete,
            total_pages=pages,
            staging_table=None if complete else fetch.staging,
            rows_without_distinct_id=odd.without_distinct_id,
            rows_without_properties=odd.without_properties,
            rows_with_unreadable_last_seen=odd.unreadable_last_seen,
            replaced_characters=odd.replaced_characters,
            flattened_values=odd.flattened_values,
            errors=tuple(missing.items()),
            notices=tuple(self._tally.notices),
            _connect=self._store.reader(),
            _fetch_id=fetch.fetch_id,
        )
