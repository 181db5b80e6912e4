"""What a table holds beside what a fetch asks for: the same, a part of it, or something else.

Compared is what decides about the profiles: project, host, Data View, group, filters and properties. Not compared is
how they are asked for (page size, order, moment), nor a port: a tunnel or a simulator has another one each time. What
is not known of one side, a project that a caller's own client does not tell, is not compared, and that is said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ...errors import UnsuitableTableError
from ..journal import FetchSpec
from .terms import Terms

__all__ = ["check_holding", "is_covered"]

_FILTERS = ("where", "filter_by_cohort", "include_all_users", "distinct_id", "distinct_ids", "search", "behaviors")
# They decide, too, where only the first so many profiles are asked for.
_ORDER = ("sort_key", "sort_order")
_MOST_CHARACTERS = 80


def check_holding(held: Sequence[FetchSpec], asked: FetchSpec, terms: Terms) -> str | None:
    """Refuse what is something else than the table holds.

    To replace a table, a fetch must ask for the same profiles with at least their properties; to merge into it, for
    some of them with at least their properties.

    Args:
        held: What the table is made of; nothing if that is not known.
        asked: What is to be fetched into it.
        terms: How; with ``allow_other`` nothing is refused.

    Returns:
        What could not be compared, if that is to be said.

    Raises:
        UnsuitableTableError: Names both sides.
    """
    if terms.allow_other:
        return None
    for each in held:
        if sides := list(_differences(each, asked, merging=terms.merging)):
            has, wants = (" and ".join(side) for side in zip(*sides, strict=True))
            verb = "merge into it" if terms.merging else "replace it"
            raise UnsuitableTableError(
                f"Table {asked.table!r} holds {has}, but this fetch is of {wants}: nothing was requested. Choose "
                f"another table, or allow_other=True (--allow-other) to {verb} all the same."
            )
    for each in held:
        if bool(each.project_id) != bool(asked.project_id):
            known = each.project_id or asked.project_id
            silent, other = ("this client", "the table holds") if each.project_id else ("the table", "is read now")
            return f"Which project {silent} is of is not known, so it was not compared: project {known} {other}."
    return None


def is_covered(held: Sequence[FetchSpec], asked: FetchSpec) -> bool:
    """Whether a table holds, after a fetch was merged into it, nothing that it was not known to hold before."""
    return any(
        not list(_differences(each, asked, merging=True))
        and _names(each) == _names(asked)
        and (bool(each.project_id), bool(each.host)) == (bool(asked.project_id), bool(asked.host))
        for each in held
    )


def _differences(held: FetchSpec, asked: FetchSpec, *, merging: bool) -> Iterator[tuple[str, str]]:
    """What makes the fetch something else, as a phrase for each side."""
    had, wants = held.filters, asked.filters
    if held.project_id and asked.project_id:
        if held.project_id != asked.project_id:
            yield f"project {held.project_id}", f"project {asked.project_id}"
        if had.get("workspace_id") != wants.get("workspace_id"):
            yield _view(had), _view(wants)
    there, here = urlsplit(held.host).hostname, urlsplit(asked.host).hostname
    if there and here and there != here:
        yield there, here
    if had.get("data_group_id") != wants.get("data_group_id"):
        yield _group(had), _group(wants)
    names = (*_FILTERS, *_ORDER) if had.get("limit") and wants.get("limit") else _FILTERS
    before, now = _filters(had, names), _filters(wants, names)
    if before != now and (before or not merging or now.get("include_all_users")):
        yield _filter_text(before), _filter_text(now)
    before_names, now_names = _names(held), _names(asked)
    if now_names is not None and (before_names is None or before_names - now_names):
        yield _names_text(before_names), _names_text(now_names)
    if not merging and (least := wants.get("limit")) and least < had.get("limit", float("inf")):
        yield _limit_text(had), _limit_text(wants)


def _filters(query: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    found = {name: query[name] for name in names if query.get(name)}
    if "distinct_ids" in found:
        found["distinct_ids"] = sorted(json.loads(found["distinct_ids"]))
    return found


def _names(spec: FetchSpec) -> set[str] | None:
    return None if spec.properties is None else set(spec.properties)


def _view(query: Mapping[str, Any]) -> str:
    return f"Data View {query['workspace_id']}" if query.get("workspace_id") else "no Data View"


def _group(query: Mapping[str, Any]) -> str:
    return f"profiles of group key {query['data_group_id']}" if query.get("data_group_id") else "user profiles"


def _filter_text(filters: Mapping[str, Any]) -> str:
    return _short(", ".join(f"{name}={value}" for name, value in filters.items())) or "all profiles"


def _names_text(names: set[str] | None) -> str:
    return "all properties" if names is None else _short(f"only the properties {', '.join(sorted(names))}")


def _limit_text(query: Mapping[str, Any]) -> str:
    return f"at most {query['limit']:,} profiles" if query.get("limit") else "any number of profiles"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
