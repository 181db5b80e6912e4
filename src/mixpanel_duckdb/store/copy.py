"""A table or view as a file: Parquet, CSV or NDJSON, written by DuckDB's ``COPY``.

No value may change on the way (checked with DuckDB 1.5.6 and 2.0.0). So what Parquet has no type for and DuckDB would
write as a double (integers of 128 bits) becomes text; so does JSON, which some readers take for bytes. In CSV, structs
and lists are JSON, not DuckDB's own notation. In NDJSON a profiles table has the server's own shape.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import duckdb

from ..errors import UnsuitableTableError
from . import targets
from .database import COLUMNS, hush, is_nested, literal, only_row, quote

__all__ = ["Compression", "Format", "copy_table", "is_open_database", "objects_at", "reaching"]

Format = Literal["parquet", "csv", "ndjson"]
Compression = Literal["gzip", "zstd"]

_NO_PARQUET_TYPE = re.compile(r'"(?:[^"]|"")*"|\b(JSON|HUGEINT|UHUGEINT|BIGNUM)(?=[,)\[]|$)')
# With its threads for I/O, DuckDB 2.0.0 now and then never comes back from Ctrl-C: about one COPY in ten. To keep an
# order it keeps rows, and large profiles are then too many for its memory; one thread keeps it anyway.
_OURS = {"async_threads": "0", "preserve_insertion_order": "false"}
# A row group is held in memory until it is whole, at several times its size.
_ROW_GROUP = ", ROW_GROUP_SIZE_BYTES '32MB'"


def copy_table(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    path: str,
    form: Format,
    compression: Compression | None,
    partition_by: Sequence[str] = (),
    *,
    ours: bool,
) -> int:
    """Write all rows of a table or view.

    Args:
        connection: Where the table is.
        table: Its name, with its schema's and a dot before it where that is another.
        path: File to write, over whatever is there; its mode stays.
        form: What to write.
        compression: How to compress CSV or NDJSON.
        partition_by: Columns that a folder of Parquet files is parted by.
        ours: Whether the database's settings are ours to change, so that large profiles fit.

    Returns:
        Rows written.

    Raises:
        UnsuitableTableError: There is no such table or view, or it has no such column.
    """
    hush(connection)
    place, columns = _found(connection, table)
    days, parts = _parts(columns, partition_by, table)
    select = f"SELECT {_expressions(columns, form)}{days} FROM {place}"
    options = {
        "parquet": f"FORMAT parquet, COMPRESSION zstd{_ROW_GROUP if ours else ''}",
        "csv": "FORMAT csv, HEADER true",
        "ndjson": "FORMAT json, ARRAY false",
    }[form]
    options += f", PARTITION_BY ({parts})" if parts else ", USE_TMP_FILE false"
    if form != "parquet":
        options += f", COMPRESSION {compression or 'uncompressed'}"
    with _settings(connection, _OURS if ours else {}):
        row = only_row(connection, f"COPY ({select}) TO {literal(path)} ({options})")
    return int(row[0]) if row else 0


def is_open_database(connection: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Whether a file is a database that this connection reads, or the log of one."""
    rows = connection.execute("SELECT path FROM duckdb_databases() WHERE path IS NOT NULL").fetchall()
    return str(file) in {os.path.realpath(path) + ending for (path,) in rows for ending in ("", ".wal")}


def _found(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[str, dict[str, str]]:
    """Find a table or view by its whole name, or else by that of its schema and its own; give its columns, too."""
    for parts in ([table], table.split(".")):
        place = ".".join(map(quote, parts))
        with suppress(duckdb.CatalogException, duckdb.ParserException):  # the latter for an empty name
            return place, {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {place}").fetchall()}
    raise UnsuitableTableError(f"There is no table or view {table!r} in this database.")


@contextmanager
def reaching(connection: duckdb.DuckDBPyConnection, place: str, setup: str | os.PathLike[str] | None) -> Iterator[None]:
    """Surround a moment in which a place is written: with what a setup file makes, which is gone afterwards.

    Args:
        connection: What writes.
        place: A path, or the name of an object.
        setup: The file, if there is one.
    """
    if setup is None and "://" not in place:
        yield
        return
    with targets.reaching(connection, place, setup):
        yield


def objects_at(connection: duckdb.DuckDBPyConnection, name: str, *, folder: bool) -> tuple[int, int]:
    """Count objects of a store, and their bytes: the one of a name, or all in a folder."""
    pattern = literal(f"{name}/**" if folder else f"{name}*")
    these = "" if folder else f" WHERE file = {literal(name)}"
    row = only_row(connection, f"SELECT count(*) FROM glob({pattern}){these}")
    if not row or not row[0]:
        return 0, 0
    size = only_row(connection, f"SELECT sum(size) FROM read_blob({pattern if folder else literal(name)})")
    return int(row[0]), int(size[0]) if size else 0


def _parts(columns: dict[str, str], partition_by: Sequence[str], table: str) -> tuple[str, str]:
    """Write the columns that a folder is parted by: the days of moments, which come in addition, and all names."""
    days, parts = "", []
    for name in partition_by:
        if name not in columns:
            raise UnsuitableTableError(f"{table!r} has no column {name!r} to part a folder by (--partition-by).")
        if columns[name].startswith("TIMESTAMP"):
            days += f", {quote(name)}::DATE AS {quote(f'{name}_day')}"
            parts.append(quote(f"{name}_day"))
        else:
            parts.append(quote(name))
    return days, ", ".join(parts)


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
    return f"to_json({column})::VARCHAR" if is_nested(kind) else column


@contextmanager
def _settings(connection: duckdb.DuckDBPyConnection, wanted: dict[str, str]) -> Iterator[None]:
    """Have settings of the whole instance for a while, those of them that this DuckDB knows and lets us change."""
    before = dict(
        connection.execute(
            "SELECT name, value FROM duckdb_settings() WHERE list_contains($1::VARCHAR[], name)", [list(wanted)]
        ).fetchall()
    )
    try:
        _set(connection, {name: wanted[name] for name in before})
        yield
    finally:
        _set(connection, before)


def _set(connection: duckdb.DuckDBPyConnection, values: dict[str, str]) -> None:
    for name, value in values.items():
        with suppress(duckdb.InvalidInputException):  # somebody may have locked the configuration
            connection.execute(f"SET GLOBAL {name} = {literal(value)}")
