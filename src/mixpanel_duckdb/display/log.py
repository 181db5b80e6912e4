"""A run told to the log, at INFO: its beginning, plan, waits, progress now and then, pages given up, and its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..results import FetchPlan, ProfileBatchProgress
from ..text import error_text, many, work_text
from .bars import Heartbeat
from .tally import Tally

if TYPE_CHECKING:
    from ..results import ParallelFetchResult, ParallelProfileFetchResult

__all__ = ["RunLog"]

_log = logging.getLogger("mixpanel_duckdb")
# A wait is told again when it has become so much longer.
_LONGER = 0.05


class _Log:
    """The log in the place of a screen."""

    def line(self, text: str) -> None:
        _log.info(text)


class RunLog(Heartbeat):
    """Tells one run to whoever listens to the logger ``mixpanel_duckdb``; requests that fail tell themselves.

    Args:
        clock: Monotonic seconds; replaceable for tests.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(_log.info, _Log(), clock=clock)
        self._begun = False

    def begun(self, table: str, what: str) -> None:
        """Tell what is fetched, from where, once nothing speaks against it."""
        self._begun = True
        _log.info("Fetching into table %r: %s.", table, what)

    def planned(self, plan: FetchPlan) -> None:
        """Tell the size of the run."""
        super().planned(plan)
        here = f", {plan.resumed_pages:,} of them here from an earlier run" if plan.resumed_pages else ""
        size = many(plan.total_pages, plan.unit[:-1])
        if plan.what == "profiles":
            size = f"{plan.expected_rows:,} profiles in {size}"
        _log.info("%s%s; %d at a time.", size, here, plan.workers)

    def page_done(self, progress: ProfileBatchProgress) -> None:
        """Tell of a page that is given up, and where the run is, if it is time."""
        if progress.error is not None:
            of_a_page = self.plan is None or self.plan.what == "profiles"
            _log.info("Given up: %s", error_text(progress.page_index, progress.error) if of_a_page else progress.error)
        super().page_done(progress)

    def waiting(self, seconds: float, reason: str) -> None:
        """Tell of every wait, once."""
        longer = seconds - self.hold
        Tally.waiting(self, seconds, reason)  # not the line that a long one is elsewhere
        if longer > _LONGER:
            _log.info("Waiting %.1f s for the server's limits (%s).", seconds, self.held_by)

    def ended(self, result: ParallelProfileFetchResult | ParallelFetchResult) -> None:
        """Tell what the run came to."""
        work = work_text(result.requests, result.retries, result.waited_seconds)
        _log.info("%s: %s %s.", "Complete" if result.is_complete else "Incomplete", result.summary(), work)

    def ended_by(self, error: BaseException) -> None:
        """Tell that the run ended before its end; what it was is told by whoever catches it."""
        where = self._pages() if self.plan else "page 0"
        if self._begun:
            _log.info("The fetch ended at %s: %s.", where, type(error).__name__)
