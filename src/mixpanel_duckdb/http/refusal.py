"""What a 429 says: which limit tripped, and how long it asks to wait. Pure functions.

The limit is named in IETF-draft ``RateLimit`` headers, in ``Retry-After``, in the text, or not at all (texts and
headers as in the tests of mixpanel/mixpanel-headless, ``pacer.py``). Whatever stands there, what comes out is finite,
not negative, and a day at most: a figure that makes no sense counts as none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

__all__ = ["LONGEST_WAIT", "Kind", "LimitHit", "parse_retry_after", "read_limit"]

# Seconds. The server's window is an hour; a longer wait than a day is a mistake or a moment in an unknown unit.
LONGEST_WAIT = 86_400.0
_YEAR = 366 * 86_400.0
# No wait is so long: from here on, a figure is a moment since 1970, in one of these fractions of a second.
_MOMENTS_FROM = 1e9
_MOMENT_UNITS = (1.0, 1e3, 1e6, 1e9)

_ITEM = re.compile(r'"([^"]+)"((?:\s*;\s*[a-z]+=(?:"[^"]*"|[^;,\s]+))*)')
_FIELD = re.compile(r'([a-z]+)=("[^"]*"|[^;,\s]+)')
_FIGURE = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_OVER = re.compile(r"([0-9]{1,18})/([0-9]{1,18}) queries running in the last hour")

Kind = Literal["quota", "concurrency", "shedding"]


@dataclass(frozen=True, slots=True)
class LimitHit:
    """What one 429 says.

    Args:
        kind: Which limit tripped; ``"shedding"`` when the answer does not tell.
        wait: Seconds the server asks to wait, if it does; a day if it asks for more.
        quota: Requests allowed in a window, if told.
        window: Length of that window in seconds, if told; a day at most.
    """

    kind: Kind
    wait: float | None = None
    quota: int | None = None
    window: float | None = None


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Read ``Retry-After``: seconds or an HTTP date. A moment since 1970 or in ISO form is understood, too.

    Returns:
        Seconds from now, 0 to a day; ``None`` if nothing can be read from it.

    Example:
        >>> parse_retry_after("120"), parse_retry_after("soon"), parse_retry_after("99999999999999999999")
        (120.0, None, 86400.0)
        >>> parse_retry_after("1790000060000", now=datetime.fromtimestamp(1790000000, UTC))
        60.0
    """
    text = (value or "").strip()
    now = now or datetime.now(UTC)
    seconds = _figure(text)
    if seconds is None:
        seconds = _until(text, now)
    elif seconds >= _MOMENTS_FROM:
        waits = (seconds / unit - now.timestamp() for unit in _MOMENT_UNITS)
        seconds = next((wait for wait in waits if abs(wait) < _YEAR), seconds)
    return None if seconds is None else max(0.0, min(seconds, LONGEST_WAIT))


def _until(text: str, now: datetime) -> float | None:
    """Seconds until a moment that is written out."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            at = read(text)
            return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def read_limit(headers: Mapping[str, str], text: str) -> LimitHit:
    """Tell which limit a 429 means and how long it asks to wait.

    Args:
        headers: Of the answer; looked up in lower case.
        text: The server's ``error`` text.

    Example:
        >>> read_limit({"ratelimit": '"project";r=0;t=90', "ratelimit-policy": '"project";q=60;w=3600'}, "")
        LimitHit(kind='quota', wait=90.0, quota=60, window=3600.0)
    """
    state, policy = _structured(headers.get("ratelimit")), _structured(headers.get("ratelimit-policy"))
    asked = parse_retry_after(headers.get("retry-after"))
    project, concurrency = state.get("project", {}), state.get("project-concurrency", {})
    over = project.get("r") == 0
    # Both may be used up; the one that tripped says for how long.
    if concurrency.get("r") == 0 and not (over and ("t" in project or _over_quota(text))):
        waits = [value for value in (asked, _bounded(concurrency.get("t"))) if value is not None]
        return LimitHit("concurrency", min(waits) if waits else None)
    if over or _over_quota(text):
        wait = asked if asked is not None else _bounded(project.get("t"))
        allowed = policy.get("project", {})
        return LimitHit("quota", wait, int(allowed.get("q", 0)) or None, _bounded(allowed.get("w")) or None)
    if "running concurrently" in text or "in progress for this project" in text:
        return LimitHit("concurrency", asked)
    return LimitHit("shedding", asked)


def _over_quota(text: str) -> bool:
    """``61/60 queries running in the last hour``: over, as opposed to merely mentioned beside another limit."""
    found = _OVER.search(text)
    return found is not None and int(found[1]) > int(found[2])


def _structured(value: str | None) -> dict[str, dict[str, float]]:
    """Read the part of RFC 9651 lists that these headers use: ``"name";key=number, ...``."""
    items: dict[str, dict[str, float]] = {}
    for name, parameters in _ITEM.findall(value or ""):
        figures = ((key, _figure(text)) for key, text in _FIELD.findall(parameters))
        items.setdefault(name, {}).update((key, figure) for key, figure in figures if figure is not None)
    return items


def _figure(text: str) -> float | None:
    """A number as HTTP writes it: digits, perhaps a fraction. Neither a sign nor an exponent, ``nan`` or ``1_0``."""
    figure = float(text) if _FIGURE.fullmatch(text) else None
    return figure if figure is not None and figure < math.inf else None


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(seconds, LONGEST_WAIT)
