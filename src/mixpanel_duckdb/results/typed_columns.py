"""A column for each property, with a type that every value fits: one call, and a report of what was found.

The work is the store's (``store/typed``); here is what people call and get.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ..arguments import check
from ..store import Kind, ProfileStore, TypedProperty, connecting, make_typed, storage_errors
from ..text import grid, note, share_text
from .frames import Readable

if TYPE_CHECKING:
    from ..store import AnyDatabase
    from .frames import Connect

__all__ = ["REPORT", "TypedColumn", "TypedColumns", "TypingOptions", "report_row", "type_columns"]

REPORT = ("column", "type", "property", "coverage", "nulls", "values")
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


class TypingOptions(TypedDict, total=False):
    """The keyword arguments of :func:`type_columns`."""

    into: str | None
    materialize: bool
    keep_properties: bool


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """One property, and the column it became.

    Args:
        property: Its name as sent.
        column: Name of the column; ``properties`` if there are too many for each to have its own.
        type: DuckDB's name of the column's type.
        rows: Profiles that have the property, those where it is null included.
        coverage: Their share of all profiles, 0 to 1.
        nulls: Profiles where it is there and null; in the column that is NULL, as where it is missing.
        mixed: Whether values of unlike kinds occur (numbers and text, say), so that the column is JSON.
        kinds: How many values of each kind, nulls left out: text, integer, fraction, boolean, list, object.
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

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values, ready for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"kinds": dict(self.kinds)}


@dataclass(frozen=True, slots=True, repr=False)
class TypedColumns(Readable):
    """A typed view or table, and what was found in the properties.

    Args:
        table: Name of the view or table.
        source: The profiles table that it is made of.
        materialized: Whether it is a table, a copy; a view reads its source anew each time.
        rows: Profiles.
        shapeless_rows: Those whose ``properties`` are no JSON object: their columns are NULL.
        repeated_values: Values that no column has, because their object has the name twice; the first one counts.
        columns: One for each property, in the order of the columns.
        duration_seconds: Wall time of finding the types and making it.

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
        what = "table" if self.materialized else "view"
        own = sum(each.column != "properties" for each in self.columns)
        text = f"{own:,} columns of {self.rows:,} profiles in {what} {self.table!r} in {self.duration_seconds:.1f} s."
        if own < len(self.columns):
            text += f" {len(self.columns) - own:,} properties that fewer profiles have are in column 'properties'."
        if self.repeated_values:
            text += f" {self.repeated_values:,} values have no column, because their object has the name twice."
        if self.shapeless_rows:
            text += f" {self.shapeless_rows:,} rows have properties that are no object."
        return text

    def __repr__(self) -> str:
        return (
            f"TypedColumns(table={self.table!r}, source={self.source!r}, materialized={self.materialized}, "
            f"rows={self.rows}, columns=<{len(self.columns)}>, duration_seconds={self.duration_seconds:.3f})"
        )

    def _repr_html_(self) -> str:
        shown = self.columns[:_MOST_SHOWN]
        parts = [note(self.summary()), grid(REPORT, map(report_row, shown)) if shown else ""]
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


def report_row(column: TypedColumn) -> tuple[str, str, str, str, int, str]:
    """Say what people read of a column, under the names of ``REPORT``."""
    values = ", ".join(f"{count:,} {name}" for name, count in column.kinds)
    return column.column, column.type, column.property, share_text(column.coverage), column.nulls, values


def typed_columns(
    connect: Connect,
    table: str,
    *,
    into: str | None = None,
    materialize: bool = False,
    keep_properties: bool = False,
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
                f"{table}_typed" if into is None else into,
                materialize=materialize,
                keep_properties=keep_properties,
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
        mixed=len(classes) > 1,
        kinds=tuple((name, count) for name, count in kinds.items() if count),
        time_format=found.time_format,
    )
