"""``mp-fetch typed``: a typed column for each property, and a report of what was found."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click

from ..text import line_width, many, share_text, table_text
from .ending import Command
from .options import database_option, json_option, verbose_option
from .talk import Talk

if TYPE_CHECKING:
    from ..results import EventTypingOptions, TypedColumn, TypedColumns

__all__ = ["typed"]

_EPILOG = """\b
Examples:
  mp-fetch typed
  mp-fetch typed --mostly 0.95 --min-coverage 0.01
  mp-fetch typed pro_users --into pro_columns --materialize
  mp-fetch typed events
  mp-fetch typed events --event Login
  mp-fetch typed --json > columns.json
"""


@click.command(cls=Command, epilog=_EPILOG, short_help="Make a typed column for each property.")
@click.argument("table", default="profiles")
@database_option("DuckDB file with the table; it is never made.")
@click.option(
    "--into", metavar="NAME", help="Name of the view or table. Default: TABLE_typed or, of events, TABLE_NAME_typed."
)
@click.option(
    "--event", metavar="NAME", help="Of a table of events, only those of this name; a view is made for each by default."
)
@click.option("--materialize", is_flag=True, help="Make a table, a copy that is faster to read, instead of a view.")
@click.option("--keep-properties", is_flag=True, help="Add the JSON column properties as the last one.")
@click.option(
    "--mostly",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Give a column the type that this share of its values fits, such as 0.95; the others are counted, NULL in it, "
    "and kept in properties. Default: one that all values fit.",
)
@click.option(
    "--min-coverage",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Only columns of properties that at least this share of the profiles have. Default: of all.",
)
@json_option
@verbose_option
@click.pass_obj
def typed(
    talk: Talk,
    /,
    *,
    table: str,
    database: str,
    into: str | None,
    event: str | None,
    materialize: bool,
    keep_properties: bool,
    mostly: float | None,
    min_coverage: float,
) -> None:
    """Find the type of every property of TABLE (default: profiles) over all rows; make a view with a column for each.

    Of a table of events, a view is made for each name. What an earlier call made under the same name is replaced.
    """
    from ..results import type_columns, type_events  # noqa: PLC0415 - --help needs no DuckDB

    options: EventTypingOptions = {
        "materialize": materialize, "keep_properties": keep_properties, "mostly": mostly, "min_coverage": min_coverage,
    }  # fmt: skip
    with talk.listening():
        if event is None and _holds_events(database, table):
            if into is not None:
                raise click.UsageError("--into goes with --event here: a view is made for each name of events.")
            views = type_events(database, table, **options)
            told = {"database": database, "source": table, "views": [each.to_dict() for each in views.values()]}
            talk.result(told, _all_names(table, views.values()))
            return
        made = type_columns(database, table, into=into, event=event, **options)
    report = [_report(made.columns), ""] if made.columns else []
    talk.result({"database": database, **made.to_dict()}, "\n".join([*report, made.summary()]))


def _holds_events(database: str, table: str) -> bool:
    from ..api import list_event_tables  # noqa: PLC0415 - --help needs no DuckDB
    from ..store import folded  # noqa: PLC0415

    return any(folded(each.table) == folded(table) for each in list_event_tables(database))


def _all_names(table: str, views: Collection[TypedColumns]) -> str:
    """A line for each name of events, and one for all."""
    rows = [(each.event, each.table, f"{each.rows:,}", f"{len(each.columns):,}") for each in views]
    listed = [table_text(("event", "view or table", "events", "columns"), rows, line_width()), ""] if views else []
    events, seconds = sum(each.rows for each in views), sum(each.duration_seconds for each in views)
    total = f"{many(len(views), 'name')} of {many(events, 'event')} of {table!r} in {seconds:.1f} s."
    return "\n".join([*listed, total])


def _report(columns: Sequence[TypedColumn]) -> str:
    """The columns as lines; misfits are counted where there are any."""
    odd = any(each.misfits for each in columns)
    header = ("column", "type", "coverage", *(["misfits"] if odd else []), "values")
    rows = [
        (_named(each), each.type, share_text(each.coverage), *([each.misfits] if odd else []), _values(each))
        for each in columns
    ]
    return table_text(header, rows, line_width())


def _named(column: TypedColumn) -> str:
    """A column's name, and its property's where that is another, a ``$`` aside."""
    name = column.column
    return name if column.property in (name, f"${name}") else f"{name} ({column.property})"


def _values(column: TypedColumn) -> str:
    by_number = sorted(column.kinds, key=lambda kind: -kind[1])
    nulls = [("null", column.nulls)] if column.nulls else []
    return ", ".join(f"{count:,} {kind}" for kind, count in (*by_number, *nulls))
