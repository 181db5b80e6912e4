"""A DuckLake, with its catalog in a DuckDB file, SQLite or PostgreSQL, and its rows in Parquet files.

Rows that are kept inside the catalog are switched off: with PostgreSQL, DuckDB 1.5.5 counts them wrongly.

Each thread that writes holds a row group, and so does each that reads. They are smaller than the 122,880 rows of a lake
that is left alone, so that several threads may write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

import duckdb

from ..database import literal, only_row
from ..tables import update
from .common import Attached
from .kind import Place
from .target import Target

__all__ = ["DuckLake"]

_ROWS_OF_A_GROUP = 20_480


class DuckLake(Attached):
    """See ``Kind``. Of two transactions that write the same comment, the second one to commit fails."""

    type: ClassVar[str] = "ducklake"
    schema: ClassVar[str] = "main"
    extensions: ClassVar[tuple[str, ...]] = ("ducklake", "postgres_scanner or sqlite_scanner for such a catalog")

    def statement(self, target: Target, alias: str, *, read_only: bool) -> str:
        """Write the statement that attaches a target."""
        options = ["READ_ONLY"] if read_only else ["DATA_INLINING_ROW_LIMIT 0"]
        options += [f"DATA_PATH {literal(target.data_path)}"] if target.data_path else []
        return f"ATTACH {literal(target.name)} AS {alias} ({', '.join(options)})"

    @contextmanager
    def attached(
        self, cursor: duckdb.DuckDBPyConnection, target: Target, alias: str, *, writing: bool
    ) -> Iterator[str | None]:
        """Attach it, and detach it again."""
        with super().attached(cursor, target, alias, writing=writing) as said:
            if writing:
                _write_small_row_groups(cursor, alias)
            yield said

    def exchange(self, cursor: duckdb.DuckDBPyConnection, place: Place, incoming: str) -> None:
        """Update what changed, insert what is new, delete what is gone: the feed of changes then names just these."""
        update(cursor, place.sql, incoming)


def _write_small_row_groups(cursor: duckdb.DuckDBPyConnection, alias: str) -> None:
    """Have what is written through this attachment in small row groups, unless the lake's owner has said something.

    The options of a lake are its owner's: this one is rolled back, and stays with the attachment alone. Where DuckLake
    takes it back there, too, or refuses it, row groups are as large as ever.
    """
    own = f"SELECT 1 FROM ducklake_options({literal(alias)}) WHERE starts_with(option_name, 'parquet_row_group_size')"
    with suppress(duckdb.Error):
        if only_row(cursor, own) is None:
            cursor.execute("BEGIN")
            cursor.execute(f"CALL ducklake_set_option({literal(alias)}, 'parquet_row_group_size', {_ROWS_OF_A_GROUP})")
    with suppress(duckdb.Error):  # none has begun
        cursor.execute("ROLLBACK")
