"""One run of a fetch, on the caller's thread: own it, open or resume its session, download, publish or leave it.

A session that the server refuses is not the end: the run starts over with a fresh one, once or twice, and says so. Only
what the download itself ends in may mean that: whatever the caller's own code raises reaches the caller. The rows of
the old session go when the new one is open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from ..arguments import RESUME_MAX_AGE, tolerates
from ..engage import Announcement, ProfileQuery
from ..errors import MixpanelError, RequestRejectedError, SessionLostError
from ..http import MAX_IN_FLIGHT, FetchControl, Meter, Step
from ..results import FetchObserver, ParallelProfileFetchResult
from ..store import Allowed, Claim, FetchSpec, OpenFetch, ProfileStore, Target
from .download import SESSION_STATUS, Download
from .news import FirstPage, LargePagesFailed, PageEvent
from .outcome import Ending, leaving
from .schedule import PageSchedule
from .sizes import PageSizes
from .source import PageSource
from .telling import Telling, check_stop

__all__ = ["FetchOptions", "FetchRun", "spec_of"]

_MOST_RESTARTS = 2
_TICK = 0.1


class _SessionGone(Exception):  # noqa: N818 - never leaves this module
    """The server does not know the session any more."""

    def __init__(self, reason: MixpanelError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How a run behaves; see ``ParallelProfileFetcher.fetch_profiles`` for each."""

    workers: int = MAX_IN_FLIGHT
    into: Target | None = None
    allowed: Allowed = field(default_factory=Allowed)
    tolerance: int | str = 0
    resume: bool = True
    resume_max_age: float | None = RESUME_MAX_AGE
    rate_limit_wait: float | None = None
    stop: Event | None = None


