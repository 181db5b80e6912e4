"""What is asked: every filter of the Engage Query API, checked once, before any request.

The rules and the server's forms are those of Mixpanel's OpenAPI file (``openapi/query.openapi.yaml`` in
github.com/mixpanel/docs) and of clients that run against it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict, Unpack, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ..errors import QueryError
from .forms import LISTS, compact, understood

__all__ = ["ProfileFilters", "ProfileQuery"]

# The journal keeps numbers as 64 bits, and no server takes more.
_MOST = 2**63 - 1


def _int64_text(value: object) -> object:
    """Group keys are signed 64-bit: JSON numbers lose their last digits on the way, so they stay text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be the numeric id of a group key, as text")  # noqa: TRY004 - pydantic's way
    text = str(value).strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("must be the numeric id of a group key (Mixpanel: project settings), not its name")
    if len(digits) > 19 or not -(2**63) <= int(text) < 2**63:
        raise ValueError("does not fit 64 bits")
    return str(int(text))


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("holds a lone surrogate, which cannot be sent")
    return value


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic's way
    return value


def _page_size(value: object) -> object:
    if value is None or value == "auto":
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError('must be "auto" or a whole number, 1 or more')
    if value > _MOST:
        raise ValueError("does not fit 64 bits")
    return value


def _json_object(value: dict[str, Any]) -> dict[str, Any]:
    try:
        compact(value).encode()
    except (TypeError, ValueError, RecursionError):
        raise ValueError("holds what JSON cannot hold") from None
    return value


Text = Annotated[str, AfterValidator(_not_blank)]
GroupId = Annotated[str, BeforeValidator(_int64_text)]
Positive = Annotated[int, BeforeValidator(_no_truth), Field(ge=1, le=_MOST)]
PageSize = Annotated[int | Literal["auto"] | None, BeforeValidator(_page_size)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_json_object)]


class ProfileFilters(TypedDict, total=False):
    """The keyword arguments that every fetching function takes; see :class:`ProfileQuery` for each."""

    where: str | None
    cohort_id: int | str | None
    raw_cohort: Mapping[str, Any] | None
    filter_by_cohort: str | Mapping[str, Any] | None
    include_all_users: bool | None
    output_properties: Iterable[str] | str | None
    distinct_id: str | None
    distinct_ids: Iterable[str] | str | None
    data_group_id: str | int | None
    behaviors: Iterable[Mapping[str, Any]] | str | None
    as_of_timestamp: int | None
    search: str | None
    sort_key: str | None
    sort_order: Literal["ascending", "descending"] | None
    limit: int | None
    page_size: int | Literal["auto"] | None


