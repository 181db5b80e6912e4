"""What a run has spent: requests, and seconds of waiting for the server's limits, of which it may have so many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Meter"]


class Meter:
    """Counts of one run; any thread may call any method.

    Args:
        max_wait: Most seconds the run may wait for the server's limits in all; ``None`` means as long as it asks.
        on_request: Called on the thread that is about to write a request, to a server that it has reached.
        on_wait: Called on the thread that begins to wait for the server's limits, with the seconds and the limit.

    Example:
        >>> meter = Meter(max_wait=60.0)
        >>> meter.add_wait(10.0, 12.0); meter.add_wait(11.0, 13.0)
        >>> meter.waited_seconds
        3.0
    """

    def __init__(
        self,
        *,
        max_wait: float | None = None,
        on_request: Callable[[], object] | None = None,
        on_wait: Callable[[float, str], object] | None = None,
    ) -> None:
        self.max_wait = max_wait
        self._on_request = on_request
        self._on_wait = on_wait
        self._lock = threading.Lock()
        self._asked: set[int | str] = set()
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

    def count_request(self, asked: int | str) -> None:
        """Count a request about to be sent, for a page or for what else is asked for."""
        with self._lock:
            self._requests += 1
            self._retries += asked in self._asked
            self._asked.add(asked)

    def reached(self) -> None:
        """Tell that a connection stands, and a request is about to be written to it."""
        if self._on_request is not None:
            self._on_request()

    def waiting(self, seconds: float, why: str) -> None:
        """Tell that a wait for the server's limits begins."""
        if self._on_wait is not None:
            self._on_wait(seconds, why)

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
