"""How large a run asks for its pages: as the caller says, else as page 0 suggests, if the server keeps to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..engage import Announcement, PageSizing, ProfileQuery, page_sizing, shortfall
from ..errors import UnreadableAnswerError
from .news import FirstPage

__all__ = ["PageSizes"]


class PageSizes:
    """The sizes that one run asks for, in one session after the other; used by the caller's thread.

    Args:
        query: The filters, with the size that the caller wishes.
        notice: Says something in words.
    """

    def __init__(self, query: ProfileQuery, notice: Callable[[str], object]) -> None:
        self._limit = query.limit
        self._open = query.page_size == "auto"
        self._notice = notice
        # Page 0 at the server's own size, while the one in larger pages is on its way, and what those are.
        self._before: tuple[FirstPage, PageSizing] | None = None

    def larger(self, first: FirstPage) -> int | None:
        """Decide, once in a session, whether page 0 is asked for again in larger pages, and say why.

        Args:
            first: Page 0 as it came.

        Raises:
            UnreadableAnswerError: It does not tell how many profiles there are.
        """
        if not self._open or self._before is not None:
            return None
        announced = Announcement.opened_by(first.page, self._limit)
        sizing = page_sizing(announced, len(first.page.body), first.how.seconds)
        if sizing.reason:
            self._notice(sizing.reason)
        if not sizing.larger:
            return None
        self._before = first, sizing
        return sizing.page_size

    def settled(self, first: FirstPage) -> tuple[FirstPage, int | None]:
        """Decide which page 0 a session goes on with: what the server makes of a wish is what counts.

        Returns:
            That page 0, and the size that it was asked for with, ``None`` for none.
        """
        if self._before is None:
            return first, None
        (before, sizing), self._before = self._before, None
        asked = f"Pages of {sizing.page_size:,} profiles were asked for"
        if (problem := self._problem(first)) is not None:
            self._notice(f"{asked}: {problem.rstrip('.')}. Going on in pages of the server's own size.")
            return before, None
        announced = Announcement.opened_by(first.page, self._limit)
        if announced.page_size != sizing.page_size:
            self._notice(f"{asked}; the server gives {announced.page_size:,}, which makes {announced.pages:,}.")
        # For as long as both of them took, a fetch thread was busy with page 0.
        how = replace(first.how, requested_at=before.how.requested_at)
        return replace(first, how=how), sizing.page_size

    def give_up(self, why: str) -> None:
        """Stay at the server's own size from now on, and say so."""
        self._open = False
        self._notice(f"Pages of a larger size failed again and again ({why}); starting over at the server's own size.")

    def _problem(self, first: FirstPage) -> str | None:
        if first.refused is not None:
            return str(first.refused)
        try:
            return shortfall(first.page, Announcement.opened_by(first.page, self._limit))
        except UnreadableAnswerError as error:
            return str(error)
