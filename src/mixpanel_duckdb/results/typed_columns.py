"""A column for each property, with a type that every value fits: one call, and a report of what was found.

The work is the store's (``store/typed``); here is what people call and get.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ..arguments import check
from ..store import Kind, ProfileStore, TypedProperty, connecting, make_typed, storage_errors, typed_name
from ..text import grid, many, note, share_text
from .frames import Readable

if TYPE_CHECKING:
    from ..store import AnyDatabase
    from .frames import Connect

__all__ = ["EventTypingOptions", "TypedColumn", "TypedColumns", "TypingOptions", "type_columns"]

_REPORT = ("column", "type", "property", "coverage", "nulls", "misfits", "values")
_MOST_SHOWN = 200
_CLASSES = {
    "text": (Kind.TEXT, Kind.TIME, Kind.TIME_Z, Kind.TIME_MS, Kind.TIME_MS_Z),
    "integer": (
        Kind.EXACT_INTEGER, Kind.EXACT_NEGATIVE, Kind.BIGINT, Kind.UBIGINT, Kind.HUGEINT, Kind.ENDLESS_INTEGER,
    ),
    "fraction": (Kind.DOUBLE, Kind.ENDLESS_DOUBLE),
    "boolean": (Kind.BOOLEAN,),
    "list": (Kind.LIST,),
    "object": (Kind.OBJECT,),
}  # fmt: skip


class EventTypingOptions(TypedDict, total=False):
    """The keyword arguments of :func:`type_events`."""

    materialize: bool
    keep_properties: bool
    mostly: float | None
    min_coverage: float


class TypingOptions(EventTypingOptions, total=False):
    """The keyword arguments of :func:`type_columns`."""

    into: str | None
    event: str | None


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """One property, and the column it became.

    Args:
        property: Its name as sent.
        column: Name of the column; ``properties`` if it has none of its own: there are too many, or too few profiles
            have it.
        type: DuckDB's name of the column's type.
        rows: Profiles that have the property, those where it is null included.
        coverage: Their share of all profiles, 0 to 1.
        nulls: Profiles where it is there and null; in the column that is NULL, as where it is missing.
        mixed: Whether values of unlike kinds occur (numbers and text, say), so that the column is JSON.
        kinds: How many values of each kind, nulls left out: text, integer, fraction, boolean, list, object.
        misfits: Values that are not of the column's type, which ``mostly`` allows: NULL in the column, and kept in
            ``properties``.
        time_format: The ``strftime`` format that gives a TIMESTAMP's text back as sent; ``None`` for other types.
    """

    property: str
    column: str
    type: str
    rows: int
    coverage: float
    nulls: int
    mixed: bool
    kinds: tuple[tuple[str, int], ...]
    time_format: str | None = None
    misfits: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"kinds": dict(self.kinds)}


@dataclass(frozen=True, slots=True, repr=False)
class TypedColumns(Readable):
    """A typed view or table, and what was found in the properties.

    Args:
        table: Name of the view or table.
        source: The table that it is made of.
        materialized: Whether it is a table, a copy; a view reads its source anew each time.
        rows: Profiles, or events.
        shapeless_rows: Those whose ``properties`` are no JSON object: their columns are NULL.
        repeated_values: Values that no column has, because their object has the name twice; the first one counts.
        columns: One for each property, in the order of the columns: first what most profiles have.
        duration_seconds: Wall time of finding the types and making it.
        event: Of a table of events, the name that they have.

    Example:
        >>> import mixpanel_duckdb as md
        >>> from mixpanel_duckdb.simulator import Population, Simulator
        >>> with Simulator(Population(300, seed=1)) as sim:
        ...     who = md.Credentials.from_env(sim.environment())
        ...     typed = md.fetch_profiles(":memory:", credentials=who, base_url=sim.base_url).typed()
        >>> {each.column: each.type for each in typed.columns if each.property in ("$created", "address", "mrr")}
        {'address': 'STRUCT(city VARCHAR, zip VARCHAR)', 'created': 'TIMESTAMP', 'mrr': 'DOUBLE'}
    """

    table: str
    source: str
    materialized: bool
    rows: int
    columns: tuple[TypedColumn, ...]
    duration_seconds: float
    shapeless_rows: int = 0
    repeated_values: int = 0
    event: str | None = None
    _connect: Connect | None = field(default=None, repr=False, compare=False)

    @property
    def _reads_from(self) -> str:
        return self.table

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if not each.name.startswith("_")}
        return {**values, "columns": [each.to_dict() for each in self.columns]}

    def summary(self) -> str:
        """Say what was made, and what no column has."""
        what, one = "table" if self.materialized else "view", "profile" if self.event is None else "event"
        own = sum(each.column != "properties" for each in self.columns)
        text = (
            f"{many(own, 'column')} of {many(self.rows, one)} in {what} {self.table!r} in "
            f"{self.duration_seconds:.1f} s."
        )
        if rest := len(self.columns) - own:
            text += f" {many(rest, 'property', 'properties')} that fewer {one}s have"
            text += f" {'is' if rest == 1 else 'are'} in column 'properties'."
        odd = [each.misfits for each in self.columns if each.misfits]
        if odd:
            text += (
                " Not of the column's type, and so NULL there and kept in column 'properties': "
                f"{many(sum(odd), 'value')} of {many(len(odd), 'column')}."
            )
        if self.repeated_values:
            have = "has" if self.repeated_values == 1 else "have"
            text += f" {many(self.repeated_values, 'value')} {have} no column, because their object has the name twice."
        if self.shapeless_rows:
            have = "has" if self.shapeless_rows == 1 else "have"
            text += f" {many(self.shapeless_rows, 'row')} {have} properties that are no object."
        return text

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return (
            f"TypedColumns(table={self.table!r}, source={self.source!r}, materialized={self.materialized}, "
            f"rows={self.rows}, columns=<{len(self.columns)}>, duration_seconds={self.duration_seconds:.3f})"
        )

    def _repr_html_(self) -> str:
        shown = self.columns[:_MOST_SHOWN]
        parts = [note(self.summary()), grid(_REPORT, map(_report_row, shown)) if shown else ""]
        if len(shown) < len(self.columns):
            parts.append(note(f"and {len(self.columns) - len(shown):,} more"))
        return "".join(parts)


def type_columns(database: AnyDatabase, table: str = "profiles", **options: Unpack[TypingOptions]) -> TypedColumns:
    """Make a view, or a table, with a typed column for each property of a profiles table.

    Args:
        database: A path to an existing file, your own ``DuckDBPyConnection`` or a :class:`ProfileStore`.
        table: A profiles table.
        **options: ``into`` names the view or table, by default ``<table>_typed``; what an earlier call made under that
            name is replaced, anything else is left alone. ``materialize=True`` makes a table instead of a view: a copy,
            faster to read, swapped in within one transaction. ``keep_properties=True`` adds the JSON column.
            ``mostly=0.95`` gives a column the type that at least this share of its values fits; the others are NULL in
            it, counted (``misfits``), and kept in the JSON column. By default a type fits all values.
            ``min_coverage=0.01`` makes columns of the properties that at least this share of the profiles have.
            ``event="Login"``: of a table of events, those of this name; the view is ``<table>_Login_typed`` then. See
            :func:`type_events` for all names.

    Returns:
        What was found, and ``.df()``, ``.pl()``, ``.arrow()`` and ``.relation()`` to read it.

    Raises:
        UnsuitableTableError: There is no such table, it is not one of profiles, or ``into`` is something else.
        StorageError: There is no such file, or DuckDB could not read or write.

    Example:
        >>> import duckdb
        >>> import mixpanel_duckdb as md
        >>> connection = duckdb.connect()
        >>> _ = connection.execute("CREATE TABLE profiles (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)")
        >>> _ = connection.execute('''INSERT INTO profiles VALUES ('a', '{"$email": "a@b.c", "seats": 3}', NULL)''')
        >>> md.type_columns(connection).relation().fetchall()
        [('a', 'a@b.c', 3, None)]
    """
    connect = database.reader() if isinstance(database, ProfileStore) else connecting(database)
    return typed_columns(connect, table, **options)


def _report_row(column: TypedColumn) -> tuple[str, str, str, str, int, int, str]:
    """Say what people read of a column, under the names of ``_REPORT``."""
    values = ", ".join(f"{count:,} {name}" for name, count in column.kinds)
    share = share_text(column.coverage)
    return column.column, column.type, column.property, share, column.nulls, column.misfits, values


def typed_columns(
    connect: Connect,
    table: str,
    *,
    into: str | None = None,
    materialize: bool = False,
    keep_properties: bool = False,
    mostly: float | None = None,
    min_coverage: float = 0.0,
    event: str | None = None,
) -> TypedColumns:
    """Do what :func:`type_columns` says, for whoever knows how to connect."""
    check(locals(), but={"connect"})
    started = time.monotonic()
    connection = connect()
    try:
        with storage_errors(f"make typed columns of {table!r}"):
            made = make_typed(
                connection,
                table,
                typed_name(table, event) if into is None else into,
                materialize=materialize,
                keep_properties=keep_properties,
                mostly=mostly,
                min_coverage=min_coverage,
                event=event,
            )
    finally:
        connection.close()
    found = made.found
    return TypedColumns(
        table=made.name,
        source=table,
        materialized=materialize,
        rows=found.rows,
        columns=tuple(_column(each, found.rows) for each in made.properties),
        duration_seconds=time.monotonic() - started,
        shapeless_rows=found.shapeless,
        repeated_values=found.repeated,
        event=event,
        _connect=connect,
    )


def _column(found: TypedProperty, rows: int) -> TypedColumn:
    counts = found.shape.kinds
    kinds = Counter({name: sum(counts[kind] for kind in kinds) for name, kinds in _CLASSES.items()})
    classes = {"number" if name in ("integer", "fraction") else name for name, count in kinds.items() if count}
    return TypedColumn(
        property=found.name,
        column=found.column,
        type=found.type,
        rows=found.shape.rows,
        coverage=found.shape.rows / rows,
        nulls=counts[Kind.NULL],
        mixed=len(classes) > 1 and found.type == "JSON",
        kinds=tuple((name, count) for name, count in kinds.items() if count),
        time_format=found.time_format,
        misfits=found.shape.misfits if found.column != "properties" else 0,
    )
