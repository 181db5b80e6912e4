"""A stream under way: the days it replaces, in which transaction, and what was odd in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import duckdb

from ...fidelity import MAX_NESTING, flatten, mend
from ..database import ROWS_OF_A_GROUP
from .pieces import EventPiece, OddEvents, PieceFile
from .sql import DAYS_OF_LINES

__all__ = ["Stream"]

_NOTHING_ODD = OddEvents()


@dataclass(slots=True)
class Stream:
    """Days, what has come of them and waits, the transaction that replaces them, and what it has found."""

    first: date
    last: date
    asked_at: datetime
    waiting: list[EventPiece] = field(default_factory=list)
    cursor: duckdb.DuckDBPyConnection | None = None
    rows: int = 0
    size: int = 0
    outside: int = 0
    odd: defaultdict[date, OddEvents] = field(default_factory=lambda: defaultdict(OddEvents))
    problem: str | None = None

    @property
    def files(self) -> list[PieceFile]:
        """What waits in files."""
        return [each.file for each in self.waiting if each.file is not None]

    @property
    def left(self) -> int:
        """About how many bytes of it fill no row group: a commit writes those to the log, a checkpoint once more."""
        return self.size * (self.rows % ROWS_OF_A_GROUP) // max(1, self.rows)

    @property
    def bounds(self) -> list[date]:
        """From the first moment of the days to the first one behind them."""
        return [self.first, self.end]

    @property
    def end(self) -> date:
        """The first day behind them."""
        return self.last + timedelta(days=1)

    def count(self, day: date | None, odd: OddEvents) -> None:
        """Count what is odd in an event; if that is of none of the days, with the first, as strays are."""
        self.odd[day if day is not None and self.first <= day <= self.last else self.first].add(odd)

    def run(self, sql: str, values: Sequence[object] | Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Run a statement in the transaction."""
        assert self.cursor is not None  # noqa: S101 - begun by whoever inserts
        return self.cursor.execute(sql, values).fetchall()

    def close(self) -> None:
        """Give the transaction up, unless it is committed."""
        if self.cursor is not None:
            self.cursor.close()

    def made_plain(self, lines: Iterable[tuple[bytes | str, bool]]) -> bytes:
        """Mend lines, and count what was done, each with its day.

        Args:
            lines: Each with whether it had other fields beside its own.
        """
        made = [_made_plain(*each) for each in lines]
        if changed := [each for each in made if each[1] != _NOTHING_ODD]:
            days = self.run(DAYS_OF_LINES, {"text": b"\n".join(text for text, _ in changed)})
            for (day,), (_, odd) in zip(days, changed, strict=True):
                self.count(day, odd)
        return b"\n".join(text for text, _ in made)


def _made_plain(line: bytes | str, with_other_fields: bool) -> tuple[bytes, OddEvents]:
    found = mend(line.encode() if isinstance(line, str) else line)
    # Its properties are one level down.
    text, flattened = flatten(found.text.decode(), MAX_NESTING + 1)
    return text.encode(), OddEvents(0, 0, int(with_other_fields), found.replaced, found.mended, flattened)
