"""What the comment on a published table says: which fetch wrote it last, what it holds, and what that changed.

It is written in the transaction that publishes. A run that was killed before its journal knew of that finds its own id
there; a run on another machine finds out what it would replace.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ..journal import FetchSpec
from ..tables import Changes

__all__ = ["PREFIX", "Marker"]

PREFIX = "mixpanel-duckdb "


@dataclass(frozen=True, slots=True)
class Marker:
    """The comment on a table of ours.

    Args:
        fetch_id: The fetch that wrote it last.
        holds: The fetches that it is made of.
        changes: What the last one changed.
    """

    fetch_id: str
    holds: tuple[FetchSpec, ...]
    changes: Changes

    @property
    def text(self) -> str:
        """The comment."""
        holds = [{"project_id": each.project_id, "host": each.host, "query": each.query} for each in self.holds]
        return PREFIX + json.dumps({"fetch_id": self.fetch_id, "holds": holds, **asdict(self.changes)})

    @classmethod
    def of(cls, comment: str | None, table: str) -> Marker | None:
        """Read a comment; ``None`` if it is somebody else's."""
        if comment is None or not comment.startswith(PREFIX):
            return None
        try:
            told = json.loads(comment.removeprefix(PREFIX))
            holds = tuple(FetchSpec(table, each["query"], each["project_id"], each["host"]) for each in told["holds"])
            changes = Changes(told["added"], told["changed"], told["removed"], told["unchanged"])
            return cls(told["fetch_id"], holds, changes)
        except (ValueError, LookupError, TypeError):
            return None
