"""How large pages are asked for by ``page_size="auto"``: decided by what page 0 shows at the server's own size.

A result of no more pages than Mixpanel publishes queries an hour is left as it is. A larger one is asked for anew in
the smallest pages that bring it there, within what is known to work elsewhere (50,000 profiles a page), what memory
bears and what a gateway waits for. That costs one query more, and makes a fetch possible where each page is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..http import HOURLY_QUOTA
from .announcement import Announcement
from .page import EngagePage, page_count

__all__ = ["LARGEST_BODY", "LARGE_TRIES", "PageSizing", "page_sizing", "shortfall"]

# Bytes of the largest pages that are asked for, as far as page 0 tells.
LARGEST_BODY = 64_000_000
# Requests for a page of a larger size that fail before such pages are given up.
LARGE_TRIES = 3
_MOST_ROWS = 50_000
_MOST_SECONDS = 60.0
_OF_A_ROW = b'"$distinct_id"'


@dataclass(frozen=True, slots=True)
class PageSizing:
    """What a result would be in other pages than the server's own.

    Args:
        page_size: Profiles a page: what is to be asked for, or the server's own size.
        pages: How many pages that makes.
        larger: Whether it is to be asked for.
        reason: Why, in a sentence; ``""`` where nothing speaks for larger pages.
    """

    page_size: int
    pages: int
    larger: bool = False
    reason: str = ""


def page_sizing(announced: Announcement, body_bytes: int, seconds: float) -> PageSizing:
    """Decide how large pages are asked for.

    Args:
        announced: What page 0 said at the server's own size.
        body_bytes: Bytes of page 0.
        seconds: How long its request took.

    Example:
        >>> page_sizing(Announcement("s", 3_000_000, 1000), 1_200_000, 0.5).page_size
        50000
        >>> page_sizing(Announcement("s", 60_000, 1000), 1_200_000, 0.5).larger
        False
    """
    own, pages = announced.page_size, announced.pages
    if pages <= HOURLY_QUOTA:
        return PageSizing(own, pages)
    rows = min(own, announced.total)
    most = {
        f"{_MOST_ROWS:,} is the most that is known to work": _MOST_ROWS,
        f"larger ones would have more than {LARGEST_BODY // 1_000_000} MB": int(
            LARGEST_BODY * rows / max(body_bytes, 1)
        ),
        f"larger ones would take more than {_MOST_SECONDS:.0f} s": int(_MOST_SECONDS * rows / max(seconds, 1e-6)),
    }
    limit = min(most, key=lambda reason: most[reason])
    enough = -(-announced.total // HOURLY_QUOTA)
    size = min(enough, most[limit])
    many = f"{pages:,} pages of {own:,} profiles are more than {HOURLY_QUOTA}, the queries an hour that are published"
    if size <= own:
        return PageSizing(own, pages, reason=f"{many}; {limit}.")
    fewer, why = page_count(announced.total, size), "" if size == enough else f"; {limit}"
    each = f"about {body_bytes * size / rows / 1e6:,.1f} MB and {seconds * size / rows:,.1f} s each"
    return PageSizing(
        size,
        fewer,
        larger=True,
        reason=f"{many}: {size:,} a page make {fewer:,}, {each}, for one query more{why}.",
    )


def shortfall(page: EngagePage, announced: Announcement) -> str | None:
    """Say that a page 0 has fewer profiles than it announces, if it has: a size that is not kept.

    Example:
        >>> page = EngagePage.from_body(0, b'{"page":0,"page_size":2,"results":[{"$distinct_id":"a"}],"total":3}')
        >>> shortfall(page, Announcement.opened_by(page))
        'its page 0 has 1 profile instead of 2'
    """
    expected = announced.expected_rows(0)
    if page.body.count(_OF_A_ROW) >= expected or (rows := page.row_count()) >= expected:
        return None
    return f"its page 0 has {rows:,} profile{'' if rows == 1 else 's'} instead of {expected:,}"
