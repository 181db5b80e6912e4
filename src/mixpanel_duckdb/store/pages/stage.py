"""Bodies to rows in memory: parse a group of pages, count what is odd, and judge each page before anything is stored.

Python touches a profile only where DuckDB would refuse it, or choke on it later (see ``fidelity``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb

from ...engage import EngagePage, pieces, row_oddity
from ...errors import MixpanelError
from ...http import Step
from ...text import one_line
from .fidelity import flatten, mend
from .sql import CAREFUL, COUNTS, DEEP, FAST, MOMENT, STATISTICS, columns

__all__ = ["Counted", "PageReceipt", "PageWrite", "StagedGroup", "Stager"]

# DuckDB parses all bodies of a statement at once, at several times their size; see docs/storage.md.
STATEMENT_BYTES = 4_000_000
_LONGEST_REASON = 200
# DuckDB's message quotes the input, and where it cuts that between two bytes of a character, Python cannot read it.
UNREADABLE = (duckdb.InvalidInputException, duckdb.ConversionException, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class PageWrite:
    """A page on its way to the store.

    Args:
        page: The page as fetched.
        expected_rows: How many rows it should have; ``None`` if that is not known.
        last_try: Store it even if it has not, because it was fetched again already.
        requested_at: When a worker took it, in UTC; ``None`` if not known.
        received_at: When its body was whole, in UTC.
        worker: Name of the thread that fetched it.
        steps: What that and other threads did for it before.
    """

    page: EngagePage
    expected_rows: int | None = None
    last_try: bool = False
    requested_at: datetime | None = None
    received_at: datetime | None = None
    worker: str | None = None
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class PageReceipt:
    """What became of a page: committed, or not stored and why.

    Args:
        index: Index of the page.
        rows: Its rows.
        problem: Why it was not committed; ``None`` if it was.
    """

    index: int
    rows: int
    problem: str | None = None


@dataclass(slots=True)
class Counted:
    """The rows of one page, how many of them are odd, and the size of its body."""

    rows: int = 0
    without_distinct_id: int = 0
    without_properties: int = 0
    unreadable_last_seen: int = 0
    bracketed: int = 0
    shapeless: int = 0
    replaced: int = 0
    flattened: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class StagedGroup:
    """Pages parsed in memory, waiting for their commit.

    Args:
        table: Where their rows are.
        pages: Its pages, those refused included; their bodies are taken off.
        receipts: One for each page.
        counted: What was counted for each page, by index.
    """

    table: str
    pages: tuple[PageWrite, ...]
    receipts: tuple[PageReceipt, ...]
    counted: dict[int, Counted]

    @property
    def accepted(self) -> tuple[PageWrite, ...]:
        """The pages that are to be stored."""
        return tuple(page for page, receipt in zip(self.pages, self.receipts, strict=True) if receipt.problem is None)

    @property
    def size(self) -> int:
        """Bytes of the bodies."""
        return sum(each.size for each in self.counted.values())


class Stager:
    """Parses groups of bodies through one cursor; belongs to the thread that uses it."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._table = ""

    def stage(self, pages: Sequence[PageWrite], table: str) -> StagedGroup:
        """Parse, count and judge a group; see :meth:`PageIngest.stage`."""
        self._table = table
        pages, replaced, unreadable = self._parse(pages)
        counted = self._count(pages, replaced)
        receipts = tuple(_judge(each, counted, unreadable) for each in pages)
        light = tuple(replace(each, page=replace(each.page, body=b"")) for each in pages)
        return StagedGroup(table, light, receipts, counted)

    def _parse(self, pages: Sequence[PageWrite]) -> tuple[Sequence[PageWrite], dict[int, int], dict[int, str]]:
        """Load the group; mend what DuckDB refuses, and leave out what stays unreadable.

        Returns:
            The pages, replaced characters by page, and the reason by page for those that cannot be read.
        """
        try:
            self._load({each.page.index: each.page.rows for each in pages})
        except UNREADABLE:
            pages, unreadable = _reread(pages)
            texts = {each.page.index: bytes(each.page.rows) for each in pages if each.page.index not in unreadable}
            mended = {index: mend(text) for index, text in texts.items()}
            rows = {index: memoryview(text) for index, (text, _) in mended.items()}
            unreadable |= {index: reason for index, text in rows.items() if (reason := self._refusal(text))}
            self._load({index: text for index, text in rows.items() if index not in unreadable}, whole=True)
            return pages, {index: replaced for index, (_, replaced) in mended.items()}, unreadable
        return pages, {}, {}

    def _load(self, rows: dict[int, memoryview], *, whole: bool = False) -> None:
        """Fill the group's table with these lists of rows, as few and large statements as memory allows."""
        into = f"CREATE OR REPLACE TABLE {self._table} AS"
        for indices, parts in _statements(rows, whole=whole):
            self._cursor.execute(f"{into} {columns(FAST)}", [indices, parts])
            into = f"INSERT INTO {self._table}"

    def _refusal(self, rows: memoryview) -> str | None:
        """Ask DuckDB why it cannot read a list of rows; ``None`` if it can."""
        try:
            self._cursor.execute(f"SELECT count(*) FROM ({FAST})", [[0], [rows]]).fetchall()
        except UNREADABLE as error:
            reason = "" if isinstance(error, UnicodeDecodeError) else str(error).split("  Input:")[0].splitlines()[0]
            return f"the rows are not valid JSON ({one_line(reason, _LONGEST_REASON) or 'no reason given'})"
        return None

    def _count(self, pages: Sequence[PageWrite], replaced: dict[int, int]) -> dict[int, Counted]:
        """Count each page of the group, and look closer if anything in it is odd."""
        rows = self._cursor.execute(f"{COUNTS} FROM {self._table} GROUP BY page").fetchall()
        odd = any(odd for *_, odd in rows)
        counted = self._look_closer(pages) if odd else {index: Counted(count) for index, count, _ in rows}
        for index, characters in replaced.items():
            counted.setdefault(index, Counted()).replaced = characters
        for each in pages:
            counted.setdefault(each.page.index, Counted()).size = len(each.page.body)
        return counted

    def _look_closer(self, pages: Sequence[PageWrite]) -> dict[int, Counted]:
        """Count what is odd; take entries that are no profiles, and very deep values, the slower way."""
        counted = self._statistics()
        shapeless = {index for index, each in counted.items() if each.shapeless}
        if shapeless:
            self._reload_carefully({each.page.index: each.page.rows for each in pages if each.page.index in shapeless})
            counted = self._statistics()
        if any(each.bracketed for each in counted.values()):
            self._flatten(counted)
        return counted

    def _statistics(self) -> dict[int, Counted]:
        self._cursor.execute(f"UPDATE {self._table} SET last_seen = {MOMENT} WHERE unread IS NOT NULL")
        rows = self._cursor.execute(f"{STATISTICS} FROM {self._table} GROUP BY page").fetchall()
        return {index: Counted(*counts) for index, *counts in rows}

    def _reload_carefully(self, rows: dict[int, memoryview]) -> None:
        self._cursor.execute(f"DELETE FROM {self._table} WHERE list_contains($1, page)", [list(rows)])
        for index, text in rows.items():
            self._cursor.execute(f"INSERT INTO {self._table} {columns(CAREFUL)}", [[index], [mend(bytes(text))[0]]])

    def _flatten(self, counted: dict[int, Counted]) -> None:
        deep = self._cursor.execute(f"SELECT rowid, page, properties FROM {self._table} WHERE {DEEP}").fetchall()
        for row, page, text in deep:
            flat, values = flatten(text)
            if values:
                counted[page].flattened += values
                self._cursor.execute(f"UPDATE {self._table} SET properties = $1 WHERE rowid = $2", [flat, row])


