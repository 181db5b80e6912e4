"""``mp-fetch simulate``: the simulator alone, for anybody's own tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast, get_args

import click

from ..text import many
from .ending import Terminated
from .options import simulated_options, verbose_option
from .talk import Talk

if TYPE_CHECKING:
    from ..simulator import FaultKind, Simulator

__all__ = ["simulate"]

_LOOK_AGAIN = 0.5
_EPILOG = """\b
Examples:
  mp-fetch simulate --profiles 5000 --latency 0.3
  mp-fetch simulate --quota 3 --fault reset@2 --fault status@4

Its first lines on standard output are the base URL and the environment variables to set; Ctrl-C ends it.
"""


def _faults_from(
    ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, int | None], ...]:
    from ..simulator import FaultKind  # noqa: PLC0415 - --help needs no server

    faults, kinds = [], get_args(FaultKind)
    for value in values:
        kind, at, page = value.partition("@")
        if kind not in kinds or (at and not (page.isascii() and page.isdigit())):
            raise click.BadParameter(
                f"{value!r} is none; give one of {', '.join(kinds)}, and perhaps a page, as in reset@2.", ctx, parameter
            )
        faults.append((kind, int(page) if at else None))
    return tuple(faults)


@click.command(epilog=_EPILOG, short_help="Serve a simulated project, for your own tests.")
@simulated_options(least=0, latency=0.0, latency_help="Seconds before each answer.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    metavar="PORT",
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--page-size",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Profiles a page, unless a request asks for another number.",
)
@click.option("--uniform", is_flag=True, help="Plain profiles of about 1,000 bytes instead of realistic, odd ones.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Decides every value.")
@click.option(
    "--quota",
    type=click.IntRange(min=0),
    metavar="N",
    help="Queries an hour; what is more is answered with 429. Default: any number.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[@PAGE]",
    callback=_faults_from,
    help="Trouble for the first request of a page, or of each: status (500), reset, cut, hang, empty_page ...",
)
@click.option("--project", default="1", show_default=True, metavar="ID", help="Number of the project.")
@verbose_option
@click.pass_obj
def simulate(
    talk: Talk,
    /,
    *,
    profiles: int,
    port: int,
    latency: float,
    page_size: int,
    uniform: bool,
    seed: int,
    quota: int | None,
    faults: tuple[tuple[str, int | None], ...],
    project: str,
) -> None:
    """Serve a simulated Mixpanel project on 127.0.0.1 until Ctrl-C or SIGTERM."""
    from ..simulator import Behaviour, Fault, Limits, Population, Simulator  # noqa: PLC0415 - --help needs no server

    population = Population.uniform(profiles, seed=seed) if uniform else Population(profiles, seed=seed)
    simulator = Simulator(
        population,
        behaviour=Behaviour(latency=latency, page_size=page_size),
        limits=Limits(quota=quota),
        faults=[Fault(cast("FaultKind", kind), page=page) for kind, page in faults],
        port=port,
        project_id=project,
    )
    talk.when_stopped = lambda: f"Stopped after {many(len(simulator.requests), 'request')}."
    with talk.listening(), _listening(simulator):
        click.echo("\n".join([simulator.base_url, *_variables(simulator)]))
        _serve(talk)


@contextmanager
def _listening(simulator: Simulator) -> Iterator[None]:
    try:
        simulator.start()
    except OSError as error:
        raise click.UsageError(f"Port {simulator.port} of 127.0.0.1: {error.strerror or error}.") from None
    try:
        yield
    finally:
        simulator.stop()


def _variables(simulator: Simulator) -> list[str]:
    lines = [f"export {name}={value}" for name, value in simulator.environment().items()]
    return ["unset MP_OAUTH_TOKEN", *lines] if os.environ.get("MP_OAUTH_TOKEN") else lines


def _serve(talk: Talk) -> None:
    """Wait for a signal: Ctrl-C is how this is meant to end, SIGTERM keeps its exit code."""
    forever = threading.Event()
    try:
        while not forever.wait(_LOOK_AGAIN):
            continue
    except Terminated:
        raise
    except KeyboardInterrupt:
        talk.note(talk.when_stopped())
