"""From counted kinds to a type that loses nothing; pure functions over a tree of counts.

A property is a :class:`Shape`: how often each kind of value occurs, and, if all its values are lists or all are
objects, the shapes of what is inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..database import folded
from .kinds import TIME_FORMATS, Kind

__all__ = ["MOST_FIELDS", "MOST_LEVELS", "Shape", "are_fields", "is_record", "prevailing", "structure", "time_format"]

# Wider objects are maps rather than records: a STRUCT of them helps nobody.
MOST_FIELDS = 100
# Mixpanel's documented limit for nesting is 3. What lies deeper becomes JSON.
MOST_LEVELS = 5

_EXACT = {Kind.EXACT_INTEGER, Kind.EXACT_NEGATIVE}
_INTEGERS = {*_EXACT, Kind.BIGINT, Kind.UBIGINT, Kind.HUGEINT}
_TEXTS = {Kind.TEXT, *TIME_FORMATS}
# Kinds that one type holds without loss, from narrow types to wide ones of the same nature.
_FAMILIES = (
    ({Kind.BOOLEAN},),
    (_INTEGERS, {Kind.DOUBLE, *_EXACT}),
    (*({kind} for kind in TIME_FORMATS), _TEXTS),
    ({Kind.LIST},),
    ({Kind.OBJECT},),
)


@dataclass(slots=True)
class Shape:
    """The values found in one place: a property, a field of objects, the elements of lists.

    Args:
        kinds: How many values of each kind.
        fields: If all values are objects: the shapes of their fields by name.
        element: If all are lists: the shape of their elements.
        repeats: Whether an object has a name twice.
        kept: The kinds that the type is chosen for; ``None``: all of them.
        proven: The structure, where it is known without a look inside.
    """

    kinds: Counter[Kind] = field(default_factory=Counter)
    fields: dict[str, Shape] = field(default_factory=dict)
    element: Shape | None = None
    repeats: bool = False
    kept: set[Kind] | None = None
    proven: Any = None

    @property
    def rows(self) -> int:
        """How many values there are, nulls included."""
        return self.kinds.total()

    @property
    def kind(self) -> Kind | None:
        """The one kind of all values that the type is for; ``None`` if there are several, or none."""
        present = self.present
        return next(iter(present)) if len(present) == 1 else None

    @property
    def present(self) -> set[Kind]:
        """The kinds of the values that the type is for; a null fits any."""
        found: set[Kind] = {kind for kind, count in self.kinds.items() if count and kind is not Kind.NULL}
        return found if self.kept is None else found & self.kept

    @property
    def misfits(self) -> int:
        """How many values are of kinds that the type is not for."""
        return (
            0
            if self.kept is None
            else self.rows - self.kinds[Kind.NULL] - sum(self.kinds[kind] for kind in self.present)
        )


def structure(shape: Shape) -> Any:
    """Give the type of a place as the structure that DuckDB's ``from_json`` takes; ``"JSON"`` where nothing fits.

    Example:
        >>> structure(Shape(Counter({Kind.EXACT_INTEGER: 3, Kind.DOUBLE: 1, Kind.NULL: 1})))
        'DOUBLE'
        >>> structure(Shape(Counter({Kind.LIST: 1}), element=Shape(Counter({Kind.TEXT: 4}))))
        ['VARCHAR']
    """
    if shape.proven is not None:
        return shape.proven
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


def prevailing(kinds: Mapping[Kind, int], mostly: float) -> set[Kind] | None:
    """Give the kinds of the type that prevails, the narrowest of its nature, if not all values are of these.

    Args:
        kinds: How many values of each kind.
        mostly: Their least share of the values that are not null, 0 to 1.

    Example:
        >>> prevailing({Kind.EXACT_INTEGER: 97, Kind.TEXT: 3}, 0.95) == _INTEGERS
        True
        >>> prevailing({Kind.EXACT_INTEGER: 90, Kind.TEXT: 10}, 0.95)
    """
    present: dict[Kind, int] = {kind: count for kind, count in kinds.items() if count and kind is not Kind.NULL}
    if any(present.keys() <= each for family in _FAMILIES for each in family if each is not _TEXTS):
        return None
    total, most, found = sum(present.values()), 0, None
    for family in _FAMILIES:
        counts = [sum(present.get(kind, 0) for kind in each) for each in family]
        for each, count in zip(family, counts, strict=True):
            if count > most and count >= mostly * total and 2 * count >= max(counts):
                most, found = count, each
                break
    return found if most < total else None


def time_format(shape: Shape) -> str | None:
    """Give the one format in which all values are moments, if there is one."""
    return TIME_FORMATS.get(shape.kind) if shape.kind is not None else None


def is_record(shape: Shape) -> bool:
    """Whether every object has every field once, so that a NULL in the STRUCT can only be a null of the object."""
    return (
        are_fields(shape.fields)
        and not shape.repeats
        and all(each.rows == shape.kinds[Kind.OBJECT] for each in shape.fields.values())
    )


def are_fields(names: Collection[str]) -> bool:
    """Whether a STRUCT can have fields of these names, and helps somebody with so many."""
    return (
        0 < len(names) <= MOST_FIELDS
        and all(name and "\0" not in name for name in names)
        and len({folded(name) for name in names}) == len(names)
    )


def _integer_type(present: set[Kind]) -> str:
    if present <= {*_EXACT, Kind.BIGINT}:
        return "BIGINT"
    return "UBIGINT" if present <= {Kind.EXACT_INTEGER, Kind.UBIGINT} else "HUGEINT"
