"""The threads of one download: fetch threads, the writer, and the one queue through which the caller hears of them.

Enter it, iterate ``events()`` on the caller's thread, and leave it: a plain end waits for everything to be committed;
an exception raised inside (Ctrl-C, a callback, a refusal) sets the stop flag, cuts the reads under way, lets the writer
commit what is queued, and goes on to the caller once the threads are gone.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Self

from ..engage import ROUNDS, UNREADABLE_TRIES, Announcement, EngagePage, ProfileQuery, row_oddity
from ..errors import FetchStopped, MixpanelError, RateLimitError
from ..http import Arrival, FetchControl, cut_short
from ..store import PageReceipt, PageWrite
from .budget import ByteBudget
from .schedule import Assignment, PageSchedule
from .source import PageSource
from .writer import PageSink, Writer

__all__ = ["Download", "PageEvent", "still_running"]

_TICK = 0.1
_WRITER_PATIENCE = 60.0
# Three pages of 50,000 profiles.
_BODY_BYTES = 160_000_000


@dataclass(frozen=True, slots=True)
class PageEvent:
    """What happened to a page.

    Args:
        index: The page.
        rows: Rows committed.
        problem: What went wrong; ``None`` when it was committed as expected.
        committed: Whether its rows are stored.
        again: Whether it will be fetched once more.
    """

    index: int
    rows: int = 0
    problem: str | None = None
    committed: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Ended:
    """A thread has ended, by itself or with an error that ends the run."""

    writer: bool
    error: BaseException | None = None


class Download:
    """Fetches the pages of a plan into a sink; a context manager, used once.

    Args:
        source: Where pages come from.
        query: The filters.
        announced: What page 0 said of the result.
        schedule: The pages to fetch.
        control: Stop flag and counts of the run.
        sink: Where they go; closed at the end.
        workers: Fetch threads, 1 to 5.
        largest_body: Bytes of the largest body that an earlier run of this fetch stored.
    """

    def __init__(
        self,
        source: PageSource,
        query: ProfileQuery,
        announced: Announcement,
        schedule: PageSchedule,
        control: FetchControl,
        sink: PageSink,
        workers: int,
        largest_body: int = 0,
    ) -> None:
        self._source = source
        self._query = query
        self._announced = announced
        self._schedule = schedule
        self._control = control
        self._workers = workers
        self._budget = ByteBudget(_BODY_BYTES, bodies=workers + 2, largest=largest_body)
        self._events: queue.SimpleQueue[PageEvent | _Ended] = queue.SimpleQueue()
        self._writer = Writer(sink, workers * 2, on_written=self._written, on_end=self._writer_ended)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="mp-fetch-page")
        self._futures: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        if exc_type is not None:
            cut_short(self._control.stop, self._source.abort, still_running(self._futures))
        self._writer.finish()
        self._writer.join(_WRITER_PATIENCE)
        self._executor.shutdown(wait=exc_type is None, cancel_futures=True)

    def start(self, first: EngagePage | None = None) -> None:
        """Start the fetch threads; a page that is there already is queued first, and written meanwhile."""
        if first is not None:
            self._received(self._write(first, self._control.trace.arrived(first.index)))
        self._futures = [self._executor.submit(self._work) for _ in range(self._workers)]

    def events(self) -> Iterator[PageEvent | None]:
        """Yield what happens to each page, and ``None`` whenever a tenth of a second passed without news.

        Raises:
            BaseException: What ended a thread: a refusal of the server, a storage error.
        """
        working = len(self._futures)
        while True:
            try:
                event = self._events.get(timeout=_TICK)
            except queue.Empty:
                yield None
                continue
            if isinstance(event, PageEvent):
                yield event
                continue
            if event.error is not None:
                raise event.error
            if event.writer:
                return
            working -= 1
            if not working:
                self._writer.finish()

    def _work(self) -> None:
        """A fetch thread: take, fetch, hand over, until nothing is left."""
        error: BaseException | None = None
        try:
            while (assignment := self._schedule.take(self._control)) is not None:
                self._fetch(assignment)
        except BaseException as caught:  # noqa: BLE001 - raised again on the caller's thread
            error = caught
        self._events.put(_Ended(writer=False, error=error))

    def _fetch(self, assignment: Assignment) -> None:
        index, trace = assignment.index, self._control.trace
        try:
            self._budget.reserve(index, self._control)
            trace.take(index)
            page = self._source.fetch(index, self._query, self._announced.session_id, self._control)
        except FetchStopped as error:
            trace.failed(error)
            self._schedule.unsettle(index, "the run was stopped")
        except MixpanelError as error:
            self._budget.release(index)
            trace.failed(error)
            self._failed(index, error)
        else:
            self._received(self._write(page, trace.arrived(index), last_try=assignment.last_try))

    def _write(self, page: EngagePage, how: Arrival, *, last_try: bool = False) -> PageWrite:
        expected = self._announced.expected_rows(page.index)
        return PageWrite(page, expected, last_try, how.requested_at, how.received_at, how.worker, how.steps)

    def _failed(self, index: int, error: MixpanelError) -> None:
        if isinstance(error, RateLimitError) and error.gave_up:
            self._schedule.unsettle(index, str(error))
            self._schedule.give_up(str(error))
        elif error.retryable:
            again = self._schedule.failed(index, str(error))
            self._events.put(PageEvent(index, problem=str(error), again=again))
        else:
            self._schedule.unsettle(index, str(error))
            raise error

    def _received(self, write: PageWrite) -> None:
        """Hand a page to the writer, unless its own fields say that it is not what was asked for."""
        page = write.page
        self._budget.arrived(page.index, len(page.body))
        problem = self._announced.oddity(page)
        wrong = self._announced.is_another(page)
        if problem and (wrong or not write.last_try):
            self._budget.release(page.index)
            self._spoiled(write, problem)
            again = self._schedule.failed(page.index, problem, odd=not wrong)
            self._events.put(PageEvent(page.index, problem=problem, again=again))
        elif not self._writer.put(write):
            self._schedule.unsettle(page.index, "the writer has ended")

    def _spoiled(self, write: PageWrite, problem: str) -> None:
        arrival = Arrival(write.requested_at, write.received_at, write.worker, write.steps)
        self._control.trace.spoiled(write.page.index, arrival, problem)

    def _written(self, write: PageWrite, receipt: PageReceipt) -> None:
        """On the writer's thread: settle a page."""
        self._budget.release(receipt.index)
        if receipt.problem is None:
            self._schedule.committed(receipt.index)
            problem = row_oddity(receipt.rows, write.expected_rows) or self._announced.oddity(write.page)
            self._events.put(PageEvent(receipt.index, receipt.rows, problem, committed=True))
        else:
            self._spoiled(write, receipt.problem)
            tries = ROUNDS if receipt.rows else UNREADABLE_TRIES
            again = self._schedule.failed(receipt.index, receipt.problem, tries=tries, odd=True)
            self._events.put(PageEvent(receipt.index, problem=receipt.problem, again=again))

    def _writer_ended(self, error: BaseException | None) -> None:
        self._events.put(_Ended(writer=True, error=error))


def still_running(futures: Sequence[Future[Any]]) -> Callable[[float], bool]:
    """Give a function that waits at most so many seconds for futures and says whether one is left."""
    return lambda seconds: bool(wait(futures, timeout=seconds).not_done)
