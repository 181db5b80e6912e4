"""A typed view or table: checked before anything is read, built, and put in place in one transaction.

What is made here carries a comment, so that it can be made again but nothing else is ever replaced.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from ...errors import UnsuitableTableError
from ..database import (
    COLUMNS,
    EVENT_COLUMNS,
    Existing,
    atomic,
    columns_of,
    existing,
    folded,
    hush,
    literal,
    quote,
    readable,
    unusable,
)
from ..journal import PREFIX
from .extract import constant, extraction
from .infer import Properties, read_properties, settle
from .kinds import kind_of
from .naming import column_names, view_names
from .shape import Shape, structure, time_format

__all__ = ["TypedProperty", "TypedTable", "event_views", "make_typed", "typed_name"]

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


def typed_name(table: str, event: str | None = None) -> str:
    """Name the typed columns of a table, or of its events of a name, unless the caller does."""
    return "_".join(filter(None, [table, event, "typed"]))


def event_views(cursor: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """Name a view for each name that the events of a table have, in order, but one that no SQL can hold (NUL).

    Raises:
        UnsuitableTableError: There is no such table, it is not one of events, or something else has one of the names.
    """
    _source_of(cursor, table, "")
    rows = cursor.execute(
        f"SELECT DISTINCT event FROM {quote(table)} WHERE NOT contains(event, chr(0)) ORDER BY event ASC"
    ).fetchall()
    names = view_names({event: typed_name(table, event) for (event,) in rows})
    for name in names.values():
        _check_target(cursor, name)
    return names


def make_typed(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    into: str,
    *,
    materialize: bool = False,
    keep_properties: bool = False,
    mostly: float | None = None,
    min_coverage: float = 0.0,
    event: str | None = None,
) -> TypedTable:
    """Infer, and make the view or table.

    Args:
        cursor: Where the profiles table is.
        table: The profiles table.
        into: Name of what is made.
        materialize: Make a table instead of a view.
        keep_properties: Whether it has ``properties``, too. It does in any case where some value has no column.
        mostly: The share of a property's values that is enough to decide its type; ``None``: all of them.
        min_coverage: The share of rows that have a property from which on it gets a column.
        event: Of a table of events, those of this name.

    Raises:
        UnsuitableTableError: There is no such table, it has other columns, or ``into`` is something else already.
    """
    hush(cursor)
    with atomic(cursor):  # one view of the table from the first look at it to the last
        source = _source_of(cursor, table, event)
        before = _check_target(cursor, into)
        found = read_properties(cursor, source.sql)
        for name in source.columns_of_their_own:
            found.shapes.pop(name, None)
        if mostly is not None:
            settle(cursor, source.sql, found.shapes, mostly)
        order = _by_coverage(column_names(found.shapes, source.reserved), found.shapes)
        often = [name for name in order if found.shapes[name].rows >= min_coverage * found.rows]
        names = {name: order[name] for name in often[:MOST_COLUMNS]}
        all_there = len(names) == len(order) and not any(shape.misfits for shape in found.shapes.values())
        select = _select(source, names, found.shapes, keep_properties=keep_properties or not all_there)
        if before is not None:
            cursor.execute(f"DROP {before.kind} {quote(before.name)}")
        what = "TABLE" if materialize else "VIEW"
        cursor.execute(f"CREATE {what} {quote(into)} AS {select}")
        cursor.execute(f"COMMENT ON {what} {quote(into)} IS {literal(_MARK + table)}")
        types = columns_of(cursor, into)
    columns = {**names, **{name: "properties" for name in order if name not in names}}
    properties = (
        TypedProperty(name, column, types[column], found.shapes[name], time_format(found.shapes[name]))
        for name, column in columns.items()
    )
    return TypedTable(into, found, tuple(properties))


def _by_coverage(names: dict[str, str], shapes: dict[str, Shape]) -> dict[str, str]:
    """Put first what most rows have; of equals, names that begin with a letter."""

    def place(name: str) -> tuple[int, bool, str, str]:
        column = names[name]
        return -shapes[name].rows, not column[0].isalpha(), folded(column), column

    return {name: names[name] for name in sorted(names, key=place)}


def _select(source: _Source, names: dict[str, str], shapes: dict[str, Shape], *, keep_properties: bool) -> str:
    plan = extraction({name: "JSON" if shapes[name].misfits else structure(shapes[name]) for name in names})
    texts = {name: f"t{number}" for number, name in enumerate(name for name in names if shapes[name].misfits)}
    columns = [
        f"{_cast(_fitting(texts[name], shapes[name]) if name in texts else plan.values[name], shapes[name])} "
        f"AS {quote(column)}"
        for name, column in names.items()
    ]
    kept = ["properties"] if keep_properties else []
    rows = f"SELECT {', '.join([*source.before, *source.behind, *kept, *plan.groups])} FROM {source.sql}"
    if texts:
        also = ", ".join(f"{plan.values[name]}::VARCHAR AS {text}" for name, text in texts.items())
        rows = f"SELECT *, {also} FROM ({rows})"
    return f"SELECT {', '.join([*source.before, *columns, *source.behind, *kept])} FROM ({rows})"


def _fitting(text: str, shape: Shape) -> str:
    """Give the value of a JSON text, if it is of a kind that the column is for."""
    kinds = ", ".join(f"{kind:d}" for kind in sorted(shape.kept or ()))
    return f"CASE WHEN {kind_of(text)} IN ({kinds}) THEN from_json({text}, {constant(structure(shape))}) END"


def _cast(value: str, shape: Shape) -> str:
    """Give the value as its column has it; NULL for a later one that is no moment, where all were when it was made."""
    return readable(f"TRY_CAST({value} AS TIMESTAMP)") if time_format(shape) else value


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows with properties, as SQL names them, and the columns that they have before and behind these."""

    sql: str
    before: tuple[str, ...] = ("distinct_id",)
    behind: tuple[str, ...] = ("last_seen",)
    columns_of_their_own: tuple[str, ...] = ()

    @property
    def reserved(self) -> tuple[str, ...]:
        return (*self.before, *self.behind, "properties")


