"""From counted kinds to a type that loses nothing; pure functions over a tree of counts.

A property is a :class:`Shape`: how often each kind of value occurs, and, if all its values are lists or all are
objects, the shapes of what is inside.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .kinds import TIME_FORMATS, Kind

__all__ = ["MOST_FIELDS", "Shape", "folded", "is_record", "structure", "time_format"]

# Wider objects are maps rather than records: a STRUCT of them helps nobody.
MOST_FIELDS = 100

_EXACT = {Kind.EXACT_INTEGER, Kind.EXACT_NEGATIVE}
_INTEGERS = {*_EXACT, Kind.BIGINT, Kind.UBIGINT, Kind.HUGEINT}
_TEXTS = {Kind.TEXT, *TIME_FORMATS}


@dataclass(slots=True)
class Shape:
    """The values found in one place: a property, a field of objects, the elements of lists.

    Args:
        kinds: How many values of each kind.
        fields: If all values are objects: the shapes of their fields by name.
        element: If all are lists: the shape of their elements.
        repeats: Whether an object has a name twice.
    """

    kinds: Counter[Kind] = field(default_factory=Counter)
    fields: dict[str, Shape] = field(default_factory=dict)
    element: Shape | None = None
    repeats: bool = False

    @property
    def rows(self) -> int:
        """How many values there are, nulls included."""
        return self.kinds.total()

    @property
    def kind(self) -> Kind | None:
        """The one kind of all values that are not null; ``None`` if there are several, or none."""
        present = self.present
        return next(iter(present)) if len(present) == 1 else None

    @property
    def present(self) -> set[Kind]:
        """The kinds of the values that are not null."""
        return {kind for kind, count in self.kinds.items() if count and kind is not Kind.NULL}


def structure(shape: Shape) -> Any:
    """Give the type of a place as the structure that DuckDB's ``from_json`` takes; ``"JSON"`` where nothing fits.

    Example:
        >>> structure(Shape(Counter({Kind.EXACT_INTEGER: 3, Kind.DOUBLE: 1, Kind.NULL: 1})))
        'DOUBLE'
        >>> structure(Shape(Counter({Kind.LIST: 1}), element=Shape(Counter({Kind.TEXT: 4}))))
        ['VARCHAR']
    """
    present = shape.present
    if not present:
        return "JSON"
    if shape.kind is Kind.OBJECT:
        return {name: structure(each) for name, each in sorted(shape.fields.items())} if is_record(shape) else "JSON"
    if shape.kind is Kind.LIST:
        return [structure(shape.element or Shape())]
    if shape.kind is Kind.BOOLEAN:
        return "BOOLEAN"
    if present <= _TEXTS:
        return "VARCHAR"
    if present <= _INTEGERS:
        return _integer_type(present)
    return "DOUBLE" if present <= {Kind.DOUBLE, *_EXACT} else "JSON"


def time_format(shape: Shape) -> str | None:
    """Give the one format in which all values are moments, if there is one."""
    return TIME_FORMATS.get(shape.kind) if shape.kind is not None else None


def folded(name: str) -> str:
    """Give a name as DuckDB compares names: ASCII letters in any case are the same.

    Example:
        >>> folded("Élan VITAL")
        'Élan vital'
    """
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def is_record(shape: Shape) -> bool:
    """Whether every object has every field once, so that a NULL in the STRUCT can only be a null of the object."""
    names = shape.fields
    return (
        0 < len(names) <= MOST_FIELDS
        and not shape.repeats
        and all(each.rows == shape.kinds[Kind.OBJECT] for each in names.values())
        and all(name and "\0" not in name for name in names)
        and len({folded(name) for name in names}) == len(names)
    )


def _integer_type(present: set[Kind]) -> str:
    if present <= {*_EXACT, Kind.BIGINT}:
        return "BIGINT"
    return "UBIGINT" if present <= {Kind.EXACT_INTEGER, Kind.UBIGINT} else "HUGEINT"
