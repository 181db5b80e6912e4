"""Bodies to rows in memory: parse a group of pages, count what is odd, and judge each page before anything is stored.

Python touches a profile only where DuckDB would refuse it, or choke on it later (see ``fidelity``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import duckdb

from ...engage import EngagePage, damage, pieces, row_oddity
from ...errors import MixpanelError
from ...fidelity import Mended, flatten, mend
from ...http import Step
from ...text import one_line
from .sql import CAREFUL, COUNTS, DEEP, FAST, MOMENT, OTHERS, STATISTICS, TOGETHER, columns

__all__ = ["Counted", "PageReceipt", "PageWrite", "StagedGroup", "Stager"]

# DuckDB parses all bodies of a statement at once, at several times their size; see docs/storage.md.
STATEMENT_BYTES = 5_000_000
# One document of several megabytes takes a quarter more time than the same in several: its tree leaves the caches.
_DOCUMENT_BYTES = 1_000_000
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
        cut: Whether rows beyond those expected are not wanted, because the query's limit ends there.
    """

    page: EngagePage
    expected_rows: int | None = None
    last_try: bool = False
    requested_at: datetime | None = None
    received_at: datetime | None = None
    worker: str | None = None
    steps: tuple[Step, ...] = ()
    cut: bool = False

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return len(self.page.body)


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
    """The rows of one page, how many of them are odd, what was mended in it, and the size of its body."""

    rows: int = 0
    without_distinct_id: int = 0
    without_properties: int = 0
    with_other_fields: int = 0
    unreadable_last_seen: int = 0
    bracketed: int = 0
    replaced: int = 0
    mended: int = 0
    damaged: int = 0
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
    """Parses groups of bodies through one cursor; belongs to the thread that uses it.

    Args:
        cursor: Its own.
        memory: The database in memory that has the groups' tables.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, memory: str) -> None:
        self._cursor = cursor
        self._memory = memory
        # Each group is made under one name and renamed: to read a statement of this length takes DuckDB as long as
        # to parse half a page, so it is read once.
        self._table = f"{memory}.fresh"
        # A statement is planned anew for each group, and nothing in it can be planned better than it stands: that is
        # a third of the planning, and this cursor's own matter.
        with suppress(duckdb.InvalidInputException):  # the caller has locked the settings of all cursors
            cursor.execute("PRAGMA disable_optimizer")
        self._begin = self._read(f"CREATE OR REPLACE TABLE {self._table} AS {columns(FAST)}")
        self._go_on = self._read(f"INSERT INTO {self._table} {columns(FAST)}")

    def stage(self, pages: Sequence[PageWrite], name: str) -> StagedGroup:
        """Parse, count and judge a group; see :meth:`PageIngest.stage`."""
        mended, unreadable = self._parse(pages)
        self._cut(pages)
        counted = self._count(pages, mended)
        receipts = tuple(_judge(each, counted[each.page.index], unreadable.get(each.page.index)) for each in pages)
        light = tuple(replace(each, page=replace(each.page, body=b"")) for each in pages)
        self._cursor.execute(f"ALTER TABLE {self._table} RENAME TO {name}")
        return StagedGroup(f"{self._memory}.{name}", light, receipts, counted)

    def _read(self, sql: str) -> duckdb.Statement:
        (statement,) = self._cursor.extract_statements(sql)
        return statement

    def _parse(self, pages: Sequence[PageWrite]) -> tuple[dict[int, Mended], dict[int, str]]:
        """Load the group, and page by page if DuckDB refuses it: most of them will do as they are.

        Returns:
            What was mended, by page, and the reason by page for those that cannot be read.
        """
        mended: dict[int, Mended] = {}
        unreadable: dict[int, str] = {}
        try:
            self._load([each.page for each in pages])
        except UNREADABLE:
            self._load([])
            for page in (each.page for each in pages):
                try:
                    mended[page.index] = self._load_alone(page)
                except MixpanelError as error:
                    unreadable[page.index] = str(error)
                except UNREADABLE as error:
                    unreadable[page.index] = _reason(error)
        return mended, unreadable

    def _load(self, pages: Sequence[EngagePage]) -> None:
        """Fill the group's table, in as few and large statements as memory allows."""
        statement = self._begin
        for indices, parts in _statements(pages):
            self._cursor.execute(statement, [indices, parts])
            statement = self._go_on

    def _cut(self, pages: Sequence[PageWrite]) -> None:
        """Take off what is beyond the query's limit."""
        for each in pages:
            if each.cut:
                self._cursor.execute(
                    f"DELETE FROM {self._table} WHERE rowid IN "
                    f"(SELECT rowid FROM {self._table} WHERE page = $1 ORDER BY rowid ASC OFFSET $2)",
                    [each.page.index, each.expected_rows],
                )

    def _load_alone(self, page: EngagePage) -> Mended:
        """Load one page in one piece, mended if it has to be."""
        page = page.reread()  # a list behind the rows may have been taken for their end
        try:
            self._cursor.execute(self._go_on, [[page.index], [page.rows]])
        except UNREADABLE:
            mended = mend(bytes(page.rows), marked=True)
            careful = f"INSERT INTO {self._table} {columns(CAREFUL)}"
            self._cursor.execute(careful, [[page.index], [mended.text]])
            return mended
        return Mended(b"")

    def _count(self, pages: Sequence[PageWrite], mended: dict[int, Mended]) -> dict[int, Counted]:
        """Count each page of the group, and look closer if anything in it is odd."""
        rows = self._cursor.execute(f"{COUNTS} FROM {self._table} GROUP BY page").fetchall()
        odd = any(odd for *_, odd in rows)
        counted = self._look_closer() if odd else {index: Counted(count) for index, count, _ in rows}
        for each in pages:
            found = counted.setdefault(each.page.index, Counted())
            found.size = len(each.page.body)
            if (done := mended.get(each.page.index)) is not None:
                found.replaced, found.mended, found.damaged = done.replaced, done.mended, done.damaged
        return counted

    def _look_closer(self) -> dict[int, Counted]:
        """Count what is odd; keep other members, read moments of other forms, and turn very deep values into texts."""
        self._cursor.execute(f"UPDATE {self._table} SET others = {OTHERS} WHERE others IS NOT NULL")
        self._cursor.execute(
            f"UPDATE {self._table} SET properties = {TOGETHER}, without_properties = false, last_seen = NULL, "
            f"unread = {TOGETHER}->>'$.\"$last_seen\"' WHERE others IS NOT NULL"
        )
        self._cursor.execute(f"UPDATE {self._table} SET last_seen = {MOMENT} WHERE unread IS NOT NULL")
        rows = self._cursor.execute(f"{STATISTICS} FROM {self._table} GROUP BY page").fetchall()
        counted = {index: Counted(*counts) for index, *counts in rows}
        if any(each.bracketed for each in counted.values()):
            self._flatten(counted)
        return counted

    def _flatten(self, counted: dict[int, Counted]) -> None:
        deep = self._cursor.execute(f"SELECT rowid, page, properties FROM {self._table} WHERE {DEEP}").fetchall()
        for row, page, text in deep:
            flat, values = flatten(text)
            if values:
                counted[page].flattened += values
                self._cursor.execute(f"UPDATE {self._table} SET properties = $1 WHERE rowid = $2", [flat, row])


