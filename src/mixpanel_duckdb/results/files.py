"""A table as a file for other tools, whole or not at all.

The store writes it, ``places`` knows where; here is the format that a name tells, and what is said of what was written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments import check
from ..errors import UnsuitableFileError
from ..store import Compression, Format, copy_table, reaching, reading, storage_errors
from .places import place_of

if TYPE_CHECKING:
    from ..store import AnyDatabase

__all__ = ["ExportedTable", "export_table", "file_format"]

_FORMATS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """A file, or a folder of files, that holds a table.

    Args:
        table: The table or view.
        file: Absolute path of it, or the name of the object.
        format: ``"parquet"``, ``"csv"`` or ``"ndjson"``.
        rows: Rows written.
        bytes: Size of all of it.
    """

    table: str
    file: str
    format: Format
    rows: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        return asdict(self)


def export_table(
    database: AnyDatabase,
    table: str,
    file: str | os.PathLike[str],
    *,
    format: Format | None = None,
    replace: bool = False,
    partition_by: Sequence[str] | None = None,
    setup: str | os.PathLike[str] | None = None,
) -> ExportedTable:
    """Write a table or view to a Parquet, CSV or NDJSON file, every value as it is stored.

    Args:
        database: A path to an existing file, your own ``DuckDBPyConnection`` or a :class:`ProfileStore`.
        table: Any table or view of it, typed columns included; ``schema.table`` for one of another schema.
        file: Where to write; it appears, or is replaced, only when it is complete. Its ending tells the format:
            ``.parquet``, ``.csv``, ``.ndjson`` or ``.jsonl``, the latter three also with ``.gz`` or ``.zst`` behind.
            It may be an object: ``s3://bucket/profiles.parquet``.
        format: ``"parquet"``, ``"csv"`` or ``"ndjson"``, whatever the ending.
        replace: Whether an existing file may be replaced; its mode is kept. A new one is its owner's alone to read.
        partition_by: Columns that a folder of Parquet files is parted by, named as ``column=value``; a moment is parted
            by its day, as ``column_day=2026-01-31``. ``file`` is the folder then.
        setup: Path of a file of SQL statements that run before: ``LOAD``, ``CREATE SECRET``.

    Returns:
        What was written.

    Raises:
        UnsuitableFileError: The file exists, its ending tells no format, its folder is not there, or it is the
            database.
        UnsuitableTableError: There is no such table or view.
        StorageError: There is no such database, or DuckDB could not read or write.

    Example:
        >>> import duckdb
        >>> import mixpanel_duckdb as md
        >>> connection = duckdb.connect()
        >>> _ = connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
        >>> _ = connection.execute('''INSERT INTO profiles VALUES ('a', '{"plan": "pro"}', NULL)''')
        >>> md.export_table(connection, "profiles", "profiles.ndjson").rows
        1
        >>> Path("profiles.ndjson").read_text().strip()
        '{"$distinct_id":"a","$properties":{"plan":"pro"}}'
    """
    check(locals(), but={"database"})
    place, parts = place_of(file, folder=bool(partition_by)), tuple(partition_by or ())
    place.check(replace=replace)
    form, compression = _form(place.name, format, parts)
    with (
        reading(database) as store,
        closing(store.reader()()) as connection,
        storage_errors(f"write {table!r} to {place.name}"),
        reaching(connection, place.name, setup),
    ):
        with place.written(connection, replace=replace) as path:
            write = partial(copy_table, connection, table, path, form, compression, parts, ours=store.tuned)
            rows = store.with_room(write)
        return ExportedTable(table, place.name, form, rows, place.size(connection))


def _form(name: str, given: Format | None, parts: Sequence[str]) -> tuple[Format, Compression | None]:
    if not parts:
        return file_format(Path(name), given)
    if given not in ("parquet", None):
        raise UnsuitableFileError("partition_by (--partition-by) is for folders of Parquet files.")
    return "parquet", None


def file_format(file: Path, given: Format | None = None) -> tuple[Format, Compression | None]:
    """Tell format and compression by a file's name.

    Args:
        file: Its path.
        given: The format, if the name does not tell it.

    Raises:
        UnsuitableFileError: Nothing tells the format, or Parquet is to be compressed once more.

    Example:
        >>> file_format(Path("profiles.jsonl.zst"))
        ('ndjson', 'zstd')
    """
    endings = [each.lower() for each in file.suffixes]
    compression = _COMPRESSIONS.get(endings[-1]) if endings else None
    rest = endings[:-1] if compression else endings
    form = given or (_FORMATS.get(rest[-1]) if rest else None)
    if form is None:
        raise UnsuitableFileError(
            f"{file.name!r} does not tell a format; end it in {', '.join(_FORMATS)}, or choose format='parquet', 'csv' "
            "or 'ndjson' (--format)."
        )
    if form == "parquet" and compression:
        raise UnsuitableFileError(f"{file.name!r}: Parquet is compressed by itself; leave out {endings[-1]}.")
    return form, compression
