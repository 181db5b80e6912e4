"""The flags that several commands share, and how their texts become the library's values."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

import click

from .talk import Talk

if TYPE_CHECKING:
    from ..engage import ProfileFilters

__all__ = [
    "account_options",
    "choice",
    "connection_options",
    "credentials_from",
    "filter_options",
    "filters_from",
    "max_wait_option",
    "table_options",
    "talk_options",
]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Flags(Protocol):
    """Gives a command some flags."""

    def __call__(self, command: Decorated, /) -> Decorated:
        """Give them."""


DEFAULT_DATABASE = "mixpanel.duckdb"


def names_from(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    """Split property names at commas; quotes, as in CSV, keep a comma inside a name.

    Raises:
        click.BadParameter: The quotes do not match, or there is no name.
    """
    if not values:
        return None
    try:
        rows = list(csv.reader(values, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise click.BadParameter(f"not a list of names: {error}.", ctx, parameter) from None
    names = tuple(name for row in rows for name in row)
    if not names:
        raise click.BadParameter("no name is given; leave the option out to get all properties.", ctx, parameter)
    return names


def filters_from(given: Mapping[str, Any]) -> ProfileFilters:
    """Keep the filters that were given; one ``--distinct-id`` asks for one profile, several for all of them."""
    filters = {name: value for name, value in given.items() if value is not None and value != ()}
    ids = filters.get("distinct_ids", ())
    if len(ids) == 1:
        filters["distinct_id"] = filters.pop("distinct_ids")[0]
    return cast("ProfileFilters", filters)


def choice(*, replace: bool, merge: bool) -> Literal["replace", "merge"] | None:
    """What to do with an existing table, of the flags ``--replace`` and ``--merge``.

    Raises:
        click.UsageError: Both were given.
    """
    if replace and merge:
        raise click.UsageError("--replace and --merge exclude each other.")
    return "replace" if replace else "merge" if merge else None


def credentials_from(account: str | None, project: str | None, target: str | None) -> Any:
    """Look names up with mixpanel-headless; without one it is ``None``, which stands for the environment.

    Raises:
        click.UsageError: A target beside one of the others.
        ConfigurationError: The SDK is missing or does not find a name.
    """
    if account is None and project is None and target is None:
        return None
    if target is not None and (account is not None or project is not None):
        raise click.UsageError("--target stands for an account and a project; it excludes --account and --project.")
    from ..accounts import open_session  # noqa: PLC0415 - --help needs none of this

    return open_session(account=account, project=project, target=target)


def _chain(*options: Flags) -> Flags:
    def decorate(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _set_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Talk).quiet = value


def _set_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Talk).verbose = value


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Talk).as_json = value


class PageSize(click.ParamType[Any]):
    """A number of profiles, or ``auto``."""

    name = "page size"

    def convert(self, value: Any, parameter: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Take ``auto`` as it is, and else a number of 1 or more."""
        return value if value == "auto" else click.IntRange(min=1).convert(value, parameter, ctx)


filter_options: Flags = _chain(
    click.option(
        "--where", metavar="EXPR", help="""Only profiles for which this is true: properties["plan"] == "pro"."""
    ),
    click.option("--cohort", "cohort_id", type=int, metavar="ID", help="Only members of the cohort with this number."),
    click.option(
        "--include-all-users",
        is_flag=True,
        default=None,
        help="With --cohort: also members that have no profile.",
    ),
    click.option(
        "--output-properties",
        metavar="NAMES",
        multiple=True,
        callback=names_from,
        help="Only these properties, separated by commas; repeat it or quote a name that has a comma. Default: all.",
    ),
    click.option(
        "--group-id",
        "data_group_id",
        metavar="ID",
        help="Profiles of the group key with this number, instead of users.",
    ),
    click.option(
        "--distinct-id", "distinct_ids", metavar="ID", multiple=True, help="Only the profile with this id; repeatable."
    ),
    click.option("--search", metavar="TEXT", help="Only profiles that the server finds by this text."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N profiles in all."),
    click.option(
        "--page-size",
        type=PageSize(),
        metavar="auto|N",
        help="Ask for N profiles a page; the server may lower it. Default: auto, the server's own size, or larger "
        "pages where there would be more than 60.",
    ),
)

table_options: Flags = _chain(
    click.option("--replace", is_flag=True, help="Swap an existing table for the new one once that is complete."),
    click.option("--merge", is_flag=True, help="Update profiles of an existing table and insert the rest."),
    click.option("--allow-other", is_flag=True, help="Replace or merge into a table that holds something else."),
    click.option(
        "--allow-shrink", is_flag=True, help="Replace a table of 1,000 rows or more by fewer than half as many."
    ),
    click.option(
        "--history", "keep_history", is_flag=True, help="Keep each version of each profile in the table TABLE_history."
    ),
)

max_wait_option: Flags = click.option(
    "--max-wait",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Give up, resumable, when the server's limits ask for more waiting than this in all. Default: no bound.",
)

account_options: Flags = _chain(
    click.option("--account", metavar="NAME", help="Account that mixpanel-headless has stored, not the environment's."),
    click.option("--project", metavar="ID", help="Project to read with an account of mixpanel-headless."),
    click.option("--target", metavar="NAME", help="Target of mixpanel-headless: an account and a project in one name."),
)

connection_options: Flags = _chain(
    click.option("--base-url", metavar="URL", help="Host to ask, such as https://eu.mixpanel.com, not the region's."),
    click.option("--allow-http", is_flag=True, help="Accept a --base-url that is neither https nor loopback."),
)

json_option: Flags = click.option(
    "--json", is_flag=True, expose_value=False, callback=_set_json, help="Print JSON instead of text."
)
verbose_option: Flags = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_set_verbose,
    help="Show the log, and where an unexpected error happened.",
)
talk_options: Flags = _chain(
    json_option,
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        expose_value=False,
        callback=_set_quiet,
        help="Say nothing when it succeeds, but JSON if that is asked for; what fails is said, with its warnings.",
    ),
    verbose_option,
)


def database_option(help_text: str, default: str | None = DEFAULT_DATABASE) -> Flags:
    """Give ``--database`` with a help text of the command's own."""
    return click.option(
        "-d",
        "--database",
        default=default,
        show_default=bool(default),
        metavar="FILE",
        callback=_database_from,
        help=help_text,
    )


def _database_from(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if value.startswith(":memory:"):
        raise click.BadParameter("what is kept in memory ends with the command; give a file.", ctx, parameter)
    return os.path.expanduser(value)


def simulated_options(*, least: int, latency: float, latency_help: str) -> Flags:
    """Give what describes a simulated project: ``--profiles`` and ``--latency``."""
    return _chain(
        click.option(
            "--profiles",
            type=click.IntRange(min=least),
            default=25_000,
            show_default=True,
            metavar="N",
            help="Number of profiles.",
        ),
        click.option(
            "--latency",
            type=click.FloatRange(min=0),
            default=latency,
            show_default=True,
            metavar="SECONDS",
            help=latency_help,
        ),
    )
