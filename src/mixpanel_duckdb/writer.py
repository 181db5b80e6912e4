"""The writer thread: drains the bounded queue of fetched pages into the store, in groups.

Whatever waits in the queue becomes one group, one statement and one transaction: a slow network commits each page at
once, and a fast one pays little for commits. Fetch threads put pages in; nothing else crosses between them and the
writer. After a stop the queue is still drained, since its pages have been paid for.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from .store import PageReceipt, PageWrite

__all__ = ["PageSink", "WriterThread"]

_LOOK_AGAIN = 0.1
_GROUP_BYTES = 24_000_000


class PageSink(Protocol):
    """Stores groups of pages; used by one thread."""

    def write(self, pages: Sequence[PageWrite]) -> list[PageReceipt]:
        """Store a group in one transaction and say what became of each page."""

    def close(self) -> None:
        """Give back what it holds."""


class WriterThread:
    """One thread that writes; every other thread may call its methods.

    Args:
        open_sink: Makes the sink, on the writer's thread.
        capacity: Pages that may wait; a full queue holds the fetch threads back.
        on_written: Called on the writer's thread with the pages and receipts of each committed group.
        on_end: Called on the writer's thread with the error that ended it, or ``None``.
    """

    def __init__(
        self,
        open_sink: Callable[[], PageSink],
        capacity: int,
        *,
        on_written: Callable[[Sequence[PageWrite], Sequence[PageReceipt]], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._open_sink = open_sink
        self._queue: queue.Queue[PageWrite] = queue.Queue(capacity)
        self._capacity = capacity
        self._on_written = on_written
        self._on_end = on_end
        self._no_more = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mp-fetch-writer")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, page: PageWrite) -> bool:
        """Hand a page over, waiting while the queue is full.

        Returns:
            False if the writer has ended and the page is lost.
        """
        while self._thread.is_alive():
            try:
                self._queue.put(page, timeout=_LOOK_AGAIN)
            except queue.Full:
                continue
            return True
        return False

    def finish(self) -> None:
        """Let the thread end once the queue is empty."""
        self._no_more.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread; say whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            sink = self._open_sink()
            try:
                while group := self._next_group():
                    self._on_written(group, sink.write(group))
            finally:
                sink.close()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            failure = error
        self._on_end(failure)

    def _next_group(self) -> list[PageWrite]:
        """Wait for a page and take along what waits behind it; empty when the run is over."""
        group: list[PageWrite] = []
        size = 0
        while len(group) < self._capacity and size < _GROUP_BYTES:
            try:
                page = self._queue.get(timeout=_LOOK_AGAIN) if not group else self._queue.get_nowait()
            except queue.Empty:
                if group or (self._no_more.is_set() and self._queue.empty()):
                    break
                continue
            group.append(page)
            size += len(page.page.body)
        return group
