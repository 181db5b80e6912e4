"""What a table's properties are, over all of its rows: a statement a level, each one GROUP BY over unnested values.

No profile reaches Python: DuckDB unnests names and values, tells the kind of each (see ``kinds``), and counts. Where
all values of a property are objects, or all are lists, and ``proof`` knows nothing of them, the next looks inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from ..database import literal, only_row
from .extract import extraction
from .kinds import Kind, kind_of
from .proof import proven
from .shape import MOST_FIELDS, MOST_LEVELS, Shape, is_record, prevailing, structure

__all__ = ["Properties", "read_properties", "settle"]

# Names and kinds of one place: of an object with more, nothing is looked at, and it becomes JSON.
_MOST_GROUPS = 4 * MOST_FIELDS
_IS_OBJECT = f"ord(value) = {ord('{')}"
_SHAPELESS = f"ord(ltrim(properties, e' \\t\\r\\n')) IS DISTINCT FROM {ord('{')}"
_VALUES = "(properties->'$.*')::VARCHAR[]"


@dataclass(frozen=True, slots=True)
class Properties:
    """What was found.

    Args:
        rows: Rows of the table.
        shapeless: Those whose ``properties`` are no object, so that nothing can be taken out of them.
        shapes: The shape of each property by name, of the first value where an object has a name twice.
        repeated: How many values are not the first of their name in their object.
    """

    rows: int
    shapeless: int
    shapes: dict[str, Shape]
    repeated: int


def read_properties(cursor: duckdb.DuckDBPyConnection, source: str) -> Properties:
    """Read every value of every property once, and the nested ones once more for each level.

    Args:
        cursor: Where the table is.
        source: A table, or a query in brackets, as SQL names it; it has rows with numbers, and properties.
    """
    row = only_row(cursor, f"SELECT count(*), count(*) FILTER ({_SHAPELESS}) FROM {source}")
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    exploded = f"SELECT unnest(json_keys(properties)) AS name, unnest({_VALUES}) AS value FROM {source}"
    shapes: dict[str, Shape] = {}
    for name, kind, count in cursor.execute(_counted(exploded, "name")).fetchall():
        shapes.setdefault(name, Shape()).kinds[Kind(kind)] += count
    later = cursor.execute(_counted(_later_values(source), "name")).fetchall()
    for name, kind, count in later:
        shapes[name].kinds[Kind(kind)] -= count
    _look_inside(cursor, source, shapes)
    return Properties(row[0], row[1], shapes, sum(count for *_, count in later))


def settle(cursor: duckdb.DuckDBPyConnection, source: str, shapes: dict[str, Shape], mostly: float) -> None:
    """Choose types for most of the values only, where none but JSON or text fits all of them.

    Args:
        cursor: Where the table is.
        source: A table, or a query in brackets, as SQL names it; it has rows with numbers, and properties.
        shapes: Of all properties, as they were read.
        mostly: The share of a property's values that is enough.
    """
    for shape in shapes.values():
        shape.kept = prevailing(shape.kinds, mostly)
    _look_inside(cursor, source, {name: shape for name, shape in shapes.items() if shape.kept})
    for shape in shapes.values():
        if structure(shape) == "JSON":  # which holds the misfits, too
            shape.kept = None


def _later_values(source: str) -> str:
    """Give the values that come after the first of the same name in one object.

    Looking for them in every row would cost half as much as everything else. Rows of the same names in the same order
    are alike in this, so that one of each is enough; the CASE keeps DuckDB from looking before it has chosen those.
    """
    names = "json_keys(properties)"
    return f"""
        WITH keyed AS (SELECT rowid AS number, hash({names}) AS order_of_names FROM {source}),
        chosen AS (SELECT min(number) AS number, order_of_names FROM keyed GROUP BY order_of_names),
        twice AS (
            SELECT chosen.order_of_names FROM chosen JOIN {source} AS one ON one.rowid = chosen.number
            WHERE CASE WHEN chosen.number >= 0 THEN list_unique({names}) < len({names}) END)
        SELECT name, value FROM (
            SELECT unnest({names}) AS name, unnest({_VALUES}) AS value, unnest(range(1, len({names}) + 1)) AS place,
                   {names} AS names
            FROM {source} WHERE hash({names}) IN (FROM twice))
        WHERE place > list_position(names, name)
    """


def _counted(exploded: str, keys: str) -> str:
    kinds = f"SELECT {keys}, {kind_of('value')} AS kind FROM ({exploded})"
    return f"SELECT {keys}, kind, count(*) FROM ({kinds}) GROUP BY {keys}, kind"


def _look_inside(cursor: duckdb.DuckDBPyConnection, source: str, shapes: dict[str, Shape]) -> None:
    """Fill in what is inside of nested properties: as it is proven, or else level by level."""
    nested = {name: shape for name, shape in sorted(shapes.items()) if shape.kind in (Kind.OBJECT, Kind.LIST)}
    for name, each in proven(cursor, source, [name for name in nested if not nested[name].misfits]).items():
        nested.pop(name).proven = each
    places = list(nested.values())
    level = _first_level(source, nested)
    for _ in range(MOST_LEVELS):
        if not places:
            return
        exploded = f"""
            SELECT place, unnest(names) AS name, unnest(elements) AS value,
                   coalesce(list_unique(names) < len(names), false) AS repeats
            FROM (SELECT place, CASE WHEN {_IS_OBJECT} THEN json_keys(value) END AS names,
                         (CASE WHEN {_IS_OBJECT} THEN value->'$.*' ELSE value->'$[*]' END)::VARCHAR[] AS elements
                  FROM ({level}))
        """
        counted = _counted(exploded, "place, name, repeats")
        few = f"{counted} QUALIFY count(*) OVER (PARTITION BY place) <= {_MOST_GROUPS}"
        for place, name, repeats, kind, count in cursor.execute(few).fetchall():
            places[place].repeats |= repeats
            _inside(places[place], name).kinds[Kind(kind)] += count
        inner = [inside for inside in _insides(places) if inside[2].kind in (Kind.OBJECT, Kind.LIST)]
        level = _next_level(exploded, [(place, name) for place, name, _ in inner])
        places = [shape for _, _, shape in inner]


def _first_level(source: str, nested: dict[str, Shape]) -> str:
    names = list(nested)
    plan = extraction(dict.fromkeys(names, "JSON"))
    values = ", ".join(_nested_text(f"{plan.values[name]}::VARCHAR", shape) for name, shape in nested.items())
    return f"""
        SELECT unnest(range({len(names)})) AS place, unnest([{values}]) AS value
        FROM (SELECT {", ".join(plan.groups)} FROM {source})
    """


def _nested_text(text: str, shape: Shape) -> str:
    """A value's text, if it is of the kind that is looked into."""
    if not shape.misfits:
        return text
    return f"CASE WHEN ord({text}) = {ord('{' if shape.kind is Kind.OBJECT else '[')} THEN {text} END"


def _next_level(exploded: str, wanted: list[tuple[int, str | None]]) -> str:
    rows = ", ".join(
        f"({number}, {place}, {'NULL' if name is None else literal(name)})"
        for number, (place, name) in enumerate(wanted)
    )
    return f"""
        SELECT inner_place AS place, value FROM ({exploded}) AS outside
        JOIN (VALUES {rows or "(0, -1, NULL)"}) AS wanted(inner_place, outer_place, field)
        ON outside.place = outer_place AND outside.name IS NOT DISTINCT FROM field
    """


def _inside(shape: Shape, name: str | None) -> Shape:
    if name is not None:
        return shape.fields.setdefault(name, Shape())
    shape.element = shape.element or Shape()
    return shape.element


def _insides(places: list[Shape]) -> Iterator[tuple[int, str | None, Shape]]:
    """Give what is inside of lists and records; an object that will be JSON is not worth a look."""
    for number, shape in enumerate(places):
        if is_record(shape):
            yield from ((number, name, inner) for name, inner in sorted(shape.fields.items()))
        if shape.element is not None:
            yield number, None, shape.element
