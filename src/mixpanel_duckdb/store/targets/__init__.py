"""Past one file: a complete staging table published into what others read, in one transaction of theirs.

A target and a staging table come in; what it changed goes out. The target is attached for two short moments: before the
first request, to refuse what could not work, and at the end, to publish. Called by ``fetching``.

===============  =====================================================================================
``target``       ``Target``: what a caller names, checked for what must not stand in it
``attached``     a target attached to the database of the staging table, and detached again
``kind``         what each kind of engine must know
``duckdb_file``  another DuckDB file, also while other processes read it
``ducklake``     a DuckLake, whatever its catalog is kept in
``postgres``     a PostgreSQL database
``common``       what engines have in common that keep rows and comments as DuckDB does
``staged``       the staged rows, where a caller's own connection can read them
``union_view``   one view over all tables that were published
``publishing``   check, publish, read back
``days``         the same for days of events
===============  =====================================================================================
"""

from typing import TYPE_CHECKING

from ..._lazy import lazily
from .target import Target, check_target, refuse_secret

if TYPE_CHECKING:
    from .attached import in_our_words, reaching
    from .days import PublishedDays, StagedDays, check_days_into, publish_days_into
    from .publishing import Published, check_into, publish_into, reader_of
else:  # engines are known to those only who publish into one
    __getattr__ = lazily(
        __name__,
        {
            ".attached": "in_our_words reaching",
            ".days": "PublishedDays StagedDays check_days_into publish_days_into",
            ".publishing": "Published check_into publish_into reader_of",
        },
    )

__all__ = [
    "Published",
    "PublishedDays",
    "StagedDays",
    "Target",
    "check_days_into",
    "check_into",
    "check_target",
    "in_our_words",
    "publish_days_into",
    "publish_into",
    "reaching",
    "reader_of",
    "refuse_secret",
]
