"""The flags that say where a table is published, if not in the database that it is fetched into."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..store import Target

__all__ = ["into_options", "into_options_of_events", "target_from"]

# Of the target, by the names of the flags.
_FIELDS = {
    "into": "attach",
    "into_schema": "schema",
    "into_data_path": "data_path",
    "union_view": "union_view",
    "setup": "setup",
    "lock_wait": "lock_wait",
}
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_UNION_VIEW = click.option(
    "--union-view",
    metavar="NAME",
    help="With --into: keep a view of this name over all tables of the schema that were published.",
)
_OPTIONS = (
    click.option(
        "--into",
        metavar="TARGET",
        help="Publish there, not in the database: a DuckDB file, ducklake:... or postgres:... (no secrets here).",
    ),
    click.option("--into-schema", metavar="NAME", help="With --into: schema of the table; made if there is none."),
    click.option(
        "--into-data-path", metavar="PLACE", help="With --into ducklake:...: where a new lake keeps its files."
    ),
    _UNION_VIEW,
    click.option("--setup", metavar="FILE", help="With --into: SQL to run before, for LOAD and CREATE SECRET."),
    click.option(
        "--lock-wait",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="With --into: longest wait for a file that others have open, or a table they write. Default: 60.",
    ),
)


def into_options(command: Decorated) -> Decorated:
    """Give a command these flags."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def into_options_of_events(command: Decorated) -> Decorated:
    """Give a command these flags, but the one for a view over tables of profiles."""
    for option in reversed(_OPTIONS):
        command = command if option is _UNION_VIEW else option(command)
    return command


def target_from(given: dict[str, Any]) -> Target | None:
    """Make a target of them.

    Args:
        given: All flags of a command, of which these are taken out.

    Raises:
        click.UsageError: One was given without ``--into``.
    """
    told = {_FIELDS[name]: given.pop(name, None) for name in _FIELDS}
    told = {name: value for name, value in told.items() if value is not None}
    if "attach" not in told:
        if told:
            raise click.UsageError(
                "--into-schema, --into-data-path, --union-view, --setup and --lock-wait go with --into."
            )
        return None
    from ..store import Target  # noqa: PLC0415 - --help needs no DuckDB

    return Target(**told)
