"""The rows of a staging table where another DuckDB instance can read them: a caller's connection is one of its own."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ..database import COLUMNS, literal, only_row

__all__ = ["are_one", "within_reach"]


@contextmanager
def within_reach(
    cursor: duckdb.DuckDBPyConnection,
    other: duckdb.DuckDBPyConnection,
    staging: str,
    columns: Mapping[str, str] = COLUMNS,
) -> Iterator[str]:
    """Give what the rows are called elsewhere: as here, or else a file that is there for as long as this lasts.

    Args:
        cursor: To the database of the staging table.
        other: Where they are to be read.
        staging: The staging table, or a query in brackets, for statements here.
        columns: Its columns, with their types.
    """
    if cursor is other or are_one(cursor, other):
        yield staging
        return
    with tempfile.TemporaryDirectory(prefix="mp-fetch-") as folder:
        file = literal(str(Path(folder, "staged.parquet")))
        names = ", ".join(columns)
        rows = names.replace("properties", "properties::VARCHAR AS properties")
        cursor.execute(f"COPY (SELECT {rows} FROM {staging}) TO {file} (FORMAT parquet, ROW_GROUP_SIZE 20480)")
        yield f"(SELECT {names.replace('properties', 'properties::JSON AS properties')} FROM read_parquet({file}))"


def are_one(cursor: duckdb.DuckDBPyConnection, other: duckdb.DuckDBPyConnection) -> bool:
    """Whether two connections are to one instance: what is attached to one of them, the other has."""
    sign = f"_mixpanel_sign_{uuid.uuid4().hex[:12]}"
    cursor.execute(f"ATTACH ':memory:' AS {sign}")
    try:
        return only_row(other, "SELECT 1 FROM duckdb_databases() WHERE database_name = ?", [sign]) is not None
    finally:
        cursor.execute(f"DETACH {sign}")
