"""``mp-fetch changes``: which profiles came, changed and went, from the history of a table."""

from __future__ import annotations

import click

from ..text import table_text
from .ending import Command
from .options import database_option, json_option, verbose_option
from .talk import Talk

__all__ = ["changes"]

_EPILOG = """\b
Examples:
  mp-fetch changes profiles
  mp-fetch changes profiles --since 2026-01-31
  mp-fetch changes profiles --since 2026-01-31T08:00:00+01:00 --json

A history is kept by mp-fetch profiles --history.
"""


@click.command(
    cls=Command, epilog=_EPILOG, short_help="List which profiles of a table were added, changed and removed."
)
@click.argument("table", default="profiles")
@database_option("DuckDB file with the table; it is never made.")
@click.option("--since", metavar="MOMENT", help="Only changes from then on; without a zone it is UTC. Default: all.")
@json_option
@verbose_option
@click.pass_obj
def changes(talk: Talk, /, *, table: str, database: str, since: str | None) -> None:
    """List which profiles of TABLE (default: profiles) were added, changed and removed, in order of time."""
    from ..api import changes as found  # noqa: PLC0415 - --help needs no DuckDB

    with talk.listening():
        rows = [{**each._asdict(), "at": each.at.isoformat()} for each in found(database, table, since)]
    text = table_text(("at", "change", "distinct_id"), [(row["at"], row["change"], row["distinct_id"]) for row in rows])
    talk.result({"database": database, "table": table, "changes": rows}, text if rows else "No changes.")
