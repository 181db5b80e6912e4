"""What a run has spent: requests, and seconds of waiting for the server's limits, of which it may have so many."""

from __future__ import annotations

import threading
import time

__all__ = ["Meter"]


class Meter:
    """Counts of one run; any thread may call any method.

    Args:
        max_wait: Most seconds the run may wait for the server's limits in all; ``None`` means as long as it asks.

    Example:
        >>> meter = Meter(max_wait=60.0)
        >>> meter.add_wait(10.0, 12.0); meter.add_wait(11.0, 13.0)
        >>> meter.waited_seconds
        3.0
    """

    def __init__(self, *, max_wait: float | None = None) -> None:
        self.max_wait = max_wait
        self._lock = threading.Lock()
        self._asked: set[int] = set()
        self._requests = 0
        self._retries = 0
        self._waited = 0.0
        self._waited_until = float("-inf")

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

    def count_request(self, index: int) -> None:
        """Count a request about to be sent for a page."""
        with self._lock:
            self._requests += 1
            self._retries += index in self._asked
            self._asked.add(index)

    def new_session(self) -> None:
        """Take no page as asked for before: the run starts over."""
        with self._lock:
            self._asked.clear()

    def add_wait(self, start: float, end: float) -> None:
        """Add a wait for the server's limits, in ``time.monotonic()`` seconds; only the part not yet counted."""
        with self._lock:
            self._waited += max(0.0, end - max(start, self._waited_until))
            self._waited_until = max(self._waited_until, end)

    def allows_wait(self, seconds: float) -> bool:
        """Say whether there is room for waiting so long from now."""
        if self.max_wait is None:
            return True
        now = time.monotonic()
        with self._lock:
            fresh = max(0.0, now + seconds - max(now, self._waited_until))
            return self._waited + fresh <= self.max_wait
