"""The life of a fetch in a database: begun, opened, staged, and published or left.

``begin`` takes an unfinished fetch over or starts one; ``opened`` keeps what page 0 said, and only then do the rows go
that this fetch takes the place of; the ``PageIngest`` of ``writer()`` commits pages on the writer thread; ``publish``
or ``leave`` ends it. All but the writer's are called on the caller's thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import duckdb

from ..engage import page_count
from ..errors import QueryError
from ..http import Step, steps_text
from .database import Database, atomic, storage_errors
from .journal import PREFIX, Claim, FetchRecord, FetchSpec, Journal, OddRows, OpenFetch
from .pages import PageIngest
from .publish import IfExists, StagedRows, check_target, count_staged, create_staging, drop_duplicates, publish

__all__ = ["Fetching"]


class Fetching:
    """Fetches into one database; one thread at a time.

    Args:
        database: Where they are kept.

    Attributes:
        tuned: Whether the settings of the database are this store's to change.
        with_room: Does something again without the memory limit of ours that was too tight for it.
    """

    with_room: Callable[[Callable[[], Any]], Any]

    def __init__(self, database: Database) -> None:
        self._database = database
        self.tuned, self.with_room = database.tuning.ours, database.tuning.with_room
        self._cursor: duckdb.DuckDBPyConnection = database.cursor()
        self._journal = Journal(self._cursor)

    def begin(
        self,
        spec: FetchSpec,
        *,
        claim: Claim | None = None,
        if_exists: IfExists = "error",
        resume: bool = True,
        resume_max_age: float | None = 3600.0,
    ) -> OpenFetch:
        """Own a fetch: go on with an unfinished one of the same spec, or start a new one.

        Args:
            spec: What is fetched, and into which table.
            claim: The run's; whoever gives it releases it.
            if_exists: What to do with an existing table at the end; checked now.
            resume: Whether to look for an unfinished fetch.
            resume_max_age: Seconds since its last committed page after which a session is not trusted any more, if so.

        Raises:
            TableExistsError: The table exists and ``if_exists`` is ``"error"``.
            DatabaseLockedError: Another run is fetching into this table.
            QueryError: The table's name is reserved.
        """
        if spec.table.lower().startswith(PREFIX) or not spec.table.strip():
            raise QueryError(
                f"{spec.table!r} cannot be a table's name here: it is empty or the journal's ({PREFIX}...)."
            )
        claim, doing = claim or Claim(), f"begin a fetch into {spec.table!r}"
        with storage_errors(doing), claim.taking(), atomic(self._cursor):
            self._journal.ensure()
            self._journal.refuse_second_run(spec.table)
            check_target(self._cursor, spec.table, if_exists)
            known = [each for each in self._journal.records(spec.table) if each.state != "complete"]
            old = [each for each in known if each.is_older_than(resume_max_age)]
            same = [each for each in known if each not in old and each.is_of(spec)]
            found = next((each for each in same if resume and each.resumable), None)
            others = [*old, *(each for each in same if each is not found)]
            dropped = sum(each.pages_done for each in old)
            if found is None:
                staging = _staging_name()
                fetch_id = self._journal.claim(spec, None, staging, claim.token)
                return OpenFetch(fetch_id, staging, spec, claim, replaces=tuple(others), dropped_pages=dropped)
            self._journal.forget(others)
            return replace(self._taken_over(spec, found, claim), dropped_pages=dropped)

    def _taken_over(self, spec: FetchSpec, found: FetchRecord, claim: Claim) -> OpenFetch:
        fetch_id = self._journal.claim(spec, found.fetch_id, found.staging_table, claim.token)
        return OpenFetch(
            fetch_id,
            found.staging_table,
            spec,
            claim,
            session_id=found.session_id,
            total=found.expected_rows,
            page_size=found.page_size,
            as_of_timestamp=found.as_of_timestamp,
            committed=self._journal.committed(fetch_id),
            largest_body=self._journal.largest_body(fetch_id),
        )

    @staticmethod
    def starting_over(fetch: OpenFetch) -> OpenFetch:
        """Give the fetch as it is for another session; what it has stays until that is opened."""
        return OpenFetch(
            fetch.fetch_id, _staging_name(), fetch.spec, fetch.claim, largest_body=fetch.largest_body,
            replaces=fetch.replaces,
        )  # fmt: skip

    def opened(
        self,
        fetch: OpenFetch,
        *,
        session_id: str | None,
        total: int,
        page_size: int,
        as_of_timestamp: int | None = None,
    ) -> OpenFetch:
        """Keep what page 0 said, and make room: whatever this fetch takes the place of goes now.

        Returns:
            The fetch with it.
        """
        with storage_errors("write the journal"), atomic(self._cursor):
            self._journal.forget(list(fetch.replaces))
            self._journal.empty(fetch.fetch_id)
            create_staging(self._cursor, fetch.staging, zstd=self._database.zstd)
            self._journal.opened(
                fetch.fetch_id,
                staging=fetch.staging,
                session_id=session_id,
                total=total,
                page_size=page_size,
                pages=page_count(total, page_size),
                as_of=as_of_timestamp,
            )
        return replace(
            fetch, session_id=session_id, total=total, page_size=page_size, as_of_timestamp=as_of_timestamp, replaces=()
        )

    def writer(self, fetch: OpenFetch) -> PageIngest:
        """Give the object that stages and commits pages, for the threads of one download."""
        return PageIngest(self._database, fetch.fetch_id, fetch.staging, fetch.claim.token)

    def staged(self, fetch: OpenFetch) -> StagedRows:
        """Count what has arrived."""
        with storage_errors("count the rows"):
            counted: StagedRows = self.with_room(lambda: count_staged(self._cursor, fetch.staging))
            return counted

    def odd_rows(self, fetch: OpenFetch) -> OddRows:
        """Sum up, over the committed pages, what the result reports."""
        with storage_errors("read the journal"):
            return OddRows(*self._journal.odd_rows(fetch.fetch_id))

    def publish(self, fetch: OpenFetch, *, if_exists: IfExists, staged: StagedRows) -> None:
        """Make the staged rows the table, and the fetch complete, in one transaction.

        Args:
            fetch: Complete.
            if_exists: What to do with an existing table.
            staged: What :meth:`staged` said; without duplicates nothing is rewritten.
        """
        with storage_errors(f"publish {fetch.spec.table!r}"):
            self.with_room(lambda: self._publish(fetch, if_exists, staged))
        fetch.claim.release()

    def _publish(self, fetch: OpenFetch, if_exists: IfExists, staged: StagedRows) -> None:
        done = [each for each in self._journal.records(fetch.spec.table) if each.state == "complete"]
        with atomic(self._cursor):
            if staged.duplicates:
                drop_duplicates(self._cursor, fetch.staging)
            publish(self._cursor, fetch.staging, fetch.spec.table, if_exists)
            self._journal.forget_history(done)
            self._journal.closed(fetch.fetch_id, state="complete", note=None, pages=[])

    def leave(
        self,
        fetch: OpenFetch,
        *,
        note: str | None,
        missing: Sequence[tuple[int, str]] = (),
        steps: Mapping[int, Sequence[Step]] | None = None,
    ) -> None:
        """End a run that did not complete its fetch; what was committed stays, for the next run to go on with.

        Args:
            fetch: The fetch.
            note: Why.
            missing: Pages given up in this run, with what went wrong.
            steps: What was done for pages that did not arrive.
        """
        try:
            with storage_errors("write the journal"), atomic(self._cursor):
                if not self._journal.is_running(fetch.fetch_id, fetch.claim.token):
                    return
                tried = {index: steps_text(done) for index, done in (steps or {}).items()}
                entries = [(index, "missing", why, tried.pop(index, None)) for index, why in missing]
                entries += [(index, "left", note or "", done) for index, done in tried.items()]
                self._journal.closed(fetch.fetch_id, state="incomplete", note=note, pages=entries)
        finally:
            fetch.claim.release()


def _staging_name() -> str:
    return f"{PREFIX}staging_{uuid.uuid4().hex[:12]}"