def _source_of(cursor: duckdb.DuckDBPyConnection, table: str, event: str | None) -> _Source:
    """Check the table; give all of it, or the events of a name."""
    source = existing(cursor, table)
    if source is None:
        raise UnsuitableTableError(f"There is no table {table!r} here; name a table that a fetch has published.")
    if source.kind != "table":
        raise UnsuitableTableError(f"{table!r} is a view; name a table that a fetch has published.")
    columns, wanted = columns_of(cursor, table), COLUMNS if event is None else EVENT_COLUMNS
    if columns == EVENT_COLUMNS and event is None:
        raise UnsuitableTableError(f"{table!r} is a table of events; say of which name, with event= (--event).")
    if columns != wanted:
        shape = ", ".join(f"{name} {kind}" for name, kind in wanted.items())
        what = "profiles" if event is None else "events"
        raise UnsuitableTableError(f"{table!r} is not a table of {what}: its columns are not ({shape}).")
    if event is None:
        return _Source(quote(table))
    before = "time", "distinct_id", "insert_id"
    rows = f"(SELECT rowid, {', '.join(before)}, properties FROM {quote(table)} WHERE event = {literal(event)})"
    return _Source(rows, before, (), ("time", "distinct_id", "$insert_id"))


def _check_target(cursor: duckdb.DuckDBPyConnection, into: str) -> Existing | None:
    """Give what is to be replaced, if anything."""
    if reason := unusable(cursor, into, reserved=PREFIX):
        raise UnsuitableTableError(f"{into!r} cannot be the name of typed columns: {reason}.")
    found = existing(cursor, into)
    if found is not None and not (found.comment or "").startswith(_MARK):
        raise UnsuitableTableError(
            f"{into!r} exists and holds something else than typed columns; choose another name with into= (--into)."
        )
    return found
