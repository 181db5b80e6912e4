"""What the caller hears of a run, on its own thread: the plan, each page, waits and notices, and a tally of them."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from threading import Event
from typing import Any

from ..engage import Announcement
from ..errors import FetchStopped
from ..http import HOURLY_QUOTA, MAX_IN_FLIGHT
from ..results import FetchObserver, FetchPlan, ProfileBatchProgress
from ..text import MOST_ERRORS, many, page_list
from .news import PageEvent
from .source import PageSource

__all__ = ["BatchCallback", "Listener", "Telling", "check_stop"]

_log = logging.getLogger("mixpanel_duckdb")
_NUMBER = re.compile(r"\w*\d\w*")
BatchCallback = Callable[[ProfileBatchProgress], object]


def check_stop(stop: Event | None) -> None:
    """End a run where its caller, on whatever thread, has asked for that."""
    if stop is not None and stop.is_set():
        raise FetchStopped("The fetch was stopped by its caller; what has arrived is kept.")


class Listener:
    """Passes everything on to several observers, and pages to the caller's callback."""

    def __init__(self, on_batch_complete: BatchCallback | None, *observers: FetchObserver | None) -> None:
        self._on_batch_complete = on_batch_complete
        self._observers = [each for each in observers if each is not None]

    def planned(self, plan: FetchPlan) -> None:
        """Pass it on."""
        for each in self._observers:
            each.planned(plan)

    def page_done(self, progress: ProfileBatchProgress) -> None:
        """Pass it on."""
        for each in self._observers:
            each.page_done(progress)
        if self._on_batch_complete is not None:
            self._on_batch_complete(progress)

    def waiting(self, seconds: float, reason: str) -> None:
        """Pass it on."""
        for each in self._observers:
            each.waiting(seconds, reason)

    def notice(self, text: str) -> None:
        """Pass it on."""
        for each in self._observers:
            each.notice(text)

    def ticked(self) -> None:
        """Pass it on."""
        for each in self._observers:
            each.ticked()


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
        self._expected_rows: int | None = None
        self.notices: list[str] = []
        # Pages by what was wrong with them, numbers aside.
        self._alike: dict[str, list[int]] = {}

    @property
    def standing(self) -> dict[str, Any]:
        """How far the run is, in the words of a ``Sign``."""
        return {
            "pages": self._completed_pages,
            "total_pages": self._total_pages or None,
            "rows": self._cumulative_rows,
            "expected_rows": self._expected_rows,
        }

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
        self._expected_rows = announced.total
        self._observer.planned(FetchPlan(self._table, announced.pages, announced.total, done, rows, self._workers))
        if announced.pages - done > HOURLY_QUOTA:
            _log.warning(
                "%d pages to fetch. Mixpanel publishes a limit of %d queries an hour and %d at a time; its own client "
                "says that pages of one session are not counted, only the first is. If the server answers 429 all the "
                "same, every worker waits as long as it says and then goes on. Larger pages make them fewer: "
                "--page-size N (page_size=N).",
                announced.pages - done,
                HOURLY_QUOTA,
                MAX_IN_FLIGHT,
            )

    def heard(self, event: PageEvent) -> None:
        """Tell what happened to a page; of many that are wrong alike, of the first ones."""
        if event.problem and (event.again or event.committed):
            what = "stored as it is" if event.committed else "fetching it again"
            said = f"{event.problem.removeprefix(f'Page {event.index}: ')}; {what}."
            alike = self._alike.setdefault(_NUMBER.sub("N", said), [])
            alike.append(event.index)
            if len(alike) <= MOST_ERRORS:
                self.notice(f"Page {event.index}: {said}")
        if event.committed:
            self._page_done(event.index, rows=event.rows, error=None)

    def more_alike(self) -> None:
        """Tell of the others that were wrong alike, once for each kind."""
        for said, pages in self._alike.items():
            if more := set(pages[MOST_ERRORS:]):
                self.notice(f"{many(len(more), 'page')} more ({page_list(more)}): {said}")
        self._alike.clear()

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
