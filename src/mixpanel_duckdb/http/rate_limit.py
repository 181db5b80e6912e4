"""One shared sense of the server's limits: who may send now, and how long everybody pauses after a 429.

``RateLimiter`` is what all workers share: at most five requests in flight, one pause for all of them, fewer in flight
for a while after a concurrency 429, and, once a quota 429 has told the size of the window, no more requests in a window
than fit. What a 429 says is read in ``refusal``.

The published limit is 60 queries an hour and 5 at a time, for each project; whether pages of one session count is not
published, so nothing is held back before the server has refused something. Where a refusal is likely, past the
published number and after a pause, two requests go ahead of the others for a moment: a refusal comes much faster than a
page does.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..arguments import check, refusal, whole
from ..errors import ConnectionFailedError, RateLimitError
from .control import FetchControl
from .refusal import LONGEST_WAIT, Kind, LimitHit

__all__ = ["HOURLY_QUOTA", "MAX_IN_FLIGHT", "Pause", "RateLimiter", "capped_workers"]

_log = logging.getLogger("mixpanel_duckdb")

# What Mixpanel publishes for a project (docs, "Rate limits"): queries an hour, and at the same time.
HOURLY_QUOTA = 60
MAX_IN_FLIGHT = 5
_SCOUTS = 2
# A refusal takes a round trip, a page much longer: an eighth of the fastest page, within these bounds, in seconds.
_SCOUTS_LEAD = (0.05, 1.0)
_RECOVERY = 30.0
# A shorter wait than this is none: whoever obeyed it would hammer.
_LEAST_WAIT = 0.05
_MOST_DOUBLINGS = 30
_LONGEST_BACKOFF: dict[Kind, tuple[float, float]] = {
    # kind: first pause and longest pause, in seconds, where the server names none
    "quota": (60.0, 3600.0),
    "concurrency": (1.0, 30.0),
    "shedding": (1.0, 60.0),
}


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that holds all workers: its kind, and ``time.monotonic()`` of its end."""

    kind: Kind
    until: float


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """A request that was admitted: when, and whether it carried a session id."""

    at: float
    in_session: bool


