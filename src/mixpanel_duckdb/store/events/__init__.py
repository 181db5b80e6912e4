"""Events to rows: the streams of a fetch written apart, each seen by readers when it is whole and not before.

Pieces of streams come in on the writer's thread; days go out, each with its rows and its entry in the journal, in one
transaction that replaces what was there. Called by ``fetch`` through ``ProfileStore.events``.

============  =========================================================================
``schema``    the table of events, its view, and the journal of its days
``sql``       the statements that take lines apart
``spool``     pieces as files for a moment, which DuckDB's own reader takes apart
``pieces``    a piece of a stream, and what became of it
``stream``    a stream under way: its days, its transaction, and what was odd in it
``ingest``    ``EventIngest``: one transaction for each stream, ended by its last piece
``strays``    events that came with other days than those of their times, and what goes with them
``days``      what is known of a day, and when it is open
``history``   how the last run into a table went, for a picture of it
``held``      ``EventTable``: what a table has, and where there are gaps
``zone``      of which clock the times are
``fetching``  ``EventFetching``: a table made ready, and which of its days are there
============  =========================================================================
"""

from .days import DayRecord
from .fetching import EventFetching
from .held import EventTable, event_tables
from .history import event_fetches, event_history
from .ingest import EventIngest
from .pieces import EventGroup, EventPiece, EventReceipt, OddEvents

__all__ = [
    "DayRecord",
    "EventFetching",
    "EventGroup",
    "EventIngest",
    "EventPiece",
    "EventReceipt",
    "EventTable",
    "OddEvents",
    "event_fetches",
    "event_history",
    "event_tables",
]
