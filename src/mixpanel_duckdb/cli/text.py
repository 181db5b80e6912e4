"""Wording: durations, lists of pages, tables of text, and results as people read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..result import ParallelProfileFetchResult
    from ..store import FetchRecord

__all__ = ["duration", "fetch_text", "page_list", "result_text", "table_text"]

_ODDITIES = {
    "duplicate_rows": "rows of profiles that came on more than one page: the newest was kept",
    "rows_without_distinct_id": "profiles without $distinct_id",
    "rows_without_properties": "profiles without properties",
    "rows_with_unreadable_last_seen": "profiles whose $last_seen is no timestamp; its text stays in properties",
    "replaced_characters": "characters that cannot be stored, now U+FFFD",
    "flattened_values": "values nested too deep, kept as JSON text",
}
_MOST_ERRORS = 5


def duration(seconds: float) -> str:
    """Write a duration the way clocks do.

    Example:
        >>> duration(9.6), duration(75), duration(3 * 3600 + 62)
        ('0:10', '1:15', '3:01:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def page_list(pages: Iterable[int], most: int = 8) -> str:
    """Write page indices as ranges.

    Example:
        >>> page_list([3, 4, 5, 9])
        '3-5, 9'
    """
    runs = [
        [index for _, index in run] for _, run in groupby(enumerate(sorted(pages)), key=lambda pair: pair[1] - pair[0])
    ]
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return ", ".join(texts[:most]) + (", ..." if len(texts) > most else "")


def table_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Set rows in columns, numbers to the right.

    Example:
        >>> print(table_text(("plan", "profiles"), [("free", 1200), ("pro", 9)]))
        plan  profiles
        free     1,200
        pro          9
    """
    values = list(rows)
    cells = [list(header), *([_cell(value) for value in row] for row in values)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    right = [all(isinstance(row[i], int | float) for row in values) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    )


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def result_text(result: ParallelProfileFetchResult, database: str, told: Collection[str] = ()) -> str:
    """Say how a fetch ended.

    Args:
        result: Its outcome.
        database: Where the rows are.
        told: Notices that were said while it ran.
    """
    pages = f"{result.successful_pages:,} of {result.total_pages:,} pages"
    if result.resumed_pages:
        pages += f", {result.resumed_pages:,} of them from an earlier run"
    work = f"{result.requests:,} requests, {result.retries:,} of them repeated"
    if result.waited_seconds >= 0.5:
        work += f"; {duration(result.waited_seconds)} spent waiting for the server's limits"
    lines = [result.summary(), f"Database {database}: {pages}; {work}."]
    lines += [f"  {getattr(result, name):,} {what}" for name, what in _ODDITIES.items() if getattr(result, name)]
    lines += [f"  page {index}: {error}" for index, error in result.errors[:_MOST_ERRORS]]
    if len(result.errors) > _MOST_ERRORS:
        lines.append(f"  missing pages: {page_list(result.failed_page_indices)}")
    lines += [f"  {notice}" for notice in result.notices if notice not in told]
    return "\n".join(lines)


def fetch_text(record: FetchRecord) -> str:
    """Say in a few lines what the journal knows of a fetch."""
    total = "?" if record.total_pages is None else f"{record.total_pages:,}"
    expected = "?" if record.expected_rows is None else f"{record.expected_rows:,}"
    lines = [
        f"{record.table}: {record.state}, {record.pages_done:,} of {total} pages, "
        f"{record.rows:,} of {expected} profiles, {record.updated_at:%Y-%m-%d %H:%M:%S} UTC"
    ]
    if record.query:
        lines.append("  query: " + ", ".join(f"{name}={value}" for name, value in record.query.items()))
    if record.pages_missing:
        lines.append(f"  missing pages: {page_list(record.pages_missing)}")
    if record.state != "complete":
        goes_on = "goes on from there" if record.resumable else "starts over"
        lines.append(f"  rows wait in {record.staging_table}; the same fetch {goes_on}")
    if record.note:
        lines.append(f"  {record.note}")
    return "\n".join(lines)
