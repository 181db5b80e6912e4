"""From an HTTP answer to a page or to the error that it means.

The texts and status codes are those that clients have met (their tests and issue threads); where only the text tells
what happened (an older 400 for bad credentials, a rate limit under 400 or 401), the text decides.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

from ..errors import (
    CredentialsError,
    MixpanelError,
    RateLimitError,
    RequestRejectedError,
    ServerError,
    SessionLostError,
    UnreadableAnswerError,
)
from .refusal import parse_retry_after, read_limit

__all__ = ["error_for", "is_certificate_error", "server_words"]

_RETRIED_STATUS = frozenset({408, 425})
_CREDENTIAL_STATUS = frozenset({401, 403, 407})
_ADVICE = {
    402: "This plan has no access to the Query API.",
    404: "Check the base URL and the region (MP_API_BASE_URL, MP_REGION).",
}


def server_words(body: bytes) -> str:
    """Find the sentence in an error answer: its ``error`` text, or the start of whatever came."""
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        decoded = None
    if isinstance(decoded, dict) and decoded.get("error"):
        return str(decoded["error"])
    return " ".join(body[:300].decode("utf-8", "replace").split())


def error_for(status: int, headers: Mapping[str, str], body: bytes, page: int) -> MixpanelError:
    """Turn an answer that is not a page into the error it means.

    Args:
        status: HTTP status, anything but a 200.
        headers: Looked up in lower case.
        body: Decompressed bytes.
        page: Index of the page that was asked for.

    Example:
        >>> error_for(500, {}, b'{"error":"unknown error"}', 3)
        ServerError('Page 3: status 500: unknown error')
    """
    text = server_words(body)
    sentence = f"Page {page}: status {status}: {text or 'no text'}"
    where: dict[str, Any] = {"status": status, "server_text": text, "page": page}
    if status == 429 or "rate limit exceeded" in text.lower():
        hit = read_limit(headers, text)
        return RateLimitError(sentence, kind=hit.kind, retry_after=hit.wait, **where)
    if status >= 500 or status in _RETRIED_STATUS:
        asked = parse_retry_after(headers.get("retry-after"))
        return ServerError(sentence, retry_after=asked, **where)
    if status in _CREDENTIAL_STATUS or "Unable to authenticate" in text:
        return CredentialsError(f"{sentence}. Check the credentials, project id and region.", **where)
    if status == 400 and "uncached query" in text:
        return SessionLostError(sentence, **where)
    if 300 <= status < 400:
        return RequestRejectedError(f"{sentence}. Redirects to another host are not followed.", **where)
    if status >= 400:
        return RequestRejectedError(" ".join(filter(None, (sentence + ".", _ADVICE.get(status)))), **where)
    return UnreadableAnswerError(sentence, **where)


def is_certificate_error(error: BaseException | None) -> bool:
    """Say whether a connection failed because a TLS certificate is not trusted."""
    seen = 0
    while error is not None and seen < 5:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
