"""``mp-fetch profiles``: the main job."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

import click

from ..arguments import RESUME_MAX_AGE
from .ending import Command, end_with
from .into import into_options, target_from
from .options import (
    account_options,
    choice,
    connection_options,
    credentials_from,
    database_option,
    filter_options,
    filters_from,
    max_wait_option,
    table_options,
    talk_options,
)
from .picture import picture_of_run, timeline_option, writable
from .render import progress_for
from .talk import Talk
from .text import next_steps, result_text

__all__ = ["profiles"]

_EPILOG = """\b
Examples:
  mp-fetch profiles
  mp-fetch profiles pro_users --where 'properties["plan"] == "pro"'
  mp-fetch profiles members --cohort 1234 --output-properties '$email,plan'
  mp-fetch profiles --replace --json --quiet > result.json

Interrupted or incomplete? The same command goes on from there: pages that are stored are not asked for again.
"""


@click.command(cls=Command, epilog=_EPILOG, short_help="Fetch every matching profile into a table.")
@click.argument("table", default="profiles")
@database_option("DuckDB file; it is made if there is none.")
@click.option("--parallel/--no-parallel", default=True, help="Several pages at a time (the default), or one.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Pages fetched at a time, 1 to 5. Default: 5.")
@into_options
@table_options
@click.option(
    "--tolerance",
    default="0",
    metavar="N|N%",
    help="Publish a result whose profiles differ from the server's total by no more than this. Default: 0.",
)
@click.option(
    "--resume/--no-resume", default=True, help="Go on where an earlier run ended (the default), or start over."
)
@click.option(
    "--resume-max-age",
    type=click.FloatRange(min=0),
    default=RESUME_MAX_AGE,
    metavar="SECONDS",
    help="Go on only if the last page was stored at most so long ago. Default: 21600, six hours.",
)
@max_wait_option
@timeline_option("Save a picture of the run to this file, as SVG, however it ends.")
@filter_options
@account_options
@connection_options
@talk_options
@click.pass_obj
def profiles(
    talk: Talk,
    /,
    *,
    table: str,
    database: str,
    parallel: bool,
    workers: int | None,
    replace: bool,
    merge: bool,
    allow_other: bool,
    allow_shrink: bool,
    keep_history: bool,
    tolerance: str,
    resume: bool,
    resume_max_age: float,
    max_wait: float | None,
    timeline: str | None,
    account: str | None,
    project: str | None,
    target: str | None,
    base_url: str | None,
    allow_http: bool,
    **given: Any,
) -> None:
    """Fetch every matching profile into TABLE (default: profiles) of a DuckDB file."""
    with talk.listening():
        if_exists = choice(replace=replace, merge=merge) or "error"
        if not parallel and (workers or 1) > 1:
            raise click.UsageError("--workers goes with --parallel; --no-parallel fetches one page at a time.")
        timeline = writable(timeline, database)
        from ..api import fetch_profiles  # noqa: PLC0415 - --help needs no DuckDB

        place = target_from(given)
        credentials = credentials_from(account, project, target)
        progress = progress_for(talk)
        talk.when_stopped = partial(progress.stop_line, resumes=resume)
        with picture_of_run(talk, timeline, database, table), closing(progress):
            result = fetch_profiles(
                database,
                table,
                credentials=credentials,
                parallel=parallel,
                max_workers=workers,
                if_exists=if_exists,
                into=place,
                allow_other=allow_other,
                allow_shrink=allow_shrink,
                keep_history=keep_history,
                tolerance=tolerance,
                resume=resume,
                resume_max_age=resume_max_age,
                rate_limit_wait=max_wait,
                observer=progress,
                base_url=base_url,
                allow_http=allow_http,
                **filters_from(given),
            )
    text = result_text(result, database, talk.told)
    if result.published and place is None:
        text += f"\n{next_steps(database, table)}"
    end_with(talk, result.to_dict(), text, complete=result.published)
