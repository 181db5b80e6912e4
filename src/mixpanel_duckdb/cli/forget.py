"""``mp-fetch forget``: unfinished fetches and old journals that nobody goes on with."""

from __future__ import annotations

import click

from .ending import Command
from .options import database_option, json_option, verbose_option
from .talk import Talk
from .text import forgotten_text

__all__ = ["forget"]

_HOUR = 3600.0
_EPILOG = """\b
Examples:
  mp-fetch forget pro_users
  mp-fetch forget --fetch 3f9c
  mp-fetch forget --older-than 168 --complete

Published tables stay. mp-fetch status lists what there is.
"""


@click.command(cls=Command, epilog=_EPILOG, short_help="Forget unfinished fetches, with the rows that wait.")
@click.argument("table", required=False)
@database_option("DuckDB file to tidy; it is never made.")
@click.option("--fetch", "fetch_id", metavar="ID", help="Only the fetch whose id begins so, complete or not.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="HOURS",
    help="Only fetches that nothing happened to for so long.",
)
@click.option("--all", "everything", is_flag=True, help="All unfinished fetches.")
@click.option("--complete", is_flag=True, help="Complete fetches, too: their tables stay, and are known no longer.")
@json_option
@verbose_option
@click.pass_obj
def forget(
    talk: Talk,
    /,
    *,
    table: str | None,
    database: str,
    fetch_id: str | None,
    older_than: float | None,
    everything: bool,
    complete: bool,
) -> None:
    """Forget unfinished fetches into TABLE, or those that the flags name, with the rows that wait."""
    from ..api import forget_fetches  # noqa: PLC0415 - --help needs no DuckDB

    if everything == any(each is not None for each in (table, fetch_id, older_than)):
        raise click.UsageError("Say which fetches: TABLE, --fetch, --older-than, or --all of them.")
    with talk.listening():
        gone = forget_fetches(
            database,
            table=table,
            fetch_id=fetch_id,
            older_than=None if older_than is None else older_than * _HOUR,
            complete=complete,
        )
    talk.result(
        {"database": database, "forgotten": [record.to_dict() for record in gone]},
        "\n".join(map(forgotten_text, gone)) or "Nothing to forget.",
    )
