"""The server's own forms of filters: JSON texts, and the names that differ from ours.

What ``Workspace.build_user_params`` of ``mixpanel-headless`` returns is in these forms.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import QueryError

__all__ = ["LISTS", "compact", "understood"]

LISTS = ("distinct_ids", "output_properties", "behaviors")
_COHORT_FIELDS = {"id": "cohort_id", "raw_cohort": "raw_cohort"}
# Parameters of the API's other half, which counts profiles instead of giving them.
_OF_SUMS = {"action", "segment_by_cohorts"}


def understood(filters: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Translate the server's forms into fields of a query, and refuse what is neither.

    Args:
        filters: Values by the server's names or by ours.
        fields: Names that a query has.

    Raises:
        QueryError: A name that is not known, or a text that is not of the form it must have.

    Example:
        >>> understood({"filter_by_cohort": '{"id": 7}', "where": "x"}, ["where", "cohort_id"])
        {'where': 'x', 'cohort_id': 7}
    """
    known = dict(filters)
    for name in LISTS:
        if name in known:
            known[name] = _listed(name, known[name])
    if (cohort := known.pop("filter_by_cohort", None)) is not None:
        form = 'must be {"id": N} or {"raw_cohort": {...}}'
        cohort = _decoded("filter_by_cohort", cohort, dict, form) if isinstance(cohort, str) else cohort
        if not isinstance(cohort, Mapping) or len(cohort) != 1 or not cohort.keys() <= _COHORT_FIELDS.keys():
            raise QueryError(f"filter_by_cohort: {form}.")
        ((key, value),) = cohort.items()
        if known.get(_COHORT_FIELDS[key]) is not None:
            raise QueryError(f"give filter_by_cohort or {_COHORT_FIELDS[key]}, not both.")
        known[_COHORT_FIELDS[key]] = value
    if sums := sorted(known.keys() & _OF_SUMS):
        raise QueryError(
            f"{', '.join(sums)}: asks for a sum, not for profiles; build_user_params needs mode='profiles' for a fetch."
        )
    if unknown := sorted(known.keys() - set(fields)):
        raise QueryError(f"{', '.join(unknown)}: no such filter; there are {', '.join(fields)}.")
    return known


def _listed(name: str, value: Any) -> Any:
    """Take the values one by one; a set has no order, and must have the same in every process."""
    if isinstance(value, str):
        return _decoded(name, value, list, "must be a list, not one text")
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping | bytes | bytearray | memoryview):
        return value
    try:
        return tuple(value)
    except TypeError:  # no list of any kind, which is told where values are checked
        return value


def _decoded(name: str, text: str, kind: type, rule: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise QueryError(f"{name}: {rule}.")
    return value


def compact(value: object) -> str:
    """Give a value as JSON text that is equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
