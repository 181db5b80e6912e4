"""What is said of one fetch: the spec that it is compared by, what its run holds, what the journal tells of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from ...arguments import RESUME_MAX_AGE
from ...errors import QueryError
from .ownership import Claim

__all__ = ["FetchRecord", "FetchSpec", "OddRows", "OpenFetch", "Unfinished", "the_unfinished"]


@dataclass(frozen=True, slots=True)
class FetchSpec:
    """What makes two fetches the same: resume goes on only where all of it is equal.

    Args:
        table: Table to publish.
        query: The query's canonical JSON text.
        project_id: Project that is read, or ``""`` when the source does not tell.
        host: Base URL that is read from, or ``""``.
        account: Who reads, or ``""``: another account of the project may see less.
        target: Where it is published, or ``""``: in the database itself.
    """

    table: str
    query: str
    project_id: str = ""
    host: str = ""
    account: str = ""
    target: str = ""

    @property
    def filters(self) -> dict[str, Any]:
        """The query as it is sent."""
        filters: dict[str, Any] = json.loads(self.query)
        return filters

    @property
    def events(self) -> str:
        """What events are fetched, in words; a tunnel or a simulator has another port each time."""
        filters = ", ".join(f"{name}={value}" for name, value in self.filters.items() if name != "api")
        return f"{filters or 'all events'} of project {self.project_id} at {urlsplit(self.host).hostname or self.host}"

    @property
    def properties(self) -> list[str] | None:
        """The names of the properties that are asked for; ``None`` is all of them."""
        names: list[str] | None = json.loads(self.filters.get("output_properties", "null"))
        return names


@dataclass(frozen=True, slots=True)
class OddRows:
    """How many stored rows are not what a profile should be, by columns of the journal of pages."""

    without_distinct_id: int = 0
    without_properties: int = 0
    with_other_fields: int = 0
    unreadable_last_seen: int = 0
    replaced_characters: int = 0
    mended_values: int = 0
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
        asked_page_size: The size that was chosen for its session and asked for, if it is not the query's.
        as_of_timestamp: Moment that ``behaviors`` are evaluated at.
        committed: Rows of each committed page.
        largest_body: Bytes of the largest of them as it came.
        replaces: Unfinished fetches that go when this one's session is open.
        dropped_pages: Pages of those that were too old to go on with.
        notices: What is to be said before anything is requested.
    """

    fetch_id: str
    staging: str
    spec: FetchSpec
    claim: Claim
    session_id: str | None = None
    total: int | None = None
    page_size: int | None = None
    asked_page_size: int | None = None
    as_of_timestamp: int | None = None
    committed: tuple[tuple[int, int], ...] = ()
    largest_body: int = 0
    replaces: tuple[FetchRecord, ...] = ()
    dropped_pages: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FetchRecord:
    """One fetch as the journal knows it; what ``mp-fetch status`` shows.

    Args:
        fetch_id: Name of the fetch.
        table: Table that it publishes.
        state: ``"running"``, ``"incomplete"``; ``"complete"``, or ``"accepted"`` if it was published though it differs
            from what the server said; ``"held"``: all of it is here, but it would have replaced a table of more than
            twice as many rows.
        pages_done: Pages committed.
        pages_missing: Indices of the pages that are not.
        total_pages: Pages of the whole result, or ``None`` before page 0 was answered.
        rows: Rows committed, duplicates included.
        expected_rows: The server's ``total``, or the query's limit if that is less.
        query: The filters.
        project_id: Project that was read.
        started_at: Start, in UTC.
        updated_at: Last commit or change of state, in UTC.
        resumable: Whether the same fetch would go on here, with the usual ``resume_max_age`` and as far as the journal
            can tell.
        staging_table: Where the rows are until they are published.
        note: What went wrong, if anything.
        distinct_rows: Distinct profiles, if all pages arrived and these are not as many as the server said.
        pid: The process that runs it, if that has the database: then nobody else can read which pages are missing.
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
    distinct_rows: int | None = None
    page_size: int | None = None
    as_of_timestamp: int | None = None
    host: str = ""
    pid: int | None = None
    account: str = field(default="", repr=False)
    target: str = field(default="", repr=False)
    query_text: str = field(default="", repr=False)
    session_id: str | None = field(default=None, repr=False)
    asked_page_size: int | None = field(default=None, repr=False)
    last_commit: datetime = field(default=datetime.min.replace(tzinfo=UTC), repr=False)
    publishable: bool = field(default=False, repr=False)

    @property
    def age(self) -> float:
        """Seconds since its last commit or change of state."""
        return (datetime.now(UTC) - self.updated_at).total_seconds()

    def is_older_than(self, seconds: float | None) -> bool:
        """Whether its last committed page, or else its start, is longer ago; never than ``None``."""
        return seconds is not None and (datetime.now(UTC) - self.last_commit).total_seconds() > seconds

    def as_usual(self) -> Self:
        """Tell of it to somebody whose next run has the usual settings: what is too old for it will be dropped."""
        dropped = self.is_older_than(RESUME_MAX_AGE) or self.distinct_rows is not None
        return replace(self, resumable=False) if dropped else self

    @property
    def spec(self) -> FetchSpec:
        """What it fetches."""
        return FetchSpec(self.table, self.query_text, self.project_id, self.host, self.account, self.target)

    @property
    def profiles(self) -> int:
        """Profiles that it has, as far as they were counted."""
        return self.rows if self.distinct_rows is None else self.distinct_rows

    @property
    def is_published(self) -> bool:
        """Whether its table had its rows when it ended."""
        return self.state in ("complete", "accepted")

    def is_of(self, spec: FetchSpec) -> bool:
        """Whether it fetches just that."""
        return replace(self.spec, table=spec.table) == spec

    def goes_on(self, *, allow_shrink: bool) -> bool:
        """Whether the same fetch may go on here; with one that was held back if its table may shrink."""
        return self.resumable or (allow_shrink and self.state == "held")

    @property
    def next_step(self) -> str:
        """What the same fetch would do now, if this one is not complete."""
        if self.state == "held":
            return "starts over; with --allow-shrink it publishes them"
        if self.distinct_rows is not None:
            return "starts over; mp-fetch publish takes them as they are"
        return "goes on from there" if self.resumable else "starts over"

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.repr}
        values["pages_missing"] = list(self.pages_missing)
        values["started_at"] = self.started_at.isoformat()
        values["updated_at"] = self.updated_at.isoformat()
        return values


def the_unfinished(records: Iterable[FetchRecord], table: str, fetch_id: str | None) -> FetchRecord:
    """Find the one fetch that has pages and is not published.

    Args:
        records: The fetches into a table.
        table: The table.
        fetch_id: How its id begins; needed if there are several.

    Raises:
        QueryError: There is none, or several.
    """
    found = [each for each in records if each.publishable and each.fetch_id.startswith(fetch_id or "")]
    if len(found) == 1:
        return found[0]
    named = f" whose id begins with {fetch_id!r}" if fetch_id else ""
    if not found:
        raise QueryError(f"There is no unfinished fetch into {table!r} that has pages to publish{named}.")
    ids = ", ".join(each.fetch_id[:8] for each in found)
    raise QueryError(f"{len(found)} fetches into {table!r} are unfinished{named}; choose one by its fetch_id: {ids}.")


class Unfinished(NamedTuple):
    """What becomes of the unfinished fetches into a table when the next one begins.

    Args:
        found: Which is gone on with.
        others: Which go.
        dropped_pages: Pages that are gone because they are too old.
    """

    found: FetchRecord | None
    others: tuple[FetchRecord, ...]
    dropped_pages: int

    @classmethod
    def of(
        cls, records: Iterable[FetchRecord], spec: FetchSpec, *, resume: bool, max_age: float | None, allow_shrink: bool
    ) -> Self:
        """Choose among the fetches into a table.

        Args:
            records: They.
            spec: What is to be fetched.
            resume: Whether to look for one to go on with.
            max_age: Seconds since its last committed page after which a session is not trusted any more, if so.
            allow_shrink: Whether one that was held back may be published now.
        """
        known = [each for each in records if not each.is_published]
        aged = [each for each in known if each.is_older_than(max_age)]
        old = [each for each in aged if not (each.state == "held" and each.is_of(spec) and allow_shrink)]
        same = [each for each in known if each not in old and each.is_of(spec)]
        found = next((each for each in same if resume and each.goes_on(allow_shrink=allow_shrink)), None)
        others = (*old, *(each for each in same if each is not found))
        return cls(found, others, sum(each.pages_done for each in old))
