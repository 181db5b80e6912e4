"""The SQL that takes properties out of a row: one ``from_json`` for many of them, since parsing is what costs.

``from_json`` fills a STRUCT, whose field names DuckDB compares without case, and takes no empty name. So properties are
dealt into groups, one STRUCT each, in which no two names are the same for DuckDB; the empty name goes by its path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..database import folded, literal

__all__ = ["Extraction", "constant", "extraction"]

# Wide enough for one parse a row in most projects; narrow enough that a query of few columns leaves the rest unparsed.
MOST_IN_A_GROUP = 200


@dataclass(frozen=True, slots=True)
class Extraction:
    """How to read properties.

    Args:
        groups: The expressions of an inner SELECT over the profiles table, each with its alias.
        values: For each property the expression that reads its value from them.
    """

    groups: tuple[str, ...]
    values: Mapping[str, str]


def extraction(structures: Mapping[str, Any], column: str = "properties") -> Extraction:
    r"""Plan how to read some properties.

    Args:
        structures: The structure to read each property as, by name, in the order that they are dealt in.
        column: The JSON column.

    Example:
        >>> plan = extraction({"a": "BIGINT", "A": "VARCHAR"})
        >>> plan.groups
        ('from_json(properties, \'{"a": "BIGINT"}\') AS g0', 'from_json(properties, \'{"A": "VARCHAR"}\') AS g1')
        >>> plan.values["A"]
        'struct_extract_at(g1, 1)'
    """
    groups: list[dict[str, Any]] = []
    taken: list[set[str]] = []
    values: dict[str, str] = {}
    alone: list[str] = []
    for name, wanted in structures.items():
        if not name:
            alone.append(f"from_json({column}->'/', {constant(wanted)}) AS unnamed")
            values[name] = "unnamed"
            continue
        number = next((i for i, names in enumerate(taken) if _has_room(names, name)), len(groups))
        if number == len(groups):
            groups.append({})
            taken.append(set())
        groups[number][name] = wanted
        taken[number].add(folded(name))
        values[name] = f"struct_extract_at(g{number}, {len(groups[number])})"
    parsed = [f"from_json({column}, {constant(group)}) AS g{number}" for number, group in enumerate(groups)]
    return Extraction((*parsed, *alone), values)


def _has_room(names: set[str], name: str) -> bool:
    return len(names) < MOST_IN_A_GROUP and folded(name) not in names


def constant(structure: Any) -> str:
    """Write a structure as the argument of ``from_json``."""
    return literal(json.dumps(structure, ensure_ascii=False))
