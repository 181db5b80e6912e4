"""``mp-fetch typed``: a typed column for each property, and a report of what was found."""

from __future__ import annotations

import click

from .options import database_option, json_option, verbose_option
from .talk import Talk
from .text import table_text

__all__ = ["typed"]

_EPILOG = """\b
Examples:
  mp-fetch typed
  mp-fetch typed pro_users --into pro_columns --materialize
  mp-fetch typed --json > columns.json
"""


@click.command(epilog=_EPILOG, short_help="Make a typed column for each property.")
@click.argument("table", default="profiles")
@database_option("DuckDB file with the table; it is never made.")
@click.option("--into", metavar="NAME", help="Name of the view or table. Default: TABLE_typed.")
@click.option("--materialize", is_flag=True, help="Make a table, a copy that is faster to read, instead of a view.")
@click.option("--keep-properties", is_flag=True, help="Add the JSON column properties as the last one.")
@json_option
@verbose_option
@click.pass_obj
def typed(
    talk: Talk, /, *, table: str, database: str, into: str | None, materialize: bool, keep_properties: bool
) -> None:
    """Find the type of every property of TABLE (default: profiles) over all rows; make a view with a column for each.

    What an earlier call made under the same name is replaced.
    """
    from ..results import REPORT, report_row, type_columns  # noqa: PLC0415 - --help needs no DuckDB

    with talk.listening():
        made = type_columns(database, table, into=into, materialize=materialize, keep_properties=keep_properties)
    report = [table_text(REPORT, map(report_row, made.columns)), ""] if made.columns else []
    talk.result({"database": database, **made.to_dict()}, "\n".join([*report, made.summary()]))
