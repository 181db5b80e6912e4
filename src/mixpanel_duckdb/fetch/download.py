"""The threads of one download: fetch threads, the writer, and the one queue through which the caller hears of them.

Enter it, ``start()``, iterate ``events()`` on the caller's thread, and leave it. Where no session is known yet, one
fetch thread asks for page 0, and the caller lets the download ``go_on`` with what that announces. A plain end comes
when everything is committed; an exception raised inside (Ctrl-C, a callback, a refusal) asks for the stop, cuts the
reads under way, lets the writer commit what is queued, and goes on to the caller once the threads are gone.

Whatever is started here was known before, so that an interrupt at any moment finds it: a thread that comes to life
behind a stop looks at that first, and ends.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from ..engage import ROUNDS, UNREADABLE_TRIES, Announcement, EngagePage, ProfileQuery, row_oddity
from ..errors import FetchStopped, MixpanelError, RateLimitError, RequestRejectedError, SessionLostError
from ..http import Arrival, FetchControl, cut_short
from ..store import PageReceipt, PageWrite
from .budget import ByteBudget
from .schedule import Assignment, PageSchedule
from .source import PageSource
from .writer import PageSink, Writer

__all__ = ["SESSION_STATUS", "Download", "FirstPage", "PageEvent"]

# What a server may say when it does not know a session; its own text is not published.
SESSION_STATUS = frozenset({400, 404, 410})
_TICK = 0.1
_WRITER_PATIENCE = 60.0
# Three pages of 50,000 profiles.
_BODY_BYTES = 160_000_000


@dataclass(frozen=True, slots=True)
class FirstPage:
    """Page 0 has come; the download waits to be told to go on."""

    page: EngagePage


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
    """Fetches the pages of a schedule into a sink; a context manager, used once.

    Args:
        source: Where pages come from.
        query: The filters.
        schedule: The pages to fetch: page 0 alone where no session is known.
        control: Stop, counts and trace of the run.
        sink: Where they go; entered and left on the writer thread.
        workers: Most fetch threads, 1 to 5.
        announced: What page 0 said of the result, if that is known.
        largest_body: Bytes of the largest body that an earlier run of this fetch stored.
        resumed: Whether an earlier run opened the session; a refusal may then mean that it is gone, and is asked for
            once more before it counts.
    """

    def __init__(
        self,
        source: PageSource,
        query: ProfileQuery,
        schedule: PageSchedule,
        control: FetchControl,
        sink: PageSink,
        workers: int,
        *,
        announced: Announcement | None = None,
        largest_body: int = 0,
        resumed: bool = False,
    ) -> None:
        self._source = source
        self._query = query
        self._schedule = schedule
        self._control = control
        self._workers = workers
        # Written on the caller's thread, before the schedule has pages that need it.
        self._announced = announced
        self._resumed = resumed
        self._budget = ByteBudget(_BODY_BYTES, bodies=workers + 2, largest=largest_body)
        self._events: queue.SimpleQueue[FirstPage | PageEvent | _Ended] = queue.SimpleQueue()
        self._writer = Writer(sink, workers * 2, on_written=self._written, on_end=self._writer_ended)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="mp-fetch-page")
        # Fetch threads that are at work, and those that were started and have not been heard to end.
        self._idle = threading.Condition()
        self._at_work = 0
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        with ExitStack() as last:  # each of these is done even if another interrupt comes in the one before
            last.callback(self._executor.shutdown, wait=False)
            last.callback(self._writer.join, _WRITER_PATIENCE)
            last.callback(self._writer.finish)
            if exc_type is not None:
                last.callback(cut_short, self._control.stop, self._source.abort, self._still_at_work)
            last.callback(self._executor.shutdown, wait=exc_type is None, cancel_futures=True)
            if exc_type is not None:
                self._control.stop.ask()

    def start(self) -> None:
        """Start the writer, and as many fetch threads as there is work for."""
        self._writer.start()
        self._start_workers(self._workers if self._announced else 1)

    def go_on(self, first: EngagePage, announced: Announcement) -> None:
        """Go on with the pages behind page 0, which is written meanwhile.

        Args:
            first: Page 0.
            announced: What it says of the result.
        """
        self._announced = announced
        self._schedule.extend(range(1, announced.pages))
        self._received(self._write(first, self._control.trace.arrived(first.index)))
        self._start_workers(min(self._workers, announced.pages) - 1)

    def events(self) -> Iterator[FirstPage | PageEvent | None]:
        """Yield what happens to each page, and ``None`` whenever a tenth of a second passed without news.

        Raises:
            BaseException: What ended a thread: a refusal of the server, a storage error.
        """
        while True:
            try:
                event = self._events.get(timeout=_TICK)
            except queue.Empty:
                yield None
                continue
            if not isinstance(event, _Ended):
                yield event
                continue
            if event.error is not None:
                raise event.error
            if event.writer:
                return
            self._started -= 1
            if not self._started:
                self._writer.finish()

    def _start_workers(self, number: int) -> None:
        for _ in range(number):
            try:
                self._executor.submit(self._work)
            except RuntimeError:  # the interpreter is ending, and a run on another thread with it
                if not self._started:
                    raise FetchStopped("The interpreter is ending: no request can be sent any more.") from None
                return
            self._started += 1

    def _still_at_work(self, seconds: float) -> bool:
        with self._idle:
            return not self._idle.wait_for(lambda: not self._at_work, seconds)

    def _work(self) -> None:
        """A fetch thread: take, fetch, hand over, until nothing is left."""
        error: BaseException | None = None
        with self._idle:
            self._at_work += 1
        try:
            while (assignment := self._schedule.take(self._control)) is not None:
                self._fetch(assignment)
        except BaseException as caught:  # noqa: BLE001 - raised again on the caller's thread
            error = caught
        self._events.put(_Ended(writer=False, error=error))
        with self._idle:
            self._at_work -= 1
            self._idle.notify_all()

    def _fetch(self, assignment: Assignment) -> None:
        index, trace = assignment.index, self._control.trace
        try:
            self._budget.reserve(index, self._control)
            trace.take(index)
            session_id = self._announced.session_id if self._announced else None
            page = self._source.fetch(index, self._query, session_id, self._control)
            self._schedule.arrived()
        except FetchStopped as error:
            trace.failed(error)
            self._schedule.unsettle(index, "the run was stopped")
        except MixpanelError as error:
            self._budget.release(index)
            trace.failed(error)
            self._failed(index, error)
        else:
            if self._announced is None:
                self._events.put(FirstPage(page))
            else:
                self._received(self._write(page, trace.arrived(index), last_try=assignment.last_try))

    def _write(self, page: EngagePage, how: Arrival, *, last_try: bool = False) -> PageWrite:
        expected = self._promised.expected_rows(page.index)
        return PageWrite(page, expected, last_try, how.requested_at, how.received_at, how.worker, how.steps)

    @property
    def _promised(self) -> Announcement:
        assert self._announced is not None  # noqa: S101 - no page but the first is asked for before
        return self._announced

    def _failed(self, index: int, error: MixpanelError) -> None:
        """On a fetch thread: settle a page of which nothing came."""
        if self._announced and isinstance(error, RateLimitError) and error.gave_up:
            self._schedule.unsettle(index, str(error))
            self._schedule.give_up(str(error))
        elif self._announced and (error.retryable or self._may_mean_a_lost_session(error)):
            again = self._schedule.failed(index, str(error), at_once=not error.retryable)
            if not again and not error.retryable:
                raise error
            self._events.put(PageEvent(index, problem=str(error), again=again))
        else:
            self._schedule.unsettle(index, str(error))
            raise error

    def _may_mean_a_lost_session(self, error: MixpanelError) -> bool:
        refused = isinstance(error, RequestRejectedError) and not isinstance(error, SessionLostError)
        return self._resumed and refused and error.status in SESSION_STATUS

    def _received(self, write: PageWrite) -> None:
        """Hand a page to the writer, unless its own fields say that it is not what was asked for."""
        page = write.page
        self._budget.arrived(page.index, len(page.body))
        problem = self._promised.oddity(page)
        wrong = self._promised.is_another(page)
        if problem and (wrong or not write.last_try):
            self._budget.release(page.index)
            self._spoiled(write, problem)
            again = self._schedule.spoiled(page.index, problem, storable=not wrong)
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
            problem = row_oddity(receipt.rows, write.expected_rows) or self._promised.oddity(write.page)
            self._events.put(PageEvent(receipt.index, receipt.rows, problem, committed=True))
        else:
            self._spoiled(write, receipt.problem)
            tries = ROUNDS if receipt.rows else UNREADABLE_TRIES
            again = self._schedule.spoiled(receipt.index, receipt.problem, tries=tries, storable=True)
            self._events.put(PageEvent(receipt.index, problem=receipt.problem, again=again))

    def _writer_ended(self, error: BaseException | None) -> None:
        self._events.put(_Ended(writer=True, error=error))
