"""A DuckLake, with its catalog in a DuckDB file, SQLite or PostgreSQL, and its rows in Parquet files.

Rows that are kept inside the catalog are switched off: with PostgreSQL, DuckDB 1.5.5 counts them wrongly.
"""

from __future__ import annotations

from typing import ClassVar

from ..database import literal
from .common import Attached
from .target import Target

__all__ = ["DuckLake"]


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
