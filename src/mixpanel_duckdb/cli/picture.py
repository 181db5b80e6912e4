"""``--timeline FILE``: the path is checked before anything is requested, the picture drawn however the run ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import MixpanelError
from .talk import Talk

__all__ = ["picture_of_run", "timeline_option", "writable"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def timeline_option(help_text: str) -> Callable[[Decorated], Decorated]:
    """Give ``--timeline`` with a help text of the command's own."""
    return click.option("--timeline", type=click.Path(path_type=Path), metavar="FILE", help=help_text)


def writable(path: Path | None, database: str) -> Path | None:
    """Check that a picture can be written to a path; nothing is left behind there.

    Args:
        path: From ``--timeline``; ``None`` if it was not given.
        database: The file that the picture must not take the place of.

    Raises:
        click.UsageError: It cannot.
    """
    if path is None:
        return None
    if database == ":memory:":
        raise click.UsageError("--timeline is drawn from the database's file, which :memory: has not.")
    if os.path.realpath(path) == os.path.realpath(database):
        raise click.UsageError(f"--timeline {path} is the database; give the picture a file of its own.")
    is_new = not path.exists()
    try:
        with path.open("a+b") as file:
            file.seek(0)
            start = file.read(4)
    except OSError as error:
        raise click.UsageError(f"--timeline {path} cannot be written: {error.strerror or error}.") from None
    if is_new:
        path.unlink()
    if start not in (b"", b"<svg"):
        raise click.UsageError(f"--timeline {path} exists and is no SVG; give the picture a file of its own.")
    return path


@contextmanager
def picture_of_run(talk: Talk, path: Path | None, database: str, table: str) -> Iterator[None]:
    """Draw the run inside when it has ended, complete or not, if the journal has anything of it.

    Args:
        talk: Says where the picture is.
        path: From :func:`writable`; without one nothing is drawn.
        database: Where the journal is.
        table: Table that is fetched.
    """
    started = datetime.now(UTC).replace(tzinfo=None)
    try:
        yield
    finally:
        if path is not None and Path(database).exists():
            _draw(talk, path, database, table, started)


def _draw(talk: Talk, path: Path, database: str, table: str, started: datetime) -> None:
    """What goes wrong here must not hide how the run ended."""
    from ..api import fetch_timeline, list_fetches  # noqa: PLC0415 - --help needs no DuckDB

    try:
        mine = [each for each in list_fetches(database) if each.table.lower() == table.lower()]
        found = [each for each in mine if each.updated_at >= started]
        if found:
            fetch_timeline(database, fetch_id=found[0].fetch_id).save(path)
            talk.note(f"Timeline: {path}")
    except (MixpanelError, OSError) as error:
        talk.warn(f"The timeline could not be drawn: {error}")
