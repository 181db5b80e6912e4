"""Page bodies to rows of a staging table, committed together with their journal.

A group of pages goes through two steps, each on a thread and a cursor of its own: one group is parsed while the one
before it is compressed and written. ``stage`` parses the bodies into a table of an attached in-memory database and
counts each page there, so that a short or odd one is known before anything is stored. ``commit`` appends the accepted
pages to the staging table of the file, and to the journal, in one transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress

import duckdb

from ..trace import steps_text, utc_now
from .database import Database, atomic, quote, storage_errors
from .journal import PAGES
from .stage import Counted, PageReceipt, PageWrite, StagedGroup, Stager

__all__ = ["PageWriter"]

# A checkpoint closes the row groups that it compresses, so none is compressed twice; half a row group at a time keeps
# little uncompressed, in memory and for the moment when the file is closed.
_CHECKPOINT_ROWS = 61_440


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
        """Compress what has gathered; a caller's database checkpoints as its own settings say."""
        self._unwritten += rows
        if self._tuned and self._unwritten > _CHECKPOINT_ROWS:
            with suppress(duckdb.TransactionException):  # somebody else in this process is writing: later, then
                self._cursor.execute("CHECKPOINT")
            self._unwritten = 0

    def _append(self, group: StagedGroup) -> None:
        entries = [self._entry(each, group.counted.get(each.page.index, Counted())) for each in group.pages]
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

    def _entry(self, write: PageWrite, found: Counted) -> list[object]:
        """The journal row of a page, in the order of its columns."""
        return [
            self._fetch_id, write.page.index, "committed", found.rows, len(write.page.body), None,
            write.requested_at, write.received_at, utc_now(), write.worker, found.without_distinct_id,
            found.without_properties, found.unreadable_last_seen, found.replaced, found.flattened,
            steps_text(write.steps),
        ]  # fmt: skip


def _indices(pages: Sequence[PageWrite]) -> str:
    return ", ".join(str(each.page.index) for each in pages) or "none"