def _judge(write: PageWrite, found: Counted, unreadable: str | None) -> PageReceipt:
    """Say what becomes of a page; one that is odd or damaged was perhaps so on the way only, and is asked for again."""
    if unreadable:
        return PageReceipt(write.page.index, 0, unreadable)
    problem = row_oddity(found.rows, write.expected_rows) or damage(found.damaged)
    return PageReceipt(write.page.index, found.rows, None if write.last_try else problem)


def _reason(error: Exception) -> str:
    reason = "" if isinstance(error, UnicodeDecodeError) else str(error).split("  Input:")[0].splitlines()[0]
    return f"the rows are not valid JSON ({one_line(reason, _LONGEST_REASON) or 'no reason given'})"


def _statements(pages: Sequence[EngagePage]) -> Iterator[tuple[list[int], list[memoryview | bytes]]]:
    """Deal lists of rows, the large ones in pieces, into groups that one statement may parse at once."""
    indices: list[int] = []
    parts: list[memoryview | bytes] = []
    size = 0
    for page in pages:
        for part in pieces(page.rows, _DOCUMENT_BYTES):
            if parts and size + len(part) > STATEMENT_BYTES:
                yield indices, parts
                indices, parts, size = [], [], 0
            indices.append(page.index)
            parts.append(part)
            size += len(part)
    yield indices, parts
