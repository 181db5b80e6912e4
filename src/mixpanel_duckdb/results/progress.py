"""What a run tells while it goes on: dataclasses for callers, and the small interface that renderers implement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["FetchObserver", "FetchPlan", "ProfileBatchProgress", "SilentObserver"]


@dataclass(frozen=True, slots=True)
class ProfileBatchProgress:
    """One page whose fate is decided: committed, or given up for good.

    Pages finish in any order, so draw a bar from ``completed_pages / total_pages``.

    Args:
        page_index: Index of the page, from 0.
        total_pages: Number of pages of the whole result.
        rows: Rows of this page that were committed.
        success: Whether the page was committed.
        error: Why it was not.
        completed_pages: Pages decided so far, this one and those of an earlier run included.
        cumulative_rows: Rows committed so far, those of an earlier run included.

    Example:
        >>> progress = ProfileBatchProgress(4, 10, 1000, True, None, 5, 5000)
        >>> progress.completed_pages / progress.total_pages
        0.5
    """

    page_index: int
    total_pages: int
    rows: int
    success: bool
    error: str | None
    completed_pages: int
    cumulative_rows: int


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What a run is about to do, known once page 0 was answered or a journal was read; for events, days are pages.

    Args:
        table: Table that will be published.
        total_pages: Pages of the whole result.
        expected_rows: The server's ``total``, or the query's limit if that is less.
        resumed_pages: Pages that an earlier run has committed.
        resumed_rows: Their rows.
        workers: Page fetchers at a time.
        what: What the rows are.
    """

    table: str
    total_pages: int
    expected_rows: int
    resumed_pages: int
    resumed_rows: int
    workers: int
    what: Literal["profiles", "events"] = "profiles"

    @property
    def unit(self) -> str:
        """What the pages are."""
        return "days" if self.what == "events" else "pages"


class FetchObserver(Protocol):
    """Told about a run, on the thread that called it; a method that raises ends the run and reaches the caller."""

    def planned(self, plan: FetchPlan) -> None:
        """The size of the run is known."""

    def page_done(self, progress: ProfileBatchProgress) -> None:
        """A page was committed or given up."""

    def waiting(self, seconds: float, reason: str) -> None:
        """The server's limits hold all workers for so many seconds more; ``reason`` is the kind of limit."""

    def notice(self, text: str) -> None:
        """Something the user should know: a session started over, a page fetched again."""

    def ticked(self) -> None:
        """Time went by; called several times a second whatever happens."""


class SilentObserver:
    """Hears everything and says nothing; the base to derive renderers from.

    Example:
        >>> SilentObserver().notice("nobody sees this")
    """

    def planned(self, plan: FetchPlan) -> None:
        """Ignore it."""

    def page_done(self, progress: ProfileBatchProgress) -> None:
        """Ignore it."""

    def waiting(self, seconds: float, reason: str) -> None:
        """Ignore it."""

    def notice(self, text: str) -> None:
        """Ignore it."""

    def ticked(self) -> None:
        """Ignore it."""
