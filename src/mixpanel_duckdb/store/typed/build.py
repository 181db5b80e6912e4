"""A typed view or table: checked before anything is read, built, and put in place in one transaction.

What is made here carries a comment, so that it can be made again but nothing else is ever replaced.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from ...errors import UnsuitableTableError
from ..database import COLUMNS, Existing, atomic, columns_of, existing, hush, literal, quote
from ..journal import PREFIX
from .extract import extraction
from .infer import Properties, read_properties
from .naming import column_names
from .shape import Shape, structure, time_format

__all__ = ["TypedProperty", "TypedTable", "make_typed"]

# Each column more costs memory for a whole row group while a table is made, whether it is filled or not.
MOST_COLUMNS = 1000
_MARK = "typed columns by mixpanel-duckdb, of "


@dataclass(frozen=True, slots=True)
class TypedProperty:
    """A property and its column; ``properties`` for one that has none of its own."""

    name: str
    column: str
    type: str
    shape: Shape
    time_format: str | None


@dataclass(frozen=True, slots=True)
class TypedTable:
    """What was made, and the properties in the order of the columns, those without one of their own last."""

    name: str
    found: Properties
    properties: tuple[TypedProperty, ...]


def make_typed(
    cursor: duckdb.DuckDBPyConnection, table: str, into: str, *, materialize: bool, keep_properties: bool
) -> TypedTable:
    """Infer, and make the view or table.

    Args:
        cursor: Where the profiles table is.
        table: The profiles table.
        into: Name of what is made.
        materialize: Make a table instead of a view.
        keep_properties: Whether it has ``properties``, too. It does in any case where some property has no column.

    Raises:
        UnsuitableTableError: There is no such table, it has other columns, or ``into`` is something else already.
    """
    hush(cursor)
    with atomic(cursor):  # one view of the table from the first look at it to the last
        _check_source(cursor, table)
        before = _check_target(cursor, into)
        found = read_properties(cursor, table)
        names = _widest(column_names(found.shapes), found.shapes)
        select = _select(table, names, found.shapes, keep_properties=keep_properties or len(names) < len(found.shapes))
        if before is not None:
            cursor.execute(f"DROP {before.kind} {quote(before.name)}")
        what = "TABLE" if materialize else "VIEW"
        cursor.execute(f"CREATE {what} {quote(into)} AS {select}")
        cursor.execute(f"COMMENT ON {what} {quote(into)} IS {literal(_MARK + table)}")
        types = columns_of(cursor, into)
    columns = {**names, **{name: "properties" for name in sorted(found.shapes) if name not in names}}
    properties = (
        TypedProperty(name, column, types[column], found.shapes[name], time_format(found.shapes[name]))
        for name, column in columns.items()
    )
    return TypedTable(into, found, tuple(properties))


def _widest(names: dict[str, str], shapes: dict[str, Shape]) -> dict[str, str]:
    """Keep the columns of the properties that most rows have, as many as there may be."""
    by_rows = sorted(names, key=lambda name: (-shapes[name].rows, name))
    kept = set(by_rows[:MOST_COLUMNS])
    return {name: column for name, column in names.items() if name in kept}


def _select(table: str, names: dict[str, str], shapes: dict[str, Shape], *, keep_properties: bool) -> str:
    plan = extraction({name: structure(shapes[name]) for name in names})
    columns = [f"{_cast(plan.values[name], shapes[name])} AS {quote(column)}" for name, column in names.items()]
    kept = ["properties"] if keep_properties else []
    return (
        f"SELECT {', '.join(['distinct_id', *columns, 'last_seen', *kept])} "
        f"FROM (SELECT {', '.join(['distinct_id', 'last_seen', *kept, *plan.groups])} FROM {quote(table)})"
    )


def _cast(value: str, shape: Shape) -> str:
    return f"CAST({value} AS TIMESTAMP)" if time_format(shape) else value


def _check_source(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    source = existing(cursor, table)
    if source is None:
        raise UnsuitableTableError(f"There is no table {table!r} here; name a table that a fetch has published.")
    if source.kind != "table":
        raise UnsuitableTableError(f"{table!r} is a view; name a table that a fetch has published.")
    if columns_of(cursor, table) != COLUMNS:
        wanted = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        raise UnsuitableTableError(f"{table!r} is not a table of profiles: its columns are not ({wanted}).")


def _check_target(cursor: duckdb.DuckDBPyConnection, into: str) -> Existing | None:
    """Give what is to be replaced, if anything."""
    if into.lower().startswith(PREFIX) or not into.strip():
        raise UnsuitableTableError(
            f"{into!r} cannot be the name of typed columns: it is empty or the journal's ({PREFIX}...)."
        )
    found = existing(cursor, into)
    if found is not None and not (found.comment or "").startswith(_MARK):
        raise UnsuitableTableError(
            f"{into!r} exists and holds something else than typed columns; choose another name with into= (--into)."
        )
    return found
