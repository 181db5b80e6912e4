"""Words and tables for people: numbers as text, and the few HTML fragments that notebooks show.

Ground floor: pure functions that every room may call. Values come in, text goes out; nothing is read or written.

===========  ==========================================================
``wording``  durations, shares, page lists and errors as sentences
``markup``   notes and grids as HTML that is safe to show
===========  ==========================================================
"""

from .markup import facts, grid, note, stated
from .wording import MOST_ERRORS, ODDITIES, duration, error_text, page_list, pages_text, share_text, work_text

__all__ = [
    "MOST_ERRORS",
    "ODDITIES",
    "duration",
    "error_text",
    "facts",
    "grid",
    "note",
    "page_list",
    "pages_text",
    "share_text",
    "stated",
    "work_text",
]
