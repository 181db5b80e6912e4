"""``mp-fetch plan`` and ``mp-fetch status``: what a fetch would be, and what became of earlier ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import (
    account_options,
    connection_options,
    credentials_from,
    database_option,
    filter_options,
    filters_from,
    json_option,
    verbose_option,
)
from .picture import timeline_option, writable
from .talk import Talk
from .text import fetch_text

__all__ = ["plan", "status"]

_PLAN_EPILOG = """\b
Example:
  mp-fetch plan --where 'properties["plan"] == "pro"'

It sends one request, which counts as one query of the project's hourly quota.
"""
_STATUS_EPILOG = """\b
Examples:
  mp-fetch status
  mp-fetch status --database warehouse.duckdb --json
  mp-fetch status --timeline run.svg
"""


@click.command(epilog=_PLAN_EPILOG, short_help="Ask once how large a fetch would be.")
@database_option("DuckDB file that knows the queries of the last hour, if there is one; it is never made.")
@filter_options
@account_options
@connection_options
@json_option
@verbose_option
@click.pass_obj
def plan(
    talk: Talk,
    /,
    *,
    database: str,
    account: str | None,
    project: str | None,
    target: str | None,
    base_url: str | None,
    allow_http: bool,
    **given: Any,
) -> None:
    """Ask once how many profiles match; say how many pages that is and what the limits mean for it."""
    from ..api import plan_fetch  # noqa: PLC0415 - --help needs no DuckDB

    known = database if Path(database).exists() else None
    with talk.listening():
        estimate = plan_fetch(
            credentials=credentials_from(account, project, target),
            database=known,
            base_url=base_url,
            allow_http=allow_http,
            **filters_from(given),
        )
    talk.result(estimate.to_dict(), estimate.summary())


@click.command(epilog=_STATUS_EPILOG, short_help="List the fetches that a DuckDB file knows.")
@database_option("DuckDB file to look at; it is never made.")
@click.option("--fetch", "fetch_id", metavar="ID", help="Only the fetch whose id begins so. Default: all.")
@timeline_option("Save a picture of this fetch, or of the newest, to this file, as SVG.")
@json_option
@verbose_option
@click.pass_obj
def status(talk: Talk, /, *, database: str, fetch_id: str | None, timeline: Path | None) -> None:
    """List the fetches that a DuckDB file knows: state, pages done and missing, rows, query."""
    from ..api import fetch_timeline, list_fetches  # noqa: PLC0415 - --help needs no DuckDB

    timeline = writable(timeline, database)
    with talk.listening():
        records = [each for each in list_fetches(database) if each.fetch_id.startswith(fetch_id or "")]
        if timeline is not None:
            fetch_timeline(database, fetch_id=fetch_id).save(timeline)
            talk.note(f"Timeline: {timeline}")
    none = f"{database} knows no fetches." if fetch_id is None else f"{database} knows no fetch {fetch_id}."
    text = "\n".join(fetch_text(record) for record in records) or none
    talk.result({"database": database, "fetches": [record.to_dict() for record in records]}, text)
