"""From an HTTP answer that is no page to the error that it means.

The texts and status codes are those that clients have met (their tests and issue threads); where only the text tells
what happened (an older 400 for bad credentials, a rate limit under 400 or 401), the text decides.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from html import unescape
from typing import Any

from ..errors import (
    CredentialsError,
    MixpanelError,
    QueryError,
    RateLimitError,
    RequestRejectedError,
    ServerError,
    SessionLostError,
    UnreadableAnswerError,
)
from ..text import excerpt
from .refusal import parse_retry_after, read_limit

__all__ = ["REDIRECTS", "error_for", "error_words", "is_certificate_error", "page_of", "server_words", "subject"]

_MOST_WORDS = 500
_LONGEST_START = 4_000
_TITLE = re.compile(r"<title\b[^>]*>([^<]*)</title\s*>", re.IGNORECASE)
_TAG = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_CREDENTIAL_STATUS = frozenset({401, 403, 407})
# What no other try can cure. Any other 4xx (408, 409, 421, 423, 425, 449, 499, or one that nobody registered) may pass.
_FINAL_STATUS = frozenset({400, 402, 404, 405, 406, *range(410, 418), 422, 426, 428, 431, 451})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ADVICE = {
    402: "This plan has no access to the Query API.",
    404: "Check the base URL and the region (MP_API_BASE_URL, MP_REGION).",
}


def server_words(body: bytes) -> str:
    """Find the sentence in an error answer: its ``error`` text, or the start of what came, if that is no JSON.

    JSON without such a text is perhaps a page, whole or cut, whose profiles have no place in an error.

    Example:
        >>> server_words(b"Bad Gateway"), server_words(b'{"results":[{"$distinct_id":"ana"')
        ('Bad Gateway', '')
        >>> server_words(b"<html><head><title>502 Bad Gateway</title></head><body><hr>nginx</body></html>")
        '502 Bad Gateway nginx'
    """
    start = body[:_LONGEST_START].decode("utf-8", "replace").removeprefix("\ufeff").strip()
    if not start.startswith(("{", "[", '"')):
        return "" if "$distinct_id" in start or "$properties" in start else _spoken(start)
    try:
        decoded = json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError):
        return ""
    if isinstance(decoded, dict):
        return error_words(decoded.get("error"))
    return error_words(decoded) if isinstance(decoded, str) else ""


def _spoken(text: str) -> str:
    """Quote what is no JSON; of a gateway's HTML the words, and its title once."""
    if not text.startswith("<"):
        return excerpt(text)
    title, rest = _TITLE.search(text), _plain(_TITLE.sub(" ", text))
    first = _plain(title[1]) if title else ""
    return excerpt(rest if rest.startswith(first) else f"{first} {rest}") or excerpt(text)


def _plain(html: str) -> str:
    return " ".join(unescape(_TAG.sub(" ", html)).split())


def error_words(error: object) -> str:
    """Give the value of an ``error`` key as text; ``""`` if it is empty, as in an answer without an error.

    Example:
        >>> error_words("shard timeout"), error_words({"code": 7}), error_words([]), error_words(False)
        ('shard timeout', '{"code": 7}', '', '')
    """
    if not error:
        return ""
    try:
        text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = f"an error of type {type(error).__name__}"
    return excerpt(text, _MOST_WORDS)


def error_for(status: int, headers: Mapping[str, str], body: bytes, asked: int | str) -> MixpanelError:
    """Turn an answer that is not a page into the error it means.

    Args:
        status: HTTP status, anything but a 200.
        headers: Looked up in lower case.
        body: Decompressed bytes.
        asked: Index of the page that was asked for, or what else it was, in words.

    Example:
        >>> error_for(500, {}, b'{"error":"unknown error"}', 3)
        ServerError('Page 3: status 500: unknown error')
    """
    text = server_words(body)
    sentence = f"{subject(asked)}: status {status}: {text or 'no text'}"
    where: dict[str, Any] = {"status": status, "server_text": text, "page": page_of(asked)}
    if status == 429 or "rate limit exceeded" in text.lower():
        hit = read_limit(headers, text)
        return RateLimitError(sentence, kind=hit.kind, retry_after=hit.wait, **where)
    if status in REDIRECTS:
        followed = "followed on the same host only, three times at most, and never to the address that was asked for"
        return RequestRejectedError(f"{sentence}. Redirects are {followed}.", **where)
    if status < 400:
        return UnreadableAnswerError(sentence, **where)
    if status in _CREDENTIAL_STATUS or (status < 500 and "Unable to authenticate" in text):
        return CredentialsError(f"{sentence}. Check the credentials, project id and region.", **where)
    if status == 400 and "uncached query" in text:
        return SessionLostError(sentence, **where)
    if status in _FINAL_STATUS:
        rejected = RequestRejectedError(" ".join(filter(None, (sentence + ".", _ADVICE.get(status)))), **where)
        if status == 400 and body.lstrip().startswith(b"{"):  # not a gateway's words
            rejected.exit_code = QueryError.exit_code
        return rejected
    return ServerError(sentence, retry_after=parse_retry_after(headers.get("retry-after")), **where)


def subject(asked: int | str) -> str:
    """Begin the sentence about what was asked for: a page by its index, or anything else in words.

    Example:
        >>> subject(3), subject("2026-01-01 to 2026-01-03")
        ('Page 3', '2026-01-01 to 2026-01-03')
    """
    return asked if isinstance(asked, str) else f"Page {asked}"


def page_of(asked: int | str) -> int | None:
    """The index of the page that was asked for, if it was one."""
    return None if isinstance(asked, str) else asked


def is_certificate_error(error: BaseException | None) -> bool:
    """Say whether a connection failed because a TLS certificate is not trusted."""
    seen = 0
    while error is not None and seen < 5:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
