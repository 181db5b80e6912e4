"""The writer: drains the bounded queue of fetched pages into the store, in groups.

Whatever waits in the queue becomes one group, parsed at once, and groups are committed together for as long as pages
wait behind them: a slow network commits each page by itself, and a fast one pays little for commits. Two threads share
the work, since DuckDB leaves Python alone in both: one parses in memory while the other, the only one that writes to
the database, commits what was parsed before.

Fetch threads put pages in; nothing else crosses between them and the writer. After a stop the queue is still drained,
since its pages have been paid for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

from .channel import Channel
from .turns import SHORT_TURNS

__all__ = ["PageSink", "Writer"]

# DuckDB parses the bodies of a group at once, at several times their size.
_GROUP_BYTES = 4_000_000
# So long a page waits for others to share its statement with; small beside any request.
_GATHER = 0.02
# A transaction becomes row groups of its own (see ``store.database``); smaller ones make a larger file.
_COMMIT_BYTES = 19_000_000
# Parsed groups that may wait while the writer compresses.
_STAGED_GROUPS = 4


class Sized(Protocol):
    """What is handed over."""

    @property
    def size(self) -> int:
        """Bytes of it."""


_Item = TypeVar("_Item", bound=Sized)
_Group = TypeVar("_Group", bound="Group")
_Receipt = TypeVar("_Receipt")
_Item_contra = TypeVar("_Item_contra", contravariant=True)
_Receipt_co = TypeVar("_Receipt_co", covariant=True)


class Group(Protocol):
    """Items that were parsed together."""

    @property
    def pages(self) -> tuple[Any, ...]:
        """The items, their bodies taken off."""

    @property
    def size(self) -> int:
        """Bytes of the bodies."""


class PageSink(Protocol[_Item_contra, _Group, _Receipt_co]):
    """Stores groups of what is handed over; one thread enters it, commits and leaves it, while another stages."""

    def __enter__(self) -> Self:
        """Take what it needs."""

    def __exit__(self, *exc: object) -> None:
        """Give that back."""

    def stage(self, pages: Sequence[_Item_contra]) -> _Group:
        """Parse a group in memory."""

    def commit(self, groups: Sequence[_Group]) -> Sequence[_Receipt_co]:
        """Store groups in one transaction and say what became of each page, in their order."""


class Writer(Generic[_Item, _Group, _Receipt]):
    """The queue and its two threads; every other thread may call the methods.

    Args:
        sink: Where the pages go; entered and left on the writing thread.
        capacity: Pages that may wait; a full queue holds the fetch threads back.
        on_written: Called on the writing thread with each page, its body taken off, and its receipt.
        on_end: Called on the writing thread with the error that ended it, or ``None``.
    """

    def __init__(
        self,
        sink: PageSink[_Item, _Group, _Receipt],
        capacity: int,
        *,
        on_written: Callable[[_Item, _Receipt], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._sink = sink
        self._capacity = capacity
        self._on_written = on_written
        self._on_end = on_end
        self._pages: Channel[_Item] = Channel(capacity)
        # A group, and whether another is sure to follow it.
        self._staged: Channel[tuple[_Group, bool]] = Channel(_STAGED_GROUPS)
        self._error: BaseException | None = None
        # Taken by the writing thread when it begins, or by whoever finds that it never will.
        self._begun = threading.Lock()
        self._stager = threading.Thread(target=self._stage_all, name="mp-fetch-stager")
        self._writer = threading.Thread(target=self._write_all, name="mp-fetch-writer")

    def start(self) -> None:
        """Start one thread, which starts the other: nothing that interrupts the caller comes in between."""
        self._writer.start()

    def put(self, page: _Item) -> bool:
        """Hand a page over, waiting while the queue is full.

        Returns:
            False if the writer has ended and the page is lost.
        """
        return self._pages.put(page)

    def finish(self) -> None:
        """Let the threads end once the queue is empty; nothing may be put after this."""
        self._pages.close()

    def join(self, timeout: float) -> bool:
        """Wait for the threads; say whether they have ended. If they have not begun yet, they never will."""
        if self._begun.acquire(blocking=False):
            return True
        self._writer.join(timeout)
        return not self._writer.is_alive()

    def _stage_all(self) -> None:
        try:
            while (group := self._stage_next()) is not None:
                self._staged.put((group, len(self._pages) > 0))
            self._staged.close()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            self._fail(error)

    def _stage_next(self) -> _Group | None:
        """Parse the next group; its bodies are gone from memory when this returns."""
        pages = self._next_group()
        return self._sink.stage(pages) if pages else None

    def _write_all(self) -> None:
        """Have pages staged and commit them until there are no more, then end both threads."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            with SHORT_TURNS, self._sink:
                self._stager.start()
                self._commit_all()
                self._stager.join()
        except BaseException as error:  # noqa: BLE001 - likewise
            self._fail(error)
        self._on_end(self._error)

    def _commit_all(self) -> None:
        try:
            for groups in self._commits():
                pages = [page for group in groups for page in group.pages]
                for write, receipt in zip(pages, self._sink.commit(groups), strict=True):
                    self._on_written(write, receipt)
        except BaseException as error:  # noqa: BLE001 - likewise
            self._fail(error)

    def _commits(self) -> Iterator[list[_Group]]:
        """Yield what shares a transaction: groups up to a size, or to the last that is sure to come soon."""
        groups: list[_Group] = []
        while (staged := self._staged.get()) is not None:
            group, more = staged
            groups.append(group)
            if not more or sum(each.size for each in groups) >= _COMMIT_BYTES:
                yield groups
                groups = []
        if groups and self._error is None:
            yield groups

    def _fail(self, error: BaseException) -> None:
        """Keep the first error; what follows from it is of no interest."""
        self._error = self._error or error
        self._pages.break_off()
        self._staged.break_off()

    def _next_group(self) -> list[_Item]:
        """Wait for a page and take along what comes right behind it; empty when the run is over."""
        group: list[_Item] = []
        size = 0
        deadline = 0.0
        while len(group) < self._capacity and size < _GROUP_BYTES:
            page = self._pages.get(max(0.0, deadline - time.monotonic()) if group else None)
            if page is None:
                break
            deadline = deadline or time.monotonic() + _GATHER
            group.append(page)
            size += page.size
        return group if self._error is None else []
