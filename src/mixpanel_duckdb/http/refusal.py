"""What a 429 says: which limit tripped, and how long it asks to wait. Pure functions.

The limit is named in IETF-draft ``RateLimit`` headers, in ``Retry-After``, in the text, or not at all (texts and
headers as in the tests of mixpanel/mixpanel-headless, ``pacer.py``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

__all__ = ["Kind", "LimitHit", "parse_retry_after", "read_limit"]

_ITEM = re.compile(r'"([^"]+)"((?:\s*;\s*[a-z]+=(?:"[^"]*"|[^;,\s]+))*)')
_FIELD = re.compile(r'([a-z]+)=("[^"]*"|[^;,\s]+)')

Kind = Literal["quota", "concurrency", "shedding"]


@dataclass(frozen=True, slots=True)
class LimitHit:
    """What one 429 says.

    Args:
        kind: Which limit tripped; ``"shedding"`` when the answer does not tell.
        wait: Seconds the server asks to wait, if it does.
        quota: Requests allowed in a window, if told.
        window: Length of that window in seconds, if told.
    """

    kind: Kind
    wait: float | None = None
    quota: int | None = None
    window: float | None = None


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Read ``Retry-After``, given in seconds or as an HTTP date.

    Example:
        >>> parse_retry_after("120"), parse_retry_after("soon"), parse_retry_after(None)
        (120.0, None, None)
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        seconds = (at - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


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
    quota, window = policy.get("project", {}).get("q"), policy.get("project", {}).get("w")
    over = project.get("r") == 0
    # Both may be used up; the one that tripped says for how long.
    if concurrency.get("r") == 0 and not (over and ("t" in project or _over_quota(text))):
        told = concurrency.get("t")
        waits = [value for value in (asked, told) if value is not None]
        return LimitHit("concurrency", min(waits) if waits else None)
    if over or _over_quota(text):
        wait = asked if asked is not None else project.get("t")
        return LimitHit("quota", wait, int(quota) if quota else None, window)
    if "running concurrently" in text:
        return LimitHit("concurrency", asked)
    return LimitHit("shedding", asked)


def _over_quota(text: str) -> bool:
    """``61/60 queries running in the last hour``: over, as opposed to merely mentioned beside another limit."""
    found = re.search(r"(\d+)/(\d+) queries running in the last hour", text)
    return found is not None and int(found[1]) > int(found[2])


def _structured(value: str | None) -> dict[str, dict[str, float]]:
    """Read the part of RFC 9651 lists that these headers use: ``"name";key=number, ...``."""
    items: dict[str, dict[str, float]] = {}
    for name, parameters in _ITEM.findall(value or ""):
        numbers = items.setdefault(name, {})
        for key, text in _FIELD.findall(parameters):
            try:
                numbers[key] = float(text)
            except ValueError:
                continue
    return items
