"""What a fetch ended in: the counts that prove it complete or say what is missing, and the way to the rows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from ..errors import IncompleteFetchError, UnsuitableTableError
from ..text import MOST_ERRORS, ODDITIES, error_text, facts, many, note, page_list, pages_text, shown, stated, work_text
from .frames import Readable
from .typed_columns import TypedColumns, TypingOptions, typed_columns

if TYPE_CHECKING:
    from ..timeline import Timeline
    from .frames import Connect

__all__ = ["ParallelProfileFetchResult"]


@dataclass(frozen=True, slots=True)
class ParallelProfileFetchResult(Readable):
    """The outcome of one fetch; reading it gives the published table, or what has arrived so far.

    Args:
        table: Table that was asked for; it holds the rows if ``published``.
        total_rows: Distinct profiles stored, those of earlier runs that this one went on from included.
        successful_pages: Pages committed, resumed ones included.
        failed_pages: Pages of the result that are missing.
        failed_page_indices: Their indices, ascending.
        duration_seconds: Wall time of this run, until the table was published.
        fetched_at: Time of the end of the run, in UTC.
        expected_rows: The server's ``total``, or the query's limit if that is less.
        duplicate_rows: Rows dropped because the same profile came on more than one page.
        resumed_pages: Pages that an earlier run had committed.
        requests: HTTP requests of this run.
        retries: Those that repeated an earlier one.
        waited_seconds: Time the server's limits held the run back.
        published: Whether ``table`` now holds these rows.
        total_pages: Pages of the whole result.
        accepted_difference: Whether they were published though they are not all of what the server said: within the
            ``tolerance``, or by :func:`publish_fetch`.
        difference: What was seen of a difference between ``total_rows`` and ``expected_rows`` if all pages arrived:
            pages that were short, ids that came more than once, more profiles than announced.
        staging_table: Where the rows wait for the missing pages, if not published.
        shrinks_from: Rows of the table that was not replaced because fewer than half of them would be left; else
            ``None``.
        target: Where the table is, if not in the database itself.
        target_refusal: Why it could not be published there: the same fetch tries it again without a request.
        added_rows: Rows of profiles that the table did not have; ``None``, like the next three, if there was no table
            before, or one that is not of profiles.
        changed_rows: Rows of profiles whose properties are others now.
        removed_rows: Rows of profiles that it has no more.
        unchanged_rows: All other rows of the table, those included that a merge has not touched.
        rows_without_distinct_id: Rows stored with ``distinct_id`` NULL.
        rows_without_properties: Rows stored with ``properties`` ``{}`` because the server sent none.
        rows_with_other_fields: Rows of profiles that have fields beside ``$distinct_id`` and ``$properties``; those are
            kept in ``properties``, behind the others.
        rows_with_unreadable_last_seen: Rows whose ``$last_seen`` is not a timestamp; the text stays in ``properties``.
        colliding_ids: Rows whose ``distinct_id`` is that of another row, because the server's ids differ only as JSON
            (the number ``1`` and the text ``"1"``) or in characters that cannot be stored. Each is a profile.
        replaced_characters: Characters stored as U+FFFD because no UTF-8 database can hold them, or the target cannot:
            NUL in PostgreSQL.
        mended_values: Places where the server's JSON was not valid: ``NaN``, ``Infinity`` and ``-Infinity``, which are
            kept as texts, raw control characters, which are kept, and commas too many next to these.
        flattened_values: Values nested too deep for DuckDB's JSON functions, stored as JSON text.
        errors: For each missing page its index and what went wrong.
        notices: What the user should know: a session started over, a page whose size stayed odd.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with Simulator(Population(3, seed=1)) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     result = md.fetch_profiles(":memory:", credentials=who, base_url=sim.base_url)
        >>> result.is_complete, result.total_rows
        (True, 3)
    """

    table: str
    total_rows: int
    successful_pages: int
    failed_pages: int
    failed_page_indices: tuple[int, ...]
    duration_seconds: float
    fetched_at: datetime
    expected_rows: int
    duplicate_rows: int
    resumed_pages: int
    requests: int
    retries: int
    waited_seconds: float
    published: bool
    total_pages: int
    accepted_difference: bool = False
    difference: str | None = None
    staging_table: str | None = None
    shrinks_from: int | None = None
    target: str | None = None
    target_refusal: str | None = None
    added_rows: int | None = None
    changed_rows: int | None = None
    removed_rows: int | None = None
    unchanged_rows: int | None = None
    rows_without_distinct_id: int = 0
    rows_without_properties: int = 0
    rows_with_other_fields: int = 0
    rows_with_unreadable_last_seen: int = 0
    colliding_ids: int = 0
    replaced_characters: int = 0
    mended_values: int = 0
    flattened_values: int = 0
    errors: tuple[tuple[int, str], ...] = ()
    notices: tuple[str, ...] = ()
    _connect: Connect | None = field(default=None, repr=False, compare=False)
    _journal: Connect | None = field(default=None, repr=False, compare=False)
    _fetch_id: str = field(default="", repr=False, compare=False)

    @property
    def has_failures(self) -> bool:
        """Whether pages are missing."""
        return self.failed_pages > 0

    @property
    def is_complete(self) -> bool:
        """Whether every page arrived, the distinct rows are as many as the server said, and none was held back."""
        all_here = not self.failed_pages and self.total_rows == self.expected_rows
        return all_here and self.shrinks_from is None and self.target_refusal is None

    def to_dict(self) -> dict[str, Any]:
        """Give every field, ``is_complete`` and ``has_failures`` as plain values, ready for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if not each.name.startswith("_")}
        values["fetched_at"] = self.fetched_at.isoformat()
        values["failed_page_indices"] = list(self.failed_page_indices)
        values["errors"] = [{"page_index": index, "error": text} for index, text in self.errors]
        values["notices"] = list(self.notices)
        return {**values, "has_failures": self.has_failures, "is_complete": self.is_complete}

    def __str__(self) -> str:
        return self.summary()

    def raise_for_failures(self) -> None:
        """Raise unless the fetch is complete, or its difference was accepted.

        Raises:
            IncompleteFetchError: Says what is missing and how to go on.
        """
        if not self.published:
            raise IncompleteFetchError(self.summary())

    def summary(self) -> str:
        """Say in a sentence or two what happened and, if something is missing, what to do."""
        rows = f"{self.total_rows:,} of {many(self.expected_rows, 'profile')}"
        if self.published:
            but = self.difference or f"{self.failed_pages} of {self.total_pages} pages are missing"
            accepted = f"; the difference was accepted: {but}" if self.accepted_difference else ""
            place = f" of {shown(self.target)}" if self.target else ""
            return f"{rows} in table {self.table!r}{place} in {self.duration_seconds:.1f} s{self._changes}{accepted}."
        if self.target_refusal is not None:
            return (
                f"{rows}, all of them here, but {shown(self.target or '')} did not take them: "
                f"{self.target_refusal.rstrip('.')}. "
                "The same fetch tries it again without a request."
            )
        if self.shrinks_from is not None:
            return (
                f"{rows}, but {self.table!r} has {self.shrinks_from:,} rows and was not replaced by fewer than half as "
                f"many. They are in {self.staging_table!r}; the same fetch with allow_shrink=True (--allow-shrink) "
                "publishes them without a request."
            )
        if self.has_failures:
            return (
                f"{rows}; {self.failed_pages} of {self.total_pages} pages are missing. What arrived is kept in "
                f"{self.staging_table!r}; run the same fetch again to go on."
            )
        apart = abs(self.total_rows - self.expected_rows)
        return (
            f"{rows}: all {many(self.total_pages, 'page')} arrived, but {self.difference}, so {self.table!r} was not "
            f"published. The rows are in {self.staging_table!r}. Run it again; should a difference stay, "
            f"publish_fetch() (mp-fetch publish) takes them as they are, and tolerance={apart} (--tolerance {apart}) "
            "does in every run."
        )

    @property
    def _changes(self) -> str:
        if self.added_rows is None:
            return ""
        counts = (self.added_rows, self.changed_rows, self.removed_rows, self.unchanged_rows)
        words = ("added", "changed", "removed", "unchanged")
        return ": " + ", ".join(f"{many or 0:,} {word}" for many, word in zip(counts, words, strict=True))

    @property
    def _reads_from(self) -> str:
        return self.table if self.published or self.staging_table is None else self.staging_table

    @property
    def _one_row_each(self) -> bool:
        return self._reads_from == self.table

    def typed(self, **options: Unpack[TypingOptions]) -> TypedColumns:
        """Give each property a column with a type that all of its values fit, in a view beside the table.

        Args:
            **options: As for :func:`type_columns`: ``into``, ``materialize``, ``keep_properties``.

        Raises:
            IncompleteFetchError: The fetch is not complete, so there is no table yet.
            UnsuitableTableError: The name of the view is something else's, or the table is in a target.
            StorageError: DuckDB could not read or write.
        """
        if not self.published:
            raise IncompleteFetchError(self.summary())
        if self.target is not None:
            raise UnsuitableTableError(
                f"typed() makes a view beside a table of the database itself, but {self.table!r} is in {self.target}. "
                "Give type_columns() a connection of your own with that attached (USE), or read it here: df(), pl(), "
                "arrow(), relation()."
            )
        return typed_columns(self._connected(), self.table, **options)

    def timeline(self) -> Timeline:
        """Draw how the fetch went: workers as lanes, pages as bars, waits and retries marked.

        It is drawn from the journal, which keeps a complete fetch until a newer one of the same table takes its place.

        Raises:
            MixpanelError: The result no longer knows its database, or that does not know the fetch any more.
        """
        from ..timeline import timeline_of  # noqa: PLC0415 - only when a picture is asked for

        return timeline_of(self._journal or self._connected(), self._fetch_id)

    def _repr_html_(self) -> str:
        values = {
            "profiles": f"{self.total_rows:,} of {self.expected_rows:,}",
            "fetched": pages_text(self.successful_pages, self.total_pages, self.resumed_pages),
            "took": f"{self.duration_seconds:.1f} s",
            "asked": work_text(self.requests, self.retries, self.waited_seconds),
        }
        if self._changes:
            values["rows"] = self._changes.removeprefix(": ")
        if self.failed_pages:
            values["missing pages"] = page_list(self.failed_page_indices)
            values["errors"] = "; ".join(error_text(*each) for each in self.errors[:MOST_ERRORS])
        odd = "; ".join(f"{getattr(self, name):,} {what}" for name, what in ODDITIES.items() if getattr(self, name))
        state = "complete" if self.is_complete else "accepted" if self.published else "incomplete"
        parts = [stated(f"Table {self.table}", state), facts(values)]
        parts += map(note, (*filter(None, [odd]), *self.notices))
        return "".join(parts if self.is_complete else [*parts, note(self.summary())])
