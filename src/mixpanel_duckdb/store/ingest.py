"""Page bodies to rows: SQL takes them apart in memory, the writer commits them together with their journal.

A group of pages goes through two steps, each on a thread and a cursor of its own: one group is parsed while the one
before it is compressed and written. ``stage`` parses the bodies into a table of an attached in-memory database and
counts each page there, so that a short or odd one is known before anything is stored. ``commit`` appends the accepted
pages to the staging table of the file, and to the journal, in one transaction.

Python touches a profile only where DuckDB would refuse it, or choke on it later (see ``fidelity``).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ..page import EngagePage, pieces
from .database import Database, atomic, quote, storage_errors
from .fidelity import MAX_NESTING, flatten, mend
from .journal import PAGES, utc_now

__all__ = ["PageReceipt", "PageWrite", "PageWriter", "StagedGroup"]

# DuckDB parses all bodies of a statement at once, at several times their size; see docs/storage.md.
STATEMENT_BYTES = 12_000_000
# A checkpoint compresses every row group that has changed, so one for each full row group compresses each once.
_ROW_GROUP = 122_880
_UNREADABLE = (duckdb.InvalidInputException, duckdb.ConversionException)

_BRACKETS = "2 * strlen(properties) - strlen(replace(properties, '{', '')) - strlen(replace(properties, '[', ''))"
# Nesting deeper than the limit takes at least so many characters and brackets: cheap to ask, almost never true.
_DEEP = f"strlen(properties) > {2 * MAX_NESTING} AND {_BRACKETS} > {MAX_NESTING}"
_BODIES = "(SELECT unnest($1::INTEGER[]) AS page, unnest($2::BLOB[]) AS body)"
_FAST = f"""
    SELECT page, p."$distinct_id" AS distinct_id, p."$properties" AS properties
    FROM (SELECT page, unnest(from_json(decode(body),
            '{{"results":[{{"$distinct_id":"VARCHAR","$properties":"JSON"}}]}}').results) AS p FROM {_BODIES})
"""
# Slower, for pages with entries that are no objects: what came in place of a profile is kept as its properties.
_CAREFUL = f"""
    SELECT page, r->>'$."$distinct_id"' AS distinct_id,
           CASE WHEN json_type(r) = 'OBJECT' THEN nullif((r->'$."$properties"')::VARCHAR, 'null')::JSON
                WHEN json_type(r) <> 'NULL' THEN r END AS properties
    FROM (SELECT page, unnest(from_json(decode(body), '{{"results":["JSON"]}}').results) AS r FROM {_BODIES})
