"""The only room with SQL: a page becomes rows here, and a complete table is swapped in.

Page bodies come in and are committed with their journal; tables, records and connections for readers go out. Called by
``fetch`` (to write), ``results``, ``timeline`` and ``cli`` (to read). Other rooms import from here, never from the
folders below.

==============  =====================================================================================
``database``    one DuckDB database: opening it, settings of ours on it, what its catalog has
``journal``     what is known of fetches: their pages, runs, owners, and the queries of the last hour
``pages``       page bodies to rows, committed together with their journal
``typed``       typed columns of a published table
``publish``     a complete staging table becomes the table that was asked for, in one transaction
``fetching``    the life of a fetch: begun, opened, staged, published or left
``profiles``    ``ProfileStore``: what the rest of the package talks to
``copy``        a table as a Parquet, CSV or NDJSON file
``overview``    what a store shows of itself in a notebook
``compare``     two tables side by side, for the demo
==============  =====================================================================================
"""

from .compare import Comparison, compare_tables
from .copy import Compression, Format, copy_table, is_open_database
from .database import connecting, path_of, quote, storage_errors
from .journal import (
    DIFFERENT,
    Claim,
    FetchHistory,
    FetchRecord,
    FetchSpec,
    OpenFetch,
    PageHistory,
    RunHistory,
    history_of,
)
from .pages import PageIngest, PageReceipt, PageWrite, StagedGroup
from .profiles import AnyDatabase, ProfileStore
from .publish import IfExists, one_row_each
from .typed import Kind, Shape, TypedProperty, TypedTable, make_typed

__all__ = [
    "DIFFERENT",
    "AnyDatabase",
    "Claim",
    "Comparison",
    "Compression",
    "FetchHistory",
    "FetchRecord",
    "FetchSpec",
    "Format",
    "IfExists",
    "Kind",
    "OpenFetch",
    "PageHistory",
    "PageIngest",
    "PageReceipt",
    "PageWrite",
    "ProfileStore",
    "RunHistory",
    "Shape",
    "StagedGroup",
    "TypedProperty",
    "TypedTable",
    "compare_tables",
    "connecting",
    "copy_table",
    "history_of",
    "is_open_database",
    "make_typed",
    "one_row_each",
    "path_of",
    "quote",
    "storage_errors",
]
