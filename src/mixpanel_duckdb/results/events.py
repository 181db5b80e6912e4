"""What a fetch of events tells: each request on the way, and the days at the end."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from ..errors import IncompleteFetchError
from ..text import EVENT_ODDITIES, MOST_ERRORS, facts, many, note, stated, work_text
from .frames import Readable
from .typed_columns import EventTypingOptions, TypedColumns
from .typed_events import typed_events

if TYPE_CHECKING:
    from ..timeline import Timeline
    from .frames import Connect

__all__ = ["BatchProgress", "ParallelFetchResult"]


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """The days of one request, whose fate is decided: stored, or given up.

    Requests are planned as they go, so ``total_batches`` is what it looks like now.

    Args:
        from_date: First of the days, as YYYY-MM-DD.
        to_date: Last of them.
        batch_index: Number of the request, from 0, in the order in which they were decided.
        total_batches: How many there will be.
        rows: Events stored.
        success: Whether they were stored.
        error: Why not.
        completed_batches: Requests decided so far.
        cumulative_rows: Events stored so far.

    Example:
        >>> BatchProgress("2026-01-01", "2026-01-02", 0, 4, 200, True, None, 1, 200).rows
        200
    """

    from_date: str
    to_date: str
    batch_index: int
    total_batches: int
    rows: int
    success: bool
    error: str | None
    completed_batches: int
    cumulative_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Give every field, ready for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class ParallelFetchResult(Readable):
    """The outcome of one fetch of events; reading it gives the whole table.

    The server announces no total. Complete means that the stream of each day has ended as it should.

    Args:
        table: Table that holds the events.
        total_rows: Events of the days that were asked for, those of earlier runs included.
        successful_batches: Requests whose days are stored.
        failed_batches: Ranges of days that are not.
        failed_date_ranges: First and last day of each.
        duration_seconds: Wall time of this run.
        fetched_at: Time of its end, in UTC.
        stored_days: Days stored by this run.
        skipped_days: Days that were there already, and old enough when they were fetched.
        open_days: Days so young that the next run fetches them again.
        duplicate_rows: Events that repeat another by event, distinct_id, time and $insert_id: kept, and left out of the
            view ``<table>_unique``.
        rows_outside_range: Events whose time is on none of the days they came with, or none at all: kept.
        rows_with_other_fields: Events that have fields beside ``event`` and ``properties``; those are kept in
            ``properties``, behind the others.
        replaced_characters: Characters no UTF-8 database can hold, stored as U+FFFD.
        mended_values: Places where the server's JSON was not valid, kept as for profiles.
        flattened_values: Values nested too deep for DuckDB's JSON functions, stored as JSON text.
        requests: HTTP requests of this run.
        retries: Those that repeated an earlier one.
        waited_seconds: Time the limits held the run back.
        utc_offset_minutes: How far the clock of ``time`` is before UTC, as far as the newest events tell: 0 in UTC,
            -240 where a project made before 2023 writes the time on its wall in New York in summer; ``None`` if they
            do not tell. Nothing is converted.
        errors: What went wrong with each range that failed.
        notices: What the user should know.
        target: Where the days were published, too, if they were to be: the rows are read there then.
        published_days: How many of the table's days were written there; the others were the same.
        target_refusal: Why none was.
    """

    table: str
    total_rows: int
    successful_batches: int
    failed_batches: int
    failed_date_ranges: tuple[tuple[str, str], ...]
    duration_seconds: float
    fetched_at: datetime
    stored_days: int
    skipped_days: int
    open_days: int
    duplicate_rows: int
    rows_outside_range: int
    requests: int
    retries: int
    waited_seconds: float
    rows_with_other_fields: int = 0
    replaced_characters: int = 0
    mended_values: int = 0
    flattened_values: int = 0
    utc_offset_minutes: int | None = None
    errors: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    target: str | None = None
    published_days: int | None = None
    target_refusal: str | None = None
    _connect: Connect | None = field(default=None, repr=False, compare=False)
    _journal: Connect | None = field(default=None, repr=False, compare=False)
    _fetch_id: str = field(default="", repr=False, compare=False)

    @property
    def has_failures(self) -> bool:
        """Whether days are missing."""
        return self.failed_batches > 0

    @property
    def is_complete(self) -> bool:
        """Whether the stream of each day has ended as it should, and the target, if there is one, has taken them."""
        return not self.has_failures and self.target_refusal is None

    def to_dict(self) -> dict[str, Any]:
        """Give every field, ``is_complete`` and ``has_failures`` as plain values, ready for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if not each.name.startswith("_")}
        values["fetched_at"] = self.fetched_at.isoformat()
        values["failed_date_ranges"] = [list(each) for each in self.failed_date_ranges]
        values |= {"errors": list(self.errors), "notices": list(self.notices)}
        return {**values, "has_failures": self.has_failures, "is_complete": self.is_complete}

    def __str__(self) -> str:
        return self.summary()

    def raise_for_failures(self) -> None:
        """Raise unless the fetch is complete.

        Raises:
            IncompleteFetchError: Says which are missing and how to go on.
        """
        if not self.is_complete:
            raise IncompleteFetchError(self.summary())

    def summary(self) -> str:
        """Say in a sentence or two what happened and, if something is missing, what to do."""
        rows = (
            f"{self.total_rows:,} events in table {self.table!r} in {self.duration_seconds:.1f} s: "
            f"{many(self.stored_days, 'day')} fetched, {self.skipped_days:,} here before"
        )
        if self.target_refusal is not None:
            rows += f"; {self.target} did not take them: {self.target_refusal.rstrip('.')}"
        elif self.target is not None:
            rows += f"; {many(self.published_days or 0, 'day')} written to {self.target}"
        if not self.has_failures:
            return f"{rows}."
        return f"{rows}; missing: {self._missing()}. Run the same fetch again to go on."

    def _missing(self) -> str:
        ranges = [first if first == last else f"{first} to {last}" for first, last in self.failed_date_ranges]
        return ", ".join(ranges[:MOST_ERRORS]) + (", ..." if len(ranges) > MOST_ERRORS else "")

    def typed(self, **options: Unpack[EventTypingOptions]) -> dict[str, TypedColumns]:
        """Give each property a typed column, in a view beside the table for each name that its events have.

        Args:
            **options: As for :func:`type_events`.

        Raises:
            UnsuitableTableError: The name of a view is something else's.
            StorageError: DuckDB could not read or write.
        """
        return typed_events(self._journal or self._connected(), self.table, **options)

    def timeline(self) -> Timeline:
        """Draw how this run went: workers as lanes, requests as bars, waits and retries marked.

        It is drawn from the journal, which keeps the last run into each table.

        Raises:
            MixpanelError: The result no longer knows its database, or that does not know the run any more.
        """
        from ..timeline import timeline_of  # noqa: PLC0415 - only when a picture is asked for

        return timeline_of(self._journal or self._connected(), self._fetch_id, of_events=True)

    @property
    def _reads_from(self) -> str:
        return self.table

    def _repr_html_(self) -> str:
        values = {
            "events": f"{self.total_rows:,}",
            "days": f"{self.stored_days:,} fetched, {self.skipped_days:,} here before, {self.open_days:,} open",
            "took": f"{self.duration_seconds:.1f} s",
            "asked": work_text(self.requests, self.retries, self.waited_seconds),
        }
        odd = "; ".join(
            f"{getattr(self, name):,} {what}" for name, what in EVENT_ODDITIES.items() if getattr(self, name)
        )
        parts = [stated(f"Table {self.table}", "complete" if self.is_complete else "incomplete"), facts(values)]
        parts += map(note, (*filter(None, [odd]), *self.notices))
        return "".join(parts if self.is_complete else [*parts, note(self.summary())])
