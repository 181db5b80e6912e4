"""``--timeline FILE``: the path is checked before anything is requested, the picture drawn however the run ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from ..errors import MixpanelError
from .talk import Talk

__all__ = ["picture_of_run", "timeline_option", "writable"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def timeline_option(help_text: str) -> Callable[[Decorated], Decorated]:
    """Give ``--timeline`` with a help text of the command's own."""
    return click.option("--timeline", type=click.Path(), metavar="FILE", help=help_text)


def writable(path: str | None, database: str) -> str | None:
    """Check that a picture can be written to a path; nothing is left behind there.

    Args:
        path: From ``--timeline``; ``None`` if it was not given.
        database: The file that the picture must not take the place of.

    Raises:
        click.UsageError: It cannot.
    """
    if path is None:
        return None
    path = os.path.expanduser(path)
    if os.path.realpath(path) == os.path.realpath(database):
        raise click.UsageError(f"--timeline {path} is the database; give the picture a file of its own.")
    is_new = not os.path.exists(path)
    try:
        with open(path, "a+b") as file:
            file.seek(0)
            start = file.read(4)
    except OSError as error:
        raise click.UsageError(f"--timeline {path} cannot be written: {error.strerror or error}.") from None
    if is_new:
        os.unlink(path)
    if start not in (b"", b"<svg"):
        raise click.UsageError(f"--timeline {path} exists and is no SVG; give the picture a file of its own.")
    if os.path.splitext(path)[1].lower() not in ("", ".svg") or path == "-":
        raise click.UsageError(f"--timeline {path} cannot be: the picture is an SVG, so give a file that ends in .svg.")
    return path


@contextmanager
def picture_of_run(talk: Talk, path: str | None, database: str, table: str) -> Iterator[None]:
    """Draw the run inside when it has ended, complete or not, if the journal has anything of it.

    Args:
        talk: Says where the picture is.
        path: From :func:`writable`; without one nothing is drawn.
        database: Where the journal is.
        table: Table that is fetched.
    """
    started = datetime.now(UTC)
    try:
        yield
    finally:
        if path is not None and os.path.exists(database):
            _draw(talk, path, database, table, started)


def _draw(talk: Talk, path: str, database: str, table: str, started: datetime) -> None:
    """What goes wrong here must not hide how the run ended."""
    from ..api import fetch_since, fetch_timeline  # noqa: PLC0415 - --help needs no DuckDB

    try:
        if found := fetch_since(database, table, started):
            fetch_timeline(database, fetch_id=found).save(path)
            talk.note(f"Timeline: {path}")
    except (MixpanelError, OSError) as error:
        talk.warn(f"The timeline could not be drawn: {error}")
