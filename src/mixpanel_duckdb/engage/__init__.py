"""The Engage Query API as a client sees it: a query, its pages, and all profiles of it as a stream.

Filters and page numbers come in; ``EngagePage`` objects go out, body bytes and the few fields around the rows, which
nobody here parses unless a caller wants dicts. Called by ``fetch`` and by scripts through ``MixpanelClient``; ``store``
knows what a page looks like.

================  ============================================================================
``query``         ``ProfileQuery``: every filter, checked once
``forms``         filters in the server's own spelling
``fields``        the fields around the rows: where they stand, and which of their forms count
``page``          one page as it travels, and what makes it readable
``announcement``  what page 0 announces of a result, and what every page must then look like
``sizing``        how large pages are asked for, by what page 0 shows
``readahead``     the pages of a result fetched ahead of whoever takes them in order
``stream``        all profiles of a query, one after the other
``client``        ``MixpanelClient``: the face of the room
================  ============================================================================
"""

from .announcement import ROUNDS, UNREADABLE_TRIES, Announcement, row_oddity
from .client import MixpanelClient
from .page import EngagePage, damage, page_count, pieces
from .query import ProfileFilters, ProfileQuery
from .sizing import LARGE_TRIES, LARGEST_BODY, PageSizing, page_sizing, shortfall

__all__ = [
    "LARGEST_BODY",
    "LARGE_TRIES",
    "ROUNDS",
    "UNREADABLE_TRIES",
    "Announcement",
    "EngagePage",
    "MixpanelClient",
    "PageSizing",
    "ProfileFilters",
    "ProfileQuery",
    "damage",
    "page_count",
    "page_sizing",
    "pieces",
    "row_oddity",
    "shortfall",
]
