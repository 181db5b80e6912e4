"""A picture of a fetch, drawn from the journal: workers as lanes, pages as bars, waits and retries marked.

==============  =========================================================================
``activity``    the journal's history of a fetch as what each worker did when
``scale``       the time axis, with the time between two runs cut out
``layout``      lanes, bars, pauses and cuts, in pixels
``style``       colours, marks and words
``svg``         the layout as SVG
``picture``     ``Timeline``: the picture as notebooks show it and files keep it
==============  =========================================================================
"""

from .picture import Timeline, timeline_of

__all__ = ["Timeline", "timeline_of"]
