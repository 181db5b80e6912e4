"""The numbers behind a progress display: pages, rows, rate, time left, and the wait that holds the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from ..results import FetchPlan, ProfileBatchProgress, SilentObserver
from ..text import duration, many

__all__ = ["Tally"]

_STALL = 6
_REASONS = {
    "quota": "hourly quota",
    "concurrency": "too many requests at a time",
    "shedding": "server is busy",
}


class Tally(SilentObserver):
    """Counts what a run tells; renderers derive from it. Only the thread that called the run touches it.

    Args:
        say: Takes each notice of the run.
        clock: Monotonic seconds; replaceable for tests.
    """

    def __init__(self, say: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._started = clock()
        self._base = (0, 0)
        self._active_then = 0.0
        self._held = 0.0
        self._held_until = self._started
        self.held_by: str = ""
        self.plan: FetchPlan | None = None
        self.pages: int = 0
        self.rows: int = 0
        self.failed: int = 0

    def planned(self, plan: FetchPlan) -> None:
        """Count from where an earlier run has ended."""
        self.plan = plan
        self.pages, self.rows, self.failed = plan.resumed_pages, plan.resumed_rows, 0
        self._base = (self.pages, self.rows)

    def page_done(self, progress: ProfileBatchProgress) -> None:
        """Count a page."""
        self.pages, self.rows = progress.completed_pages, progress.cumulative_rows
        self.failed += not progress.success
        self._active_then = self._active

    def waiting(self, seconds: float, reason: str) -> None:
        """Note until when all workers are held; the wait is not held against the rate."""
        until = self._clock() + seconds
        self._held += max(0.0, until - max(self._clock(), self._held_until))
        self._held_until = max(self._held_until, until)
        self.held_by = _REASONS.get(reason, reason)

    def notice(self, text: str) -> None:
        """Pass a notice on."""
        self._say(text)

    def close(self) -> None:
        """End the display."""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    @property
    def _active(self) -> float:
        """Seconds since the start without those in which the run was held."""
        return self.elapsed - (self._held - self.hold)

    @property
    def hold(self) -> float:
        """Seconds for which the server's limits hold the run from now on."""
        return max(0.0, self._held_until - self._clock())

    @property
    def fraction(self) -> float:
        """Share of the pages that are decided."""
        return self.pages / self.plan.total_pages if self.plan and self.plan.total_pages else 0.0

    def figures(self) -> list[str]:
        """Say where the run is, most important part first."""
        if self.plan is None:
            return [*self._wait(), *(() if self.hold else ("asking for the first page",))]
        return [self._pages(), *(self._wait() or self._pace())]

    def outcome(self) -> str:
        """Say where the run has ended."""
        return f"{self._pages()}, {self._rows()} in {duration(self.elapsed)}"

    def stop_line(self, *, resumes: bool = True) -> str:
        """Say what a run leaves that was stopped, and how it goes on.

        Args:
            resumes: Whether the same command would go on where this one was stopped.
        """
        if self.plan is None:
            return "Stopped before any page was stored; the same command starts again."
        again = "goes on" if resumes else "without --no-resume goes on"
        return (
            f"Stopped after {self.pages - self.failed:,} of {many(self.plan.total_pages, self.plan.unit[:-1])}; "
            f"what arrived is stored, and the same command {again} from here."
        )

    def _pages(self) -> str:
        failed = f" ({self.failed:,} failed)" if self.failed else ""
        total, unit = (self.plan.total_pages, self.plan.unit) if self.plan else (0, "pages")
        return f"{self.pages:,}/{many(total, unit[:-1])}{failed}"

    def _rows(self) -> str:
        return many(self.rows, (self.plan.what if self.plan else "profiles")[:-1])

    def _wait(self) -> list[str]:
        hold = self.hold
        if hold < 0.5:
            return []
        now = datetime.now().astimezone()
        at = now + timedelta(seconds=hold)
        until = f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"
        return [f"waiting until {until}", f"({self.held_by}, {duration(hold)})"]

    def _pace(self) -> list[str]:
        rows = self._rows()
        done, total = self.pages - self._base[0], self.plan.total_pages if self.plan else 0
        if done <= 0 or self._active_then <= 0:
            return [rows]
        since = self._active - self._active_then
        # Figures that are made anew between two pages would sink until the next one comes; only a stall may do that.
        active = self._active if since > _STALL * self._active_then / done else self._active_then
        rate = f"{(self.rows - self._base[1]) / active:,.0f}/s"
        left = max(0.0, (total - self.pages) * active / done - since)
        return [rows, rate, f"{duration(left)} left"] if total > self.pages else [rows, rate]
