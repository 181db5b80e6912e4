"""Several runs at once, drawn as one line by the thread that waits for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..results import FetchPlan
from ..text import duration, many
from .bars import bar_line
from .screen import Screen

__all__ = ["Together"]


class Counted(Protocol):
    """The numbers of one run, which another thread may be writing."""

    plan: FetchPlan | None
    pages: int
    rows: int
    held_by: str

    @property
    def hold(self) -> float:
        """Seconds for which the server's limits hold the run."""

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""


class Together:
    """One line for all of them.

    Args:
        screen: Where to draw; default: nowhere.
        say: Takes notices of the runs; any thread may call it.
    """

    def __init__(self, screen: Screen | None = None, say: Callable[[str], None] = lambda _: None) -> None:
        self._screen = screen
        self.say = say

    def draw(self, runs: Sequence[Counted]) -> None:
        """Show the numbers as they are now."""
        if self._screen is None:
            return
        done, pages = sum(run.pages for run in runs), sum(run.plan.total_pages for run in runs if run.plan)
        ended, active = sum(run.has_ended for run in runs), [run for run in runs if run.plan and not run.has_ended]
        figures = [
            f"{ended}/{len(runs)} jobs",
            f"{done:,}/{many(pages, 'page')}",
            many(sum(run.rows for run in runs), "profile"),
        ]
        if active and all(run.hold for run in active):
            first = min(active, key=lambda run: run.hold)
            figures.append(f"waiting {duration(first.hold)} ({first.held_by})")
        # What is not planned yet counts as nothing, and what has ended as all: skipped and failed jobs have no pages.
        shares = [1.0 if run.has_ended else run.pages / run.plan.total_pages if run.plan else 0.0 for run in runs]
        strokes = "━─" if self._screen.encodes("━─") else "=-"
        self._screen.draw(bar_line(figures, sum(shares) / len(runs), self._screen.width, strokes))

    def close(self) -> None:
        """Leave a clean line."""
        if self._screen is not None:
            self._screen.draw("")
