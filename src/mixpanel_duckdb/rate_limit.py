"""One shared sense of the server's limits: who may send now, and how long everybody pauses after a 429.

A 429 says which limit tripped in IETF-draft ``RateLimit`` headers, in ``Retry-After``, in its text, or not at all
(texts and headers as in the tests of mixpanel/mixpanel-headless, ``pacer.py``). ``read_limit`` is the pure part: it
turns such an answer into a ``LimitHit``. ``RateLimiter`` is the shared part: at most five requests in flight, one pause
for all workers, fewer in flight for a while after a concurrency 429, and, once a quota 429 has told the size of the
window, no more requests in a window than fit.

The published limit is 60 queries an hour and 5 at a time, for each project; whether pages of one session count is not
published, so nothing is held back before the server has refused something.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from .control import FetchControl
from .errors import RateLimitError

__all__ = ["MAX_IN_FLIGHT", "LimitHit", "Pause", "RateLimiter", "parse_retry_after", "read_limit"]

MAX_IN_FLIGHT = 5
_LOOK_AGAIN = 0.1
_RECOVERY = 30.0
_LONGEST_BACKOFF: dict[str, tuple[float, float]] = {
    # kind: first pause and longest pause, in seconds, where the server names none
    "quota": (60.0, 3600.0),
    "concurrency": (1.0, 30.0),
    "shedding": (1.0, 60.0),
}
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


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that holds all workers: its kind, and ``time.monotonic()`` of its end."""

    kind: Kind
    until: float


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
    if concurrency.get("r") == 0:
        told = concurrency.get("t")
        waits = [value for value in (asked, told) if value is not None]
        return LimitHit("concurrency", min(waits) if waits else None)
    if project.get("r") == 0 or _over_quota(text):
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


class RateLimiter:
    """Admits requests; shared by every worker of a client, and by several clients of one project if they like.

    All state is guarded by one condition; any thread may call any method.

    Args:
        max_in_flight: Most requests at a time, 1 to 5 (the published limit).
        clock: Monotonic seconds; replaceable for tests.

    Example:
        >>> limiter = RateLimiter()
        >>> with limiter.slot(FetchControl()):
        ...     limiter.in_flight
        1
    """

    def __init__(self, max_in_flight: int = MAX_IN_FLIGHT, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_in_flight = max(1, min(max_in_flight, MAX_IN_FLIGHT))
        self._clock = clock
        self._changed = threading.Condition()
        self._in_flight = 0
        self._allowed = float(self.max_in_flight)
        self._allowed_since = clock()
        self._pause: Pause | None = None
        self._strikes: dict[str, int] = {}
        self._window: tuple[int, float] | None = None
        self._counts_sessions = False
        self._sent: deque[tuple[float, bool]] = deque(maxlen=5000)

    @property
    def in_flight(self) -> int:
        """Requests admitted and not yet answered."""
        return self._in_flight

    @property
    def pause(self) -> Pause | None:
        """The pause that holds all workers now, if any."""
        pause = self._pause
        return pause if pause and pause.until > self._clock() else None

    @contextmanager
    def slot(self, control: FetchControl, *, in_session: bool = False) -> Iterator[None]:
        """Wait until a request may be sent, and hold its place until it is answered.

        Args:
            control: The run that waits; its stop cuts the wait short and its budget bounds it.
            in_session: Whether the request carries a session id (those may be free of the quota).

        Raises:
            FetchStopped: The run was stopped.
            RateLimitError: The wait is longer than the run's budget allows.
        """
        self._admit(control, in_session)
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify()

    def answered(self) -> None:
        """Note a request that no limit refused: the next unexplained 429 starts from a short pause again."""
        if self._strikes:
            with self._changed:
                self._strikes.clear()

    def hit(self, hit: LimitHit, *, in_session: bool = False) -> None:
        """Pause everybody for as long as a 429 asks; with no figure, twice as long as the last time.

        Args:
            hit: What the 429 says.
            in_session: Whether the refused request carried a session id.
        """
        with self._changed:
            now = self._clock()
            wait = hit.wait if hit.wait is not None else self._backoff(hit.kind, now)
            if hit.kind == "concurrency":
                self._allowed, self._allowed_since = max(1.0, self._cap(now) - 1.0), now + wait
            if hit.kind == "quota" and hit.quota and hit.window:
                self._window = (hit.quota, hit.window)
                self._counts_sessions = self._counts_sessions or in_session
            if self._pause is None or now + wait > self._pause.until:
                self._pause = Pause(hit.kind, now + wait)
            self._changed.notify_all()

    def _backoff(self, kind: Kind, now: float) -> float:
        """A 429 that belongs to the same burst as the last one does not make the pause longer."""
        first, longest = _LONGEST_BACKOFF[kind]
        if self._pause is not None and self._pause.until > now:
            return 0.0
        strikes = self._strikes[kind] = self._strikes.get(kind, 0) + 1
        return min(longest, first * 2.0 ** (strikes - 1))

    def _cap(self, now: float) -> float:
        """The number allowed in flight: one more for each quiet half minute since the last concurrency 429."""
        recovered = self._allowed + max(0.0, now - self._allowed_since) / _RECOVERY
        return min(float(self.max_in_flight), recovered)

    def _delay(self, now: float, in_session: bool) -> float:
        """Seconds until the pause is over and the learned window has room."""
        delay = self._pause.until - now if self._pause else 0.0
        if self._window is None or (in_session and not self._counts_sessions):
            return delay
        quota, length = self._window
        counted = [at for at, session in self._sent if self._counts_sessions or not session]
        if len(counted) >= quota:
            delay = max(delay, counted[-quota] + length * 1.02 + 0.05 - now)
        return delay

    def _admit(self, control: FetchControl, in_session: bool) -> None:
        with self._changed:
            while True:
                control.check()
                now = self._clock()
                delay = self._delay(now, in_session)
                if delay <= 0 and self._in_flight < int(self._cap(now)):
                    break
                if delay > 0:
                    self._pause_for(delay, now, control)
                self._changed.wait(min(delay, _LOOK_AGAIN) if delay > 0 else _LOOK_AGAIN)
                if delay > 0:
                    control.add_wait(now, self._clock())
            self._in_flight += 1
            self._sent.append((now, in_session))

    def _pause_for(self, delay: float, now: float, control: FetchControl) -> None:
        if not control.allows_wait(delay):
            raise RateLimitError(
                f"The server's limit asks to wait {delay:.0f} s more, which is longer than this run may wait "
                f"({control.max_wait:.0f} s in all; rate_limit_wait, --max-wait). Run it again later to go on.",
                retry_after=delay,
                kind=self._pause.kind if self._pause else "quota",
            )
        if self._pause is None or self._pause.until < now + delay:
            self._pause = Pause("quota", now + delay)