class ProfileQuery(BaseModel):
    """One question to the Engage API; frozen, comparable, and the same on every page.

    The server's own parameters are understood too, so that what ``Workspace.build_user_params(mode="profiles", ...)``
    of ``mixpanel-headless`` returns can be passed on: ``filter_by_cohort`` for ``cohort_id`` or ``raw_cohort``, and
    lists as JSON text.

    Args:
        where: Expression such as ``properties["plan"] == "pro"``; the server parses it.
        cohort_id: Numeric cohort id; sent as ``filter_by_cohort={"id": N}``.
        raw_cohort: Definition of a cohort that is not saved, as ``mixpanel-headless`` makes it; sent as
            ``filter_by_cohort={"raw_cohort": {...}}``. Not together with ``cohort_id``.
        include_all_users: With a cohort only: also members without a profile. Sent explicitly, since the
            server's own default is true. Default here: false, so every row has a profile.
        output_properties: Names of the properties to return; ``None`` means all. Any iterable: a set is sorted.
        distinct_id: One profile.
        distinct_ids: Several profiles, likewise; not together with ``distinct_id``.
        data_group_id: Numeric id of a group key, kept as text; ``None`` means user profiles.
        behaviors: Event conditions, used by ``where``; not together with a cohort.
        as_of_timestamp: Unix seconds that ``behaviors`` are evaluated at. The server pages such a result only
            when it is given, so a fetch without it fixes the moment of its start. Mixpanel documents no use of it
            without them; ``mixpanel-headless`` sends it with any filter, and so it is sent.
        search: Free text on ids, e-mail and some properties.
        sort_key: Selector such as ``properties["$last_seen"]``; a bare name is refused by the server.
        sort_order: ``"ascending"`` or ``"descending"``; goes with ``sort_key``.
        limit: Most profiles in the whole result, 1 or more.
        page_size: Profiles a page. ``"auto"``: the server's own size, and in a fetch of more than 60 pages the smallest
            that brings it to 60, as far as that is sensible (``docs/limits-and-resume.md``). A number, 1 or more: the
            server may lower it, and its answer counts. ``None``: the server's own size.

    Raises:
        QueryError: Names the filter and the rule that it breaks.

    Example:
        >>> ProfileQuery(cohort_id=7).params()
        {'filter_by_cohort': '{"id":7}', 'include_all_users': False}
        >>> ProfileQuery(data_group_id=-1405123841946871899).data_group_id
        '-1405123841946871899'
        >>> ProfileQuery(filter_by_cohort='{"id": 7}', output_properties='["plan"]') == ProfileQuery(
        ...     cohort_id=7, output_properties=["plan"]
        ... )
        True
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    where: Text | None = None
    cohort_id: Positive | None = None
    raw_cohort: JsonObject | None = None
    include_all_users: bool | None = None
    output_properties: tuple[Text, ...] | None = None
    distinct_id: Text | None = None
    distinct_ids: tuple[Text, ...] | None = None
    data_group_id: GroupId | None = None
    behaviors: tuple[JsonObject, ...] | None = None
    as_of_timestamp: Annotated[int, BeforeValidator(_no_truth), Field(ge=0, le=_MOST)] | None = None
    search: Text | None = None
    sort_key: Text | None = None
    sort_order: Literal["ascending", "descending"] | None = None
    limit: Positive | None = None
    page_size: PageSize = "auto"

    def __init__(self, **filters: Unpack[ProfileFilters]) -> None:
        try:
            super().__init__(**understood(filters, self.__class__.model_fields))
        except ValidationError as error:
            raise QueryError(f"{_sentence(error)}.") from None

    @model_validator(mode="after")
    def _rules_between_filters(self) -> Self:
        rules = (
            (
                self.include_all_users is not None and not self._has_cohort,
                "include_all_users goes with a cohort only",
            ),
            (
                self.cohort_id is not None and self.raw_cohort is not None,
                "give cohort_id or raw_cohort, not both",
            ),
            (
                self.distinct_id is not None and self.distinct_ids is not None,
                "give distinct_id or distinct_ids, not both",
            ),
            (
                self.behaviors is not None and self._has_cohort,
                "behaviors and a cohort exclude each other",
            ),
            (self.sort_order is not None and self.sort_key is None, "sort_order goes with sort_key"),
            (
                self.sort_key is not None and "properties[" not in self.sort_key,
                'sort_key must be a selector such as properties["$last_seen"]',
            ),
            (self.distinct_ids == (), "distinct_ids is empty"),
            (self.output_properties == (), "output_properties is empty; leave it out to get all properties"),
            (self.behaviors == (), "behaviors is empty"),
        )
        for broken, sentence in rules:
            if broken:
                raise ValueError(sentence)
        return self

    @property
    def _has_cohort(self) -> bool:
        return self.cohort_id is not None or self.raw_cohort is not None

    def params(self) -> dict[str, str | int | bool]:
        """Give the filters as the server takes them: nested values as JSON text, scalars as they are.

        Returns:
            Parameters that are the same on every page; ``page`` and ``session_id`` are the client's.
        """
        wire: dict[str, str | int | bool | None] = {
            "where": self.where,
            "distinct_id": self.distinct_id,
            "data_group_id": self.data_group_id,
            "as_of_timestamp": self.as_of_timestamp,
            "search": self.search,
            "sort_key": self.sort_key,
            "sort_order": self.sort_order,
            "limit": self.limit,
            "page_size": None if self.page_size == "auto" else self.page_size,
        }
        for name in LISTS:
            if (value := getattr(self, name)) is not None:
                wire[name] = compact(value)
        if self._has_cohort:
            cohort = {"id": self.cohort_id} if self.raw_cohort is None else {"raw_cohort": self.raw_cohort}
            wire["filter_by_cohort"] = compact(cohort)
            wire["include_all_users"] = bool(self.include_all_users)
        return {name: value for name, value in wire.items() if value is not None}

    @property
    def names_no_property(self) -> bool:
        """Whether there is a ``where`` that nothing in it is a property of, as the server reads it."""
        return bool(self.where) and not re.search(r"(properties|user)\s*\[", self.where or "")

    def given(self) -> ProfileFilters:
        """Give the filters that are set, as keyword arguments; ``page_size`` if it is not ``"auto"``."""
        given = self.model_dump(exclude_none=True, exclude={"page_size"})
        sized = {} if self.page_size == "auto" else {"page_size": self.page_size}
        return cast("ProfileFilters", given | sized)

    def form(self, page: int, session_id: str | None = None) -> dict[str, str | int]:
        """Give the form that asks for a page; every one of a result repeats the filters."""
        form: dict[str, str | int] = {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in self.params().items()
        }
        form["page"] = page
        if session_id:
            form["session_id"] = session_id
        return form

    def fixed_in_time(self, moment: int | None = None) -> Self:
        """Give a query whose pages fit each other: behaviours page only when every page names the same moment.

        Args:
            moment: Unix seconds; ``None`` is now.
        """
        if self.behaviors is None or self.as_of_timestamp is not None:
            return self
        return self.model_copy(update={"as_of_timestamp": moment or int(time.time())})

    def sized(self, page_size: int | None) -> Self:
        """Give the same query in pages of another size; ``None`` is the server's own."""
        return self.model_copy(update={"page_size": page_size})

    def canonical(self, data_view: str = "") -> str:
        """Give the query as one JSON text that is equal for equal queries; the journal keeps it.

        Args:
            data_view: Id of the Data View that is read through: it decides about rows as filters do.
        """
        view = {"workspace_id": data_view} if data_view else {}
        return compact({**self.params(), **view})


def _sentence(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(str(part) for part in item["loc"])
        text = item["msg"].removeprefix("Value error, ")
        parts.append(f"{name}: {text}" if name else text)
    return "; ".join(parts)
