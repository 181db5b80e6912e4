"""``mp-fetch demo``: the whole job against the built-in simulator, with the real pipeline and no account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ..text import many, table_text
from .ending import Command
from .options import database_option, simulated_options, talk_options
from .render import progress_for
from .talk import Talk
from .text import next_steps

if TYPE_CHECKING:
    from ..results import ParallelProfileFetchResult
    from ..simulator import Simulator

__all__ = ["demo"]

PARALLEL, SEQUENTIAL = "demo_parallel", "demo_sequential"
_PAGE_SIZE = 1000
_OF_THE_NETWORK = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}


@click.command(cls=Command, short_help="See the whole job at work; no account needed.")
@simulated_options(
    least=1,
    latency=1.0,
    latency_help="Seconds, give or take a fifth, that the simulated server needs for a page of 1,000 profiles.",
)
@database_option("DuckDB file to leave behind; its demo tables are replaced.", default="mixpanel-demo.duckdb")
@talk_options
@click.pass_obj
def demo(talk: Talk, /, *, profiles: int, latency: float, database: str) -> None:
    """Fetch a simulated project twice, page after page and in parallel, into a DuckDB file; no account needed."""
    from ..simulator import Behaviour, Latency, Population, Simulator  # noqa: PLC0415 - --help needs no server

    talk.when_stopped = lambda: "Stopped; running the demo again starts it over."
    pages = -(-profiles // _PAGE_SIZE)
    behaviour = Behaviour(
        latency=Latency(base=0.1 * latency, per_row=0.9 * latency / _PAGE_SIZE, jitter=0.2), page_size=_PAGE_SIZE
    )
    size = f"{many(profiles, 'profile')}: {many(pages, 'page')}, about {latency:g} s each"
    _say(talk, f"A simulated project with {size}.\n")
    _forget_the_network()
    with talk.listening(), Simulator(Population(profiles, mixed=False), behaviour=behaviour) as simulator:
        simulator.prepare()
        slow = _fetch(talk, simulator, database, parallel=False)
        _say(talk, f"  one page at a time    {slow.duration_seconds:6.1f} s")
        fast = _fetch(talk, simulator, database, parallel=True)
        _say(talk, f"  five at a time        {fast.duration_seconds:6.1f} s")
    talk.result(*_report(database, slow, fast))


def _forget_the_network() -> None:
    """What the environment says of proxies and certificates is of no concern on this machine's loopback."""
    for name in list(os.environ):
        if name.upper() in _OF_THE_NETWORK:
            del os.environ[name]


def _say(talk: Talk, text: str) -> None:
    """Show a step on standard output, which is the result's alone when that is JSON."""
    if not talk.as_json:
        click.echo(text)


def _fetch(talk: Talk, simulator: Simulator, database: str, *, parallel: bool) -> ParallelProfileFetchResult:
    from ..accounts import Credentials  # noqa: PLC0415
    from ..api import fetch_profiles  # noqa: PLC0415 - --help needs no DuckDB

    progress = progress_for(talk)
    try:
        result = fetch_profiles(
            database,
            PARALLEL if parallel else SEQUENTIAL,
            credentials=Credentials.from_env(simulator.environment()),
            base_url=simulator.base_url,
            parallel=parallel,
            if_exists="replace",
            allow_other=True,
            allow_shrink=True,
            resume=False,
            observer=progress,
        )
    finally:
        progress.close()
    result.raise_for_failures()
    return result


def _report(
    database: str, slow: ParallelProfileFetchResult, fast: ParallelProfileFetchResult
) -> tuple[dict[str, Any], str]:
    from ..store import compare_tables  # noqa: PLC0415 - --help needs no DuckDB

    found = compare_tables(database, PARALLEL, SEQUENTIAL)
    speed_up = slow.duration_seconds / fast.duration_seconds
    rows = many(fast.total_rows, "row")
    same = (
        "the same profiles, value for value"
        if not found.different_rows
        else f"{many(found.different_rows, 'row')} that differ"
    )
    text = f"""  speed-up              {speed_up:6.1f} times

{database} ({os.path.getsize(database) / 1e6:.1f} MB) holds {PARALLEL} and {SEQUENTIAL}: {rows} each, {same}.

{found.sql};

{table_text(found.columns, found.rows)}

{next_steps(database, PARALLEL)}"""
    values = {
        "database": os.path.realpath(database),
        "sequential": slow.to_dict(),
        "parallel": fast.to_dict(),
        "speed_up": speed_up,
        "different_rows": found.different_rows,
        "example": {"sql": found.sql, "columns": found.columns, "rows": found.rows},
    }
    return values, text
