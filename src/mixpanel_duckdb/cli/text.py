"""Tables of text, and results and fetches as people read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..text import MOST_ERRORS, ODDITIES, error_text, page_list, pages_text, shown, work_text

if TYPE_CHECKING:
    from ..results import ParallelProfileFetchResult
    from ..store import FetchRecord

__all__ = ["fetch_text", "result_text", "table_text"]


def table_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Set rows in columns, numbers to the right.

    Example:
        >>> print(table_text(("plan", "profiles"), [("free", 1200), ("pro", 9)]))
        plan  profiles
        free     1,200
        pro          9
    """
    values = list(rows)
    cells = [list(map(shown, header)), *([_cell(value) for value in row] for row in values)]
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
    return f"{value:,.2f}" if isinstance(value, float) else shown(str(value))


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


def fetch_text(record: FetchRecord) -> str:
    """Say in a few lines what the journal knows of a fetch."""
    total = "?" if record.total_pages is None else f"{record.total_pages:,}"
    expected = "?" if record.expected_rows is None else f"{record.expected_rows:,}"
    lines = [
        f"{shown(record.table)}: {record.state}, {record.pages_done:,} of {total} pages, {record.rows:,} of {expected} "
        f"profiles, {record.updated_at:%Y-%m-%d %H:%M:%S} UTC, fetch {record.fetch_id[:8]}"
    ]
    if record.query:
        lines.append("  query: " + ", ".join(f"{name}={shown(str(value))}" for name, value in record.query.items()))
    if record.pages_missing:
        lines.append(f"  missing pages: {page_list(record.pages_missing)}")
    if record.state != "complete":
        lines.append(f"  rows wait in {record.staging_table}; the same fetch {record.next_step}")
    if record.note:
        lines.append(f"  {shown(record.note)}")
    return "\n".join(lines)
