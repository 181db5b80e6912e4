"""What goes to the store and what comes back: pieces of streams, groups of them, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime

__all__ = ["EventGroup", "EventPiece", "EventReceipt", "OddEvents", "PieceFile"]


@dataclass(frozen=True, slots=True)
class PieceFile:
    """Lines in a file.

    Args:
        path: Where.
        lines: How many.
        size: Their bytes, with a line end for each.
        plain: Whether it is known that each is an event and nothing else.
    """

    path: str
    lines: int
    size: int
    plain: bool


@dataclass(frozen=True, slots=True)
class EventPiece:
    """A piece of a stream on its way to the store.

    Args:
        stream: Number of the stream.
        first: First of the days that it is of.
        last: Last of them.
        asked_at: When they were asked for, in UTC: what happens later may be missing.
        text: Whole lines, each with its line end.
        ends: Whether nothing follows.
        broken: Whether the stream broke off, so that nothing of it counts.
        file: Where its text is, in place of that.
        lines: How many lines it has, once somebody has looked.
    """

    stream: int
    first: date
    last: date
    asked_at: datetime
    text: bytes = b""
    ends: bool = False
    broken: bool = False
    file: PieceFile | None = None
    lines: int = 0

    @property
    def size(self) -> int:
        """Bytes of its text."""
        return len(self.text)


@dataclass(slots=True)
class OddEvents:
    """What is counted of a day: doubles, fields beside, what was mended, and strays with the first of their request."""

    duplicates: int = 0
    outside: int = 0
    with_other_fields: int = 0
    replaced: int = 0
    mended: int = 0
    flattened: int = 0

    def add(self, more: OddEvents) -> None:
        """Count something else, too."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(more, each.name))


@dataclass(frozen=True, slots=True)
class EventReceipt:
    """What became of a piece; of a stream, if it was the last one.

    Args:
        stream: Number of the stream.
        rows: Rows of the stream so far.
        problem: Why nothing of the stream counts.
    """

    stream: int
    rows: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Pieces that waited together, without the texts that were inserted already."""

    pages: tuple[EventPiece, ...]
    size: int
