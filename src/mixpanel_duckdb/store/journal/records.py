"""What is said of one fetch: the spec that it is compared by, what its run holds, what the journal tells of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Self

from ...http import utc_now
from .ownership import Claim

__all__ = ["DIFFERENT", "RESUME_MAX_AGE", "FetchRecord", "FetchSpec", "OddRows", "OpenFetch"]

# Seconds since its last committed page after which a session is not trusted any more, unless the caller says so.
RESUME_MAX_AGE = 3600.0
# The note of a fetch that has all pages and yet is not complete: the next run starts over.
DIFFERENT = "distinct profiles differ from the total"


@dataclass(frozen=True, slots=True)
class FetchSpec:
    """What makes two fetches the same: resume goes on only where all of it is equal.

    Args:
        table: Table to publish.
        query: The query's canonical JSON text.
        project_id: Project that is read, or ``""`` when the source does not tell.
        host: Base URL that is read from, or ``""``.
    """

    table: str
    query: str
    project_id: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class OddRows:
    """How many stored rows are not what a profile should be; see ``ParallelProfileFetchResult``."""

    without_distinct_id: int = 0
    without_properties: int = 0
    unreadable_last_seen: int = 0
    replaced_characters: int = 0
    flattened_values: int = 0


@dataclass(frozen=True, slots=True)
class OpenFetch:
    """A fetch that this run owns.

    Args:
        fetch_id: Its name in the journal.
        staging: Its staging table.
        spec: What is fetched.
        claim: Proof of ownership.
        session_id: The server's session; ``None`` until page 0 was answered.
        total: The server's total, likewise.
        page_size: Profiles a page, likewise.
        as_of_timestamp: Moment that ``behaviors`` are evaluated at.
        committed: Rows of each committed page.
        largest_body: Bytes of the largest of them as it came.
        replaces: Unfinished fetches that go when this one's session is open.
        dropped_pages: Pages of those that were too old to go on with.
    """

    fetch_id: str
    staging: str
    spec: FetchSpec
    claim: Claim
    session_id: str | None = None
    total: int | None = None
    page_size: int | None = None
    as_of_timestamp: int | None = None
    committed: tuple[tuple[int, int], ...] = ()
    largest_body: int = 0
    replaces: tuple[FetchRecord, ...] = ()
    dropped_pages: int = 0


@dataclass(frozen=True, slots=True)
class FetchRecord:
    """One fetch as the journal knows it; what ``mp-fetch status`` shows.

    Args:
        fetch_id: Name of the fetch.
        table: Table that it publishes.
        state: ``"running"``, ``"incomplete"`` or ``"complete"``.
        pages_done: Pages committed.
        pages_missing: Indices of the pages that are not.
        total_pages: Pages of the whole result, or ``None`` before page 0 was answered.
        rows: Rows committed, duplicates included.
        expected_rows: The server's ``total``.
        query: The filters.
        project_id: Project that was read.
        started_at: Start, in UTC.
        updated_at: Last commit or change of state, in UTC.
        resumable: Whether the same fetch would go on here, with the usual ``resume_max_age`` and as far as the journal
            can tell.
        staging_table: Where the rows are until they are published.
        note: What went wrong, if anything.
    """

    fetch_id: str
    table: str
    state: str
    pages_done: int
    pages_missing: tuple[int, ...]
    total_pages: int | None
    rows: int
    expected_rows: int | None
    query: dict[str, Any]
    project_id: str
    started_at: datetime
    updated_at: datetime
    resumable: bool
    staging_table: str
    note: str | None
    page_size: int | None = None
    as_of_timestamp: int | None = None
    host: str = ""
    query_text: str = field(default="", repr=False)
    session_id: str | None = field(default=None, repr=False)
    last_commit: datetime = field(default=datetime.min, repr=False)

    def is_older_than(self, seconds: float | None) -> bool:
        """Whether its last committed page, or else its start, is longer ago; never than ``None``."""
        return seconds is not None and (utc_now() - self.last_commit).total_seconds() > seconds

    def as_usual(self) -> Self:
        """Tell of it to somebody whose next run has the usual settings: what is too old for it will be dropped."""
        dropped = self.is_older_than(RESUME_MAX_AGE) or self.note == DIFFERENT
        return replace(self, resumable=False) if dropped else self

    def is_of(self, spec: FetchSpec) -> bool:
        """Whether it fetches just that."""
        return (self.query_text, self.project_id, self.host) == (spec.query, spec.project_id, spec.host)

    @property
    def next_step(self) -> str:
        """What the same fetch would do now, if this one is not complete."""
        return "goes on from there" if self.resumable else "starts over"

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.repr}
        values["pages_missing"] = list(self.pages_missing)
        values["started_at"] = self.started_at.replace(tzinfo=UTC).isoformat()
        values["updated_at"] = self.updated_at.replace(tzinfo=UTC).isoformat()
        return values
