"""``mp-fetch plan`` and ``mp-fetch status``: what a fetch would be, and what became of earlier ones."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from ..text import shown
from .ending import Command
from .options import (
    account_options,
    connection_options,
    credentials_from,
    database_option,
    filter_options,
    filters_from,
    json_option,
    max_wait_option,
    verbose_option,
)
from .picture import timeline_option, writable
from .render import progress_for
from .talk import Talk
from .text import event_table_text, fetch_text

if TYPE_CHECKING:
    from ..api import EventEstimate, FetchEstimate

__all__ = ["plan", "status"]

_PLAN_EPILOG = """\b
Example:
  mp-fetch plan --where 'properties["plan"] == "pro"'

It sends one request, which counts as one query of the project's hourly quota. With --from and --to it tells what a
fetch of events would be, and sends none.
"""
_STATUS_EPILOG = """\b
Examples:
  mp-fetch status
  mp-fetch status --database warehouse.duckdb --json
  mp-fetch status --timeline run.svg
"""


@click.command(cls=Command, epilog=_PLAN_EPILOG, short_help="Ask once how large a fetch would be.")
@database_option("DuckDB file that knows the queries of the last hour, if there is one; it is never made.")
@click.option("--from", "from_date", metavar="DATE", help="First day of events, as YYYY-MM-DD.")
@click.option("--to", "to_date", metavar="DATE", help="Last day of events, which is included.")
@click.option("--table", metavar="NAME", help="Table of events that they would go into. Default: events.")
@filter_options
@max_wait_option
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
    from_date: str | None,
    to_date: str | None,
    table: str | None,
    max_wait: float | None,
    account: str | None,
    project: str | None,
    target: str | None,
    base_url: str | None,
    allow_http: bool,
    **given: Any,
) -> None:
    """Ask once how many profiles match; say how many pages that is and what the limits mean for it."""
    filters = filters_from(given)
    if (from_date is None) != (to_date is None) or (table and not from_date):
        raise click.UsageError("Events need --from and --to.")
    if from_date is not None and filters:
        raise click.UsageError("--from and --to are of events; the filters of profiles exclude them.")
    from ..api import plan_events, plan_fetch  # noqa: PLC0415 - --help needs no DuckDB

    with talk.listening():
        who = credentials_from(account, project, target)
        estimate: EventEstimate | FetchEstimate
        if from_date is not None and to_date is not None:
            estimate = plan_events(
                database,
                from_date,
                to_date,
                table or "events",
                credentials=who,
                base_url=base_url,
                allow_http=allow_http,
            )
        else:
            with closing(progress_for(talk)) as progress:
                estimate = plan_fetch(
                    credentials=who,
                    database=database if os.path.exists(database) else None,
                    rate_limit_wait=max_wait,
                    observer=progress,
                    base_url=base_url,
                    allow_http=allow_http,
                    **filters,
                )
    talk.result(estimate.to_dict(), estimate.summary())


@click.command(cls=Command, epilog=_STATUS_EPILOG, short_help="List the fetches that a DuckDB file knows.")
@database_option("DuckDB file to look at; it is never made.")
@click.option("--fetch", "fetch_id", metavar="ID", help="Only the fetch whose id begins so. Default: all.")
@timeline_option("Save a picture of this fetch, or of the newest, to this file, as SVG.")
@json_option
@verbose_option
@click.pass_obj
def status(talk: Talk, /, *, database: str, fetch_id: str | None, timeline: str | None) -> None:
    """List the fetches that a DuckDB file knows: state, pages done and missing, rows, query."""
    from ..api import fetch_timeline, list_event_tables, list_fetches  # noqa: PLC0415 - --help needs no DuckDB

    timeline = writable(timeline, database)
    with talk.listening():
        records = [each for each in list_fetches(database) if each.fetch_id.startswith(fetch_id or "")]
        # Of a database that another process has, only what that tells is known.
        busy = any(each.pid for each in records)
        tables = [] if fetch_id or busy else list_event_tables(database)
        if timeline is not None:
            fetch_timeline(database, fetch_id=fetch_id).save(timeline)
            talk.note(f"Timeline: {timeline}")
    if fetch_id and not records:
        raise click.UsageError(f"{database} knows no fetch {fetch_id}.")
    lines = [*map(fetch_text, records), *map(event_table_text, tables)]
    values = {"fetches": [each.to_dict() for each in records], "events": [each.to_dict() for each in tables]}
    talk.result({"database": database, **values}, "\n".join(lines) or f"{shown(database)} knows no fetches.")
