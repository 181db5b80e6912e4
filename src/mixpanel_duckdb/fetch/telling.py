"""What the caller hears of a run, on its own thread: the plan, each page, waits and notices, and a tally of them."""

from __future__ import annotations

import logging
import time

from ..engage import Announcement
from ..http import HOURLY_QUOTA, MAX_IN_FLIGHT
from ..results import FetchObserver, FetchPlan, ProfileBatchProgress
from .download import PageEvent
from .source import PageSource

__all__ = ["Telling"]

_log = logging.getLogger("mixpanel_duckdb")


class Telling:
    """Tells an observer how a run goes; whatever that raises reaches the run's caller.

    Args:
        observer: Hears of it.
        source: Tells of the wait that holds all workers, if any.
        table: Table to publish.
        workers: Fetch threads.

    Attributes:
        notices: What was said in words, in order.
    """

    def __init__(self, observer: FetchObserver, source: PageSource, table: str, workers: int) -> None:
        self._observer = observer
        self._source = source
        self._table = table
        self._workers = workers
        self._total_pages = 0
        self._completed_pages = 0
        self._cumulative_rows = 0
        self.notices: list[str] = []

    @property
    def completed_pages(self) -> int:
        """Pages that were committed or given up, those of earlier runs included."""
        return self._completed_pages

    def planned(self, announced: Announcement, committed: dict[int, int]) -> None:
        """Tell what there is to do, and warn where a server that counts pages would make it long.

        Args:
            announced: What page 0 said.
            committed: Rows of each page that an earlier run has committed.
        """
        done, rows = len(committed), sum(committed.values())
        self._total_pages, self._completed_pages, self._cumulative_rows = announced.pages, done, rows
        self._observer.planned(FetchPlan(self._table, announced.pages, announced.total, done, rows, self._workers))
        if announced.pages - done > HOURLY_QUOTA:
            _log.warning(
                "%d pages to fetch. Mixpanel publishes a limit of %d queries an hour and %d at a time; its own client "
                "says that pages of one session are not counted, only the first is. If the server answers 429 all the "
                "same, every worker waits as long as it says and then goes on.",
                announced.pages - done,
                HOURLY_QUOTA,
                MAX_IN_FLIGHT,
            )

    def heard(self, event: PageEvent) -> None:
        """Tell what happened to a page."""
        if event.problem and (event.again or event.committed):
            what = "stored as it is" if event.committed else "fetching it again"
            self.notice(f"Page {event.index}: {event.problem.removeprefix(f'Page {event.index}: ')}; {what}.")
        if event.committed:
            self._page_done(event.index, rows=event.rows, error=None)

    def missing(self, pages: dict[int, str]) -> None:
        """Tell of pages that were given up, with the reason."""
        for index, reason in pages.items():
            self._page_done(index, rows=0, error=reason)

    def tick(self) -> None:
        """Tell of a wait, and let displays be drawn."""
        pause = self._source.pause()
        if pause is not None:
            self._observer.waiting(max(0.0, pause.until - time.monotonic()), pause.kind)
        self._observer.ticked()

    def notice(self, text: str) -> None:
        """Say something in words."""
        _log.info(text)
        self.notices.append(text)
        self._observer.notice(text)

    def _page_done(self, index: int, *, rows: int, error: str | None) -> None:
        self._completed_pages += 1
        self._cumulative_rows += rows
        self._observer.page_done(
            ProfileBatchProgress(
                page_index=index,
                total_pages=self._total_pages,
                rows=rows,
                success=error is None,
                error=error,
                completed_pages=self._completed_pages,
                cumulative_rows=self._cumulative_rows,
            )
        )
