"""The only room with SQL: a page becomes rows here, and a complete table is swapped in.

Page bodies come in and are committed with their journal; tables, records and connections for readers go out. Called by
``fetch`` (to write), ``results``, ``timeline`` and ``cli`` (to read). Other rooms import from here, never from the
folders below.

==============  =====================================================================================
``database``    one DuckDB database: opening it, settings of ours on it, what its catalog has
``journal``     what is known of fetches: their pages, runs, owners, and the queries of the last hour
``events``      streams of events to rows, a day at a time
``pages``       page bodies to rows, committed together with their journal
``tables``      what a published table must be, and what it holds
``targets``     a complete table published into what others read
``elsewhere``   the end of a fetch that is published there
``typed``       typed columns of a published table
``publish``     a complete staging table becomes the table that was asked for, in one transaction
``fetching``    the life of a fetch: begun, opened, staged, published or left
``profiles``    ``ProfileStore``: what the rest of the package talks to
``sign``        a small file that tells other processes of a fetch while it runs
``reading``     a store for whoever only reads
``copy``        a table as a Parquet, CSV or NDJSON file
``overview``    what a store shows of itself and its fetches
``querying``    one query of the user's own, which only reads
``compare``     two tables side by side, for the demo
==============  =====================================================================================
"""

from typing import TYPE_CHECKING

from .._lazy import lazily
from .database import connecting, folded, path_of, quote, storage_errors
from .events import (
    DayRecord,
    EventFetching,
    EventGroup,
    EventIngest,
    EventPiece,
    EventReceipt,
    EventTable,
    event_history,
)
from .journal import (
    Claim,
    Difference,
    FetchHistory,
    FetchRecord,
    FetchSpec,
    OpenFetch,
    PageHistory,
    RunHistory,
    history_of,
)
from .overview import Fetches
from .pages import PageIngest, PageReceipt, PageWrite, StagedGroup
from .profiles import ProfileStore
from .publish import Publication, StagedRows, one_row_each
from .reading import AnyDatabase, reading
from .sign import Sign, running_fetches
from .tables import Allowed, Changes, IfExists, ProfileChange
from .targets import Target, check_target, refuse_secret

if TYPE_CHECKING:
    from .compare import Comparison, compare_tables
    from .copy import Compression, Format, copy_table, is_open_database, objects_at, reaching
    from .querying import Answer, answer
    from .typed import Kind, Shape, TypedProperty, TypedTable, event_views, make_typed, typed_name
else:  # a fetch needs none of them
    _AFTERWARDS = {
        ".compare": "Comparison compare_tables",
        ".copy": "Compression Format copy_table is_open_database objects_at reaching",
        ".querying": "Answer answer",
        ".typed": "Kind Shape TypedProperty TypedTable event_views make_typed typed_name",
    }
    __getattr__ = lazily(__name__, _AFTERWARDS)

__all__ = [
    "Allowed",
    "Answer",
    "AnyDatabase",
    "Changes",
    "Claim",
    "Comparison",
    "Compression",
    "DayRecord",
    "Difference",
    "EventFetching",
    "EventGroup",
    "EventIngest",
    "EventPiece",
    "EventReceipt",
    "EventTable",
    "FetchHistory",
    "FetchRecord",
    "FetchSpec",
    "Fetches",
    "Format",
    "IfExists",
    "Kind",
    "OpenFetch",
    "PageHistory",
    "PageIngest",
    "PageReceipt",
    "PageWrite",
    "ProfileChange",
    "ProfileStore",
    "Publication",
    "RunHistory",
    "Shape",
    "Sign",
    "StagedGroup",
    "StagedRows",
    "Target",
    "TypedProperty",
    "TypedTable",
    "answer",
    "check_target",
    "compare_tables",
    "connecting",
    "copy_table",
    "event_history",
    "event_views",
    "folded",
    "history_of",
    "is_open_database",
    "make_typed",
    "objects_at",
    "one_row_each",
    "path_of",
    "quote",
    "reaching",
    "reading",
    "refuse_secret",
    "running_fetches",
    "storage_errors",
    "typed_name",
]
