"""What the caller hears of a fetch of events, on its own thread: the plan, each request, waits and notices; a tally."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from typing import Any

from ..http import EXPORT_QUOTA, ExportLimiter
from ..results import BatchProgress, FetchObserver, FetchPlan, ProfileBatchProgress
from ..store import DayRecord
from ..text import many
from .event_plan import EventPlan
from .event_run import BatchNews

__all__ = ["EventCallback", "EventTelling"]

_log = logging.getLogger("mixpanel_duckdb")
EventCallback = Callable[[BatchProgress], object]


class EventTelling:
    """Tells an observer and a callback how a run goes; whatever they raise reaches the run's caller.

    Args:
        observer: Hears of it, days in the place of pages.
        on_batch_complete: Called for each request whose days were stored or given up.
        limiter: Tells of the wait that holds all workers, if any.
        table: Table that is fetched into.
        workers: Streams at a time.

    Attributes:
        workers: Streams at a time, at most.
        notices: What was said in words, in order.
        stored: Days that were stored.
        batches: Requests that brought them.
    """

    def __init__(
        self,
        observer: FetchObserver,
        on_batch_complete: EventCallback | None,
        limiter: ExportLimiter,
        table: str,
        workers: int,
    ) -> None:
        self._observer = observer
        self._on_batch_complete = on_batch_complete
        self._limiter = limiter
        self._table = table
        self.workers = workers
        self.notices: list[str] = []
        self.stored: set[date] = set()
        self.batches: int = 0
        self._decided = self._rows = self._days = self._total_days = self._rows_here = 0
        self._warned = False

    @property
    def standing(self) -> dict[str, Any]:
        """How far the run is, in the words of a ``Sign``."""
        return {
            "pages": self._days,
            "total_pages": self._total_days,
            "rows": self._rows_here + self._rows,
            "expected_rows": None,
        }

    def planned(self, days: int, todo: Collection[date], known: Iterable[DayRecord]) -> None:
        """Tell what there is to do.

        Args:
            days: Days that were asked for.
            todo: Those that are to be fetched.
            known: What is known of days that are there.
        """
        here = [each for each in known if each.day not in todo]
        self._total_days, self._days = days, days - len(todo)
        self._rows_here = sum(each.total for each in here)
        self._observer.planned(
            FetchPlan(self._table, days, 0, self._days, self._rows_here, self.workers, what="events")
        )

    def heard(self, news: BatchNews, plan: EventPlan) -> None:
        """Tell what became of a request."""
        self._warn_of_hours(plan)
        if news.not_yet is not None:
            self._total_days -= news.not_yet
        elif news.again:
            self.notice(f"{news.problem}; fetching it again")
        else:
            self._decide(news, plan)

    def tick(self) -> None:
        """Tell of a wait, and let displays be drawn."""
        pause = self._limiter.pause
        if pause is not None:
            self._observer.waiting(max(0.0, pause.until - time.monotonic()), pause.kind)
        self._observer.ticked()

    def not_begun(self, first: date, last: date) -> None:
        """Tell of days that are left out, once."""
        text = f"{first} has not begun" if first == last else f"{first} and the days after it have not begun"
        self.notice(f"{text} where the project is; {'it was' if first == last else 'they were'} not fetched.")

    def together(self, days: Sequence[date]) -> None:
        """Tell of days that are fetched with others."""
        if days:
            self.notice(
                "Events came with other days than those of their times: "
                f"{many(len(days), 'more day')} will be fetched again with them, first {days[0]}."
            )

    def clock(self, minutes: int | None) -> None:
        """Tell of times that are not UTC."""
        if minutes:
            hours, rest = divmod(abs(minutes), 60)
            clock = f"UTC{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
            self.notice(
                f"The times are of a clock at {clock}, as in projects made before 2023; they are kept as they came."
            )

    def notice(self, text: str) -> None:
        """Say something in words."""
        self.notices.append(text)
        self._observer.notice(text)

    def _decide(self, news: BatchNews, plan: EventPlan) -> None:
        days, receipt = news.batch.days, news.receipt
        rows = 0 if receipt is None else receipt.rows
        error = None if receipt else news.problem
        if receipt is not None:
            self.batches += 1
            self.stored.update(days)
        self._decided += 1
        self._rows += rows
        self._days += len(days)
        self._observer.page_done(
            ProfileBatchProgress(
                self._decided - 1, self._total_days, rows, receipt is not None, error, self._days,
                self._rows_here + self._rows,
            )
        )  # fmt: skip
        if self._on_batch_complete is not None:
            self._on_batch_complete(
                BatchProgress(
                    from_date=str(days.first), to_date=str(days.last), batch_index=self._decided - 1,
                    total_batches=max(self._decided, plan.total), rows=rows, success=receipt is not None, error=error,
                    completed_batches=self._decided, cumulative_rows=self._rows,
                )
            )  # fmt: skip

    def _warn_of_hours(self, plan: EventPlan) -> None:
        """Say how long it takes, once, if that is hours."""
        beyond = plan.to_come - self._limiter.left
        if beyond > 0 and not self._warned:
            self._warned = True
            hours = -(-beyond // EXPORT_QUOTA)
            self.notice(
                f"About {plan.total:,} requests; Mixpanel allows {EXPORT_QUOTA} an hour, so this takes about "
                f"{hours:,} {'hour' if hours == 1 else 'hours'} more."
            )
