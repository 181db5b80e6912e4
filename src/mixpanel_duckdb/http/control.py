"""What one run shares with everything that may block on its behalf: the stop flag, the wait budget, the counts.

A run hands its ``FetchControl`` to the client and the rate limiter; both wait through it, so that one ``stop()``
cuts every wait short, and both add to its counts, which the result reports.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..errors import FetchStopped
from .trace import Trace

__all__ = ["FetchControl", "cut_short"]

# A stop waits so long for fetch threads; a read that cannot be cut ends later, by its own timeout.
_PATIENCE = 1.0


class FetchControl:
    """Stop flag, wait budget and counters of one run; every method may be called from any thread.

    Args:
        max_wait: Most seconds the run may wait for the server's limits in all; ``None`` means as long as it asks.

    Attributes:
        trace: What the fetch threads do for the pages under way; for the journal.

    Example:
        >>> control = FetchControl(max_wait=60.0)
        >>> control.add_wait(10.0, 12.0); control.add_wait(11.0, 13.0)
        >>> control.waited_seconds
        3.0
    """

    def __init__(self, *, max_wait: float | None = None) -> None:
        self.max_wait = max_wait
        self.trace = Trace()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._asked: set[int] = set()
        self._requests = 0
        self._retries = 0
        self._waited = 0.0
        self._waited_until = float("-inf")

    @classmethod
    def continuing(cls, other: FetchControl) -> FetchControl:
        """Make a control that is not stopped and goes on counting where another one ended."""
        control = cls(max_wait=other.max_wait)
        control._requests, control._retries = other._requests, other._retries
        control._waited, control._waited_until = other._waited, other._waited_until
        return control

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop.is_set()

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self._requests

    @property
    def retries(self) -> int:
        """Requests for a page that was asked for before, in the same session."""
        return self._retries

    @property
    def waited_seconds(self) -> float:
        """Seconds in which the server's limits held the run back; overlapping waits count once."""
        return self._waited

    def stop(self) -> None:
        """Ask everything that runs under this control to end."""
        self._stop.set()

    def check(self) -> None:
        """Raise if a stop was asked for.

        Raises:
            FetchStopped: A stop was asked for.
        """
        if self._stop.is_set():
            raise FetchStopped("The run is being stopped.")

    def sleep(self, seconds: float) -> None:
        """Wait before a request is repeated, unless a stop is asked for.

        Args:
            seconds: How long.

        Raises:
            FetchStopped: A stop was asked for before or during the wait.
        """
        start = time.monotonic()
        self._stop.wait(max(0.0, seconds))
        self.trace.waited("backoff", start, time.monotonic())
        self.check()

    def count_request(self, index: int) -> None:
        """Count a request about to be sent for a page."""
        with self._lock:
            self._requests += 1
            self._retries += index in self._asked
            self._asked.add(index)
        self.trace.sent()

    def add_wait(self, start: float, end: float) -> None:
        """Add a wait for the server's limits, in ``time.monotonic()`` seconds; only the part not yet counted."""
        with self._lock:
            self._waited += max(0.0, end - max(start, self._waited_until))
            self._waited_until = max(self._waited_until, end)

    def allows_wait(self, seconds: float) -> bool:
        """Say whether the budget has room for waiting so long from now."""
        if self.max_wait is None:
            return True
        now = time.monotonic()
        with self._lock:
            fresh = max(0.0, now + seconds - max(now, self._waited_until))
            return self._waited + fresh <= self.max_wait


def cut_short(control: FetchControl, abort: Callable[[], None], still_running: Callable[[float], bool]) -> None:
    """Stop a run's fetch threads; a connection made while we look is cut at the next look.

    Args:
        control: The run's.
        abort: Cuts the reads that are under way.
        still_running: Waits at most so many seconds for the threads and says whether one is left.
    """
    control.stop()
    deadline, look = time.monotonic() + _PATIENCE, 0.0
    while still_running(look) and time.monotonic() < deadline:
        abort()
        look = 0.02