def _judge(write: PageWrite, counted: dict[int, Counted], unreadable: dict[int, str]) -> PageReceipt:
    index = write.page.index
    if index in unreadable:
        return PageReceipt(index, 0, unreadable[index])
    found = counted.get(index, Counted())
    problem = None if write.last_try else row_oddity(found.rows, write.expected_rows)
    return PageReceipt(index, found.rows, problem)


def _reread(pages: Sequence[PageWrite]) -> tuple[list[PageWrite], dict[int, str]]:
    """Read bodies whole that DuckDB refused the rows of: a list behind those may have been taken for their end.

    Returns:
        The pages, and the reason by page for those that are none.
    """
    reread: list[PageWrite] = []
    refused: dict[int, str] = {}
    for each in pages:
        try:
            reread.append(replace(each, page=each.page.reread()))
        except MixpanelError as error:
            reread.append(each)
            refused[each.page.index] = str(error)
    return reread, refused


def _statements(rows: dict[int, memoryview], *, whole: bool) -> Iterator[tuple[list[int], list[memoryview | bytes]]]:
    """Deal lists of rows, the large ones in pieces, into groups that one statement may parse at once."""
    indices: list[int] = []
    parts: list[memoryview | bytes] = []
    size = 0
    for index, text in rows.items():
        for part in [text] if whole else pieces(text, STATEMENT_BYTES):
            if parts and size + len(part) > STATEMENT_BYTES:
                yield indices, parts
                indices, parts, size = [], [], 0
            indices.append(index)
            parts.append(part)
            size += len(part)
    yield indices, parts
