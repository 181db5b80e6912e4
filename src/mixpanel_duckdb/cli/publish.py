"""``mp-fetch publish``: an unfinished fetch, taken as it is."""

from __future__ import annotations

import click

from .ending import Command, end_with
from .options import choice, database_option, json_option, table_options, verbose_option
from .talk import Talk
from .text import result_text

__all__ = ["publish"]

_EPILOG = """\b
Examples:
  mp-fetch publish profiles
  mp-fetch publish profiles --replace --allow-shrink

It sends no request. An existing table is replaced or merged into as the fetch was told, or as you say. Pages that are
missing stay missing: what is published cannot be gone on with.
"""


@click.command(cls=Command, epilog=_EPILOG, short_help="Publish what has arrived of an unfinished fetch.")
@click.argument("table", default="profiles")
@database_option("DuckDB file with the fetch; it is never made.")
@click.option("--fetch", "fetch_id", metavar="ID", help="The fetch whose id begins so, if several are unfinished.")
@table_options
@json_option
@verbose_option
@click.pass_obj
def publish(
    talk: Talk,
    /,
    *,
    table: str,
    database: str,
    fetch_id: str | None,
    replace: bool,
    merge: bool,
    allow_other: bool,
    allow_shrink: bool,
    keep_history: bool,
) -> None:
    """Publish what has arrived of an unfinished fetch into TABLE (default: profiles), without a request."""
    from ..api import publish_fetch  # noqa: PLC0415 - --help needs no DuckDB

    with talk.listening():
        result = publish_fetch(
            database,
            table,
            fetch_id=fetch_id,
            if_exists=choice(replace=replace, merge=merge),
            allow_other=allow_other,
            allow_shrink=allow_shrink,
            keep_history=keep_history,
        )
    end_with(talk, result.to_dict(), result_text(result, database), complete=result.published)
