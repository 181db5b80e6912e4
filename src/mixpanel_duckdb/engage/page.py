"""One page of the Engage API as it travels: body bytes, and the few fields around its rows.

No profile is parsed here. A body is ``{..., "results": [...], ...}``: what stands before and after the rows is a
few dozen bytes, and reading just those proves that the body is whole, since a cut body has no readable end.
The rows themselves are checked where they are taken apart, in DuckDB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import RateLimitError, ServerError, SessionLostError, UnreadableAnswerError
from ..text import excerpt

__all__ = ["EngagePage", "page_count", "pieces"]

_BETWEEN_ROWS = re.compile(rb'\}\s*,\s*(?=\{\s*"\$distinct_id"\s*:)')
_RESULTS = re.compile(rb'"results"\s*:\s*\[')


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
    """

    index: int
    body: bytes
    page: int | None = None
    page_size: int | None = None
    session_id: str | None = None
    total: int | None = None

    @classmethod
    def from_body(cls, index: int, body: bytes) -> EngagePage:
        """Read the fields around the rows and refuse what is not a page.

        Args:
            index: Index of the page that was asked for.
            body: The answer's bytes, already decompressed.

        Raises:
            UnreadableAnswerError: The body is cut, is not JSON, or has no ``results`` list.
            ServerError: The body is an error report under status 200.

        Example:
            >>> EngagePage.from_body(0, b'{"page":0,"results":[],"total":0}').total
            0
        """
        head = _head(body, index)
        if (error := head.get("error")) is not None:
            raise _reported_error(str(error), index)
        if not isinstance(head.get("results"), list):
            raise UnreadableAnswerError(
                f"Page {index}: the answer has no list of results.", page=index, server_text=excerpt(body)
            )
        session = head.get("session_id")
        return cls(
            index=index,
            body=body,
            page=_count(head.get("page")),
            page_size=_count(head.get("page_size")) or None,
            session_id=str(session) if session else None,
            total=_count(head.get("total")),
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
            body = json.dumps(answer, separators=(",", ":")).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise UnreadableAnswerError(
                f"Page {index}: query_engage_page() returned what JSON cannot hold ({error}).", page=index
            ) from None
        return cls.from_body(index, body)

    def answer(self) -> dict[str, Any]:
        """Decode the whole answer: the server's own fields, nothing changed.

        Raises:
            UnreadableAnswerError: The rows are not valid JSON.
        """
        return _whole(self.body, self.index)

    def row_count(self) -> int:
        """Count the rows by decoding them: for the rare answer that does not tell its page size."""
        return len(self.answer()["results"])


def page_count(total: int, page_size: int) -> int:
    """Say how many pages a result has: at least one, since page 0 was answered.

    Example:
        >>> page_count(2001, 1000), page_count(2000, 1000), page_count(0, 1000)
        (3, 2, 1)
    """
    return max(1, -(-total // page_size))


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    """Cut a body between rows into bodies of about ``size`` bytes, which a parser may take one by one.

    A cut may fall inside a profile that itself holds a list of objects with ``$distinct_id``; such a piece is not valid
    JSON, so whoever parses it finds out and takes the body whole.

    Args:
        body: A page's body.
        size: Bytes at which the next place between two rows is looked for.

    Example:
        >>> list(pieces(b'{"results":[{"$distinct_id":1},{"$distinct_id":2}],"page":0}', 20))
        [b'{"results":[{"$distinct_id":1}]}', b'{"results":[{"$distinct_id":2}],"page":0}']
    """
    results = _RESULTS.search(body)
    start, opening = 0, b""
    while results is not None and len(body) - start > size:
        cut = _BETWEEN_ROWS.search(body, max(results.end(), start + size))
        if cut is None:
            break
        yield opening + body[start : cut.start() + 1] + b"]}"
        start, opening = cut.end(), b'{"results":['
    yield opening + body[start:] if opening else body


def _head(body: bytes, index: int) -> dict[str, Any]:
    """Cut the rows out and decode the rest; decode everything where that does not work.

    A first page without total or session is decoded too: a list behind the rows may have hidden them, and a body that
    was cut at an unlucky place looks like one that has none.
    """
    start, end = _RESULTS.search(body), body.rfind(b"]")
    if start is not None and end >= start.end():
        try:
            head = json.loads(body[: start.end()] + body[end:])
        except ValueError:
            pass
        else:
            if isinstance(head, dict) and (index > 0 or {"total", "session_id"} <= head.keys()):
                return head
    return _whole(body, index)


def _whole(body: bytes, index: int) -> dict[str, Any]:
    try:
        whole = json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        failure = f"Page {index}: the answer is not whole JSON ({error})."
    else:
        if isinstance(whole, dict):
            return whole
        raise UnreadableAnswerError(f"Page {index}: the answer is not a JSON object.", page=index)
    # Not raised above: json's error has the whole body, and would stay behind ours as its context.
    raise UnreadableAnswerError(failure, page=index, server_text=excerpt(body))


def _reported_error(text: str, index: int) -> ServerError | RateLimitError | SessionLostError:
    """An ``error`` key under status 200 is as good as a failed request (seen by stpe/mixpanel-engage-query)."""
    if "rate limit exceeded" in text.lower():
        return RateLimitError(f"Page {index}: {text}", status=200, server_text=text, page=index)
    if "uncached query" in text:
        return SessionLostError(f"Page {index}: {text}", status=200, server_text=text, page=index)
    return ServerError(f"Page {index}: the server reports: {text}", status=200, server_text=text, page=index)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
