"""The pages of one result, read ahead of whoever takes them in order.

Up to five fetch threads read the pages that come next, a bounded number of pages ahead of the one that was taken last.
Leaving the ``with`` block stops them, whatever the reason: the end, ``break``, an exception, Ctrl-C, a generator that
is closed or collected. A watching thread does so for a generator that is still held when the interpreter ends, which
would otherwise wait for reads that nobody wants.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol, Self

from ..errors import FetchStopped
from ..http import FetchControl, Stop, cut_short
from .announcement import Announcement
from .page import EngagePage

__all__ = ["FetchPage", "ReadAhead"]

# The end of the interpreter wakes nobody: it is looked for.
_LOOK_AGAIN = 0.1
# Pages of a result are about equally large: page 0 tells how many of them this is.
_MOST_BYTES_AHEAD = 64_000_000


class FetchPage(Protocol):
    """Fetches one page of a query; called from several threads."""

    def __call__(self, index: int, *, session_id: str | None, control: FetchControl) -> EngagePage:
        """Block until the page is there."""


class ReadAhead:
    """Fetches the pages of one result ahead of their reader; a context manager, used once, by one thread.

    All state is guarded by one condition.

    Args:
        fetch: Fetches one page.
        abort: Cuts the reads of a run that are under way.
        workers: Fetch threads, 1 to 5.
        stop: The caller's own, if there is one.
    """

    def __init__(
        self, fetch: FetchPage, abort: Callable[[Stop], None], workers: int, stop: threading.Event | None = None
    ) -> None:
        self._fetch = fetch
        self._abort = abort
        self._workers = workers
        self._stop = stop or threading.Event()
        self._control = FetchControl()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._session_id: str | None = None
        self._todo = deque([0])
        self._wanted = 0
        self._ahead = 1
        self._reading = 0
        self._arrived: dict[int, EngagePage | BaseException] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if threading.current_thread() in self._threads:
            # The garbage collector runs on any thread; one of ours cannot wait for itself.
            self._control.stop.ask()
            self._abort(self._control.stop)
            return
        cut_short(self._control.stop, self._abort, self._still_reading)
        for thread in self._threads:
            thread.join(_LOOK_AGAIN)

    def open(self, limit: int | None = None) -> Announcement:
        """Start, wait for page 0, and go on to the pages after it.

        Args:
            limit: Most profiles that are wanted.

        Raises:
            MixpanelError: Page 0 cannot be had, or does not tell how many there are.
        """
        self._check_stop()
        self._start(self._watch)
        self._start(self._work)
        first = self.page(0)
        announced = Announcement.opened_by(first, limit)
        with self._changed:
            self._session_id = announced.session_id
            self._arrived[0] = first
            self._todo.extend(range(1, announced.pages))
            self._ahead = max(1, min(self._workers * 2, _MOST_BYTES_AHEAD // max(1, len(first.body))))
            self._changed.notify_all()
        for _ in range(min(self._workers, announced.pages - 1) - 1):
            self._start(self._work)
        return announced

    def page(self, index: int, *, again: bool = False) -> EngagePage:
        """Wait for a page; those before it are not needed any more.

        Args:
            index: Its index; pages are taken in order.
            again: Whether it was taken before and is to be fetched once more.

        Raises:
            MixpanelError: It cannot be had.
        """
        with self._changed:
            self._wanted = index
            if again:
                self._todo.appendleft(index)
            self._changed.notify_all()
            self._check_stop()
            while index not in self._arrived:
                self._check_stop()
                self._control.stop.check()
                self._control.stop.wait(self._changed)
            found = self._arrived.pop(index)
        if isinstance(found, BaseException):
            self._check_stop()
            raise found
        return found

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"mp-export-{len(self._threads)}")
        thread.start()
        self._threads.append(thread)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise FetchStopped("The stream was stopped by its caller.")

    def _still_reading(self, seconds: float) -> bool:
        with self._changed:
            return not self._changed.wait_for(lambda: not self._reading, seconds)

    def _watch(self) -> None:
        while threading.main_thread().is_alive() and not self._stop.is_set():
            try:
                self._control.stop.sleep(_LOOK_AGAIN)
            except FetchStopped:
                return
        cut_short(self._control.stop, self._abort, self._still_reading)

    def _work(self) -> None:
        """A fetch thread: take, fetch, hand over, until it is stopped."""
        while (index := self._take()) is not None:
            try:
                found: EngagePage | BaseException = self._fetch(
                    index, session_id=self._session_id, control=self._control
                )
            except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
                found = error
            with self._changed:
                self._arrived[index] = found
                self._reading -= 1
                self._changed.notify_all()

    def _take(self) -> int | None:
        """Give the next page that is not too far ahead."""
        with self._changed:
            while not self._control.stop.asked:
                if self._todo and self._todo[0] <= self._wanted + self._ahead:
                    self._reading += 1
                    return self._todo.popleft()
                self._control.stop.wait(self._changed)
        return None
