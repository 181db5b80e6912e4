"""Nested structures that are seen in few rows and proven over all: values that, read and written again, are the same.

Looking inside takes ``infer`` a statement for each level, and each takes apart what those before took apart. Most
projects write an object always in the same way. So its structure is taken from the first rows; if every value is the
same text after it was read by that structure and written again, nothing is lost in it, and nobody need look inside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import duckdb

from ..database import only_row
from .extract import constant, extraction
from .shape import MOST_LEVELS, are_fields

__all__ = ["proven"]

_FEW = 1000
# So short that DuckDB's json_structure bears it however deep: at tens of thousands of levels it ends the process.
_SHORT = 5000
# What json_structure says of a value, and the type of its column. Others need to know all values.
_SURE = {"VARCHAR": "VARCHAR", "BOOLEAN": "BOOLEAN", "BIGINT": "BIGINT", "UBIGINT": "BIGINT", "DOUBLE": "DOUBLE"}


def proven(cursor: duckdb.DuckDBPyConnection, source: str, names: Iterable[str]) -> dict[str, Any]:
    """Give the structures, as ``shape.structure`` would, of those properties that are regular.

    Args:
        cursor: Where the table is.
        source: A table, or a query in brackets, as SQL names it; it has properties.
        names: Properties whose values are all objects, or all lists; or null.
    """
    few = f"(SELECT properties FROM {source} LIMIT {_FEW})"
    written = _of_each(cursor, few, dict.fromkeys(names, _structure))
    seen = {name: _sure(json.loads(text)) for name, text in written.items()}
    regular = {name: partial(_same, structure=each) for name, each in seen.items() if each}
    same = _of_each(cursor, source, regular)
    return {name: _sorted(seen[name]) for name, held in same.items() if held}


def _of_each(
    cursor: duckdb.DuckDBPyConnection, source: str, wanted: Mapping[str, Callable[[str], str]]
) -> dict[str, Any]:
    """Give an aggregate of each property, whose SQL is made from that of its value."""
    if not wanted:
        return {}
    plan = extraction(dict.fromkeys(wanted, "JSON"))
    aggregates = ", ".join(aggregate(plan.values[name]) for name, aggregate in wanted.items())
    row = only_row(cursor, f"SELECT {aggregates} FROM (SELECT {', '.join(plan.groups)} FROM {source})")
    return dict(zip(wanted, row or (), strict=True))


def _structure(value: str) -> str:
    return f"json_group_structure(CASE WHEN strlen({value}) < {_SHORT} THEN {value} END)"


def _same(value: str, structure: Any) -> str:
    # DuckDB writes NaN and Infinity as it reads them, but no type of a column has them as JSON has.
    text, again = f"{value}::VARCHAR", f"to_json(from_json({value}, {constant(structure)}))::VARCHAR"
    return (
        f"bool_and({again} IS NOT DISTINCT FROM {text} "
        f"AND NOT contains({text}, 'NaN') AND NOT contains({text}, 'Infinity'))"
    )


def _sure(seen: Any, levels: int = MOST_LEVELS) -> Any:
    """Give a structure with the types of columns; ``None`` if other values could lead to other ones."""
    if isinstance(seen, str):
        return _SURE.get(seen)
    if not levels:
        return None
    if isinstance(seen, list):
        element = _sure(seen[0], levels - 1)
        return element and [element]
    fields = {name: _sure(each, levels - 1) for name, each in seen.items()}
    return fields if are_fields(fields) and all(fields.values()) else None


def _sorted(structure: Any) -> Any:
    if isinstance(structure, list):
        return [_sorted(structure[0])]
    if isinstance(structure, dict):
        return {name: _sorted(structure[name]) for name in sorted(structure)}
    return structure
