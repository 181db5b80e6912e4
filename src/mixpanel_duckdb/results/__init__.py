"""What a run tells while it lasts and when it has ended, and ways from a result to its rows.

Counts come in from ``fetch``; frozen dataclasses go out, with data frames, typed columns and files on request.
Called by ``fetch``, ``display``, ``api`` and the command.

=================  =====================================================================
``progress``       ``ProfileBatchProgress`` and what an observer hears
``result``         ``ParallelProfileFetchResult``: what a fetch came to, and its proof
``frames``         rows as pandas, polars, Arrow or a DuckDB relation
``typed_columns``  ``type_columns``: a view or table with a column for each property
``files``          ``export_table``: a table as a file, put in place when it is whole
=================  =====================================================================
"""

from typing import TYPE_CHECKING

from .._lazy import lazily
from .progress import FetchObserver, FetchPlan, ProfileBatchProgress, SilentObserver

if TYPE_CHECKING:
    from .files import ExportedTable, export_table
    from .result import ParallelProfileFetchResult
    from .typed_columns import REPORT, TypedColumn, TypedColumns, report_row, type_columns
else:  # progress is told without DuckDB
    _FILES = dict.fromkeys(["ExportedTable", "export_table"], ".files")
    _RESULT = dict.fromkeys(["ParallelProfileFetchResult"], ".result")
    _TYPED = dict.fromkeys(["REPORT", "TypedColumn", "TypedColumns", "report_row", "type_columns"], ".typed_columns")
    __getattr__ = lazily(__name__, _FILES | _RESULT | _TYPED)

__all__ = [
    "REPORT",
    "ExportedTable",
    "FetchObserver",
    "FetchPlan",
    "ParallelProfileFetchResult",
    "ProfileBatchProgress",
    "SilentObserver",
    "TypedColumn",
    "TypedColumns",
    "export_table",
    "report_row",
    "type_columns",
]
