"""``ParallelEventFetcher``: days of events into a table of a store, each whole or not at all."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, date, datetime
from threading import Event
from typing import Unpack

from ..arguments import REFRESH_DAYS, check, refusal
from ..display import Progress, RunLog, progress_display
from ..engage import MixpanelClient
from ..errors import StorageError
from ..events import DayRange, EventFilters, EventQuery
from ..http import MOST_EXPORTS, USUAL_EXPORTS, FetchControl, Meter, capped_workers, utc_now
from ..results import FetchObserver, ParallelFetchResult
from ..store import DayRecord, EventFetching, FetchSpec, OpenFetch, PageHistory, ProfileStore, Target, check_target
from .event_plan import EventPlan, begun, days_to_fetch, rate_of
from .event_run import EventDownload
from .event_telling import EventCallback, EventTelling
from .telling import Listener, check_stop

__all__ = ["ParallelEventFetcher"]


class ParallelEventFetcher:
    """Fetches the events of some days into a table of a store.

    Args:
        client: Reads the events.
        store: Where they go.
        max_workers: Requests at a time, 1 to 10; default: 4. Sixty an hour is what a project has. More is capped with a
            warning.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import EventPopulation, RawExport, Simulator
        >>> events = RawExport(EventPopulation("2026-01-01", "2026-01-31", 100))
        >>> with Simulator(events=events) as sim, md.ProfileStore(":memory:") as store:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     with md.MixpanelClient(who, base_url=sim.base_url) as client:
        ...         fetcher = md.ParallelEventFetcher(client, store)
        ...         result = fetcher.fetch_events("events", "2026-01-01", "2026-01-02")
        >>> result.total_rows, result.stored_days
        (200, 2)
    """

    def __init__(self, client: MixpanelClient, store: ProfileStore, *, max_workers: int | None = None) -> None:
        check({"store": store})
        if not isinstance(client, MixpanelClient):
            raise refusal("client", client, "a MixpanelClient, which reads events as a stream")
        self._client = client
        self._store = store
        self._workers = capped_workers(max_workers, most=MOST_EXPORTS, usual=USUAL_EXPORTS)

    def fetch_events(
        self,
        table: str,
        from_date: str | date,
        to_date: str | date,
        *,
        into: Target | None = None,
        days_per_request: int | None = None,
        refresh_days: int = REFRESH_DAYS,
        refetch: bool = False,
        rate_limit_wait: float | None = None,
        on_batch_complete: EventCallback | None = None,
        observer: FetchObserver | None = None,
        progress: Progress = "auto",
        stop: Event | None = None,
        **filters: Unpack[EventFilters],
    ) -> ParallelFetchResult:
        """Fetch the days that are missing, or were so young when they were fetched that events may have come since.

        Args:
            table: Table to fetch into; it is made if there is none.
            from_date: First day, as YYYY-MM-DD or a ``datetime.date``.
            to_date: Last day, which is included.
            into: Where to publish the days, too: see :class:`Target`. Those that are newer here take the place of what
                it has of them, in one transaction; the database keeps them, and is what the next run goes on from.
            days_per_request: Days of each request; default: as many as make about a million events, 30 at most.
            refresh_days: A day that was younger than this when it was fetched is fetched again.
            refetch: Fetch every day again.
            rate_limit_wait: Most seconds to wait in all for the limits; ``None``: as long as it takes.
            on_batch_complete: Called on this thread for each request whose days were stored or given up; what it raises
                ends the run and is raised here.
            observer: Hears more than that: the plan, waits, notices; days are what pages are for profiles.
            progress: What to show on standard error, as for :meth:`ParallelProfileFetcher.fetch_profiles`.
            stop: Set it, from any thread, and the run ends as at a Ctrl-C; see
                :meth:`ParallelProfileFetcher.fetch_profiles`.
            **filters: ``events``, names of events, and ``where``, an expression.

        Returns:
            Which days are there. An incomplete fetch is returned, not raised.

        Raises:
            QueryError: An argument is wrong; nothing was sent.
            UnsuitableTableError: The table is something else, or holds other events; nothing was sent.
            FetchStopped: ``stop`` was set.
            MixpanelError: The server refuses (400, 401, 402, 403), or the store does; days that were stored stay.
        """
        check(locals(), but={"self", "from_date", "to_date", "filters", "into"})
        check_target(into)
        if into is not None:
            into, table = into.heeding(stop).of(table)
        query = EventQuery.of(from_date, to_date, **filters)
        client = self._client
        spec = FetchSpec(
            table, query.canonical(), client.credentials.project_id, client.export_url, client.credentials.account
        )
        showing = closing(progress_display(progress, heard=on_batch_complete is not None or observer is not None))
        with self._store.in_one_thread(), closing(self._store.events()) as events, showing as display:
            log = RunLog()
            listener = Listener(None, log, display, observer)
            telling = EventTelling(listener, on_batch_complete, client.event_reader.limiter, table, self._workers)
            run = _Run(client, events, query, telling, rate_limit_wait, stop, into)
            try:
                result = run.carry_out(
                    self._store, spec, days_per_request, refresh_days, refetch=refetch,
                    when_begun=lambda: log.begun(table, f"{query.days}, {spec.events}"),
                )  # fmt: skip
            except BaseException as error:
                log.ended_by(error)
                raise
            log.ended(result)
            return result


class _Run:
    """One fetch from its plan to its result, on the caller's thread."""

    def __init__(
        self,
        client: MixpanelClient,
        events: EventFetching,
        query: EventQuery,
        telling: EventTelling,
        max_wait: float | None,
        stop: Event | None,
        into: Target | None,
    ) -> None:
        self._stop, self._into = stop, into
        self._client, self._events, self._query, self._telling = client, events, query, telling
        # When requests were sent that the ledger does not have yet; fetch threads put them in.
        self._sent: queue.SimpleQueue[datetime] = queue.SimpleQueue()
        self._control = FetchControl(meter=Meter(max_wait=max_wait, on_request=self._count_one))
        self._started = time.monotonic()
        self._known: dict[date, DayRecord] = {}
        self._failed, self._ended_early = list[tuple[DayRange, str]](), False

    def carry_out(
        self,
        store: ProfileStore,
        spec: FetchSpec,
        size: int | None,
        refresh_days: int,
        *,
        refetch: bool,
        when_begun: Callable[[], None],
    ) -> ParallelFetchResult:
        """Run it.

        Args:
            store: Where the events go.
            spec: What is fetched.
            size: Days of each request.
            refresh_days: How old a day must be to be left alone.
            refetch: Whether every day is fetched again.
            when_begun: Called once nothing speaks against it, before anything is asked.
        """
        check_stop(self._stop)
        with self._events.fetching(spec) as fetch, store.sign(fetch) as self._sign:
            if self._into is not None:
                store.check_days(fetch.spec, self._into)
            when_begun()
            missing = self._todo(fetch.spec, refresh_days, refetch=refetch)
            todo = begun(missing)
            skipped = len(set(self._query.days).difference(missing))
            self._telling.planned(skipped + len(todo), todo, self._known.values())
            not_begun = missing[len(todo)] if len(todo) < len(missing) else None
            started, self._requests = utc_now(), list[PageHistory]()
            try:
                if todo:
                    not_begun = self._download(fetch.spec, todo, size) or not_begun
            finally:
                with suppress(StorageError):
                    self._events.remember(fetch, self._query.days, started, self._requests, not_begun)
            if not_begun is not None:
                self._telling.not_begun(not_begun, self._query.days.last)
            # A day that was given up does not hold the open ones back; but of a refetch nothing else asks for it again.
            if not (self._ended_early or (refetch and self._failed)):
                self._events.completed(fetch.spec.table)
            return self._result(store, fetch, refresh_days, skipped)

    def _todo(self, spec: FetchSpec, refresh_days: int, *, refetch: bool) -> list[date]:
        """Leave out the days that are there, unless they must be fetched with others."""
        days = self._query.days
        self._known = self._events.days(spec.table, days.first, days.last)
        since = self._events.since(spec.table, f"{days}{' refetch' if refetch else ''}")
        lost = self._events.lost(spec.table, days.first, days.last)
        if lost:
            self._telling.notice(
                f"Rows of {len(lost):,} of the days were deleted from table {spec.table!r}, first {lost[0]}; "
                "these days are fetched again."
            )
        whole = {day: each for day, each in self._known.items() if day not in lost}
        todo = days_to_fetch(days, whole, refresh_days, refetch=refetch, since=since)
        others = self._events.fetched_together(spec.table, todo)
        self._telling.together(others)
        return sorted(todo + others)

    def _download(self, spec: FetchSpec, todo: list[date], size: int | None) -> date | None:
        """Fetch what is left; give the first day that the server says has not begun."""
        plan = EventPlan(todo, size=size, rate=rate_of(self._known.values()))
        self._client.event_reader.limiter.remember(self._events.asked(spec.project_id, spec.host))
        sink = self._events.writer(spec)
        workers = 1 if sink.one_by_one else min(self._telling.workers, len(todo))
        download = EventDownload(self._client, self._query, plan, self._control, sink, workers)
        try:
            with download:
                download.start()
                for news in download.events():
                    self._note_requests(spec)
                    if news is not None:
                        self._telling.heard(news, plan)
                    self._telling.tick()
                    check_stop(self._stop)
                    self._sign.tell(**self._telling.standing)
        finally:
            with suppress(StorageError):
                self._note_requests(spec)
            self._requests = download.history()
        plan.close()
        self._failed, self._ended_early = plan.failed, plan.ended_early
        return plan.not_begun

    def _count_one(self) -> None:
        """On a fetch thread: remember a request that is sent now."""
        now = utc_now()
        self._client.event_reader.limiter.sent_at(now)
        self._sent.put(now)

    def _note_requests(self, spec: FetchSpec) -> None:
        """Write what was sent into the ledger: a run that is killed has asked all the same."""
        moments = [self._sent.get() for _ in range(self._sent.qsize())]
        self._events.count_requests(spec.project_id, spec.host, moments)

    def _result(self, store: ProfileStore, fetch: OpenFetch, refresh_days: int, skipped: int) -> ParallelFetchResult:
        """Say which days are there."""
        days, telling, meter, spec = self._query.days, self._telling, self._control.meter, fetch.spec
        published, refused = self._publish(store, spec)
        known = self._events.days(spec.table, days.first, days.last).values()
        offset = self._events.clock_offset(spec.table, [each.day for each in known if each.rows])
        telling.clock(offset)
        return ParallelFetchResult(
            table=spec.table,
            total_rows=sum(each.total for each in known),
            successful_batches=telling.batches,
            failed_batches=len(self._failed),
            failed_date_ranges=tuple((str(each.first), str(each.last)) for each, _ in self._failed),
            duration_seconds=time.monotonic() - self._started,
            fetched_at=datetime.now(UTC),
            stored_days=len(telling.stored),
            skipped_days=skipped,
            open_days=sum(each.is_open(refresh_days) for each in known),
            duplicate_rows=sum(each.odd.duplicates for each in known),
            rows_outside_range=sum(each.odd.outside for each in known),
            rows_with_other_fields=sum(each.odd.with_other_fields for each in known),
            replaced_characters=sum(each.odd.replaced for each in known),
            mended_values=sum(each.odd.mended for each in known),
            flattened_values=sum(each.odd.flattened for each in known),
            utc_offset_minutes=offset,
            requests=meter.requests,
            retries=meter.retries,
            waited_seconds=meter.waited_seconds,
            errors=tuple(reason for _, reason in self._failed),
            notices=tuple(telling.notices),
            target=self._into.name if self._into else None,
            published_days=published,
            target_refusal=refused,
            _connect=store.reader(None if refused else self._into),
            _journal=store.reader(),
            _fetch_id=fetch.fetch_id,
        )

    def _publish(self, store: ProfileStore, spec: FetchSpec) -> tuple[int | None, str | None]:
        """Publish the days, if a target is named: say how many were written, or why none was."""
        if self._into is None:
            return None, None
        try:
            done = store.publish_days(spec, self._into)
        except StorageError as error:
            return None, str(error)
        for text in done.notices:
            self._telling.notice(text)
        return done.days, None