def spec_of(source: PageSource, query: ProfileQuery, table: str, into: Target | None = None) -> FetchSpec:
    """Say what is fetched and where it goes, as the journal compares it."""
    place = into.identity if into else ""
    return FetchSpec(table, query.canonical(source.data_view), source.project_id, source.host, source.account, place)


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
        self._spec = spec_of(source, query, table, options.into)
        self._control = FetchControl(meter=Meter(max_wait=options.rate_limit_wait))
        self._telling = Telling(observer, source, table, options.workers)
        self._sizes = PageSizes(query, self._telling.notice)
        self._started = time.monotonic()

    def execute(self, begun: Callable[[], None]) -> ParallelProfileFetchResult:
        """Run it.

        Args:
            begun: Called once nothing speaks against it, before anything is asked.

        Raises:
            MixpanelError: The server or the store refuses; what was committed is kept for the next run.
            BaseException: Whatever the observer raised, or Ctrl-C; likewise.
        """
        options, claim = self._options, Claim()
        check_stop(options.stop)
        try:
            fetch = self._store.begin(
                self._spec,
                claim=claim,
                resume=options.resume,
                resume_max_age=options.resume_max_age,
                into=options.into,
                **options.allowed,
            )
            with leaving(self._store, fetch, self._unfinished), self._store.sign(fetch) as self._sign:
                begun()
                return self._in_sessions(fetch)
        finally:
            claim.release()

    def _unfinished(self) -> dict[int, tuple[Step, ...]]:
        """What was done, under the last control, for pages that did not arrive."""
        return self._control.trace.unfinished()

    def _in_sessions(self, fetch: OpenFetch) -> ParallelProfileFetchResult:
        """Fetch in one session after the other, until one lasts."""
        for text in fetch.notices:
            self._telling.notice(text)
        if fetch.dropped_pages:
            self._telling.notice(
                f"{fetch.dropped_pages:,} pages of unfinished fetches into this table came more than "
                f"{self._options.resume_max_age:,.0f} s ago (resume_max_age) and were dropped."
            )
        left = _MOST_RESTARTS
        while True:
            try:
                return self._fetch(fetch)
            except _SessionGone as gone:
                if not left:
                    raise gone.reason from None
                left -= 1
                self._telling.notice(f"The session cannot be used any more ({gone}); starting over with a new one.")
            except LargePagesFailed as failed:
                self._sizes.give_up(str(failed))
            fetch = self._store.starting_over(fetch)
            self._control = self._control.starting_over()

    def _fetch(self, fetch: OpenFetch) -> ParallelProfileFetchResult:
        if not fetch.committed:
            return self._download(fetch, PageSchedule([0]), None)
        # What the server calls page 0 is not known to a run that goes on with an earlier one's session.
        announced = Announcement(
            fetch.session_id, fetch.total or 0, fetch.page_size or 1, first_numbers=(0, 1), limit=self._query.limit
        )
        done = dict(fetch.committed)
        todo = [index for index in range(announced.pages) if index not in done]
        if not todo:
            self._check_sum(fetch)
        self._telling.planned(announced, done)
        if not todo:
            return self._end(fetch, {})
        return self._download(fetch, PageSchedule(todo), announced, most=len(todo))

    def _download(
        self, fetch: OpenFetch, schedule: PageSchedule, announced: Announcement | None, *, most: int = MAX_IN_FLIGHT
    ) -> ParallelProfileFetchResult:
        """Fetch what is left, and end the run."""
        size = fetch.asked_page_size
        query = self._query.fixed_in_time(fetch.as_of_timestamp)
        download = Download(
            self._source,
            query.sized(size) if size else query,
            schedule,
            self._control,
            self._store.writer(fetch),
            min(self._options.workers, most),
            announced=announced,
            largest_body=fetch.largest_body,
            resumed=announced is not None,
            large=size is not None,
        )
        with self._to_the_last_read(download):
            if announced is None:
                self._store.count_queries(self._source.project_id, self._source.host)
            download.start()
            for event in self._events(download, fetch):
                if isinstance(event, FirstPage):
                    fetch = self._first_page(download, event, fetch, query)
                elif event is not None:
                    self._telling.heard(event)
                self._telling.tick()
                check_stop(self._options.stop)
                self._sign.tell(**self._telling.standing)
        self._telling.more_alike()
        if fetch.committed and not schedule.missing:
            self._check_sum(fetch)
        self._telling.missing(schedule.missing)
        return self._end(fetch, schedule.missing)

    @contextmanager
    def _to_the_last_read(self, download: Download) -> Iterator[None]:
        """Run a download; another session begins when its reads have ended, those that nobody can cut among them."""
        try:
            with download:
                yield
        except (_SessionGone, LargePagesFailed):
            while download.still_at_work(_TICK):
                self._telling.tick()
                check_stop(self._options.stop)
            raise

    def _check_sum(self, fetch: OpenFetch) -> None:
        """Give up a session that earlier runs began, if all its pages are here and do not make up what it announced.

        A page of it may have been stored odd, since it came so again and again; a new session knows better.
        """
        if not tolerates(self._options.tolerance, self._store.staged(fetch).distinct, fetch.total or 0):
            raise _SessionGone(
                SessionLostError("all its pages are here, but their profiles do not add up to the server's total")
            )

    def _events(self, download: Download, fetch: OpenFetch) -> Iterator[FirstPage | PageEvent | None]:
        """Give what happens in a download, and know what a lost session looks like."""
        try:
            yield from download.events()
        except MixpanelError as error:
            if self._is_session_lost(error, fetch):
                raise _SessionGone(error) from error
            if error.page:  # of a page behind the first, with whose filters nothing is wrong
                error.exit_code = type(error).exit_code
            raise

    def _is_session_lost(self, error: MixpanelError, fetch: OpenFetch) -> bool:
        """A refusal in so many words, or any refusal of a session that an earlier run opened."""
        if isinstance(error, SessionLostError):
            return True
        refused = isinstance(error, RequestRejectedError) and error.status in SESSION_STATUS
        return bool(fetch.committed) and refused and self._telling.completed_pages <= len(fetch.committed)

    def _first_page(self, download: Download, first: FirstPage, fetch: OpenFetch, query: ProfileQuery) -> OpenFetch:
        """Go on behind page 0, or ask for it again in larger pages."""
        if (larger := self._sizes.larger(first)) is not None:
            self._store.count_queries(self._source.project_id, self._source.host)
            self._control.meter.new_session()
            download.ask_again(first, query.sized(larger))
            return fetch
        first, size = self._sizes.settled(first)
        announced = Announcement.opened_by(first.page, query.limit)
        fetch = self._store.opened(
            fetch,
            session_id=announced.session_id,
            total=announced.total,
            page_size=announced.page_size,
            asked_page_size=size,
            as_of_timestamp=query.as_of_timestamp,
        )
        self._telling.planned(announced, {})
        download.go_on(first, announced, query.sized(size) if size else query, large=size is not None)
        return fetch

    def _end(self, fetch: OpenFetch, missing: dict[int, str]) -> ParallelProfileFetchResult:
        options, telling = self._options, self._telling
        return Ending(
            self._store,
            fetch,
            options.tolerance,
            options.allowed,
            missing,
            telling.notice,
            telling.notices,
            self._control,
            options.into,
            self._started,
        ).result()
