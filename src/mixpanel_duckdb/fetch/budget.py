"""How many bytes of page bodies a run may hold: being fetched, waiting, parsed, or on their way to the disk.

Pages of 1,000 profiles rarely come near it. Pages of 50,000 are 50 to 100 MB each, and five in flight with ten in the
queue would be gigabytes: their requests are held back until earlier pages are stored. Between the two, a run holds as
much as keeps each of its threads busy: a body for every worker, for the parser and for the disk.
"""

from __future__ import annotations

import threading

from ..http import FetchControl

__all__ = ["ByteBudget"]


class ByteBudget:
    """Counts the bodies in memory, by page; any thread may call any method.

    A body's size is known when it is there, so a request is counted with the size of the largest so far. One body alone
    is always allowed, however large.

    Args:
        limit: Most bytes in all.
        bodies: How many bodies keep every thread busy; more are held only within three tenths of the limit.
        largest: Bytes of the largest body of an earlier run, if it is known.

    Example:
        >>> budget = ByteBudget(100, bodies=3)
        >>> budget.arrived(0, 60)
        >>> budget.release(0)
        >>> budget.reserve(1, FetchControl())
    """

    def __init__(self, limit: int, *, bodies: int, largest: int = 0) -> None:
        self._changed = threading.Condition()
        self._limit = limit
        self._bodies = bodies
        self._held: dict[int, int] = {}
        self._largest = largest

    def reserve(self, index: int, control: FetchControl) -> None:
        """Wait until there is room for one more body.

        Raises:
            FetchStopped: The run was stopped.
        """
        with self._changed:
            while self._held and sum(self._held.values()) + self._largest > self._room():
                control.stop.check()
                control.stop.wait(self._changed)
            self._held[index] = self._largest

    def arrived(self, index: int, size: int) -> None:
        """Count a body as large as it is."""
        with self._changed:
            self._largest = max(self._largest, size)
            self._held[index] = size
            self._changed.notify_all()

    def release(self, index: int) -> None:
        """Let go of a body, or of the room for one that did not come."""
        with self._changed:
            self._held.pop(index, None)
            self._changed.notify_all()

    def _room(self) -> int:
        return min(self._limit, max(self._limit * 3 // 10, self._bodies * self._largest))
