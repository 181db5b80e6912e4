"""A run: its threads, its queue, the order of its pages, and how it stops, starts over or ends.

A client, a store and a query come in; a result goes out, and a table in the store. Called by ``api`` and by scripts
through ``ParallelProfileFetcher``. Threads: the caller's drives and hears everything; at most five fetch pages; one
parses; one writes.

=================  ==========================================================================
``fetcher``        ``ParallelProfileFetcher``: the face of the room
``run``            one run, from its claim to its result, on the caller's thread
``channel``        a bounded line between threads
``threads``        the threads of a download, and the queue through which they are heard
``download``       pages: what is wrong with one, and what becomes of it
``news``           what that tells
``sizes``          how large its pages are asked for
``outcome``        how it ends: published, accepted as it is, or left
``telling``        what the caller hears: plan, pages, waits, notices
``schedule``       which page is fetched next, and when to stop trying
``source``         where pages come from: our client, or anybody's
``writer``         the bounded queue, the parsing thread and the writing one
``budget``         how many bytes of bodies a run may hold
``event_fetcher``  ``ParallelEventFetcher``: a fetch of events, from its plan to its result
``event_plan``     which days the next request asks for
``event_telling``  what the caller hears of a fetch of events
``event_run``      streams of events, and what becomes of them
``turns``          shorter turns at the interpreter's lock, for as long as a fetch lasts
=================  ==========================================================================
"""

from typing import TYPE_CHECKING

from .._lazy import lazily
from .fetcher import ParallelProfileFetcher
from .outcome import publish_unfinished
from .source import page_source
from .telling import BatchCallback

if TYPE_CHECKING:
    from .event_fetcher import ParallelEventFetcher
    from .event_plan import begun, days_to_fetch, requests_for
    from .event_telling import EventCallback
else:  # whoever fetches profiles waits for no events
    _EVENTS = {
        ".event_fetcher": "ParallelEventFetcher",
        ".event_plan": "begun days_to_fetch requests_for",
        ".event_telling": "EventCallback",
    }
    __getattr__ = lazily(__name__, _EVENTS)

__all__ = [
    "BatchCallback",
    "EventCallback",
    "ParallelEventFetcher",
    "ParallelProfileFetcher",
    "begun",
    "days_to_fetch",
    "page_source",
    "publish_unfinished",
    "requests_for",
]
