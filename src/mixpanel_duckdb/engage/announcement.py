"""What page 0 announces of a result, and so what every page of it must look like.

The rules are used twice: by a download into a store, and by an export that yields profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..errors import UnreadableAnswerError
from .page import EngagePage, page_count

__all__ = ["ROUNDS", "UNREADABLE_TRIES", "Announcement", "row_oddity"]

# A page that is odd is fetched so many times in all, one whose rows nobody can read a few times more.
ROUNDS = 2
UNREADABLE_TRIES = 5
# Ten billion profiles in pages of the usual size. A plan of more pages would not fit into memory.
MOST_PAGES = 10_000_000


@dataclass(frozen=True, slots=True)
class Announcement:
    """What page 0 said of the result.

    Args:
        session_id: Sent with each page.
        total: Profiles in all; the query's limit, if that is less.
        page_size: Profiles a page.
        first_numbers: What the server may call page 0: 0, or 1 if it counts from there.
        limit: The query's. A server may stop there, stop there on each page, or not know it.
    """

    session_id: str | None
    total: int
    page_size: int
    first_numbers: tuple[int, ...] = (0,)
    limit: int | None = None

    @classmethod
    def opened_by(cls, first: EngagePage, limit: int | None = None) -> Self:
        """Read it from page 0.

        Args:
            first: Page 0.
            limit: The query's.

        Raises:
            UnreadableAnswerError: It has no total, or one that cannot be.

        Example:
            >>> body = b'{"page":0,"page_size":10,"results":[],"session_id":"s","total":21}'
            >>> Announcement.opened_by(EngagePage.from_body(0, body)).pages
            3
        """
        if first.total is None:
            seen = first.unread.get("total", "null")
            problem = "the answer has no total" if seen == "null" else f"the answer's total is {seen}, no whole number"
            raise UnreadableAnswerError(
                f"Page 0: {problem}, so nothing could prove the result complete; nothing was kept of it.", page=0
            )
        size = first.page_size or first.row_count() or 1
        total = _within(limit, first.total)
        pages = page_count(total, size)
        if pages > MOST_PAGES:
            problem = f"the server's total is {first.total:,}, or {pages:,} pages of {size:,}, which cannot be"
            raise UnreadableAnswerError(f"Page 0: {problem}; nothing was kept of it.", page=0)
        return cls(first.session_id, total, size, (1,) if first.page == 1 else (0,), limit)

    @property
    def pages(self) -> int:
        """Pages of the whole result."""
        return page_count(self.total, self.page_size)

    def expected_rows(self, index: int) -> int:
        """Rows that a page must have.

        Example:
            >>> Announcement("s", 2001, 1000).expected_rows(2)
            1
        """
        return max(0, min(self.page_size, self.total - index * self.page_size))

    def cuts(self, index: int) -> bool:
        """Say whether the limit ends the result on this page: rows beyond those expected are then not wanted."""
        return self.total == self.limit and index == self.pages - 1

    def is_another(self, page: EngagePage) -> bool:
        """Say whether the page bears another page's number."""
        return page.page is not None and page.page - page.index not in self.first_numbers

    def oddity(self, page: EngagePage) -> str | None:
        """Say what the fields around the rows contradict, if anything."""
        if self.is_another(page):
            return f"the server answered with page {page.page}"
        if page.total is not None and _within(self.limit, page.total) != self.total:
            return f"the server's total changed from {self.total} to {page.total}"
        return None


def _within(limit: int | None, total: int) -> int:
    return total if limit is None else min(limit, total)


def row_oddity(rows: int, expected: int | None) -> str | None:
    """Say that a page has too few or too many rows, if it has."""
    return (
        None
        if expected in (None, rows)
        else f"it has {rows} {'profile' if rows == 1 else 'profiles'} instead of {expected}"
    )
