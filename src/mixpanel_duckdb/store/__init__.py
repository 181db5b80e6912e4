"""The storage room, the only one with SQL: rows and their journal in one DuckDB database.

==============  =====================================================================================
``database``    opens a path, ``":memory:"`` or somebody's connection; turns DuckDB's errors into ours
``tuning``      settings of ours on an instance that is ours
``records``     what is said of one fetch
``journal``     the tables ``_mixpanel_fetches``, ``_mixpanel_pages`` and ``_mixpanel_queries``
``ownership``   which run may write a fetch
``quota``       the queries of the last hour
``fidelity``    mends the rare text that DuckDB's JSON reader refuses or chokes on
``sql``         the statements that take page bodies apart
``stage``       page bodies to rows in memory, counted and judged
``history``     how a fetch went, for its timeline
``ingest``      staged pages to a staging table, committed together with their journal
``publish``     a complete staging table becomes the table that was asked for, in one transaction
``overview``    what a store shows of itself in a notebook
``profiles``    ``ProfileStore``: what the rest of the package talks to
``typed``       typed columns of a published table
``files``       a table as a Parquet, CSV or NDJSON file
``compare``     two tables side by side, for the demo
==============  =====================================================================================
"""

from .database import connecting, storage_errors
from .ingest import PageWriter
from .profiles import ProfileStore
from .records import FetchRecord, FetchSpec, OpenFetch
from .stage import PageReceipt, PageWrite, StagedGroup

__all__ = [
    "FetchRecord",
    "FetchSpec",
    "OpenFetch",
    "PageReceipt",
    "PageWrite",
    "PageWriter",
    "ProfileStore",
    "StagedGroup",
    "connecting",
    "storage_errors",
]
