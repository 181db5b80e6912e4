"""A table or view as a file: Parquet, CSV or NDJSON, written by DuckDB's ``COPY``.

No value may change on the way (checked with DuckDB 1.5.6 and 2.0.0). So what Parquet has no type for and DuckDB would
write as a double (integers of 128 bits) becomes text; so does JSON, which some readers take for bytes. In CSV, structs
and lists are JSON, not DuckDB's own notation. In NDJSON a profiles table has the server's own shape.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import duckdb

from ..errors import UnsuitableTableError
from .database import COLUMNS, hush, literal, only_row, quote

__all__ = ["Compression", "Format", "copy_table", "is_open_database"]

Format = Literal["parquet", "csv", "ndjson"]
Compression = Literal["gzip", "zstd"]

_NO_PARQUET_TYPE = re.compile(r'"(?:[^"]|"")*"|\b(JSON|HUGEINT|UHUGEINT|BIGNUM)(?=[,)\[]|$)')
_NESTED = re.compile(r"(STRUCT|MAP|UNION)\(|.*\]$", re.DOTALL)
# With its threads for I/O, DuckDB 2.0.0 now and then never comes back from Ctrl-C: about one COPY in ten.
_ALWAYS = {"async_threads": "0"}
# To keep an order DuckDB keeps rows, and large profiles are then too many for its memory; one thread keeps it anyway.
_OURS = {"preserve_insertion_order": "false"}
# A row group is held in memory until it is whole, at several times its size.
_ROW_GROUP = ", ROW_GROUP_SIZE_BYTES '32MB'"


def copy_table(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    path: str,
    form: Format,
    compression: Compression | None,
    *,
    ours: bool,
) -> int:
    """Write all rows of a table or view.

    Args:
        connection: Where the table is.
        table: Its name.
        path: File to write, over whatever is there.
        form: What to write.
        compression: How to compress CSV or NDJSON.
        ours: Whether the database's memory limit and order are ours to choose, so that large profiles fit.

    Returns:
        Rows written.

    Raises:
        UnsuitableTableError: There is no such table or view.
    """
    hush(connection)
    columns = _columns(connection, table)
    select = f"SELECT {_expressions(columns, form)} FROM {quote(table)}"
    options = {
        "parquet": f"FORMAT parquet, COMPRESSION zstd{_ROW_GROUP if ours else ''}",
        "csv": "FORMAT csv, HEADER true",
        "ndjson": "FORMAT json, ARRAY false",
    }[form]
    if form != "parquet":
        options += f", COMPRESSION {compression or 'uncompressed'}"
    with _settings(connection, {**_ALWAYS, **(_OURS if ours else {})}):
        row = only_row(connection, f"COPY ({select}) TO {literal(path)} ({options})")
    return int(row[0]) if row else 0


def is_open_database(connection: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Whether a file is a database that this connection reads, or the log of one."""
    rows = connection.execute("SELECT path FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()
    return str(file) in {os.path.realpath(path) + ending for (path,) in rows for ending in ("", ".wal")}


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    try:
        return {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {quote(table)}").fetchall()}
    except (duckdb.CatalogException, duckdb.ParserException):  # the latter for the empty name
        raise UnsuitableTableError(f"There is no table or view {table!r} in this database.") from None


def _expressions(columns: dict[str, str], form: Format) -> str:
    if form == "ndjson":
        return 'distinct_id AS "$distinct_id", properties AS "$properties"' if columns == COLUMNS else "*"
    write = _for_parquet if form == "parquet" else _for_csv
    return ", ".join(f"{write(quote(name), kind)} AS {quote(name)}" for name, kind in columns.items())


def _for_parquet(column: str, kind: str) -> str:
    """Cast what readers of Parquet would not get as it is, also inside structs and lists."""
    portable = _NO_PARQUET_TYPE.sub(lambda found: "VARCHAR" if found[1] else found[0], kind)
    return column if portable == kind else f"{column}::{portable}"


def _for_csv(column: str, kind: str) -> str:
    return f"to_json({column})::VARCHAR" if _NESTED.match(kind) else column


@contextmanager
def _settings(connection: duckdb.DuckDBPyConnection, wanted: dict[str, str]) -> Iterator[None]:
    """Have settings of the whole database for a while; those that this DuckDB does not know stay away."""
    before = dict(
        connection.execute(
            "SELECT name, value FROM duckdb_settings() WHERE list_contains($1::VARCHAR[], name)", [list(wanted)]
        ).fetchall()
    )
    try:
        for name in before:
            connection.execute(f"SET GLOBAL {name} = {literal(wanted[name])}")
        yield
    finally:
        for name, value in before.items():
            connection.execute(f"SET GLOBAL {name} = {literal(value)}")
