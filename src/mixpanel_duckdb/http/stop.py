"""The stop of a run: a flag, and the two ways to wait under it, both of which it cuts short."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..errors import FetchStopped

__all__ = ["Stop", "cut_short"]

# A stop waits so long for fetch threads; a read that cannot be cut ends later, by its own timeout.
_PATIENCE = 1.0


class Stop:
    """Ends a run: whoever waits through it is woken; any thread may call any method.

    Example:
        >>> stop = Stop()
        >>> stop.ask()
        >>> stop.check()
        Traceback (most recent call last):
        mixpanel_duckdb.errors.FetchStopped: The run is being stopped.
    """

    def __init__(self) -> None:
        # Reentrant: an abandoned generator is collected, and asks for its stop, on any thread and at any moment.
        self._lock = threading.RLock()
        self._asked = False
        self._waiting: list[threading.Condition] = []

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked

    def ask(self) -> None:
        """Ask everything that runs under this stop to end."""
        with self._lock:
            self._asked = True
            waiting = list(self._waiting)
        for condition in waiting:
            with condition:
                condition.notify_all()

    def check(self) -> None:
        """Raise if a stop was asked for.

        Raises:
            FetchStopped: A stop was asked for.
        """
        if self._asked:
            raise FetchStopped("The run is being stopped.")

    def wait(self, condition: threading.Condition, seconds: float | None = None) -> None:
        """Wait on a condition until it is notified, the time is over or a stop is asked for.

        Args:
            condition: Held by the caller, who looks afterwards at what it waits for, and at the stop.
            seconds: Most seconds to wait.
        """
        with self._lock:
            if self._asked:
                return
            self._waiting.append(condition)
        try:
            condition.wait(seconds)
        finally:
            with self._lock:
                self._waiting.remove(condition)

    def sleep(self, seconds: float) -> None:
        """Wait for so long, unless a stop is asked for.

        Raises:
            FetchStopped: A stop was asked for before or during the wait.
        """
        until, alone = time.monotonic() + seconds, threading.Condition()
        with alone:
            while not self._asked and (left := until - time.monotonic()) > 0:
                self.wait(alone, left)
        self.check()


def cut_short(stop: Stop, abort: Callable[[Stop], None], still_running: Callable[[float], bool]) -> None:
    """Stop a run's fetch threads; a connection made while we look is cut at the next look.

    Args:
        stop: The run's.
        abort: Cuts the reads that are under way in this run.
        still_running: Waits at most so many seconds for the threads and says whether one is left.
    """
    stop.ask()
    deadline, look = time.monotonic() + _PATIENCE, 0.0
    while still_running(look) and time.monotonic() < deadline:
        abort(stop)
        look = 0.02
