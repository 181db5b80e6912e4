"""A run: its threads, its queue, the order of its pages, and how it stops, starts over or ends.

A client, a store and a query come in; a result goes out, and a table in the store. Called by ``api`` and by scripts
through ``ParallelProfileFetcher``. Threads: the caller's drives and hears everything; at most five fetch pages; one
parses; one writes.

============  ==========================================================================
``fetcher``   ``ParallelProfileFetcher``: the face of the room
``run``       one run, from its claim to its result, on the caller's thread
``channel``   a bounded line between threads
``download``  the threads of one download, and the queue through which they are heard
``telling``   what the caller hears: plan, pages, waits, notices
``schedule``  which page is fetched next, and when to stop trying
``source``    where pages come from: our client, or anybody's
``writer``    the bounded queue, the parsing thread and the writing one
``budget``    how many bytes of bodies a run may hold
``turns``     shorter turns at the interpreter's lock, for as long as a fetch lasts
============  ==========================================================================
"""

from .fetcher import BatchCallback, ParallelProfileFetcher
from .source import page_source

__all__ = ["BatchCallback", "ParallelProfileFetcher", "page_source"]
