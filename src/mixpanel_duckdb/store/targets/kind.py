"""What each kind of engine must know: how it is attached, where a table's comment is, how rows are exchanged."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Protocol

import duckdb

from ..database import COLUMNS, is_named, literal, quote
from ..tables import Rows
from .target import Target

__all__ = ["Kind", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A table of an attached catalog, which may not be there yet."""

    catalog: str
    schema: str
    table: str

    @property
    def sql(self) -> str:
        """Its name in statements."""
        return f"{quote(self.catalog)}.{quote(self.schema)}.{quote(self.table)}"

    @property
    def here(self) -> str:
        """The condition on DuckDB's catalog that something is in its schema."""
        return f"database_name = {literal(self.catalog)} AND {is_named('schema_name', literal(self.schema))}"


class Kind(Protocol):
    """An engine that a table can be published into; what has a place works in the transaction of its cursor.

    Attributes:
        type: Its name in ``duckdb_databases()``.
        schema: Where tables go if the caller names no schema.
        extensions: What DuckDB must have loaded.
        is_made_by_attaching: Whether it is attached for writing even if it is only looked at, so that it is made then.
    """

    type: ClassVar[str]
    schema: ClassVar[str]
    extensions: ClassVar[tuple[str, ...]]
    is_made_by_attaching: ClassVar[bool]

    def statement(self, target: Target, alias: str, *, read_only: bool) -> str:
        """Write the statement that attaches a target."""

    def exists(self, target: Target, /) -> bool:
        """Whether there is anything to be checked, or to be read back; may refuse a place that cannot be."""

    def attached(
        self, cursor: duckdb.DuckDBPyConnection, target: Target, alias: str, *, writing: bool
    ) -> AbstractContextManager[str | None]:
        """Attach it; what was committed is in place when the block has ended. Gives what is to be said."""

    def lock(self, cursor: duckdb.DuckDBPyConnection, place: Place, seconds: float, /) -> None:
        """Keep other writers of a table out that is there, or have the commit of all but one fail."""

    def is_conflict(self, error: duckdb.Error) -> bool:
        """Whether a transaction failed because of another one, so that it may succeed when it is begun again."""

    def columns(self, cursor: duckdb.DuckDBPyConnection, place: Place) -> dict[str, str]:
        """Give the columns of a table with their types, none if it is not there; for a view, one without a name."""

    def comment(self, cursor: duckdb.DuckDBPyConnection, place: Place) -> str | None:
        """Read the comment on a table or view."""

    def set_comment(self, cursor: duckdb.DuckDBPyConnection, place: Place, text: str) -> None:
        """Write that on a table."""

    def incoming(self, staging: str, columns: Mapping[str, str] = COLUMNS) -> str:
        """Write the query for staged rows of these columns as this engine can hold them."""

    def replaced_characters(
        self, cursor: duckdb.DuckDBPyConnection, staging: str, columns: Mapping[str, str] = COLUMNS, /
    ) -> int:
        """Count the characters that are others in there."""

    def hindrance(self, cursor: duckdb.DuckDBPyConnection, place: Place, rows: Rows) -> str | None:
        """Name what may refuse rows at the end, of a table that is there."""

    def exchange(self, cursor: duckdb.DuckDBPyConnection, place: Place, incoming: str) -> None:
        """Make rows the same that ``find_changes`` has found to differ."""

    def set_view(self, cursor: duckdb.DuckDBPyConnection, place: Place, query: str, comment: str) -> None:
        """Make a view of this query and with this comment; its tables are named by schema and name."""
