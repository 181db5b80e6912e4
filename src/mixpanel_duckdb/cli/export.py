"""``mp-fetch export``: a table as a file for other tools."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from ..text import many, shown
from .ending import Command
from .options import database_option, json_option, verbose_option
from .talk import Talk

if TYPE_CHECKING:
    from ..results import ExportedTable
    from ..store import Format

__all__ = ["export"]

STANDARD_OUTPUT = "-"
_EPILOG = """\b
Examples:
  mp-fetch export profiles profiles.parquet
  mp-fetch export profiles_typed profiles.csv.gz --replace
  mp-fetch export profiles - --format ndjson | head
  mp-fetch export profiles s3://bucket/profiles.parquet --setup secrets.sql

The file appears, or is replaced, only when it is complete.
"""


@click.command(cls=Command, epilog=_EPILOG, short_help="Write a table to a Parquet, CSV or NDJSON file.")
@click.argument("table")
@click.argument("file")
@database_option("DuckDB file with the table; it is never made.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet", "csv", "ndjson"]),
    help="Default: what the ending of FILE tells (.parquet, .csv, .ndjson, .jsonl; also .csv.gz, .ndjson.zst ...).",
)
@click.option("--replace", is_flag=True, help="Replace an existing file once the new one is complete.")
@click.option(
    "--partition-by",
    multiple=True,
    metavar="COLUMN",
    help="Write a folder of Parquet files, parted by this column, a moment by its day; repeatable.",
)
@click.option("--setup", metavar="FILE", help="SQL to run before, for LOAD and CREATE SECRET.")
@json_option
@verbose_option
@click.pass_obj
def export(
    talk: Talk,
    /,
    *,
    table: str,
    file: str,
    database: str,
    form: Format | None,
    replace: bool,
    partition_by: tuple[str, ...],
    setup: str | None,
) -> None:
    """Write TABLE, which may be any table or view, to FILE, or to standard output if that is "-"."""
    from ..results import export_table  # noqa: PLC0415 - --help needs no DuckDB

    with talk.listening():
        if file == STANDARD_OUTPUT:
            if replace:
                raise click.UsageError('--replace and "-" exclude each other: standard output has no file to replace.')
            if partition_by:
                raise click.UsageError('--partition-by and "-" exclude each other: the one is for a folder of files.')
            _print(talk, table, database, form, setup)
            return
        done = export_table(
            database, table, file, format=form, replace=replace, partition_by=partition_by or None, setup=setup
        )
    talk.result(done.to_dict(), _sentence(done))


def _print(talk: Talk, table: str, database: str, form: Format | None, setup: str | None) -> None:
    """Give a finished file's bytes, so that a table that cannot be read prints nothing."""
    import tempfile  # noqa: PLC0415 - --help needs none of it

    from ..results import export_table  # noqa: PLC0415 - --help needs no DuckDB

    if form not in ("csv", "ndjson"):
        raise click.UsageError('"-" needs --format csv or --format ndjson.')
    if talk.as_json:
        raise click.UsageError('--json and "-" exclude each other: both are for standard output.')
    with tempfile.TemporaryDirectory(prefix="mp-fetch-") as folder:
        file = os.path.join(folder, "table")
        export_table(database, table, file, format=form, setup=setup)
        with open(file, encoding="utf-8", newline="") as rows:
            talk.rows(rows)


def _sentence(done: ExportedTable) -> str:
    return (
        f"{shown(done.file)}: {many(done.rows, 'row')} of {shown(done.table)} as {done.format}, "
        f"{done.bytes / 1e6:,.1f} MB."
    )