class RateLimiter:
    """Admits requests; shared by every worker of a client, and by several clients of one project if they like.

    All state is guarded by one condition; any thread may call any method.

    Args:
        max_in_flight: Most requests at a time, 1 to 5 (the published limit).
        clock: Monotonic seconds; replaceable for tests.

    Raises:
        ConfigurationError: ``max_in_flight`` is less than 1, or no whole number.

    Example:
        >>> limiter = RateLimiter()
        >>> with limiter.slot(FetchControl()):
        ...     limiter.in_flight
        1
    """

    def __init__(self, max_in_flight: int = MAX_IN_FLIGHT, *, clock: Callable[[], float] = time.monotonic) -> None:
        check(locals(), but={"self"})
        self.max_in_flight: int = min(max_in_flight, MAX_IN_FLIGHT)
        self._clock = clock
        self._changed = threading.Condition()
        self._unanswered: set[_Sent] = set()
        self._ended = 0
        self._doubt_since: float | None = None
        self._fastest = math.inf
        self._allowed = float(self.max_in_flight)
        self._allowed_since = clock()
        self._pause: Pause | None = None
        # Status and text of the last refusal.
        self._told: tuple[int | None, str | None] = (None, None)
        self._strikes: dict[Kind, int] = {}
        self._window: tuple[int, float] | None = None
        self._counts_sessions = False
        self._sent: deque[_Sent] = deque(maxlen=5000)

    @property
    def in_flight(self) -> int:
        """Requests admitted and not yet answered."""
        return len(self._unanswered)

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
        sent = self._admit(control, in_session)
        accepted = refused = False
        try:
            yield
            accepted = True
        except RateLimitError as error:
            refused = True
            self._told = error.status, error.server_text
            raise
        except ConnectionFailedError as error:
            refused = not error.reached  # the server has counted nothing
            raise
        finally:
            self._leave(sent, accepted=accepted, refused=refused)

    def hit(self, hit: LimitHit, *, in_session: bool = False) -> None:
        """Pause everybody for as long as a 429 asks; with no figure, twice as long as the last time.

        Args:
            hit: What the 429 says.
            in_session: Whether the refused request carried a session id.
        """
        with self._changed:
            now = self._clock()
            wait = self._wait_for(hit, now)
            self._doubt_since = now
            if hit.kind == "concurrency":
                self._allowed, self._allowed_since = max(1.0, self._cap(now) - 1.0), now + wait
            if hit.kind == "quota" and hit.quota and hit.window:
                self._window = (hit.quota, hit.window)
                self._counts_sessions = self._counts_sessions or in_session
            if self._pause is None or now + wait > self._pause.until:
                self._pause = Pause(hit.kind, now + wait)
            self._changed.notify_all()

    def _wait_for(self, hit: LimitHit, now: float) -> float:
        """Seconds to pause for a 429 that came now."""
        asked = hit.wait or 0.0
        held = self._pause.until - now if self._pause else 0.0
        if asked >= LONGEST_WAIT > held + 1.0:
            _log.warning("The server asks to wait for a day or longer; a day is waited, then it is asked again.")
        return min(asked, LONGEST_WAIT) if asked >= _LEAST_WAIT else self._backoff(hit.kind, now)

    def _leave(self, sent: _Sent, *, accepted: bool, refused: bool) -> None:
        with self._changed:
            self._unanswered.discard(sent)
            self._ended += not refused
            if refused and sent in self._sent:
                self._sent.remove(sent)
            if accepted:
                self._fastest = min(self._fastest, self._clock() - sent.at)
                if self._doubt_since is not None and sent.at > self._doubt_since:
                    self._doubt_since = None
                    self._strikes.clear()
            self._changed.notify_all()

    def _backoff(self, kind: Kind, now: float) -> float:
        """A 429 that belongs to the same burst as the last one does not make the pause longer."""
        first, longest = _LONGEST_BACKOFF[kind]
        if self._pause is not None and self._pause.until > now:
            return 0.0
        strikes = self._strikes[kind] = self._strikes.get(kind, 0) + 1
        return min(longest, first * 2.0 ** min(strikes - 1, _MOST_DOUBLINGS))

    def _cap(self, now: float) -> float:
        """The number allowed in flight: one more for each quiet half minute since the last concurrency 429."""
        recovered = self._allowed + max(0.0, now - self._allowed_since) / _RECOVERY
        return min(float(self.max_in_flight), recovered)

    def _recovery(self, now: float) -> float | None:
        """Seconds until one more than now are allowed in flight; ``None`` if only an answer can make room."""
        if self._cap(now) >= self.max_in_flight:
            return None
        return self._allowed_since + (int(self._cap(now)) + 1 - self._allowed) * _RECOVERY - now

    def _delay(self, now: float, in_session: bool) -> float:
        """Seconds until the pause is over and the learned window has room."""
        delay = self._pause.until - now if self._pause else 0.0
        if self._window is None or (in_session and not self._counts_sessions):
            return delay
        quota, length = self._window
        counted = [each.at for each in self._sent if self._counts_sessions or not each.in_session]
        if len(counted) >= quota:
            delay = max(delay, counted[-quota] + length * 1.02 + 0.05 - now)
        return delay

    def _scouts(self) -> list[_Sent]:
        """Requests under way that may well be refused, in order: past the published number, or first after a 429."""
        under_way = sorted(self._unanswered, key=lambda each: each.at)
        if self._doubt_since is not None:
            return [each for each in under_way if each.at > self._doubt_since]
        past = self._ended + len(under_way) - HOURLY_QUOTA
        return under_way[-past:] if past > 0 and self._ended <= HOURLY_QUOTA else []

    def _behind_others(self, now: float) -> float:
        """Seconds to stay behind requests that were just sent: behind scouts, while they are young."""
        scouts = self._scouts()
        if len(scouts) < _SCOUTS:
            return 0.0
        lead = max(_SCOUTS_LEAD[0], min(_SCOUTS_LEAD[1], self._fastest / 8))
        return max(0.0, lead - (now - scouts[-_SCOUTS].at))

    def _admit(self, control: FetchControl, in_session: bool) -> _Sent:
        with self._changed:
            while True:
                control.stop.check()
                now = self._clock()
                delay, behind = self._delay(now, in_session), self._behind_others(now)
                if max(delay, behind) <= 0 and len(self._unanswered) < int(self._cap(now)):
                    return self._count(_Sent(now, in_session))
                if delay > 0:
                    self._pause_for(delay, now, control)
                control.stop.wait(self._changed, max(delay, behind) if max(delay, behind) > 0 else self._recovery(now))
                until = self._clock()
                if delay > 0:
                    control.meter.add_wait(now, until)
                kind = self._pause.kind if self._pause else "quota"
                control.trace.waited(*(("limit", now, until, kind) if delay > 0 else ("turn", now, until)))

    def _count(self, sent: _Sent) -> _Sent:
        self._unanswered.add(sent)
        self._sent.append(sent)
        return sent

    def _pause_for(self, delay: float, now: float, control: FetchControl) -> None:
        if not control.meter.allows_wait(delay):
            status, text = self._told
            raise RateLimitError(
                f"The server's limit asks to wait {delay:.0f} s more, which is longer than this run may wait "
                f"({control.meter.max_wait:.0f} s in all; rate_limit_wait, --max-wait). Run it again later to go on.",
                retry_after=delay,
                kind=self._pause.kind if self._pause else "quota",
                gave_up=True,
                status=status,
                server_text=text,
            )
        if self._pause is None or self._pause.until < now + delay:
            self._pause = Pause("quota", now + delay)
        control.meter.waiting(delay, self._pause.kind)


def capped_workers(max_workers: int | None, *, most: int = MAX_IN_FLIGHT, usual: int = MAX_IN_FLIGHT) -> int:
    """Give the number of requests at a time that a caller may have; the warning points at the caller's caller.

    Args:
        max_workers: What was asked for; ``None`` is the usual number.
        most: As many as there may be.
        usual: As many as there are by default.

    Raises:
        QueryError: It is less than 1, or no whole number.

    Example:
        >>> capped_workers(None), capped_workers(2), capped_workers(7, most=10)
        (5, 2, 7)
    """
    kind = whole(1, most)
    if max_workers is None:
        return usual
    if not kind.fits(max_workers):
        raise refusal("max_workers", max_workers, f"{kind.must}, or None")
    if max_workers > most:
        what = (
            f"the {most} queries at a time that Mixpanel allows"
            if most == MAX_IN_FLIGHT
            else f"{most} requests at a time"
        )
        warnings.warn(f"max_workers={max_workers} is more than {what}; using {most}.", UserWarning, stacklevel=3)
    return min(max_workers, most)
