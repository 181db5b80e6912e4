"""Typed columns read back as the values that were sent, by the rules of docs/typed-columns.md and nothing else."""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import mixpanel_duckdb as md

Convert = Callable[[Any], Any]


def read_back(typed: md.TypedColumns) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give each row's id and its properties by the names that were sent; neither nulls nor missing ones are there."""
    relation = typed.relation()
    converts = _converts(relation, typed.columns)
    relation = relation.project(", ".join(["distinct_id", *map(_text_or_value, typed.columns)]))
    for name, *values in relation.fetchall():
        yield (
            name,
            {
                column.property: value if convert is None else convert(value)
                for column, convert, value in zip(typed.columns, converts, values, strict=True)
                if value is not None
            },
        )


def _converts(relation: Any, columns: tuple[md.TypedColumn, ...]) -> list[Convert | None]:
    kinds = dict(zip(relation.columns, relation.types, strict=True))
    return [None if each.time_format else _convert(kinds[each.column]) for each in columns]


def exact(value: Any) -> Any:
    """Give a form that is equal only for the same JSON value: 1 is 1.0 but not true, and 0.0 is not -0.0."""
    if isinstance(value, dict):
        return {name: exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    if isinstance(value, bool):
        return (bool, value)
    return (0, math.copysign(1, value)) if value == 0 else value


def _text_or_value(column: md.TypedColumn) -> str:
    name = '"' + column.column.replace('"', '""') + '"'
    return f"strftime({name}, '{column.time_format}')" if column.time_format else name


def _convert(kind: Any) -> Convert | None:
    """Give what turns a value of a DuckDB type into what JSON would be; ``None`` if it is that already."""
    if str(kind) == "JSON":
        return json.loads
    if kind.id == "list":
        (_, element), *_ = kind.children
        inner = _convert(element)
        return inner and (lambda values: [None if value is None else inner(value) for value in values])
    if kind.id == "struct":
        fields = {name: _convert(field) for name, field in kind.children}
        if not any(fields.values()):
            return None
        return lambda value: {
            name: field if field is None or fields[name] is None else fields[name](field)
            for name, field in value.items()
        }
    return None
