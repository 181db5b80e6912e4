"""What the comment on a published table says: which fetch wrote it last, what it holds, and what that changed.

It is written in the transaction that publishes. A run that was killed before its journal knew of that finds its own id
there; a run on another machine finds out what it would replace.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import duckdb

from ..database import is_named, only_row
from ..journal import FetchSpec
from .changes import Changes

__all__ = ["PREFIX", "Marker", "holdings_by_comment"]

PREFIX = "mixpanel-duckdb "


@dataclass(frozen=True, slots=True)
class Marker:
    """The comment on a table of ours.

    Args:
        fetch_id: The fetch that wrote it last.
        staging: The staging table that it had: a fetch that starts over has another one.
        holds: The fetches that it is made of.
        changes: What the last one changed.
    """

    fetch_id: str
    staging: str
    holds: tuple[FetchSpec, ...]
    changes: Changes

    @property
    def text(self) -> str:
        """The comment."""
        holds = [{"project_id": each.project_id, "host": each.host, "query": each.query} for each in self.holds]
        told = {"fetch_id": self.fetch_id, "staging": self.staging, "holds": holds, **asdict(self.changes)}
        return PREFIX + json.dumps(told)

    @classmethod
    def of(cls, comment: str | None, table: str) -> Marker | None:
        """Read a comment; ``None`` if it is somebody else's."""
        if comment is None or not comment.startswith(PREFIX):
            return None
        try:
            told = json.loads(comment.removeprefix(PREFIX))
            holds = tuple(FetchSpec(table, each["query"], each["project_id"], each["host"]) for each in told["holds"])
            changes = Changes(told["added"], told["changed"], told["removed"], told["unchanged"])
            return cls(told["fetch_id"], told.get("staging", ""), holds, changes)
        except (ValueError, LookupError, TypeError):
            return None


def holdings_by_comment(cursor: duckdb.DuckDBPyConnection, table: str) -> tuple[FetchSpec, ...]:
    """List what a table of this database holds that was published into it from another one."""
    row = only_row(
        cursor,
        "SELECT comment FROM duckdb_tables() WHERE database_name = current_database() "
        f"AND schema_name = current_schema() AND {is_named('table_name')}",
        [table],
    )
    marker = Marker.of(row[0], table) if row else None
    return marker.holds if marker else ()
