"""The raw event export as a client sees it: days asked for, and their events as a stream that is judged at its end.

Days and filters come in; whole lines of JSON go out, some at a time, which nobody here parses unless a caller wants
dicts. There is no total and no page: events are complete when their stream has ended properly. Called by ``engage`` for
``MixpanelClient``, and by ``fetch``.

==========  =====================================================================
``days``    dates as people write them, and ranges of them
``query``   ``EventQuery``: what is asked for, checked once
``lines``   bytes to whole lines, and whether the last of them is the end
``reader``  ``EventReader``: one stream, opened again until it begins
==========  =====================================================================
"""

from .days import DayRange, day_of
from .lines import PIECE_BYTES, whole_lines
from .query import EventFilters, EventQuery
from .reader import EXPORT_PATH, EventReader

__all__ = [
    "EXPORT_PATH",
    "PIECE_BYTES",
    "DayRange",
    "EventFilters",
    "EventQuery",
    "EventReader",
    "day_of",
    "whole_lines",
]
