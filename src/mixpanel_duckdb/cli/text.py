"""Results and fetches as people read them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from typing import TYPE_CHECKING

from ..text import EVENT_ODDITIES, MOST_ERRORS, ODDITIES, error_text, many, page_list, pages_text, shown, work_text
from .options import DEFAULT_DATABASE

if TYPE_CHECKING:
    from ..results import ParallelFetchResult, ParallelProfileFetchResult
    from ..store import EventTable, FetchRecord

__all__ = ["event_table_text", "events_text", "fetch_text", "forgotten_text", "next_steps", "result_text"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def result_text(result: ParallelProfileFetchResult, database: str, told: Collection[str] = ()) -> str:
    """Say how a fetch ended.

    Args:
        result: Its outcome.
        database: Where the rows are.
        told: Notices that were said while it ran.
    """
    pages = pages_text(result.successful_pages, result.total_pages, result.resumed_pages)
    work = work_text(result.requests, result.retries, result.waited_seconds)
    lines = [result.summary(), f"Database {shown(database)}: {pages}; {work}."]
    lines += [f"  {getattr(result, name):,} {what}" for name, what in ODDITIES.items() if getattr(result, name)]
    lines += [f"  {error_text(index, error)}" for index, error in result.errors[:MOST_ERRORS]]
    if len(result.errors) > MOST_ERRORS:
        lines.append(f"  missing pages: {page_list(result.failed_page_indices)}")
    lines += [f"  {notice}" for notice in result.notices if notice not in told]
    return "\n".join(lines)


def events_text(result: ParallelFetchResult, database: str, told: Collection[str] = ()) -> str:
    """Say how a fetch of events ended.

    Args:
        result: Its outcome.
        database: Where the rows are.
        told: Notices that were said while it ran.
    """
    work = work_text(result.requests, result.retries, result.waited_seconds)
    lines = [result.summary(), f"Database {shown(database)}: {result.open_days:,} days are open; {work}."]
    lines += [f"  {getattr(result, name):,} {what}" for name, what in EVENT_ODDITIES.items() if getattr(result, name)]
    lines += [f"  {error}" for error in result.errors[:MOST_ERRORS]]
    lines += [f"  {notice}" for notice in result.notices if notice not in told]
    return "\n".join(lines)


def fetch_text(record: FetchRecord) -> str:
    """Say in a few lines what the journal knows of a fetch."""
    total = "? pages" if record.total_pages is None else many(record.total_pages, "page")
    expected = "? profiles" if record.expected_rows is None else many(record.expected_rows, "profile")
    state = f"{record.state} in process {record.pid}" if record.pid else record.state
    counts = f"{record.pages_done:,} of {total}, {record.profiles:,} of {expected}"
    if record.query.get("api") == "export":
        counts = f"{record.pages_done:,} of {many(record.total_pages or 0, 'day')}, {many(record.rows, 'event')}"
    lines = [
        f"{shown(record.table)}: {state}, {counts}, {record.updated_at:%Y-%m-%d %H:%M:%S} UTC, fetch "
        f"{record.fetch_id[:8]}"
    ]
    if filters := {name: value for name, value in record.query.items() if name != "api"}:
        lines.append("  query: " + ", ".join(f"{name}={shown(str(value))}" for name, value in filters.items()))
    if record.pages_missing:
        lines.append(f"  missing pages: {page_list(record.pages_missing)}")
    if record.pid:
        lines.append("  That process has the database: other fetches are listed when it has ended.")
    elif not record.is_published:
        lines.append(f"  rows wait in {record.staging_table}; the same fetch {record.next_step}")
    if record.note:
        lines.append(f"  {shown(record.note)}")
    return "\n".join(lines)


def event_table_text(held: EventTable) -> str:
    """Say in a few lines what a table of events has."""
    filters = ", ".join(f"{name}={shown(str(value))}" for name, value in held.query.items()) or "all events"
    lines = [
        f"{shown(held.table)}: {many(held.days, 'day')} from {held.first_day} to {held.last_day}, "
        f"{many(held.rows, 'event')}, "
        f"{many(held.open_days, 'day')} open, {held.fetched_at:%Y-%m-%d %H:%M:%S} UTC",
        f"  query: {filters} of project {shown(held.project_id)}",
    ]
    if held.missing:
        gaps = [str(first) if first == last else f"{first} to {last}" for first, last in held.missing]
        more = f" and {len(gaps) - MOST_ERRORS:,} more" if len(gaps) > MOST_ERRORS else ""
        lines.append(f"  missing between them: {', '.join(gaps[:MOST_ERRORS])}{more}")
    return "\n".join(lines)


def forgotten_text(record: FetchRecord) -> str:
    """Say what is gone."""
    return (
        f"Forgotten: {shown(record.table)}, {record.state}, {many(record.pages_done, 'page')}, "
        f"{many(record.rows, 'profile')}, fetch {record.fetch_id[:8]}."
    )


def next_steps(database: str, table: str) -> str:
    """Say how to look at a table that was fetched, in words for a shell.

    Example:
        >>> print(next_steps("mixpanel.duckdb", "profiles"))
        Look at it: mp-fetch sql 'FROM profiles LIMIT 5'
        A column for each property: mp-fetch typed profiles
    """
    where = "" if database == DEFAULT_DATABASE else f" -d {shlex.quote(database)}"
    named = table if _PLAIN.fullmatch(table) else '"' + table.replace('"', '""') + '"'
    look = shlex.join(["mp-fetch", "sql", f"FROM {named} LIMIT 5"])
    columns = shlex.join(["mp-fetch", "typed", table])
    return shown(f"Look at it: {look}{where}") + "\n" + shown(f"A column for each property: {columns}{where}")
