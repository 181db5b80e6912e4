"""Words and tables for people, and the gate that every text passes before it is shown or kept.

Ground floor: functions that every room may call. Values come in, text goes out.

===========  ==========================================================
``gate``     secrets out, control characters visible
``wording``  durations, shares, page lists and errors as sentences
``markup``   notes and grids as HTML that is safe to show
``columns``  rows set in columns of text
===========  ==========================================================
"""

from .columns import line_width, table_text, wrapped
from .gate import Secrets, excerpt, one_line, plain, shown
from .markup import facts, grid, note, stated
from .wording import (
    EVENT_ODDITIES,
    MOST_ERRORS,
    ODDITIES,
    duration,
    error_text,
    many,
    page_list,
    pages_text,
    share_text,
    work_text,
)

__all__ = [
    "EVENT_ODDITIES",
    "MOST_ERRORS",
    "ODDITIES",
    "Secrets",
    "duration",
    "error_text",
    "excerpt",
    "facts",
    "grid",
    "line_width",
    "many",
    "note",
    "one_line",
    "page_list",
    "pages_text",
    "plain",
    "share_text",
    "shown",
    "stated",
    "table_text",
    "work_text",
    "wrapped",
]