"""
# `last_seen` is UTC without a zone: an offset, which Mixpanel does not send today, is taken off the wall time.
_OFFSET = "'([+-])([0-9]{2}):?([0-9]{2})$'"
_MINUTES = (
    f"(regexp_extract(seen, {_OFFSET}, 1) || (regexp_extract(seen, {_OFFSET}, 2)::INTEGER * 60"
    f" + regexp_extract(seen, {_OFFSET}, 3)::INTEGER)::VARCHAR)::INTEGER"
)
_COLUMNS = f"""
    SELECT page, distinct_id, coalesce(properties, '{{}}') AS properties,
           CASE WHEN strlen(seen) > 19 AND regexp_matches(seen, {_OFFSET})
                THEN try_cast(regexp_replace(seen, {_OFFSET}, '') AS TIMESTAMP) - to_minutes({_MINUTES})
                ELSE try_cast(seen AS TIMESTAMP) END AS last_seen,
           seen IS NOT NULL AS told_last_seen, properties IS NULL AS without_properties
    FROM (SELECT *, properties->>'$."$last_seen"' AS seen FROM
"""
_STATISTICS = f"""
    SELECT page, count(*), count(*) FILTER (distinct_id IS NULL), count(*) FILTER (without_properties),
           count(*) FILTER (told_last_seen AND last_seen IS NULL),
           count(*) FILTER ({_DEEP}),
           count(*) FILTER (distinct_id IS NULL AND without_properties)
"""


@dataclass(frozen=True, slots=True)
class PageWrite:
    """A page on its way to the store.

    Args:
        page: The page as fetched.
        expected_rows: How many rows it should have; ``None`` if that is not known.
        last_try: Store it even if it has not, because it was fetched again already.
        requested_at: When its request was sent, in UTC; ``None`` if not known.
        received_at: When its body was whole, in UTC.
        worker: Name of the thread that fetched it.
    """

    page: EngagePage
    expected_rows: int | None = None
    last_try: bool = False
    requested_at: datetime | None = None
    received_at: datetime | None = None
    worker: str | None = None


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
class _Counted:
    """The rows of one page in the batch, and how many of them are odd."""

    rows: int = 0
    without_distinct_id: int = 0
    without_properties: int = 0
    unreadable_last_seen: int = 0
    bracketed: int = 0
    shapeless: int = 0
    replaced: int = 0
    flattened: int = 0


@dataclass(frozen=True, slots=True)
class StagedGroup:
    """Pages parsed in memory, waiting for their commit.

    Args:
        table: Where their rows are.
        pages: The pages that are to be stored.
        receipts: One for each page of the group, those refused included.
        counted: What was counted for each page.
    """

    table: str
    pages: tuple[PageWrite, ...]
    receipts: tuple[PageReceipt, ...]
    counted: dict[int, _Counted]


class PageWriter:
    """Stores pages in one staging table; one thread may call ``stage`` while another calls ``commit``.

    Args:
        database: Where to write.
        fetch_id: The fetch in the journal.
        staging: The staging table's name.
    """

    def __init__(self, database: Database, fetch_id: str, staging: str) -> None:
        self._fetch_id = fetch_id
        self._staging = staging
        self._memory = f"_mixpanel_memory_{uuid.uuid4().hex[:12]}"
        self._groups = 0
        self._unwritten = 0
        self._tuned = database.tuned
        self._owner = database.cursor()
        with storage_errors("attach a database in memory"):
            self._owner.execute(f"ATTACH ':memory:' AS {self._memory}")
        self._stager = Stager(database.cursor())
        self._cursor = database.cursor()

    def close(self) -> None:
        """Give back the cursors and the memory."""
        self._stager.close()
        self._cursor.close()
        with storage_errors("detach the database in memory"):
            self._owner.execute(f"DETACH {self._memory}")
        self._owner.close()

    def stage(self, pages: Sequence[PageWrite]) -> StagedGroup:
        """Parse a group of pages into memory and judge each of them.

        Args:
            pages: At least one page, each index at most once.

        Raises:
            StorageError: DuckDB refuses for another reason than the bodies.
        """
        self._groups += 1
        table = f"{self._memory}.group_{self._groups}"
        with storage_errors(f"read page {_indices(pages)}"):
            return self._stager.stage(pages, table)

    def commit(self, group: StagedGroup) -> tuple[PageReceipt, ...]:
        """Store the accepted pages of a group, rows and journal in one transaction.

        Returns:
            A receipt for each page of the group: committed, or refused with the reason.

        Raises:
            StorageError: DuckDB or the disk refused; none of the group is committed.
        """
        with storage_errors(f"store page {_indices(group.pages)}"):
            if group.pages:
                with atomic(self._cursor):
                    self._append(group)
            self._cursor.execute(f"DROP TABLE {group.table}")
            self._checkpoint(sum(receipt.rows for receipt in group.receipts))
        return group.receipts

    def write(self, pages: Sequence[PageWrite]) -> tuple[PageReceipt, ...]:
        """Stage and commit at once, for whoever has one thread only."""
        return self.commit(self.stage(pages))

    def _checkpoint(self, rows: int) -> None:
        """Compress what has filled a row group; a caller's database checkpoints as its own settings say."""
        self._unwritten += rows
        if self._tuned and self._unwritten >= _ROW_GROUP:
            with suppress(duckdb.TransactionException):  # somebody else in this process is writing: later, then
                self._cursor.execute("CHECKPOINT")
            self._unwritten %= _ROW_GROUP

    def _append(self, group: StagedGroup) -> None:
        entries = [self._entry(each, group.counted.get(each.page.index, _Counted())) for each in group.pages]
        accepted = "" if len(group.pages) == len(group.receipts) else " WHERE list_contains($1, page)"
        self._cursor.execute(
            f"INSERT INTO {quote(self._staging)} "
            f"SELECT distinct_id, properties, last_seen FROM {group.table}{accepted}",
            [[each.page.index for each in group.pages]] if accepted else [],
        )
        marks = f"({', '.join('?' * len(entries[0]))})"
        self._cursor.execute(
            f"INSERT INTO {PAGES} VALUES {', '.join([marks] * len(entries))}",
            [value for entry in entries for value in entry],
        )

    def _entry(self, write: PageWrite, found: _Counted) -> list[object]:
        """The journal row of a page, in the order of its columns."""
        return [
            self._fetch_id, write.page.index, "committed", found.rows, len(write.page.body), None,
            write.requested_at, write.received_at, utc_now(), write.worker, found.without_distinct_id,
            found.without_properties, found.unreadable_last_seen, found.replaced, found.flattened,
        ]  # fmt: skip


class Stager:
    """Parses groups of bodies through one cursor; belongs to the thread that uses it."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        self._table = ""

    def close(self) -> None:
        """Give the cursor back."""
        self._cursor.close()

    def stage(self, pages: Sequence[PageWrite], table: str) -> StagedGroup:
        """Parse, count and judge a group; see :meth:`PageWriter.stage`."""
        self._table = table
        replaced, unreadable = self._parse(pages)
        counted = self._count(pages, replaced)
        receipts = tuple(_judge(each, counted, unreadable) for each in pages)
        accepted = {receipt.index for receipt in receipts if receipt.problem is None}
        return StagedGroup(table, tuple(each for each in pages if each.page.index in accepted), receipts, counted)

    def _parse(self, pages: Sequence[PageWrite]) -> tuple[dict[int, int], dict[int, str]]:
        """Load the group; mend what DuckDB refuses, and leave out what stays unreadable.

        Returns:
            Replaced characters by page, and the reason by page for those that cannot be read.
        """
        bodies = {each.page.index: each.page.body for each in pages}
        try:
            self._load(bodies)
        except _UNREADABLE:
            mended = {index: mend(body) for index, body in bodies.items()}
            bodies = {index: body for index, (body, _) in mended.items()}
            unreadable = {index: reason for index, body in bodies.items() if (reason := self._refusal(body))}
            self._load({index: body for index, body in bodies.items() if index not in unreadable}, whole=True)
            return {index: replaced for index, (_, replaced) in mended.items()}, unreadable
        return {}, {}

    def _load(self, bodies: dict[int, bytes], *, whole: bool = False) -> None:
        """Fill the group's table with the rows of these bodies, as few and large statements as memory allows."""
        into = f"CREATE OR REPLACE TABLE {self._table} AS"
        for indices, parts in _statements(bodies, whole=whole):
            self._cursor.execute(f"{into} {_COLUMNS} ({_FAST}))", [indices, parts])
            into = f"INSERT INTO {self._table}"

    def _refusal(self, body: bytes) -> str | None:
        """Ask DuckDB why it cannot read a body; ``None`` if it can."""
        try:
            self._cursor.execute(f"SELECT count(*) FROM ({_FAST})", [[0], [body]]).fetchall()
        except _UNREADABLE as error:
            return f"the rows are not valid JSON ({str(error).splitlines()[0][:200]})"
        return None

    def _count(self, pages: Sequence[PageWrite], replaced: dict[int, int]) -> dict[int, _Counted]:
        """Count each page of the group; take entries that are no profiles, and very deep values, the slower way."""
        counted = self._statistics()
        shapeless = {index for index, each in counted.items() if each.shapeless}
        if shapeless:
            self._reload_carefully({each.page.index: each.page.body for each in pages if each.page.index in shapeless})
            counted = self._statistics()
        if any(each.bracketed for each in counted.values()):
            self._flatten(counted)
        for index, characters in replaced.items():
            counted.setdefault(index, _Counted()).replaced = characters
        return counted

    def _statistics(self) -> dict[int, _Counted]:
        rows = self._cursor.execute(f"{_STATISTICS} FROM {self._table} GROUP BY page").fetchall()
        return {index: _Counted(*counts) for index, *counts in rows}

    def _reload_carefully(self, bodies: dict[int, bytes]) -> None:
        self._cursor.execute(f"DELETE FROM {self._table} WHERE list_contains($1, page)", [list(bodies)])
        for index, body in bodies.items():
            self._cursor.execute(f"INSERT INTO {self._table} {_COLUMNS} ({_CAREFUL}))", [[index], [mend(body)[0]]])

    def _flatten(self, counted: dict[int, _Counted]) -> None:
        deep = self._cursor.execute(f"SELECT rowid, page, properties FROM {self._table} WHERE {_DEEP}").fetchall()
        for row, page, text in deep:
            flat, values = flatten(text)
            if values:
                counted[page].flattened += values
                self._cursor.execute(f"UPDATE {self._table} SET properties = $1 WHERE rowid = $2", [flat, row])


def _judge(write: PageWrite, counted: dict[int, _Counted], unreadable: dict[int, str]) -> PageReceipt:
    index = write.page.index
    if index in unreadable:
        return PageReceipt(index, 0, unreadable[index])
    found = counted.get(index, _Counted())
    if write.expected_rows not in (None, found.rows) and not write.last_try:
        return PageReceipt(index, found.rows, f"it has {found.rows} profiles instead of {write.expected_rows}")
    return PageReceipt(index, found.rows, None)


def _indices(pages: Sequence[PageWrite]) -> str:
    return ", ".join(str(each.page.index) for each in pages) or "none"


def _statements(bodies: dict[int, bytes], *, whole: bool) -> Iterator[tuple[list[int], list[bytes]]]:
    """Deal bodies, the large ones in pieces, into groups that one statement may parse at once."""
    indices: list[int] = []
    parts: list[bytes] = []
    size = 0
    for index, body in bodies.items():
        for part in [body] if whole else pieces(body, STATEMENT_BYTES):
            if parts and size + len(part) > STATEMENT_BYTES:
                yield indices, parts
                indices, parts, size = [], [], 0
            indices.append(index)
            parts.append(part)
            size += len(part)
    yield indices, parts
