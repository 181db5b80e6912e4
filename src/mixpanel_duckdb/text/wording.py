"""How this package writes durations and lists of pages, and what it calls the oddities of a fetch.

The command, the progress displays and the HTML that notebooks show all say the same thing in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

__all__ = [
    "EVENT_ODDITIES",
    "MOST_ERRORS",
    "ODDITIES",
    "duration",
    "error_text",
    "many",
    "page_list",
    "pages_text",
    "share_text",
    "work_text",
]

# Missing pages whose errors are shown one by one; of more, the indices are listed.
MOST_ERRORS = 5

# Fields of ``ParallelProfileFetchResult`` that are 0 in a plain fetch.
ODDITIES = {
    "duplicate_rows": "rows of profiles that came on more than one page: the newest was kept",
    "rows_without_distinct_id": "profiles without $distinct_id",
    "rows_without_properties": "profiles without properties",
    "rows_with_other_fields": "profiles with fields beside $properties; those are in properties now",
    "rows_with_unreadable_last_seen": "profiles whose $last_seen is no timestamp; its text stays in properties",
    "colliding_ids": 'profiles whose id reads as another\'s (1 and "1"); both are kept',
    "replaced_characters": "characters that cannot be stored, now U+FFFD",
    "mended_values": "places where the server's JSON was not valid (NaN, raw control characters), kept as text",
    "flattened_values": "values nested too deep, kept as JSON text",
}

# The same for ``ParallelFetchResult``.
EVENT_ODDITIES = {
    "duplicate_rows": "events that repeat another; they are kept, and left out of the view without doubles",
    "rows_outside_range": "events at the time of another day than they came with, or at none; they are kept",
    "rows_with_other_fields": "events with fields beside event and properties; those are in properties now",
    **{name: ODDITIES[name] for name in ("replaced_characters", "mended_values", "flattened_values")},
}


def duration(seconds: float) -> str:
    """Write a duration the way clocks do.

    Example:
        >>> duration(9.6), duration(75), duration(3 * 3600 + 62)
        ('0:10', '1:15', '3:01:02')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def many(number: int, word: str, words: str | None = None) -> str:
    """Write so many of something.

    Example:
        >>> many(1, "page"), many(1200, "page"), many(0, "property", "properties")
        ('1 page', '1,200 pages', '0 properties')
    """
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"


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


def pages_text(done: int, total: int, resumed: int) -> str:
    """Say how many pages arrived, and how many of them before this run.

    Example:
        >>> pages_text(40, 41, 12)
        '40 of 41 pages, 12 of them from an earlier run'
    """
    earlier = f", {resumed:,} of them from an earlier run" if resumed else ""
    return f"{done:,} of {many(total, 'page')}{earlier}"


def work_text(requests: int, retries: int, waited: float) -> str:
    """Say what a run asked of the server; ``waited`` is in seconds.

    Example:
        >>> work_text(42, 1, 0.0)
        '42 requests, 1 of them repeated'
    """
    waits = f"; {duration(waited)} spent waiting for the server's limits" if waited >= 0.5 else ""
    return f"{many(requests, 'request')}, {retries:,} of them repeated{waits}"


def error_text(page: int, error: str) -> str:
    """Say what is wrong with a missing page; most errors name their page themselves.

    Example:
        >>> error_text(7, "Page 7: status 500"), error_text(8, "not tried")
        ('page 7: status 500', 'page 8: not tried')
    """
    return f"page {page}: {error.removeprefix(f'Page {page}: ')}"


def share_text(share: float) -> str:
    """Write a share of 0 to 1 in percent, all and none only where it is exactly that.

    Example:
        >>> share_text(0.9886), share_text(0.99999), share_text(1), share_text(0.00001)
        ('98.9%', '>99.9%', '100.0%', '<0.1%')
    """
    text = f"{share:.1%}"
    if text == "0.0%" and share > 0:
        return "<0.1%"
    return ">99.9%" if text == "100.0%" and share < 1 else text
