"""What a database knows of its fetches and of their changes: list them, draw one, publish one, forget some."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING, cast

from ..arguments import check
from ..errors import DatabaseLockedError, QueryError
from ..fetch import publish_unfinished
from ..results import ParallelProfileFetchResult
from ..store import (
    EventTable,
    Fetches,
    FetchRecord,
    IfExists,
    ProfileChange,
    ProfileStore,
    folded,
    path_of,
    reading,
    running_fetches,
)
from ..timeline import Timeline, timeline_of

if TYPE_CHECKING:
    from ..store import Allowed, AnyDatabase

__all__ = [
    "changes",
    "fetch_since",
    "fetch_timeline",
    "forget_fetches",
    "list_event_tables",
    "list_fetches",
    "publish_fetch",
]

# Seconds in which a fetch that opens or closes the file may begin to tell of itself, or be gone.
_PATIENCE = 2.0


def list_fetches(database: AnyDatabase) -> list[FetchRecord]:
    """List the fetches that a database knows: state, pages done and missing, rows, query.

    While another process fetches into it, only what that process tells of this fetch is known: pages, rows, its pid.
    Printed, or shown by a notebook, the list is a table.

    Args:
        database: A path to an existing file, a connection or a store.

    Raises:
        StorageError: There is no such file, or it cannot be opened.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            with reading(database) as store:
                return Fetches(store.fetches())
        except DatabaseLockedError:
            running = running_fetches(path_of(database)) if isinstance(database, str | os.PathLike) else []
            if running:
                return Fetches(running)
            if time.monotonic() > until:
                raise
        Event().wait(_PATIENCE / 20)


def list_event_tables(database: AnyDatabase) -> list[EventTable]:
    """List the tables of events that a database has: their days, the gaps between them, rows, what was fetched.

    Args:
        database: A path to an existing file, a connection or a store.

    Raises:
        StorageError: There is no such file, or it cannot be opened.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import EventPopulation, RawExport, Simulator
        >>> events = RawExport(EventPopulation("2026-01-01", "2026-01-31", 100))
        >>> with md.ProfileStore(":memory:") as store, Simulator(events=events) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     result = md.fetch_events(store, "2026-01-01", "2026-01-03", credentials=who, base_url=sim.base_url)
        ...     [(each.table, each.days, each.rows, each.missing) for each in md.list_event_tables(store)]
        [('events', 3, 300, ())]
    """
    with reading(database) as store:
        return store.event_tables()


def fetch_timeline(database: AnyDatabase, *, fetch_id: str | None = None) -> Timeline:
    """Draw how a fetch went, from the journal: complete, interrupted or still going on.

    Args:
        database: A path to an existing file, a connection or a store.
        fetch_id: A fetch of :func:`list_fetches`; the beginning of its id is enough. Default: the one that something
            happened to last, of profiles or of events.

    Raises:
        StorageError: There is no such file, or it cannot be opened.
        QueryError: The database knows no such fetch, or several.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with md.ProfileStore(":memory:") as store, Simulator(Population(1200, seed=1)) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     result = md.fetch_profiles(store, credentials=who, base_url=sim.base_url)
        ...     md.fetch_timeline(store).svg == result.timeline().svg
        True
    """
    check(locals(), but={"database"})
    with reading(database) as store:
        of_events = store.event_fetches()
        known = [*store.fetches(), *of_events]
        found = max(known, key=lambda record: record.updated_at, default=None)
        if fetch_id:
            found = _named(known, fetch_id)
        if found is None:
            raise QueryError("The database knows no fetches, so there is no timeline to draw.")
        return timeline_of(store.reader(), found.fetch_id, of_events=found in of_events)


def fetch_since(database: AnyDatabase, table: str, since: datetime) -> str | None:
    """Give the id of the fetch into a table that something has happened to since a moment, for a picture of it.

    Args:
        database: As for :func:`fetch_timeline`.
        table: The table.
        since: The moment.
    """
    with reading(database) as store:
        for each in (*store.fetches(), *store.event_fetches()):
            if folded(each.table) == folded(table) and each.updated_at >= since:
                return each.fetch_id
    return None


