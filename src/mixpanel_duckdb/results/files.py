"""A table as a file for other tools, whole or not at all.

The store writes it (``store/files``); here is where it goes: the format that its name tells, a temporary name beside it
until it is complete, and what is said of it.
"""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments import check
from ..errors import UnsuitableFileError
from ..store import Compression, Format, ProfileStore, copy_table, is_open_database, storage_errors

if TYPE_CHECKING:
    from ..store import AnyDatabase

__all__ = ["ExportedTable", "export_table", "file_format"]

_FORMATS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """A file that holds a table.

    Args:
        table: The table or view.
        file: Absolute path of the file.
        format: ``"parquet"``, ``"csv"`` or ``"ndjson"``.
        rows: Rows written.
        bytes: Size of the file.
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
) -> ExportedTable:
    """Write a table or view to a Parquet, CSV or NDJSON file, every value as it is stored.

    Args:
        database: A path to an existing file, your own ``DuckDBPyConnection`` or a :class:`ProfileStore`.
        table: Any table or view of it, typed columns included.
        file: Where to write; it appears, or is replaced, only when it is complete. Its ending tells the format:
            ``.parquet``, ``.csv``, ``.ndjson`` or ``.jsonl``, the latter three also with ``.gz`` or ``.zst`` behind.
        format: ``"parquet"``, ``"csv"`` or ``"ndjson"``, whatever the ending.
        replace: Whether an existing file may be replaced.

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
    target = Path(os.path.realpath(file))
    _check(target, replace=replace)
    form, compression = file_format(target, format)
    written = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    with ExitStack() as stack:
        store = (
            database
            if isinstance(database, ProfileStore)
            else stack.enter_context(ProfileStore.open_existing(database))
        )
        connection = stack.enter_context(closing(store.reader()()))
        stack.callback(_remove, written)
        with storage_errors(f"write {table!r} to {target}"):
            if is_open_database(connection, target):
                raise UnsuitableFileError(f"{target} is the database; give the export a file of its own.")
            rows = store.with_room(
                partial(copy_table, connection, table, str(written), form, compression, ours=store.tuned)
            )
            _keep(written)
            _check(target, replace=replace)
            size = written.stat().st_size
            written.replace(target)
    return ExportedTable(table, str(target), form, rows, size)


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


def _check(target: Path, *, replace: bool) -> None:
    if not target.parent.is_dir():
        raise UnsuitableFileError(f"The folder {target.parent} does not exist.")
    if target.exists() and not target.is_file():
        raise UnsuitableFileError(f"{target} is there and is no plain file.")
    if target.exists() and not replace:
        raise UnsuitableFileError(f"{target} exists; choose replace=True (--replace) to replace it, or another name.")


def _keep(written: Path) -> None:
    """Have the disk hold the file before it gets its name, or power loss could leave that name on half of it."""
    with written.open("rb+") as file:
        os.fsync(file.fileno())


def _remove(written: Path) -> None:
    with suppress(OSError):
        written.unlink(missing_ok=True)
