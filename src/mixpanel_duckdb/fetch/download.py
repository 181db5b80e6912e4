"""The pages of one download: which is asked for, what is wrong with it, and what becomes of it.

The threads are those of ``threads``. Where no session is known yet, one of them asks for page 0, and the caller lets
the download ``go_on`` with what that announces.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from ..engage import (
    LARGE_TRIES,
    LARGEST_BODY,
    ROUNDS,
    UNREADABLE_TRIES,
    Announcement,
    EngagePage,
    ProfileQuery,
    row_oddity,
)
from ..errors import (
    ConnectionFailedError,
    FetchStopped,
    MixpanelError,
    RateLimitError,
    RequestRejectedError,
    SessionLostError,
)
from ..http import Arrival, FetchControl
from ..process import LARGE_BLOCK, give_large_blocks_back
from ..store import PageReceipt, PageWrite, StagedGroup
from .budget import ByteBudget
from .news import FirstPage, LargePagesFailed, PageEvent
from .schedule import Assignment, PageSchedule
from .source import PageSource
from .threads import FetchThreads
from .writer import PageSink

__all__ = ["SESSION_STATUS", "Download"]

# What a server may say when it does not know a session; its own text is not published.
SESSION_STATUS = frozenset({400, 404, 410})
# A server that is away, or the way to it: that says nothing of the pages. A gateway that waited too long says 504.
_AWAY_STATUS = frozenset({502, 503})
# Of two of the largest pages, one is parsed while the other is committed, should they be larger than foreseen, too.
_BODY_BYTES = LARGEST_BODY * 5 // 2


class Download(FetchThreads[PageWrite, StagedGroup, PageReceipt, FirstPage | PageEvent]):
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
        large: Whether the size of the pages was chosen here: if they fail again and again, another is to be tried.
    """

    def __init__(
        self,
        source: PageSource,
        query: ProfileQuery,
        schedule: PageSchedule,
        control: FetchControl,
        sink: PageSink[PageWrite, StagedGroup, PageReceipt],
        workers: int,
        *,
        announced: Announcement | None = None,
        largest_body: int = 0,
        resumed: bool = False,
        large: bool = False,
    ) -> None:
        super().__init__("mp-fetch-page", workers, control, sink, source.abort)
        self._source = source
        # These three are written on the caller's thread, before the schedule has pages that need them.
        self._query = query
        self._large = large
        self._announced = announced
        self._schedule = schedule
        # What to go on with if page 0 cannot be had in larger pages.
        self._first: FirstPage | None = None
        self._resumed = resumed
        # When the last page behind page 0 that came was asked for.
        self._served: datetime | None = None
        if largest_body >= LARGE_BLOCK:
            give_large_blocks_back()
        self._budget = ByteBudget(_BODY_BYTES, bodies=workers + 2, largest=largest_body)

    def start(self) -> None:
        """Start the writer, and as many fetch threads as there is work for: one, where page 0 has to come first."""
        self._writer.start()
        self._start_workers(self._workers if self._announced else 1)

    def ask_again(self, first: FirstPage, query: ProfileQuery) -> None:
        """Ask for page 0 once more, in larger pages; if it cannot be had so, what had come is given again.

        Args:
            first: What had come.
            query: The filters, with the other size.
        """
        self._first, self._query, self._large = first, query, True
        self._schedule.extend([0])

    def go_on(self, first: FirstPage, announced: Announcement, query: ProfileQuery, *, large: bool = False) -> None:
        """Go on with the pages behind page 0, which is written meanwhile.

        Args:
            first: Page 0.
            announced: What it says of the result.
            query: The filters that it was asked for with.
            large: Whether the size of its pages was chosen here.
        """
        self._first, self._query, self._large, self._announced = None, query, large, announced
        if len(first.page.body) >= LARGE_BLOCK:
            give_large_blocks_back()
        write = self._write(first.page, first.how)
        # Of two forms of a profile the first is kept: no page may come into the queue before page 0.
        self._schedule.extend(range(1, announced.pages), behind=lambda: self._received(write))
        self._start_workers(min(self._workers, announced.pages) - 1)

    def _fetch_next(self) -> bool:
        assignment = self._schedule.take(self._control)
        if assignment is not None:
            self._fetch(assignment)
        return assignment is not None

    def _fetch(self, assignment: Assignment) -> None:
        index, trace = assignment.index, self._control.trace
        try:
            self._budget.reserve(index, self._control)
            trace.take(index)
            session_id = self._announced.session_id if self._announced else None
            control = self._control.until(partial(self._tells_of_size, index)) if self._large else self._control
            page = self._source.fetch(index, self._query, session_id, control)
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
                self._events.put(FirstPage(page, trace.arrived(index)))
            else:
                how = trace.arrived(index)
                self._served = how.request[0] if how.request else self._served
                self._received(self._write(page, how, last_try=assignment.last_try))

    def _write(self, page: EngagePage, how: Arrival, *, last_try: bool = False) -> PageWrite:
        announced = self._promised
        return PageWrite(
            page,
            announced.expected_rows(page.index),
            last_try,
            how.requested_at,
            how.received_at,
            how.worker,
            how.steps,
            cut=announced.cuts(page.index),
        )

    @property
    def _promised(self) -> Announcement:
        assert self._announced is not None  # noqa: S101 - no page but the first is asked for before
        return self._announced

    def _failed(self, index: int, error: MixpanelError) -> None:
        """On a fetch thread: settle a page of which nothing came."""
        if self._announced and isinstance(error, RateLimitError) and error.gave_up:
            self._schedule.unsettle(index, str(error))
            self._schedule.give_up(str(error))
        elif self._first is not None:
            self._control.trace.arrived(index)  # what was done for it is of no page that will come
            self._events.put(FirstPage(self._first.page, self._first.how, refused=error))
        elif self._announced and (error.retryable or self._may_mean_a_lost_session(error)):
            large = self._large and error.retryable  # else it is the session that may be gone
            if large and self._tells_of_size(index, error):
                raise LargePagesFailed(str(error)) from error
            tries = LARGE_TRIES if large else ROUNDS
            again = self._schedule.failed(index, str(error), at_once=not error.retryable, tries=tries)
            if not again and not error.retryable:
                raise error
            if not again and large and self._only_this_fails(index):
                raise LargePagesFailed(str(error)) from error
            self._events.put(PageEvent(index, problem=str(error), again=again))
        else:
            self._schedule.unsettle(index, str(error))
            raise error

    def _tells_of_size(self, index: int, error: MixpanelError) -> bool:
        """Whether a page failed so often that its size is to blame; not if a server that gave others is away."""
        away = error.away if isinstance(error, ConnectionFailedError) else error.status in _AWAY_STATUS
        works = self._resumed or self._served is not None
        return self._control.trace.failures(index) >= LARGE_TRIES and not (away and works)

    def _only_this_fails(self, index: int) -> bool:
        """Whether others came that were asked for after a page first failed; or, in this run, none ever did."""
        since = self._control.trace.failing_since(index)
        return self._served is None or (since is not None and self._served > since)

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
