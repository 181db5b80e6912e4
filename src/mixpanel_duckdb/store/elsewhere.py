"""The end of a fetch that is published past its database: the target's transaction first, then the journal's.

Between the two the run may be killed; the next one finds its fetch in the target and only closes it. What the target
refuses leaves the fetch as it is, all of it here: the same fetch publishes it without a request.
"""

from __future__ import annotations

import os
from contextlib import closing
from datetime import date

import duckdb

from ..errors import QueryError, StorageError, TableExistsError, UnsuitableTableError
from . import targets
from .database import Database, atomic, quote
from .events import EventFetching
from .journal import FetchRecord, FetchSpec, Journal, OpenFetch
from .publish import Publication, StagedRows, named_by_none, without_repeated
from .tables import Terms
from .targets import Target

__all__ = ["check_days_elsewhere", "check_elsewhere", "publish_days_elsewhere", "publish_elsewhere"]


def check_elsewhere(
    database: Database, target: Target, spec: FetchSpec, terms: Terms, going_on: FetchRecord | None
) -> tuple[str, ...]:
    """Refuse, before anything is requested, a target that could not take a fetch; give what is to be said.

    Args:
        database: Of the staging table.
        target: Where it is to be published.
        spec: What is fetched.
        terms: What may happen to an existing table.
        going_on: The unfinished fetch that is gone on with; it may have been published already.
    """
    _refuse_same_file(database, target)
    with database.cursor() as cursor:
        going = going_on.fetch_id if going_on else None
        doing = f"use {target.name}"
        said = targets.in_our_words(doing, lambda: targets.check_into(cursor, target, spec, terms, going))
    return (said,) if said else ()


def check_days_elsewhere(database: Database, target: Target, spec: FetchSpec) -> None:
    """Refuse, before anything is requested, a target that could not take the days of a fetch of events."""
    _refuse_same_file(database, target)
    with database.cursor() as cursor:
        targets.in_our_words(f"use {target.name}", lambda: targets.check_days_into(cursor, target, spec))


def publish_days_elsewhere(database: Database, target: Target, spec: FetchSpec) -> targets.PublishedDays:
    """Publish the days that a table of events has into a target, where that has not the same.

    Raises:
        StorageError: The target refuses; the days are here all the same.
    """
    with database.tuning.room(), database.cursor() as cursor, closing(EventFetching(database)) as events:
        known = events.days(spec.table, date.min, date.max)
        staged = targets.StagedDays(
            f"{_here(cursor)}.{quote(spec.table)}",
            {day: each.fetched_at for day, each in known.items()},
            events.has_strays(spec.table),
        )
        return targets.in_our_words(
            f"publish {spec.table!r} into {target.name}",
            lambda: targets.publish_days_into(cursor, target, spec, staged),
        )


def _refuse_same_file(database: Database, target: Target) -> None:
    here, there = database.path or "", target.file or ""
    if os.path.exists(here) and os.path.exists(there) and os.path.samefile(here, there):
        raise QueryError(f"--into names {target.name!r}, which is the database itself; leave it out.")


def publish_elsewhere(
    database: Database,
    cursor: duckdb.DuckDBPyConnection,
    fetch: OpenFetch,
    target: Target,
    staged: StagedRows,
    terms: Terms,
    but: str | None,
) -> Publication:
    """Publish the staged rows into the target of a fetch, and end the fetch, or leave it.

    Args:
        database: Of the staging table.
        cursor: To it, with no transaction open.
        fetch: Complete.
        target: Where to.
        staged: What its staging table holds.
        terms: What may happen to an existing table.
        but: What is accepted though it is not as the server said.
    """
    spec, journal = fetch.spec, Journal(cursor)
    notices = named_by_none(cursor, fetch) if staged.rows else ()
    staging = f"{_here(cursor)}.{quote(fetch.staging)}"
    tuning = database.tuning
    with database.cursor() as own:

        def publish() -> targets.Published:
            # They stay until the target has taken the others: a run that goes on tells of them, too.
            with without_repeated(own, staging, staged.duplicates) as rows:
                return targets.publish_into(own, target, fetch, terms, rows, tuning)

        doing = f"publish {spec.table!r} into {target.name}"
        try:
            outcome = targets.in_our_words(doing, lambda: tuning.with_room(publish))
        except (TableExistsError, UnsuitableTableError):
            raise
        except StorageError as refusal:
            with atomic(cursor):
                journal.closed(fetch.fetch_id, state="incomplete", note=str(refusal), pages=[])
            return Publication(refused=str(refusal), notices=notices)
    notices += outcome.notices
    with atomic(cursor):
        if (many := outcome.shrinks_from) is not None:
            note = f"{staged.distinct:,} would replace {many:,} rows"
            journal.closed(fetch.fetch_id, state="held", note=note, pages=[])
            return Publication(shrinks_from=many, notices=notices)
        old = [each for each in journal.records(spec.table) if each.is_published and each.target == spec.target]
        journal.forget_history(old)
        cursor.execute(f"DROP TABLE {quote(fetch.staging)}")
        journal.closed(fetch.fetch_id, state="complete" if but is None else "accepted", note=but, pages=[])
    return Publication(
        published=True,
        notices=notices,
        changes=outcome.changes,
        replaced_characters=outcome.replaced_characters,
    )


def _here(cursor: duckdb.DuckDBPyConnection) -> str:
    ((catalog, schema),) = cursor.execute("SELECT current_database(), current_schema()").fetchall()
    return f"{quote(catalog)}.{quote(schema)}"