def forget_fetches(
    database: AnyDatabase,
    *,
    table: str | None = None,
    fetch_id: str | None = None,
    older_than: float | None = None,
    complete: bool = False,
) -> list[FetchRecord]:
    """Forget unfinished fetches: their pages, their rows that wait, and what the journal has of them.

    What was published stays, and so does a fetch that is running. The same fetch would start from its first page.

    Args:
        database: A path to an existing file, a connection or a store.
        table: Only fetches into this table.
        fetch_id: Only this fetch of :func:`list_fetches`, complete or not; the beginning of its id is enough.
        older_than: Only those that nothing happened to for so many seconds.
        complete: Whether to forget complete ones, too: their tables stay, and are known no longer.

    Returns:
        What was forgotten.

    Raises:
        StorageError: There is no such file, or it cannot be opened.
        QueryError: The database knows no such fetch, or several.
        DatabaseLockedError: That fetch is running.

    Example:
        >>> import mixpanel_duckdb as md
        >>> with md.ProfileStore(":memory:") as store:
        ...     md.forget_fetches(store, older_than=7 * 24 * 3600)
        []
    """
    check(locals(), but={"database"}, optional={"table"})
    with _opened(database) as store:
        if fetch_id:
            only = _named(store.fetches(table), fetch_id)
            if only.state == "running":
                raise DatabaseLockedError(f"Fetch {only.fetch_id[:8]} is running; stop it first.")
            return store.forget(lambda each: each.fetch_id == only.fetch_id)
        return store.forget(
            lambda each: (complete or not each.is_published) and (older_than is None or each.is_older_than(older_than)),
            table,
        )


def changes(database: AnyDatabase, table: str = "profiles", since: datetime | str | None = None) -> list[ProfileChange]:
    """List which profiles of a table were added, changed and removed, from the history that is kept of it.

    A history is kept by :func:`fetch_profiles` with ``keep_history=True``; what it begins with are no changes. The
    versions themselves are in the table ``<table>_history``.

    Args:
        database: A path to an existing file, a connection or a store.
        table: The table, without ``_history``.
        since: First moment of interest; without a zone it is UTC. Default: all changes.

    Returns:
        For each its ``distinct_id``, the ``change`` and the moment ``at`` which it was published, in order of time.

    Raises:
        QueryError: ``since`` is no moment, or one that has no date in UTC.
        StorageError: There is no such file, or it cannot be opened.
        UnsuitableTableError: No history is kept of the table.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with md.ProfileStore(":memory:") as store, Simulator(Population(3, seed=1)) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     for size in (3, 4):
        ...         sim.replace_population(Population(size, seed=1))
        ...         result = md.fetch_profiles(
        ...             store, credentials=who, base_url=sim.base_url, if_exists="replace", keep_history=True
        ...         )
        ...     [each.change for each in md.changes(store)] == ["added"]
        True
    """
    check(locals(), but={"database"})
    moment = datetime.fromisoformat(since) if isinstance(since, str) else since
    with reading(database) as store:
        return store.changes(table, moment)


def publish_fetch(
    database: AnyDatabase,
    table: str = "profiles",
    *,
    fetch_id: str | None = None,
    if_exists: IfExists | None = None,
    allow_other: bool = False,
    allow_shrink: bool = False,
    keep_history: bool = False,
) -> ParallelProfileFetchResult:
    """Publish what has arrived of an unfinished fetch, as it is and without a request.

    Args:
        database: A path to an existing file, a connection or a store.
        table: The fetch's table.
        fetch_id: A fetch of :func:`list_fetches`, or the beginning of its id; needed if several are unfinished.
        if_exists: ``"replace"`` or ``"merge"``; default: what the fetch's last run was told.
        allow_other: Replace or merge into a table that holds something else.
        allow_shrink: Replace a table of 1,000 rows or more by fewer than half as many.
        keep_history: Keep each version of each profile, as for :func:`fetch_profiles`.

    Returns:
        As of a fetch without requests; ``accepted_difference`` tells whether something is missing.

    Raises:
        QueryError: There is no unfinished fetch into that table, or several.
        TableExistsError: The table exists, and nobody chose what to do with it.
        UnsuitableTableError: The table holds something else, or could not take the profiles.
        StorageError: There is no such file, or it cannot be opened.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> twice = Population.of([{"$distinct_id": "a", "$properties": {}}] * 2)
        >>> with md.ProfileStore(":memory:") as store, Simulator(twice) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     before = md.fetch_profiles(store, credentials=who, base_url=sim.base_url)
        ...     after = md.publish_fetch(store)
        >>> before.published, after.published, after.accepted_difference, after.difference
        (False, True, True, '1 id came more than once')
    """
    check(locals(), but={"database"}, optional={"if_exists"})
    chosen = {
        "if_exists": if_exists,
        "allow_other": allow_other,
        "allow_shrink": allow_shrink,
        "keep_history": keep_history,
    }
    given = cast("Allowed", {name: value for name, value in chosen.items() if value})
    with _opened(database) as store:
        return publish_unfinished(store, table, fetch_id=fetch_id, **given)


def _named(known: list[FetchRecord], fetch_id: str) -> FetchRecord:
    found = [record for record in known if record.fetch_id.startswith(fetch_id)]
    if len(found) != 1:
        raise QueryError(f"The database knows {len(found) or 'no'} fetches whose id begins with {fetch_id!r}.")
    return found[0]


@contextmanager
def _opened(database: AnyDatabase) -> Iterator[ProfileStore]:
    """Give a store of the caller's as it is, and close one that is opened here."""
    if isinstance(database, ProfileStore):
        yield database
        return
    with ProfileStore.open_existing(database) as store:
        yield store
