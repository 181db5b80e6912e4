"""``mp-fetch sync``: the jobs of a file, projects side by side."""

from __future__ import annotations

from typing import Any

import click

from ..display import Together
from .ending import Command
from .into import into_options
from .options import talk_options
from .talk import Talk

__all__ = ["sync"]

_HOUR = 3600.0
_EPILOG = """\b
Example of a file:
  [defaults]                        # any key of a job; its own wins
  database = "mixpanel.duckdb"
  if_exists = "replace"

\b
  [[profiles]]
  project_id = "12345"
  table = "app_one"

\b
  [[profiles]]
  project_id = "67890"
  table = "app_two"
  region = "eu"
  username_env = "TWO_USERNAME"     # names of variables, never a secret
  secret_env = "TWO_SECRET"

\b
  [[events]]
  project_id = "12345"
  last_days = 7                     # up to yesterday

The exit code is that of the worst job: a failure (1, 2, 3, 5) goes before what is incomplete (4). The same command goes
on from there; with --max-age it repeats only what is needed.
"""


@click.command(cls=Command, epilog=_EPILOG, short_help="Do the jobs of a file, projects side by side.")
@click.argument("file")
@click.option(
    "--max-age",
    type=click.FloatRange(min=0),
    metavar="HOURS",
    help="Do not fetch again what is complete and younger. Default: fetch everything.",
)
@into_options
@talk_options
@click.pass_obj
def sync(talk: Talk, /, *, file: str, max_age: float | None, **into: Any) -> None:
    """Do every fetch that FILE, a TOML file, asks for: projects side by side, each within its own limits."""
    with talk.listening():
        from ..jobs import read_jobs, run_jobs  # noqa: PLC0415 - --help needs no DuckDB

        talk.when_stopped = lambda: "Stopped; what arrived is stored, and the same command goes on from there."
        drawn = talk.screen if talk.screen.redraws and not talk.quiet else None
        report = run_jobs(
            read_jobs(file, {name: value for name, value in into.items() if value is not None}),
            max_age=None if max_age is None else max_age * _HOUR,
            together=Together(drawn, talk.notice),
        )
    text = "\n".join([*(each.summary() for each in report.outcomes), report.summary()])
    talk.result(report.to_list(), text, good=report.is_complete)
    if not report.is_complete:
        click.get_current_context().exit(report.exit_code)
