"""What a caller allows to happen to a table that exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

from .versions import history_table

__all__ = ["Allowed", "IfExists", "Terms"]

IfExists = Literal["error", "replace", "merge"]


class Allowed(TypedDict, total=False):
    """The keyword arguments of whoever is given :class:`Terms`."""

    if_exists: IfExists
    allow_other: bool
    allow_shrink: bool
    keep_history: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """What may happen to a table that exists.

    Args:
        if_exists: ``"error"`` refuses it, ``"replace"`` swaps it, ``"merge"`` updates and inserts into it.
        allow_other: Whether it may hold something else than is fetched.
        allow_shrink: Whether fewer than half as many rows may replace it; a fetch that was held back for that is gone
            on with.
        keep_history: Whether its versions are kept in a table beside it.
    """

    if_exists: IfExists = "error"
    allow_other: bool = False
    allow_shrink: bool = False
    keep_history: bool = False

    @property
    def merging(self) -> bool:
        """Whether rows of the table stay that are not fetched."""
        return self.if_exists == "merge"

    def grown(self, table: str) -> list[str]:
        """Name the tables that each publish into a table adds to."""
        return [table] * self.merging + [history_table(table)] * self.keep_history
