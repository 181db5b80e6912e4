"""One page of the Engage API as it travels: body bytes, and the few fields around its rows.

No profile is parsed here. The rows themselves are checked where they are taken apart, in DuckDB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import RateLimitError, ServerError, SessionLostError, UnreadableAnswerError
from ..fidelity import decoded, encoded
from ..http import server_words
from .fields import Fields, NotWholeError, read_fields

__all__ = ["EngagePage", "damage", "page_count", "pieces"]

_BETWEEN_ROWS = re.compile(rb'\}\s*,\s*(?=\{\s*"\$distinct_id"\s*:)')


@dataclass(frozen=True, slots=True)
class EngagePage:
    """A page as the server sent it.

    Args:
        index: Index of the page that was asked for, from 0.
        body: The whole answer, JSON in UTF-8, not parsed.
        page: Index that the server says this is, if it does.
        page_size: Profiles a page that the server used.
        session_id: Name of the server-side result this page belongs to.
        total: Number of matching profiles; on page 0 only, as a rule.
        rows_at: Where the list of profiles begins and ends in the body; ``None`` if there is none.
        unread: What fields have in place of a value that counts, as short JSON.
        read_whole: Whether the body was read whole to find them.
    """

    index: int
    body: bytes
    page: int | None = None
    page_size: int | None = None
    session_id: str | None = None
    total: int | None = None
    rows_at: tuple[int, int] | None = None
    unread: Mapping[str, str] = field(default_factory=dict, repr=False)
    read_whole: bool = False

    @classmethod
    def from_body(cls, index: int, body: bytes, *, whole: bool = False) -> EngagePage:
        """Read the fields around the rows and refuse what is not a page.

        Args:
            index: Index of the page that was asked for.
            body: The answer's bytes, already decompressed.
            whole: Whether to read the body whole in any case.

        Raises:
            UnreadableAnswerError: The body is cut, is not JSON, or has no ``results`` list.
            ServerError: The body is an error report under status 200: it has an ``error``, or a ``status`` that is
                not ``ok``.

        Example:
            >>> EngagePage.from_body(0, b'{"page":0,"results":[],"total":0}').total
            0
        """
        try:
            found = read_fields(body, first=index == 0, whole=whole)
        except NotWholeError as error:
            problem = f"Page {index}: the answer is not whole JSON: {error}."
            raise UnreadableAnswerError(problem, page=index, server_text=server_words(body)) from None
        _refuse_reports(found, index)
        values = found.values
        return cls(
            index=index,
            body=body,
            page=values.get("page"),
            page_size=values.get("page_size"),
            session_id=values.get("session_id"),
            total=values.get("total"),
            rows_at=found.rows,
            unread=found.unread,
            read_whole=found.whole,
        )

    @classmethod
    def from_answer(cls, index: int, answer: Any) -> EngagePage:
        """Take a page that somebody else's client has already decoded into a dict."""
        if isinstance(answer, cls):
            return answer
        if not isinstance(answer, dict):
            raise UnreadableAnswerError(
                f"Page {index}: query_engage_page() returned {type(answer).__name__}, not a dict.", page=index
            )
        try:
            body = encoded(answer)
        except (TypeError, ValueError) as error:
            raise UnreadableAnswerError(
                f"Page {index}: query_engage_page() returned what JSON cannot hold ({error}).", page=index
            ) from None
        return cls.from_body(index, body)

    @property
    def rows(self) -> memoryview:
        """The list of profiles as the server wrote it."""
        return memoryview(self.body)[slice(*self.rows_at)] if self.rows_at else memoryview(b"[]")

    def reread(self) -> EngagePage:
        """Read the body whole, after its rows turned out to be no list.

        Raises:
            UnreadableAnswerError: It is no page, or one with another number than was seen at first.
            ServerError: It is an error report.
        """
        page = self if self.read_whole else self.from_body(self.index, self.body, whole=True)
        if page.page != self.page:
            raise UnreadableAnswerError(
                f"Page {self.index}: a list behind its results hid that it is page {page.page}.", page=self.index
            )
        return page

    def answer(self) -> dict[str, Any]:
        """Decode the whole answer: the server's own fields, and profiles as the store would keep them.

        Raises:
            UnreadableAnswerError: The rows are not valid JSON.
        """
        return self.decoded()[0]

    def decoded(self) -> tuple[dict[str, Any], str | None]:
        """Decode the whole answer, and say what makes it likely that it was damaged on the way."""
        answer, damaged = _whole(self.body, self.index)
        return answer, damage(damaged)

    def row_count(self) -> int:
        """Count the rows by decoding them: for the rare answer that does not tell its page size."""
        return len(self.answer()["results"] or ())


def page_count(total: int, page_size: int) -> int:
    """Say how many pages a result has: at least one, since page 0 was answered.

    Example:
        >>> page_count(2001, 1000), page_count(2000, 1000), page_count(0, 1000)
        (3, 2, 1)
    """
    return max(1, -(-total // page_size))


def pieces(rows: memoryview, size: int) -> Iterator[memoryview | bytes]:
    """Cut a list of rows between them into lists of about ``size`` bytes, which a parser may take one by one.

    A cut may fall inside a profile that itself holds a list of objects with ``$distinct_id``; such a piece is not valid
    JSON, so whoever parses it finds out and takes the list whole.

    Args:
        rows: The list of a page.
        size: Bytes at which the next place between two rows is looked for.

    Example:
        >>> [bytes(piece) for piece in pieces(memoryview(b'[{"$distinct_id":1},{"$distinct_id":2}]'), 10)]
        [b'[{"$distinct_id":1}]', b'[{"$distinct_id":2}]']
    """
    start = 0
    while len(rows) - start > size and (cut := _BETWEEN_ROWS.search(rows, start + size)):
        yield b"".join((b"[" if start else b"", rows[start : cut.start() + 1], b"]"))
        start = cut.end()
    yield b"".join((b"[", rows[start:])) if start else rows


def damage(characters: int) -> str | None:
    """Say that a page has characters that no server writes, if it has."""
    return f"{characters:,} of its characters are no JSON, as if damaged on the way" if characters else None


def _whole(body: bytes, index: int) -> tuple[dict[str, Any], int]:
    try:
        whole, damaged = decoded(body)
    except ValueError as error:
        failure = f"Page {index}: the answer is not whole JSON ({error})."
    else:
        if isinstance(whole, dict):
            return whole, damaged
        failure = f"Page {index}: the answer is not a JSON object."
    # Not raised above: json's error has the whole body, and would stay behind ours as its context.
    raise UnreadableAnswerError(failure, page=index, server_text=server_words(body))


def _refuse_reports(found: Fields, index: int) -> None:
    """Raise what an answer means that is no page: an error under status 200 is as good as a failed request."""
    values, unread = found.values, found.unread
    text = values.get("error") or values.get("status", "")
    where: dict[str, Any] = {"status": 200, "server_text": text, "page": index}
    if "rate limit exceeded" in text.lower():
        raise RateLimitError(f"Page {index}: {text}", **where)
    if "uncached query" in text:
        raise SessionLostError(f"Page {index}: {text}", **where)
    if "error" in values:
        raise ServerError(f"Page {index}: the server reports: {text}", **where)
    if text:
        raise ServerError(f'Page {index}: the answer\'s status is {text}, not "ok"', **where)
    if found.rows is None and not (unread.get("results") == "null" and values.get("total") == 0):
        instead = f": results is {unread['results']}" if "results" in unread else ""
        raise UnreadableAnswerError(f"Page {index}: the answer has no list of results{instead}.", page=index)
