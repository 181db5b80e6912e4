"""Small tables that many runs have added to, written anew: the file does not grow with the number of runs.

What a transaction adds is a row group of its own, which takes blocks of the file for good, however few its rows are. To
merge row groups, DuckDB's own way (``max_vacuum_tasks``), takes up every table of the file, profiles of gigabytes too.
"""

from __future__ import annotations

from contextlib import suppress

import duckdb

from .statements import atomic, heeding_interrupts, only_row, quote
from .tuning import Tuning

__all__ = ["ROWS_OF_A_GROUP", "pack"]

# Of a full row group, as DuckDB makes them.
ROWS_OF_A_GROUP = 122_880
# How many more groups than needed are worth the work, and the most rows that are.
_WORTH_PACKING, _MOST_ROWS = 4, 250_000


def pack(cursor: duckdb.DuckDBPyConnection, tuning: Tuning, table: str) -> None:
    """Write a table anew if it is small and in many row groups; the rows, and all that hangs on the table, stay.

    Args:
        cursor: With no transaction open.
        tuning: Of the instance; nothing is done to one that is not ours.
        table: Its name. Where it cannot be written anew, it stays as it is.
    """
    if not tuning.ours:
        return
    copy = quote(f"_mixpanel_packed_{table}")

    def anew() -> None:
        with atomic(cursor):
            cursor.execute(f"CREATE OR REPLACE TEMP TABLE {copy} AS FROM {quote(table)} ORDER BY rowid ASC")
            cursor.execute(f"DELETE FROM {quote(table)}")
            cursor.execute(f"INSERT INTO {quote(table)} FROM temp.{copy} ORDER BY rowid ASC")
            cursor.execute(f"DROP TABLE temp.{copy}")

    with suppress(duckdb.Error), heeding_interrupts():
        rows = only_row(cursor, f"SELECT count(*) FROM {quote(table)}")
        if rows and rows[0] <= _MOST_ROWS:
            groups = only_row(cursor, "SELECT count(DISTINCT row_group_id) FROM pragma_storage_info(?)", [quote(table)])
            if groups and groups[0] >= rows[0] / ROWS_OF_A_GROUP + _WORTH_PACKING:
                tuning.with_room(anew)
