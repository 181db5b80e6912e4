"""What one request asks for, read from its parameters and refused where the server refuses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .where import Where, WhereError
from .wire import Parameters

_FILTERS = (
    *("where", "filter_by_cohort", "include_all_users", "distinct_id", "distinct_ids", "data_group_id"),
    *("output_properties", "behaviors", "as_of_timestamp", "limit", "search", "sort_key", "sort_order"),
)
_SORT_KEY = re.compile(r'properties\["((?:[^"\\]|\\.)*)"\]')


class RefusedError(Exception):
    """The request gets an error answer; `str()` is its text."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Query:
    """The filters of a request. `key` is equal for requests that ask for the same result."""

    key: str
    where: Where | None = None
    cohort: str | None = None
    include_all_users: bool = True
    distinct_ids: frozenset[str] | None = None
    data_group_id: str | None = None
    output_properties: frozenset[str] | None = None
    behaviors: bool = False
    as_of_timestamp: int | None = None
    limit: int | None = None
    search: str | None = None
    sort_key: str | None = None
    descending: bool = False

    @classmethod
    def parse(cls, parameters: Parameters) -> Query:
        """
        Read the filters; `page`, `session_id`, `page_size` and unknown names do not belong to them.

        Raises:
            RefusedError: A value is malformed or two filters exclude each other.
        """
        if _present(parameters, "behaviors") and _present(parameters, "filter_by_cohort"):
            raise RefusedError("behaviors and filter_by_cohort are mutually exclusive")
        return cls(
            key=_key(parameters),
            where=_where(parameters),
            cohort=_cohort(parameters),
            include_all_users=_text(parameters.get("include_all_users", True)).lower() not in ("false", "0"),
            distinct_ids=_distinct_ids(parameters),
            data_group_id=_optional_text(parameters, "data_group_id"),
            output_properties=_names(parameters, "output_properties"),
            behaviors=_behaviors(parameters),
            as_of_timestamp=integer(parameters, "as_of_timestamp"),
            limit=integer(parameters, "limit", least=1),
            search=_optional_text(parameters, "search"),
            sort_key=_sort_key(parameters),
            descending=_sort_order(parameters) == "descending",
        )

    @property
    def selects_all(self) -> bool:
        """Whether the result is the whole population as it is."""
        filters = (self.where, self.cohort, self.distinct_ids, self.output_properties, self.limit)
        return all(item is None for item in (*filters, self.search, self.sort_key))

    @property
    def cacheable(self) -> bool:
        """Without a fixed moment each page of a behaviors query is another query."""
        return not self.behaviors or self.as_of_timestamp is not None


def integer(parameters: Parameters, name: str, *, least: int = 0) -> int | None:
    """A whole number among the parameters; None when it is absent or empty."""
    if not _present(parameters, name):
        return None
    try:
        value = int(str(parameters[name]))
    except ValueError:
        raise _invalid(name) from None
    if value < least:
        raise _invalid(name)
    return value


def _invalid(name: str) -> RefusedError:
    return RefusedError(f"Invalid parameter: {name}")


def _present(parameters: Parameters, name: str) -> bool:
    return parameters.get(name) not in (None, "", "null")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)


def _key(parameters: Parameters) -> str:
    return json.dumps([[name, _text(parameters[name])] for name in _FILTERS if _present(parameters, name)])


def _optional_text(parameters: Parameters, name: str) -> str | None:
    return _text(parameters[name]) if _present(parameters, name) else None


def _decoded(parameters: Parameters, name: str) -> Any:
    """A parameter that is JSON text inside a form, and either text or a value inside a JSON body."""
    value = parameters[name]
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise _invalid(name) from None


def _where(parameters: Parameters) -> Where | None:
    if not _present(parameters, "where"):
        return None
    try:
        return Where.parse(_text(parameters["where"]))
    except WhereError:
        raise _invalid("where") from None


def _cohort(parameters: Parameters) -> str | None:
    if not _present(parameters, "filter_by_cohort"):
        return None
    cohort = _decoded(parameters, "filter_by_cohort")
    if not isinstance(cohort, dict) or not ({"id", "raw_cohort"} & cohort.keys()):
        raise _invalid("filter_by_cohort")
    return _text(cohort.get("id", cohort.get("raw_cohort")))


def _distinct_ids(parameters: Parameters) -> frozenset[str] | None:
    many = _names(parameters, "distinct_ids")
    one = _optional_text(parameters, "distinct_id")
    if one is None:
        return many
    return frozenset({one}) | (many or frozenset())


def _names(parameters: Parameters, name: str) -> frozenset[str] | None:
    if not _present(parameters, name):
        return None
    names = _decoded(parameters, name)
    if not isinstance(names, list):
        raise _invalid(name)
    return frozenset(_text(item) for item in names)


def _behaviors(parameters: Parameters) -> bool:
    if not _present(parameters, "behaviors"):
        return False
    if not isinstance(_decoded(parameters, "behaviors"), list):
        raise _invalid("behaviors")
    return True


def _sort_key(parameters: Parameters) -> str | None:
    if not _present(parameters, "sort_key"):
        return None
    match = _SORT_KEY.fullmatch(_text(parameters["sort_key"]))
    if match is None:
        raise _invalid("sort_key")
    return str(json.loads(f'"{match[1]}"'))


def _sort_order(parameters: Parameters) -> str:
    order = _optional_text(parameters, "sort_order") or "ascending"
    if order not in ("ascending", "descending"):
        raise _invalid("sort_order")
    return order
