"""One page of a result before and after it becomes bytes, and the store of pages that are already encoded."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import IO

from .encoding import Segment, page_pieces

_Key = tuple[int, int, int, int | None]


class SegmentCache:
    """
    Encoded rows by view, page size and block; what exceeds the memory budget lives in an unnamed temporary
    file.

    Any thread may call it. Two threads that miss the same block both encode it, which costs time and nothing
    else.
    """

    def __init__(self, memory_bytes: int = 512 << 20) -> None:
        self._budget = memory_bytes
        self._used = 0
        self._lock = threading.Lock()
        self._kept: dict[_Key, Segment] = {}
        self._spilled: dict[_Key, tuple[Segment, int, int]] = {}
        self._file: IO[bytes] | None = None
        self._end = 0

    def get(self, key: _Key) -> Segment | None:
        """The segment, from memory or from the file."""
        segment = self._kept.get(key)
        if segment is not None:
            return segment
        with self._lock:
            if key not in self._spilled or self._file is None:
                return None
            frame, offset, length = self._spilled[key]
            return replace(frame, data=os.pread(self._file.fileno(), length, offset))

    def put(self, key: _Key, segment: Segment) -> None:
        """Keep a segment."""
        with self._lock:
            if key in self._kept or key in self._spilled:
                return
            if self._used + len(segment.data) <= self._budget:
                self._kept[key] = segment
                self._used += len(segment.data)
            else:
                self._spill(key, segment)

    def _spill(self, key: _Key, segment: Segment) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._file.seek(self._end)
        self._file.write(segment.data)
        self._file.flush()
        self._spilled[key] = (replace(segment, data=b""), self._end, len(segment.data))
        self._end += len(segment.data)

    def clear(self) -> None:
        """Forget everything and close the file."""
        with self._lock:
            self._kept.clear()
            self._spilled.clear()
            self._used = self._end = 0
            if self._file is not None:
                self._file.close()
                self._file = None


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The rows that one query selects, in base order, cut into blocks of a page's size."""

    number: int
    rows: Sequence[bytes]
    cache: SegmentCache

    def blocks(self, size: int) -> int:
        """How many pages of that size the rows fill."""
        return -(-len(self.rows) // size)

    def block(self, index: int, size: int) -> list[bytes]:
        """The rows of one block."""
        return list(self.rows[index * size : (index + 1) * size])

    def segment(self, index: int, size: int, level: int | None) -> Segment:
        """The encoded rows of one block."""
        key = (self.number, size, index, level)
        segment = self.cache.get(key)
        if segment is None:
            segment = Segment.of(self.block(index, size), level=level)
            self.cache.put(key, segment)
        return segment

    def warm(self, size: int, level: int | None) -> None:
        """Encode every block now, on all processors: zlib lets other threads run."""

        def encode(index: int) -> None:
            self.segment(index, size, level)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(encode, range(self.blocks(size))):
                pass


@dataclass(frozen=True, slots=True)
class Page:
    """
    One answer's content. Its rows are a block of a view, or, after a change, given one by one.

    Args:
        number: The page number that is echoed.
        size: The `page_size` field; None leaves it out.
        session_id: The session's id; None is null.
        total: The `total` field; None leaves it out.
        block_size: Rows of a full block of the view.
        view: Where the rows come from.
        block: Which block; None is past the end.
        rows: Rows that replace the block.
    """

    number: int
    size: int | None
    session_id: str | None
    total: int | None
    block_size: int
    view: View | None = None
    block: int | None = None
    rows: list[bytes] | None = field(default=None, repr=False)

    def all_rows(self) -> list[bytes]:
        """The rows themselves."""
        if self.rows is not None:
            return self.rows
        if self.view is None or self.block is None:
            return []
        return self.view.block(self.block, self.block_size)

    def count(self) -> int:
        """How many rows there are, without composing them."""
        if self.rows is not None or self.view is None or self.block is None:
            return len(self.rows or ())
        return min(self.block_size, len(self.view.rows) - self.block * self.block_size)

    def encode(self, level: int | None) -> list[bytes]:
        """The body in pieces, gzip-encoded if a level is given."""
        if self.rows is None and self.view is not None and self.block is not None:
            segment = self.view.segment(self.block, self.block_size, level)
        else:
            segment = Segment.of(self.all_rows(), level=level)
        return page_pieces(segment, page=self.number, page_size=self.size, session_id=self.session_id, total=self.total)
