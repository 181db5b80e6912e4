"""Which page is fetched next, and when to stop trying: shared by all workers, free of I/O.

A page that fails is tried once more when the others are through, and a body that turns out unreadable in the store a
few times more. A page that arrives but is odd is fetched again too; if it comes odd again, it is stored as it is. When
request after request brings nothing at all, the rest is not tried: the server is gone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..engage import ROUNDS
from ..http import FetchControl

__all__ = ["Assignment", "PageSchedule"]

_FAILURES_IN_A_ROW = 10


@dataclass(frozen=True, slots=True)
class Assignment:
    """A page to fetch.

    Args:
        index: Its index.
        last_try: Whether an odd page is stored as it is, because it came so before.
    """

    index: int
    last_try: bool = False


class PageSchedule:
    """The pages of one run; any thread may call any method.

    Args:
        pages: Indices to fetch, in this order.

    Example:
        >>> schedule = PageSchedule([1, 2])
        >>> schedule.take(FetchControl())
        Assignment(index=1, last_try=False)
        >>> schedule.committed(1); schedule.give_up("enough")
        >>> schedule.missing
        {2: 'enough'}
    """

    def __init__(self, pages: Iterable[int]) -> None:
        self._changed = threading.Condition()
        self._todo = deque(pages)
        self._later: deque[int] = deque()
        self._open: set[int] = set()
        self._odd: set[int] = set()
        self._tries: dict[int, int] = {}
        self._in_a_row = 0
        self._missing: dict[int, str] = {}

    @property
    def missing(self) -> dict[int, str]:
        """Pages given up, with the reason."""
        with self._changed:
            return dict(sorted(self._missing.items()))

    def take(self, control: FetchControl) -> Assignment | None:
        """Give the next page, waiting while others are still undecided.

        Returns:
            A page that is now this worker's to settle, or ``None`` when nothing is left to do or the run is stopped.
        """
        with self._changed:
            while not control.stop.asked:
                if self._todo or self._later:
                    index = (self._todo or self._later).popleft()
                    self._open.add(index)
                    return Assignment(index, index in self._odd)
                if not self._open:
                    break
                control.stop.wait(self._changed)
        return None

    def committed(self, index: int) -> None:
        """Settle a page: it is stored."""
        with self._changed:
            self._open.discard(index)
            self._missing.pop(index, None)
            self._changed.notify_all()

    def arrived(self) -> None:
        """Note that the server gives answers."""
        with self._changed:
            self._in_a_row = 0

    def extend(self, pages: Iterable[int], *, behind: Callable[[], None] | None = None) -> None:
        """Add pages behind the others.

        Args:
            pages: Their indices.
            behind: Done before anybody can take one of them; it must not wait.
        """
        with self._changed:
            self._todo.extend(pages)
            if behind:
                behind()
            self._changed.notify_all()

    def failed(self, index: int, reason: str, *, at_once: bool = False, tries: int = ROUNDS) -> bool:
        """Settle a try that brought nothing.

        Args:
            index: The page.
            reason: What went wrong.
            at_once: Whether its next try comes before other pages.
            tries: How many times the page may be tried in all.

        Returns:
            Whether it will be tried again.
        """
        with self._changed:
            self._in_a_row += 1
            again = self._again(index, reason, tries, at_once=at_once)
            if self._in_a_row >= _FAILURES_IN_A_ROW:
                self._drop_rest(f"not tried: {self._in_a_row} pages in a row failed, the last with: {reason}")
                return False
            return again

    def spoiled(self, index: int, reason: str, *, storable: bool, tries: int = ROUNDS) -> bool:
        """Settle a try that brought something else than what was asked for.

        Args:
            index: The page.
            reason: What is wrong with it.
            storable: Whether it is stored as it is if it comes so again.
            tries: How many times the page may be tried in all.

        Returns:
            Whether it will be tried again.
        """
        with self._changed:
            if storable:
                self._odd.add(index)
            return self._again(index, reason, tries)

    def give_up(self, reason: str) -> None:
        """Take no further page; those under way may still be settled."""
        with self._changed:
            self._drop_rest(reason)
            self._changed.notify_all()

    def unsettle(self, index: int, reason: str) -> None:
        """Settle a page whose try was cut short by a stop."""
        with self._changed:
            self._open.discard(index)
            self._missing[index] = reason
            self._changed.notify_all()

    def _again(self, index: int, reason: str, most: int, *, at_once: bool = False) -> bool:
        self._open.discard(index)
        done = self._tries[index] = self._tries.get(index, 0) + 1
        again = done < most
        if again and at_once:
            self._todo.appendleft(index)
        elif again:
            self._later.append(index)
        else:
            self._missing[index] = reason
        self._changed.notify_all()
        return again

    def _drop_rest(self, reason: str) -> None:
        for index in (*self._todo, *self._later):
            self._missing[index] = reason
        self._todo.clear()
        self._later.clear()
