"""One run of a fetch, on the caller's thread: own it, open or resume its session, download, publish or leave it.

A session that the server refuses is not the end: the run starts over with a fresh one, once or twice, and says so. Only
what the download itself ends in may mean that: whatever the caller's own code raises reaches the caller. The rows of
the old session go when the new one is open.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from ..engage import Announcement, ProfileQuery
from ..errors import MixpanelError, RequestRejectedError, SessionLostError, StorageError
from ..http import MAX_IN_FLIGHT, FetchControl, Meter
from ..results import FetchObserver, ParallelProfileFetchResult
from ..store import DIFFERENT, Claim, FetchSpec, IfExists, OpenFetch, ProfileStore
from .download import SESSION_STATUS, Download, FirstPage, PageEvent
from .schedule import PageSchedule
from .source import PageSource
from .telling import Telling

__all__ = ["FetchOptions", "FetchRun"]

_MOST_RESTARTS = 2


class _SessionGone(Exception):  # noqa: N818 - never leaves this module
    """The server does not know the session any more."""

    def __init__(self, reason: MixpanelError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How a run behaves; see ``ParallelProfileFetcher.fetch_profiles`` for each."""

    workers: int = MAX_IN_FLIGHT
    if_exists: IfExists = "error"
    resume: bool = True
    resume_max_age: float | None = 3600.0
    rate_limit_wait: float | None = None


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
        self._spec = FetchSpec(table, query.canonical(source.data_view), source.project_id, source.host)
        self._control = FetchControl(meter=Meter(max_wait=options.rate_limit_wait))
        self._telling = Telling(observer, source, table, options.workers)
        self._started = time.monotonic()

    def execute(self) -> ParallelProfileFetchResult:
        """Run it.

        Raises:
            MixpanelError: The server or the store refuses; what was committed is kept for the next run.
            BaseException: Whatever the observer raised, or Ctrl-C; likewise.
        """
        options, claim = self._options, Claim()
        try:
            fetch = self._store.begin(
                self._spec,
                claim=claim,
                if_exists=options.if_exists,
                resume=options.resume,
                resume_max_age=options.resume_max_age,
            )
            try:
                return self._in_sessions(fetch)
            except BaseException as error:
                told = str(error) if isinstance(error, MixpanelError) else f"interrupted by {type(error).__name__}"
                self._leave(fetch, note=told)
                raise
        finally:
            claim.release()

    def _leave(self, fetch: OpenFetch, *, note: str) -> None:
        """Leave a fetch behind what ended it: a store that cannot take even this (a full disk) does not hide that."""
        with suppress(StorageError):
            self._store.leave(fetch, note=note, steps=self._control.trace.unfinished())

    def _in_sessions(self, fetch: OpenFetch) -> ParallelProfileFetchResult:
        """Fetch in one session after the other, until one lasts."""
        if fetch.dropped_pages:
            self._telling.notice(
                f"{fetch.dropped_pages:,} pages of unfinished fetches into this table came more than "
                f"{self._options.resume_max_age:,.0f} s ago (resume_max_age) and were dropped."
            )
        for left in reversed(range(_MOST_RESTARTS + 1)):
            try:
                return self._fetch(fetch)
            except _SessionGone as gone:
                if not left:
                    raise gone.reason from None
                self._telling.notice(f"The session cannot be used any more ({gone}); starting over with a new one.")
                fetch = self._store.starting_over(fetch)
                self._control = self._control.starting_over()
        raise AssertionError("unreachable")

    def _fetch(self, fetch: OpenFetch) -> ParallelProfileFetchResult:
        if not fetch.committed:
            return self._download(fetch, PageSchedule([0]), None)
        # What the server calls page 0 is not known to a run that goes on with an earlier one's session.
        announced = Announcement(fetch.session_id, fetch.total or 0, fetch.page_size or 1, first_numbers=(0, 1))
        done = dict(fetch.committed)
        todo = [index for index in range(announced.pages) if index not in done]
        if not todo and self._store.staged(fetch).distinct != announced.total:
            raise _SessionGone(
                SessionLostError("all its pages are here, but their profiles do not add up to the server's total")
            )
        self._telling.planned(announced, done)
        if not todo:
            return self._end(fetch, announced, {})
        return self._download(fetch, PageSchedule(todo), announced, most=len(todo))

    def _download(
        self, fetch: OpenFetch, schedule: PageSchedule, announced: Announcement | None, *, most: int = MAX_IN_FLIGHT
    ) -> ParallelProfileFetchResult:
        """Fetch what is left, and end the run."""
        query = self._query.fixed_in_time(fetch.as_of_timestamp)
        download = Download(
            self._source,
            query,
            schedule,
            self._control,
            self._store.writer(fetch),
            min(self._options.workers, most),
            announced=announced,
            largest_body=fetch.largest_body,
            resumed=announced is not None,
        )
        with download:
            if announced is None:
                self._store.count_queries(self._source.project_id, self._source.host)
            download.start()
            for event in self._events(download, fetch):
                if isinstance(event, FirstPage):
                    announced = Announcement.opened_by(event.page)
                    fetch = self._opened(fetch, announced, query)
                    download.go_on(event.page, announced)
                elif event is not None:
                    self._telling.heard(event)
                self._telling.tick()
        assert announced is not None  # noqa: S101 - no download ends without page 0
        self._telling.missing(schedule.missing)
        return self._end(fetch, announced, schedule.missing)

    def _events(self, download: Download, fetch: OpenFetch) -> Iterator[FirstPage | PageEvent | None]:
        """Give what happens in a download, and know what a lost session looks like."""
        try:
            yield from download.events()
        except MixpanelError as error:
            if self._is_session_lost(error, fetch):
                raise _SessionGone(error) from error
            raise

    def _is_session_lost(self, error: MixpanelError, fetch: OpenFetch) -> bool:
        """A refusal in so many words, or any refusal of a session that an earlier run opened."""
        if isinstance(error, SessionLostError):
            return True
        refused = isinstance(error, RequestRejectedError) and error.status in SESSION_STATUS
        return bool(fetch.committed) and refused and self._telling.completed_pages <= len(fetch.committed)

    def _opened(self, fetch: OpenFetch, announced: Announcement, query: ProfileQuery) -> OpenFetch:
        fetch = self._store.opened(
            fetch,
            session_id=announced.session_id,
            total=announced.total,
            page_size=announced.page_size,
            as_of_timestamp=query.as_of_timestamp,
        )
        self._telling.planned(announced, {})
        return fetch

    def _end(self, fetch: OpenFetch, announced: Announcement, missing: dict[int, str]) -> ParallelProfileFetchResult:
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
            successful_pages=announced.pages - len(missing),
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
            total_pages=announced.pages,
            staging_table=None if complete else fetch.staging,
            rows_without_distinct_id=odd.without_distinct_id,
            rows_without_properties=odd.without_properties,
            rows_with_unreadable_last_seen=odd.unreadable_last_seen,
            replaced_characters=odd.replaced_characters,
            flattened_values=odd.flattened_values,
            errors=tuple(missing.items()),
            notices=tuple(self._telling.notices),
            _connect=self._store.reader(),
            _fetch_id=fetch.fetch_id,
        )
