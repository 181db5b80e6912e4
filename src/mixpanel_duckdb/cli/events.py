"""``mp-fetch events``: days of events."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from ..arguments import REFRESH_DAYS
from .ending import Command, end_with
from .into import into_options_of_events, target_from
from .options import (
    account_options,
    connection_options,
    credentials_from,
    database_option,
    max_wait_option,
    talk_options,
)
from .picture import picture_of_run, timeline_option, writable
from .render import progress_for
from .talk import Talk
from .text import events_text

__all__ = ["events"]

_EPILOG = """\b
Examples:
  mp-fetch events --from 2026-01-01 --to 2026-01-31
  mp-fetch events logins --from 2026-01-01 --to 2026-01-31 --event Login

The same command again fetches the days that are missing, or were still open when they were fetched.
"""


@click.command(cls=Command, epilog=_EPILOG, short_help="Fetch the events of some days into a table.")
@click.argument("table", default="events")
@click.option("--from", "from_date", required=True, metavar="DATE", help="First day, as YYYY-MM-DD.")
@click.option("--to", "to_date", required=True, metavar="DATE", help="Last day, which is included.")
@database_option("DuckDB file; it is made if there is none.")
@click.option("--event", "names", multiple=True, metavar="NAME", help="Only events of this name; repeatable.")
@click.option("--where", metavar="EXPR", help="Only events for which this is true.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Requests at a time, 1 to 10. Default: 4.")
@click.option(
    "--days-per-request",
    type=click.IntRange(min=1),
    metavar="N",
    help="Days of each request. Default: as many as make about a million events.",
)
@click.option(
    "--refresh-days",
    type=click.IntRange(min=0),
    default=REFRESH_DAYS,
    show_default=True,
    metavar="N",
    help="Fetch a day again that was younger than this when it was fetched.",
)
@click.option("--refetch", is_flag=True, help="Fetch every day again.")
@into_options_of_events
@max_wait_option
@timeline_option("Save a picture of the run to this file, as SVG, however it ends.")
@account_options
@connection_options
@talk_options
@click.pass_obj
def events(
    talk: Talk,
    /,
    *,
    table: str,
    from_date: str,
    to_date: str,
    database: str,
    names: tuple[str, ...],
    where: str | None,
    workers: int | None,
    days_per_request: int | None,
    refresh_days: int,
    refetch: bool,
    max_wait: float | None,
    timeline: str | None,
    account: str | None,
    project: str | None,
    target: str | None,
    base_url: str | None,
    allow_http: bool,
    **given: Any,
) -> None:
    """Fetch the events of some days into TABLE (default: events) of a DuckDB file."""
    with talk.listening():
        workers = _workers(workers, talk)
        timeline = writable(timeline, database)
        from ..api import fetch_events  # noqa: PLC0415 - --help needs no DuckDB

        place = target_from(given)
        credentials = credentials_from(account, project, target)
        progress = progress_for(talk)
        talk.when_stopped = progress.stop_line
        with picture_of_run(talk, timeline, database, table), closing(progress):
            result = fetch_events(
                database,
                from_date,
                to_date,
                table,
                credentials=credentials,
                events=names or None,
                where=where,
                max_workers=workers,
                into=place,
                days_per_request=days_per_request,
                refresh_days=refresh_days,
                refetch=refetch,
                rate_limit_wait=max_wait,
                observer=progress,
                base_url=base_url,
                allow_http=allow_http,
            )
    end_with(talk, result.to_dict(), events_text(result, database, talk.told), complete=result.is_complete)


def _workers(workers: int | None, talk: Talk) -> int | None:
    from ..http import MOST_EXPORTS  # noqa: PLC0415 - --help needs no httpx

    if workers is None or workers <= MOST_EXPORTS:
        return workers
    talk.warn(f"--workers {workers} is capped at {MOST_EXPORTS} requests at a time.")
    return MOST_EXPORTS
