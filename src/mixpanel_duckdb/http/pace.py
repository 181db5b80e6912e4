"""The limits of the raw export, which are its own: 60 requests an hour, three starts a second.

Mixpanel publishes them for a project, and counts every request: so they are kept before anything is refused. An hour is
taken as any hour, and a request as counted unless it was answered with a 429; a clock hour, the other reading, allows
no less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from weakref import WeakKeyDictionary

from .rate_limit import RateLimiter
from .trace import utc_now

__all__ = ["EXPORT_QUOTA", "MOST_EXPORTS", "USUAL_EXPORTS", "ExportLimiter"]

# What Mixpanel publishes for a project: requests an hour, and starts a second. Streams at a time are 100; so many keep
# this machine busy.
EXPORT_QUOTA = 60
MOST_EXPORTS = 10
USUAL_EXPORTS = 4
_HOUR, _AN_INSTANT = 3600.0, 1.0
_STARTS = 3
# Two clocks differ, and a request takes its time to the server.
_MARGIN, _BRIEF_MARGIN = 2.0, 0.05


class ExportLimiter(RateLimiter):
    """Admits requests for raw events; shared by every worker of a client, and by all clients that share the other one.

    Args:
        clock: Monotonic seconds; replaceable for tests.

    Example:
        >>> limiter = ExportLimiter()
        >>> limiter.left
        60
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock=clock)
        self.max_in_flight = MOST_EXPORTS
        self._allowed = float(MOST_EXPORTS)
        # Starts that were not admitted here, of which databases tell, and when those were that they have from here.
        self._earlier: dict[datetime, float] = {}
        self._own: set[datetime] = set()

    @classmethod
    def beside(cls, limiter: RateLimiter) -> ExportLimiter:
        """Give the one for the project whose other limits a limiter keeps: always the same."""
        return _BESIDE.setdefault(limiter, cls())

    @property
    def left(self) -> int:
        """Requests that may still be sent in this hour."""
        with self._changed:
            return max(0, EXPORT_QUOTA - len(self._within(_HOUR, self._clock())))

    def sent_at(self, moment: datetime) -> None:
        """Note the moment, in UTC, under which a database will tell of a request that was admitted here."""
        with self._changed:
            self._own.add(moment)

    def remember(self, moments: Iterable[datetime]) -> None:
        """Count requests that a database tells of, by when they were sent: once, and none that was admitted here."""
        with self._changed:
            now, clock = utc_now(), self._clock()
            self._own = {each for each in self._own if (now - each).total_seconds() < 2 * _HOUR}
            told = {each: clock - (now - each).total_seconds() for each in moments if each not in self._own}
            self._earlier = {each: at for each, at in self._earlier.items() if at > clock - 2 * _HOUR} | told

    def _delay(self, now: float, in_session: bool) -> float:
        delay, hour = super()._delay(now, in_session), self._within(_HOUR + _MARGIN, now)
        return max(delay, hour[-EXPORT_QUOTA] + _HOUR + _MARGIN - now) if len(hour) >= EXPORT_QUOTA else delay

    def _behind_others(self, now: float) -> float:
        # A moment behind other starts is no pause: nobody has to hear of it, and it is never too long.
        delay, instant = super()._behind_others(now), self._within(_AN_INSTANT + _BRIEF_MARGIN, now)
        return max(delay, instant[-_STARTS] + _AN_INSTANT + _BRIEF_MARGIN - now) if len(instant) >= _STARTS else delay

    def _within(self, seconds: float, now: float) -> list[float]:
        """The starts of the last so many seconds, in order."""
        return sorted(at for at in (*self._earlier.values(), *(each.at for each in self._sent)) if at > now - seconds)


_BESIDE: WeakKeyDictionary[RateLimiter, ExportLimiter] = WeakKeyDictionary()
