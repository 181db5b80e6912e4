"""The life of a fetch in a database: begun, opened, staged, and published or left.

``begin`` takes an unfinished fetch over or starts one; ``opened`` keeps what page 0 said, and only then do the rows go
that this fetch takes the place of; the ``PageIngest`` of ``writer()`` commits pages on the writer thread; ``publish``
or ``leave`` ends it. All but the writer's are called on the caller's thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import duckdb

from ..engage import page_count
from ..errors import QueryError
from ..http import Step, steps_text
from .database import Database, atomic, must_be_duckdb, pack, storage_errors, unusable
from .elsewhere import check_elsewhere, publish_elsewhere
from .journal import (
    PREFIX,
    Claim,
    Difference,
    FetchRecord,
    FetchSpec,
    Journal,
    OddRows,
    OpenFetch,
    Unfinished,
    note_difference,
    the_unfinished,
)
from .pages import PageIngest
from .publish import Publication, StagedRows, check_publishable, complete_staging, count_staged, create_staging, publish
from .tables import Allowed, Terms
from .targets import Target

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
        self.tuned: bool = database.tuning.ours
        self.with_room = database.tuning.with_room
        self._cursor: duckdb.DuckDBPyConnection = database.cursor()
        self._journal = Journal(self._cursor)

    def begin(
        self,
        spec: FetchSpec,
        *,
        claim: Claim | None = None,
        resume: bool = True,
        resume_max_age: float | None = 21_600.0,
        into: Target | None = None,
        **allowed: Unpack[Allowed],
    ) -> OpenFetch:
        """Own a fetch: go on with an unfinished one of the same spec, or start a new one.

        Args:
            spec: What is fetched, and into which table.
            claim: The run's; whoever gives it releases it.
            resume: Whether to look for an unfinished fetch.
            resume_max_age: Seconds since its last committed page after which a session is not trusted any more, if so.
            into: Where it is published, if not in this database.
            **allowed: What may happen to an existing table: see ``Terms``. Checked now as far as possible.

        Raises:
            TableExistsError: The table exists and ``if_exists`` is ``"error"``.
            UnsuitableTableError: It cannot take the fetch, or holds something else.
            DatabaseLockedError: Another run is fetching into this table.
            QueryError: The table's name is reserved.
        """
        terms, claim, doing = Terms(**allowed), claim or Claim(), f"begin a fetch into {spec.table!r}"
        looking = partial(Unfinished.of, resume=resume, max_age=resume_max_age, allow_shrink=terms.allow_shrink)
        said: tuple[str, ...] = ()
        if into is not None:
            with storage_errors(doing), Claim.alone(), atomic(self._cursor):
                self._check(spec, terms)
                going_on = looking(self._journal.records(spec.table), spec).found
            # It may have to be waited for: outside of the claim, which other runs wait for, and of a transaction, which
            # would keep what another thread has attached.
            said = check_elsewhere(self._database, into, spec, terms, going_on)
        with storage_errors(doing), claim.taking(), atomic(self._cursor):
            notices = self._check(spec, terms) + said
            found, others, dropped = looking(self._journal.records(spec.table), spec)
            if found is None:
                staging = _staging_name()
                fetch_id = self._journal.claim(spec, None, staging, claim.token, allowed)
                fetch = OpenFetch(fetch_id, staging, spec, claim, replaces=others)
            else:
                self._journal.forget(others)
                fetch = self._taken_over(spec, found, claim, allowed)
            return replace(fetch, dropped_pages=dropped, notices=notices)

    def _check(self, spec: FetchSpec, terms: Terms) -> tuple[str, ...]:
        """Refuse what cannot be fetched into this table; give what is to be said."""
        must_be_duckdb(self._cursor)
        if reason := unusable(self._cursor, spec.table, reserved=PREFIX):
            raise QueryError(f"{spec.table!r} cannot be a table's name here: {reason}.")
        self._journal.ensure()
        self._journal.refuse_second_run(spec.table)
        return check_publishable(self._cursor, spec, terms)

    def take_unfinished(
        self, table: str, *, claim: Claim, fetch_id: str | None = None, **given: Unpack[Allowed]
    ) -> tuple[OpenFetch, Allowed]:
        """Own an unfinished fetch that has pages, to publish them.

        Args:
            table: Its table.
            claim: The caller's, who releases it.
            fetch_id: How its id begins, if there are several.
            **given: What may happen to an existing table, where that is not what the fetch's last run was allowed.

        Returns:
            The fetch, and what may happen to its table.

        Raises:
            QueryError: There is no such fetch, or several.
            TableExistsError: The table exists, and neither that run nor the caller chose what to do with it.
            UnsuitableTableError: It cannot take the fetch, or holds something else.
            DatabaseLockedError: A run is fetching into this table.
        """
        with storage_errors(f"take over a fetch into {table!r}"), claim.taking(), atomic(self._cursor):
            self._journal.ensure()
            self._journal.refuse_second_run(table)
            found = the_unfinished(self._journal.records(table), table, fetch_id)
            if found.target:
                raise QueryError(f"That fetch is for {found.target}: the same fetch with --into publishes it there.")
            allowed: Allowed = {**self._journal.terms(found.fetch_id), **given}  # type: ignore[typeddict-item]
            notices = check_publishable(self._cursor, found.spec, Terms(**allowed))
            return replace(self._taken_over(found.spec, found, claim, allowed), notices=notices), allowed

    def _taken_over(self, spec: FetchSpec, found: FetchRecord, claim: Claim, allowed: Allowed) -> OpenFetch:
        fetch_id = self._journal.claim(spec, found.fetch_id, found.staging_table, claim.token, allowed)
        complete_staging(self._cursor, found.staging_table)
        return OpenFetch(
            fetch_id,
            found.staging_table,
            spec,
            claim,
            session_id=found.session_id,
            total=found.expected_rows,
            page_size=found.page_size,
            asked_page_size=found.asked_page_size,
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
        asked_page_size: int | None = None,
        as_of_timestamp: int | None = None,
    ) -> OpenFetch:
        """Keep what page 0 said, and make room: whatever this fetch takes the place of goes now.

        Returns:
            The fetch with it.
        """
        opened = replace(
            fetch, session_id=session_id, total=total, page_size=page_size, asked_page_size=asked_page_size,
            as_of_timestamp=as_of_timestamp, replaces=(),
        )  # fmt: skip
        with storage_errors("write the journal"), atomic(self._cursor):
            self._journal.forget(fetch.replaces)
            self._journal.empty(fetch.fetch_id)
            create_staging(self._cursor, fetch.staging, zstd=self._database.zstd)
            self._journal.opened(opened, page_count(total, page_size))
        return opened

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
            return self._journal.odd_rows(fetch.fetch_id)

    def difference(self, fetch: OpenFetch, staged: StagedRows) -> Difference:
        """Say why the profiles of a fetch whose pages all arrived are not as many as announced, and remember it.

        Args:
            fetch: The fetch.
            staged: What :meth:`staged` said.
        """

        def note() -> Difference:
            with atomic(self._cursor):
                return note_difference(self._cursor, fetch, rows=staged.rows, distinct=staged.distinct)

        with storage_errors("compare it with the last session"):
            found: Difference = self.with_room(note)
            return found

    def publish(
        self,
        fetch: OpenFetch,
        *,
        staged: StagedRows,
        but: str | None = None,
        into: Target | None = None,
        **allowed: Unpack[Allowed],
    ) -> Publication:
        """Make the staged rows the table, and the fetch complete, in one transaction, or hold it back.

        Args:
            fetch: Complete.
            staged: What :meth:`staged` said; without duplicates nothing is rewritten.
            but: What is accepted though it is not as the server said.
            into: Where it is published, if not in this database.
            **allowed: What may happen to an existing table: see ``Terms``.
        """
        terms = Terms(**allowed)
        outcome: Publication
        with storage_errors(f"publish {fetch.spec.table!r}"):
            if into is not None:
                outcome = publish_elsewhere(self._database, self._cursor, fetch, into, staged, terms, but)
            else:
                with self._database.tuning.all_threads():
                    outcome = self.with_room(lambda: self._publish(fetch, staged, terms, but))
                for grown in terms.grown(fetch.spec.table):
                    pack(self._cursor, self._database.tuning, grown)
        fetch.claim.release()
        return outcome

    def _publish(self, fetch: OpenFetch, staged: StagedRows, terms: Terms, but: str | None) -> Publication:
        with atomic(self._cursor):
            return publish(self._cursor, fetch, staged, terms, but=but, zstd=self._database.zstd)

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
