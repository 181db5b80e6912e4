"""Page bodies to rows of a staging table, committed together with their journal.

A group of pages goes through two steps, each on a thread and a cursor of its own: one group is parsed while the one
before it is compressed and written. ``stage`` parses the bodies into a table of an attached in-memory database and
counts each page there, so that a short or odd one is known before anything is stored. ``commit`` appends the accepted
pages of one or more groups to the staging table of the file, and to the journal, in one transaction. DuckDB compresses
what it writes at its own checkpoints; a large transaction starts one, and goes past the write-ahead log (``database``).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from ...http import steps_text, utc_now
from ..database import Database, atomic, quote, storage_errors
from ..journal import PAGES, own_fetch
from .stage import Counted, PageReceipt, PageWrite, StagedGroup, Stager

__all__ = ["PageIngest"]

# The database's, its store's, and three here.
_CONNECTIONS = 5


class PageIngest:
    """Stores pages in one staging table; one thread may call ``stage`` while another calls ``commit``.

    Args:
        database: Where to write.
        fetch_id: The fetch in the journal.
        staging: The staging table's name.
        token: Of the run that may write it.
    """

    def __init__(self, database: Database, fetch_id: str, staging: str, token: str) -> None:
        self._database = database
        self._tuning = database.tuning
        self._fetch_id = fetch_id
        self._staging = staging
        self._token = token
        self._memory = f"_mixpanel_memory_{uuid.uuid4().hex[:12]}"
        self._groups = 0
        self._room = ExitStack()

    def __enter__(self) -> Self:
        """Take cursors and memory, on the thread that gives them back."""
        with ExitStack() as taken, storage_errors("attach a database in memory"):
            owner = taken.enter_context(self._database.cursor())
            owner.execute(f"ATTACH ':memory:' AS {self._memory}")
            taken.callback(owner.execute, f"DETACH {self._memory}")
            self._cursor = taken.enter_context(self._database.cursor())
            self._stager = Stager(taken.enter_context(self._database.cursor()), self._memory)
            taken.enter_context(self._tuning.room())
            self._room = taken.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        with storage_errors("detach the database in memory"):
            self._room.close()

    def stage(self, pages: Sequence[PageWrite]) -> StagedGroup:
        """Parse a group of pages into memory and judge each of them.

        Args:
            pages: At least one page, each index at most once.

        Raises:
            StorageError: DuckDB refuses for another reason than the bodies.
        """
        self._groups += 1
        name = f"group_{self._groups}"
        with storage_errors(f"read page {_indices(pages)}"):
            return self._tuning.with_room(lambda: self._stager.stage(pages, name))

    def commit(self, groups: Sequence[StagedGroup]) -> tuple[PageReceipt, ...]:
        """Store the accepted pages of some groups, rows and journal in one transaction.

        Returns:
            A receipt for each page of each group: committed, or refused with the reason.

        Raises:
            StorageError: DuckDB or the disk refused; none of these pages is committed.
        """
        filled = [group for group in groups if group.accepted]
        with storage_errors(f"store page {_indices([page for group in filled for page in group.accepted])}"):
            if filled:
                size = sum(group.size for group in filled)
                with self._tuning.transaction(self._cursor, size, connections=_CONNECTIONS):
                    self._tuning.with_room(lambda: self._append(filled))
            for group in groups:
                self._cursor.execute(f"DROP TABLE {group.table}")
        return tuple(receipt for group in groups for receipt in group.receipts)

    def _append(self, groups: Sequence[StagedGroup]) -> None:
        rows = " UNION ALL ".join(_rows(group) for group in groups)
        entries = [self._entry(page, group.counted[page.page.index]) for group in groups for page in group.accepted]
        marks = f"({', '.join('?' * len(entries[0]))})"
        with atomic(self._cursor):
            own_fetch(self._cursor, self._fetch_id, self._token)
            self._cursor.execute(f"INSERT INTO {quote(self._staging)} {rows}")
            self._cursor.execute(
                f"INSERT INTO {PAGES} ({', '.join(entries[0])}) VALUES {', '.join([marks] * len(entries))}",
                [value for entry in entries for value in entry.values()],
            )

    def _entry(self, write: PageWrite, found: Counted) -> dict[str, object]:
        """The journal row of a page, by column."""
        return {
            "fetch_id": self._fetch_id,
            "page_index": write.page.index,
            "state": "committed",
            "rows": found.rows,
            "bytes": found.size,
            "requested_at": write.requested_at,
            "received_at": write.received_at,
            "committed_at": utc_now(),
            "worker": write.worker,
            "without_distinct_id": found.without_distinct_id,
            "without_properties": found.without_properties,
            "with_other_fields": found.with_other_fields,
            "unreadable_last_seen": found.unreadable_last_seen,
            "replaced_characters": found.replaced,
            "mended_values": found.mended,
            "flattened_values": found.flattened,
            "steps": steps_text(write.steps),
        }


def _rows(group: StagedGroup) -> str:
    """The query for a group's accepted rows."""
    wanted = [page.page.index for page in group.accepted]
    only = f" WHERE page IN ({', '.join(map(str, wanted))})" if len(wanted) < len(group.pages) else ""
    return f"SELECT distinct_id, properties, last_seen, sent_as FROM {group.table}{only}"


def _indices(pages: Sequence[PageWrite]) -> str:
    return ", ".join(str(each.page.index) for each in pages) or "none"
