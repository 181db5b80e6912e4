"""A bounded line between threads that ends in two ways: closed behind its last item, or broken off at once."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Channel"]

_Item = TypeVar("_Item")


class Channel(Generic[_Item]):
    """Items from any threads to any threads, in order; a full line holds back whoever puts.

    Args:
        capacity: Items that may wait.

    Example:
        >>> line = Channel(2)
        >>> line.put("a"), line.close(), line.put("b")
        (True, None, False)
        >>> line.get(), line.get()
        ('a', None)
    """

    def __init__(self, capacity: int) -> None:
        self._changed = threading.Condition()
        self._capacity = capacity
        self._items: deque[_Item] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: _Item) -> bool:
        """Add an item, waiting while the line is full.

        Returns:
            False if the line is closed, and the item lost.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self, seconds: float | None = None) -> _Item | None:
        """Take the next item, waiting while there is none.

        Args:
            seconds: Most seconds to wait.

        Returns:
            ``None`` when the line has ended, or the time is over.
        """
        until = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            while not self._items and not self._closed:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Take no more items; those that wait can still be had."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def break_off(self) -> None:
        """End at once: whoever waits goes on with nothing, and what waits is dropped."""
        with self._changed:
            self._items.clear()
            self.close()
