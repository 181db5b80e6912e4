"""What a run tells while it lasts and when it has ended, and ways from a result to its rows.

Counts come in from ``fetch``; frozen dataclasses go out, with data frames, typed columns and files on request.
Called by ``fetch``, ``display``, ``api`` and the command.

=================  =====================================================================
``progress``       ``ProfileBatchProgress`` and what an observer hears
``result``         ``ParallelProfileFetchResult``: what a fetch came to, and its proof
``events``         ``BatchProgress`` and ``ParallelFetchResult``: the same for events
``frames``         rows as pandas, polars, Arrow or a DuckDB relation
``typed_columns``  ``type_columns``: a view or table with a column for each property
``typed_events``   ``type_events``: one for each name of events
``files``          ``export_table``: a table as a file, put in place when it is whole
``places``         where that is: a file, a folder, object storage
=================  =====================================================================
"""

from typing import TYPE_CHECKING

from .._lazy import lazily
from .progress import FetchObserver, FetchPlan, ProfileBatchProgress, SilentObserver

if TYPE_CHECKING:
    from .events import BatchProgress, ParallelFetchResult
    from .files import ExportedTable, export_table
    from .result import ParallelProfileFetchResult
    from .typed_columns import EventTypingOptions, TypedColumn, TypedColumns, TypingOptions, type_columns
    from .typed_events import type_events
else:  # progress is told without DuckDB
    _RESULTS = {
        ".events": "BatchProgress ParallelFetchResult",
        ".files": "ExportedTable export_table",
        ".result": "ParallelProfileFetchResult",
        ".typed_columns": "EventTypingOptions TypedColumn TypedColumns TypingOptions type_columns",
        ".typed_events": "type_events",
    }
    __getattr__ = lazily(__name__, _RESULTS)

__all__ = [
    "BatchProgress",
    "EventTypingOptions",
    "ExportedTable",
    "FetchObserver",
    "FetchPlan",
    "ParallelFetchResult",
    "ParallelProfileFetchResult",
    "ProfileBatchProgress",
    "SilentObserver",
    "TypedColumn",
    "TypedColumns",
    "TypingOptions",
    "export_table",
    "type_columns",
    "type_events",
]
