"""All profiles of a query as a stream, in page order, while the next pages are on their way.

The caller's thread decodes one page at a time. A page that is odd is judged by the rules of a download
(``announcement``): fetched once more, then taken as it is and said in the log; if the profiles do not add up to the
server's total, that is raised at the end. A page that cannot be had at all is raised when its turn comes.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from itertools import count
from typing import Any

from ..errors import IncompleteFetchError, SessionLostError, UnreadableAnswerError
from .announcement import ROUNDS, UNREADABLE_TRIES, Announcement, row_oddity
from .page import EngagePage
from .readahead import ReadAhead

__all__ = ["profile_stream"]

_log = logging.getLogger("mixpanel_duckdb")

Profile = dict[str, Any]


def profile_stream(ahead: ReadAhead, limit: int | None = None) -> Generator[Profile, None, None]:
    """Yield all profiles of a result.

    Args:
        ahead: Gives its pages; entered and left here, with the first and the last profile.
        limit: Most profiles that are wanted.

    Raises:
        IncompleteFetchError: After the last profile: they do not add up to the server's total.
        SessionLostError: The server no longer has the result; what was yielded cannot be taken back, so it is not
            asked for again.
        MixpanelError: A page cannot be had.
    """
    with ahead:
        announced = ahead.open(limit)
        pages = _JudgedPages(ahead, announced)
        yielded = 0
        for index in range(announced.pages):
            try:
                rows = pages.rows(index)
            except SessionLostError as error:
                raise _lost(error, yielded) from error
            yielded += len(rows)
            yield from rows
            del rows  # before the next page becomes as many objects, which the collector would look through
        if yielded != announced.total:
            raise IncompleteFetchError(
                f"{yielded:,} profiles were read, but the server's total is {announced.total:,}: "
                f"{'; '.join(pages.odd)}. Profiles probably changed meanwhile: read them again."
            )


class _JudgedPages:
    """Takes pages from a read-ahead and has the odd ones fetched again.

    Attributes:
        odd: What was odd about pages that were taken all the same.
    """

    def __init__(self, ahead: ReadAhead, announced: Announcement) -> None:
        self._ahead = ahead
        self._announced = announced
        self.odd: list[str] = []

    def rows(self, index: int) -> list[Profile]:
        """Give the profiles of a page."""
        for tries in count(1):
            page = self._ahead.page(index, again=tries > 1)
            try:
                rows, damaged = self._decoded(page)
            except UnreadableAnswerError as error:
                if tries == (ROUNDS if self._announced.is_another(page) else UNREADABLE_TRIES):
                    raise
                problem: str | None = str(error)
            else:
                problem = self._problem(page, len(rows), damaged)
                if problem is None or tries >= ROUNDS:
                    return self._taken(rows, problem)
            _log.warning("%s Fetching it again.", problem)
        raise AssertionError("unreachable")

    def _decoded(self, page: EngagePage) -> tuple[list[Profile], str | None]:
        if self._announced.is_another(page):
            raise UnreadableAnswerError(f"Page {page.index}: {self._announced.oddity(page)}.", page=page.index)
        answer, damaged = page.decoded()
        rows: list[Profile] = answer["results"] or []
        cut = self._announced.expected_rows(page.index) if self._announced.cuts(page.index) else None
        return rows[:cut], damaged

    def _problem(self, page: EngagePage, rows: int, damaged: str | None) -> str | None:
        expected = self._announced.expected_rows(page.index)
        problem = row_oddity(rows, expected) or self._announced.oddity(page) or damaged
        return problem and f"Page {page.index}: {problem}."

    def _taken(self, rows: list[Profile], problem: str | None) -> list[Profile]:
        if problem:
            _log.warning("%s Its profiles are taken as they are.", problem)
            self.odd.append(problem.rstrip("."))
        return rows


def _lost(error: SessionLostError, yielded: int) -> SessionLostError:
    return SessionLostError(
        f"{error} The server no longer has this result, and {yielded:,} of its profiles were read already: read all of "
        "them again, or use fetch_profiles(), which starts over by itself.",
        status=error.status,
        server_text=error.server_text,
        page=error.page,
    )
